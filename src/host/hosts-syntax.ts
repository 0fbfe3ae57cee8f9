import { tryParseAddress } from '../protocol/address.ts';
import type { HostsJudgement } from '../protocol/hosts-file.ts';

/** One line that maps an address to names. */
export interface HostsEntry {
  /** 1-based. */
  line: number;
  /** Where its last name ends, and where its line does with its newline: both as offsets into the text. */
  namesEnd: number;
  lineEnd: number;
  /** As text; glibc skips lines whose first field is no address. */
  address: string;
  /** The canonical name and its aliases. */
  names: string[];
  /** Other than it stands there. */
  misread: boolean;
}

/** The longest line that evidence repeats, in characters. */
const longestEvidence = 120;

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
export function parseHosts(text: string): HostsEntry[] {
  let lineEnd = 0;
  return (text.match(/[^\n]*\n|[^\n]+$/g) ?? []).flatMap((whole, index) => {
    const start = lineEnd;
    lineEnd += whole.length;
    const [kept = ''] = whole.split('\0', 1);
    const moved = kept.replace(/^[ \t\v\f\r\n]+/, '');
    const leftover = kept.slice(moved.length);
    const namesEnd = start + leftover.length + lengthToLastName(moved);
    const [body = ''] = `${moved}${leftover}`.split(/[#\n]/, 1);
    const [address, ...names] = body.split(/[ \t\v\f\r]+/).filter((field) => field !== '');
    if (moved === '' || address === undefined) return [];
    const misread = leftover !== '' && !/[#\n]/.test(moved);
    return [{ line: index + 1, namesEnd, lineEnd, address, names, misread }];
  });
}

function lengthToLastName(text: string): number {
  let end = text.split(/[#\n]/, 1)[0]?.length ?? 0;
  while (end > 0 && ' \t\v\f\r'.includes(text.charAt(end - 1))) end -= 1;
  return end;
}

function describe({ line, address, names, misread }: HostsEntry): string {
  const note = misread ? ' (so glibc reads it: it is indented and has no newline)' : '';
  return clip(`line ${line}: ${[address, ...names].join(' ')}${note}`);
}

function clip(words: string): string {
  return words.length <= longestEvidence ? words : `${words.slice(0, longestEvidence)}…`;
}
