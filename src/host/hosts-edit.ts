import { tryParseAddress } from '../protocol/address.ts';
import { judgeHosts, parseHosts } from './hosts-syntax.ts';

/** One line of a hosts file that is another one afterwards, without its newline. */
export interface HostsEdit {
  text: string;
  /** 1-based, in the new text. */
  line: number;
  /** Absent where the line is new. */
  before?: string;
  after: string;
}

/**
 * The smallest edit after which glibc maps ::1 to localhost: the name at the end of a line that ::1 has already, before its comment;
 * else a line of its own, after the first that names localhost or at the end. All else stays as it is, byte for byte, if
 * the text is given as Latin-1, which has a character for each byte.
 * @returns undefined where nothing is to be done
 */
export function addLocalhostIpv6(text: string): HostsEdit | undefined {
  if (judgeHosts(text).localhostIpv6 === 'present') return undefined;
  const entries = parseHosts(text);
  const own = entries.find(({ address, misread }) => !misread && tryParseAddress(address) === '::1');
  if (own !== undefined) {
    const { line, namesEnd } = own;
    const start = text.lastIndexOf('\n', namesEnd - 1) + 1;
    const blank = text.slice(start, namesEnd).includes('\t') ? '\t' : ' ';
    return edited(text, namesEnd, `${blank}localhost`, line);
  }
  const anchor = entries.find(({ names }) => names.some((name) => name.toLowerCase() === 'localhost'));
  const at = anchor?.lineEnd ?? text.length;
  const newline = (/\r?\n/.exec(text) ?? ['\n'])[0];
  const line = text.slice(0, at).split('\n').length;
  return at === 0 || text[at - 1] === '\n'
    ? edited(text, at, `::1 localhost${newline}`, line)
    : // The last line has no newline, and the new last line has none either.
      edited(text, at, `${newline}::1 localhost`, line + 1);
}

function edited(text: string, at: number, inserted: string, line: number): HostsEdit {
  const next = text.slice(0, at) + inserted + text.slice(at);
  const isNew = inserted.includes('\n');
  const before = lineOf(text, line);
  const after = lineOf(next, line);
  return { text: next, line, ...(isNew ? {} : { before }), after };
}

function lineOf(text: string, line: number): string {
  return (text.split('\n')[line - 1] ?? '').replace(/\r$/, '');
}
