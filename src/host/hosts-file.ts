import { tryParseAddress } from '../protocol/address.ts';
import { errnoOf } from '../protocol/errors.ts';
import type { HostsJudgement } from '../protocol/hosts-file.ts';
import type { Files } from './ports/files.ts';
import type { HostsFile } from './ports/hosts-file.ts';

/** One line that maps an address to names. */
interface HostsEntry {
  /** 1-based. */
  line: number;
  /** As text; glibc skips lines whose first field is no address. */
  address: string;
  /** The canonical name and its aliases. */
  names: string[];
  /** Other than it stands there. */
  misread: boolean;
}

/** The longest line that evidence repeats, in characters. */
const longestEvidence = 120;

/** The hosts file at `path`. */
export function createHostsFile(files: Files, path = '/etc/hosts'): HostsFile {
  return {
    judge: async () => {
      try {
        const text = await files.readIfExists(path);
        if (text === undefined) return { localhostIpv6: 'missing', evidence: `${path} does not exist` };
        return judgeHosts(text);
      } catch (thrown) {
        const errno = errnoOf(thrown);
        if (errno === undefined) throw thrown;
        return { localhostIpv6: 'unknown', evidence: `${path} cannot be read (${errno})` };
      }
    },
    watch: (onHint) => files.watch(path, onHint),
  };
}

/** Whether the text of a hosts file maps ::1 to localhost, in the eyes of glibc. */
export function judgeHosts(text: string): HostsJudgement {
  const entries = parseHosts(text);
  const naming = entries.filter(({ names }) => names.some((name) => name.toLowerCase() === 'localhost'));
  const loopback = entries.filter(({ address }) => tryParseAddress(address) === '::1');

  const both = naming.find((entry) => loopback.includes(entry));
  if (both !== undefined) return { localhostIpv6: 'present', evidence: describe(both) };
  const instead = [...loopback, ...naming].map(describe).join('; ');
  return {
    localhostIpv6: 'missing',
    evidence: instead === '' ? 'no line for ::1, and none for localhost' : clip(instead),
  };
}

/**
 * Reads a hosts file as glibc's nss_files does (checked against getent): a line ends with a newline only, and before that
 * at the first `#` or NUL; the fields are split by what C's isspace() takes for a blank, which has the carriage return in
 * it but not the byte order mark and the other blanks of Unicode that `\s` would take.
 *
 * An indented line that has no newline (the last one, or one with a NUL) is misread: glibc (seen in 2.36) moves it to the
 * front of its buffer without an end, so what stood there before follows: `  ::1 localhost` names `localhostst`.
 */
function parseHosts(text: string): HostsEntry[] {
  return (text.match(/[^\n]*\n|[^\n]+$/g) ?? []).flatMap((whole, index) => {
    const [kept = ''] = whole.split('\0', 1);
    const moved = kept.replace(/^[ \t\v\f\r\n]+/, '');
    const leftover = kept.slice(moved.length);
    const [body = ''] = `${moved}${leftover}`.split(/[#\n]/, 1);
    const [address, ...names] = body.split(/[ \t\v\f\r]+/).filter((field) => field !== '');
    if (moved === '' || address === undefined) return [];
    return [{ line: index + 1, address, names, misread: leftover !== '' && !/[#\n]/.test(moved) }];
  });
}

function describe({ line, address, names, misread }: HostsEntry): string {
  const note = misread ? ' (so glibc reads it: it is indented and has no newline)' : '';
  return clip(`line ${line}: ${[address, ...names].join(' ')}${note}`);
}

function clip(words: string): string {
  return words.length <= longestEvidence ? words : `${words.slice(0, longestEvidence)}…`;
}
