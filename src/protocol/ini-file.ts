/*
 * Files of sections and `key=value` lines, read so that each value can be changed where it stands. Nothing is thrown away: what is not
 * understood is passed over, as the program whose file it is passes over it. Text is one byte a character (`byte-text.ts`).
 */

/**
 * How a program reads such a file.
 * - `systemd`: systemd.syntax(7), read from systemd's conf-parser.c and fileio.c. Comments begin with `#` or `;`, also indented; a line that
 *   ends with a backslash goes on in the next one that is no comment; a section can come again, and is then another one.
 * - `keyfile`: GLib's GKeyFile, which NetworkManager reads. Comments begin with `#` in the first column, lines are never continued.
 */
export type IniDialect = 'systemd' | 'keyfile';

/** A word of a value: what stands between blanks, at [start, end) of the text. */
export interface IniWord {
  text: string;
  start: number;
  end: number;
}

export interface IniEntry {
  key: string;
  /** Without the blanks around it; a continued line with a blank for each backslash. */
  value: string;
  words: IniWord[];
  /** 1-based, of the line on which it begins. */
  line: number;
}

export interface IniSection {
  /** Undefined for what comes before the first section, and after a header that is not one. */
  name: string | undefined;
  /** 1-based, of its header; 1 for what comes before the first one. */
  line: number;
  entries: IniEntry[];
}

/** A line as the program sees it, and where in the text each of its characters stands. */
interface LogicalLine {
  characters: string;
  positions: number[];
  line: number;
}

const byteOrderMark = '\u00ef\u00bb\u00bf';

export function parseIni(text: string, dialect: IniDialect): IniSection[] {
  let section: IniSection = { name: undefined, line: 1, entries: [] };
  const sections = [section];
  for (const logical of dialect === 'systemd' ? systemdLines(text) : keyfileLines(text)) {
    const { characters, line } = logical;
    const [, trimmed = ''] = /^[ \t\r\n]*(.*?)[ \t\r\n]*$/s.exec(characters) ?? [];
    if (trimmed === '' || !isUtf8(trimmed)) continue;
    if (trimmed.startsWith('[')) {
      const name = trimmed.endsWith(']') ? trimmed.slice(1, -1) : undefined;
      section = { name, line, entries: [] };
      sections.push(section);
      continue;
    }
    const equals = characters.indexOf('=');
    const key = characters.slice(0, Math.max(0, equals)).replaceAll(/^[ \t\r\n]+|[ \t\r\n]+$/g, '');
    if (key === '') continue;
    const words = wordsOf(logical, equals + 1);
    const value = characters.slice(equals + 1).replaceAll(/^[ \t\r\n]+|[ \t\r\n]+$/g, '');
    section.entries.push({ key, value, words, line });
  }
  return sections;
}

function wordsOf({ characters, positions }: LogicalLine, from: number): IniWord[] {
  return [...characters.slice(from).matchAll(/[^ \t\r\n]+/g)].map((match) => {
    const start = positions[from + match.index] ?? 0;
    return { text: match[0], start, end: start + match[0].length };
  });
}

/** Physical lines with their positions, without their ends. */
function physicalLines(text: string, lineEnd: RegExp): { content: string; start: number; line: number }[] {
  const lines: { content: string; start: number; line: number }[] = [];
  let start = 0;
  for (const match of [...text.matchAll(lineEnd), undefined]) {
    const end = match?.index ?? text.length;
    if (match === undefined && start === end) break;
    lines.push({ content: text.slice(start, end), start, line: lines.length + 1 });
    start = end + (match?.[0].length ?? 0);
  }
  return lines;
}

function* systemdLines(text: string): Generator<LogicalLine> {
  let open: LogicalLine | undefined;
  // read_line() takes each of the three once for the end of one line, in any order; nothing after a NUL.
  for (const { content, start, line } of physicalLines(text, /(?:\n\r?|\r\n?)\0?|\0/g)) {
    if (/^[ \t\r\n]*[#;]/.test(content)) continue;
    const skipped = line === 1 && content.startsWith(byteOrderMark) ? byteOrderMark.length : 0;
    const joined: LogicalLine = open ?? { characters: '', positions: [], line };
    joined.characters += content.slice(skipped);
    for (let at = skipped; at < content.length; at++) joined.positions.push(start + at);
    if (endsEscaped(joined.characters)) {
      joined.characters = `${joined.characters.slice(0, -1)} `;
      open = joined;
      continue;
    }
    open = undefined;
    yield joined;
  }
  if (open !== undefined) yield open;
}

/** A backslash at the end counts unless it is itself escaped. */
function endsEscaped(characters: string): boolean {
  const [backslashes = ''] = /\\*$/.exec(characters) ?? [];
  return backslashes.length % 2 === 1;
}

function* keyfileLines(text: string): Generator<LogicalLine> {
  for (const { content, start, line } of physicalLines(text, /\r?\n/g)) {
    if (content.startsWith('#')) continue;
    yield { characters: content, positions: Array.from(content, (_, at) => start + at), line };
  }
}

/** Whether the bytes of a text are UTF-8: systemd ignores a line that is not. */
function isUtf8(text: string): boolean {
  if (/^[\0-\u007f]*$/.test(text)) return true;
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(
      Uint8Array.from(text, (character) => character.charCodeAt(0)),
    );
    return true;
  } catch {
    return false;
  }
}
