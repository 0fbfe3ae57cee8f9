/**
 * The tables that `rladmin status` prints: a header of column names, and rows of left-justified cells under it. Column sets,
 * order and widths differ with the version, the cluster and the options given, so all of it is taken from the header each time.
 *
 * Two readings are tried for a row, and a row that has neither is *unread*:
 *
 * 1. Cut at the header's offsets. It holds only where every cell begins exactly at its offset and no word crosses an edge: an
 *    address that is cut in half can still be an address.
 * 2. Where a row is out of line with its header (a value wider than its column pushes the rest to the right), deal its words out
 *    to the columns in order, in every way in which each cell passes its column's check. It holds only where exactly one
 *    way exists.
 */

/** A line that could not be read, and why. */
export interface UnreadLine {
  /** As printed, without terminal escapes and line end. */
  line: string;
  /** In the whole text, from 1. */
  lineNumber: number;
  reason: string;
}

/** What is to be known of one of rladmin's tables in order to find it in a text and to read its rows. */
export interface TableKind {
  /** For the reasons that people read: `node table`. */
  name: string;
  /** The first column's name, then others that together tell this table from the rest. */
  columns: readonly [string, ...string[]];
  /** Checks of the columns that are read into data. A cell that fails its check makes the row unread. Given '' for a blank cell. */
  checks: Readonly<Record<string, (cell: string) => boolean>>;
  /** What cells usually look like. One that does not is read where its row is in line with the header and can be read in no other way. */
  shapes: Readonly<Record<string, RegExp>>;
  /** Told from any other line even where no header is above it. */
  stray: RegExp;
  /** What only one row of a table can claim, such as `node:2`. All of the lines that claim the same are unread. */
  claims: (line: string) => string[];
}

export interface Row {
  line: Line;
  /** Text by column name, '' for a blank cell. */
  cells: Readonly<Record<string, string>>;
}

export interface Line {
  text: string;
  number: number;
}

/** A run of characters other than a space, and the offset at which it stands in its line. */
interface Word {
  text: string;
  start: number;
}

interface Table {
  header: Line;
  body: Line[];
}

const esc = String.fromCharCode(27);
/** Colours and the like (CSI), and the character set that `tput sgr0` selects. Any other escape stays, and fails a check. */
const terminalEscapes = new RegExp(`${esc}(?:\\[[0-9;?]*[A-Za-z]|\\([AB0])`, 'g');

/** `$ rladmin status nodes`, `root@host:~# /opt/redislabs/bin/rladmin status`, `rladmin> status`: a new answer begins below. */
const commandLine = /^(?:.*[$#] +)?(?:sudo +)?(?:\S*\/)?rladmin(?:>|\s|$)/;
/** `CLUSTER NODES:`, `SHARDS:`: whatever table was above ends here. */
const sectionTitle = /^\s*[A-Z]{4,}(?: [A-Z]{4,})*:\s*$/;
const firstColumnName = /^[A-Z]{2,}:ID$/;
const statusColumn = 'STATUS';
/** Inside a cell it is the end of one value and the beginning of another. */
const gap = '  ';
/** Twice the words of the longest row known; the time for dealing out grows with their cube: 200 words take 200 ms. */
const mostWords = 48;
/** A column's name, or what is left of one. */
const partOfHeader = /^[A-Z0-9_:-]+$/;

/** A column's own entry: the header can hold any word, `constructor` too. */
function own<T>(record: Readonly<Record<string, T>>, column: string): T | undefined {
  return Object.hasOwn(record, column) ? record[column] : undefined;
}

function unread({ text, number }: Line, reason: string): UnreadLine {
  return { line: text, lineNumber: number, reason };
}

export function isBlank({ text }: Line): boolean {
  return text.trim() === '';
}

/** The text by lines, cut into the answers of the commands whose lines stand in it; those lines are in none. */
export function answersIn(text: string): { lines: Line[]; answers: Line[][] } {
  const lines = text.split('\n').map((line, index) => ({
    text: line.replace(terminalEscapes, '').replace(/\r+$/, ''),
    number: index + 1,
  }));
  const answers: Line[][] = [[]];
  for (const line of lines) {
    if (commandLine.test(line.text)) answers.push([]);
    else answers.at(-1)?.push(line);
  }
  return { lines, answers };
}

/** Tabs as a terminal shows them, so that offsets are what a person sees. */
function expandTabs(text: string): string {
  return text
    .split('\t')
    .reduce((before, part) => before.padEnd(8 * (Math.floor(before.length / 8) + 1)) + part);
}

function wordsOf({ text }: Line): Word[] {
  return Array.from(expandTabs(text).matchAll(/[^ ]+/g), (match) => ({ text: match[0], start: match.index }));
}

function isHeader(line: Line, [first, ...others]: TableKind['columns']): boolean {
  const names = wordsOf(line).map((word) => word.text);
  return names[0] === first && others.every((name) => names.includes(name));
}

/** Cuts at the header's offsets, or says undefined where one of the cuts is not clean. */
function cut(text: string, columns: readonly Word[]): string[] | undefined {
  const cells: string[] = [];
  if (text.slice(0, columns[0]?.start).trim() !== '') return undefined;
  for (const [index, { start }] of columns.entries()) {
    const cell = text.slice(start, columns[index + 1]?.start).replace(/ +$/, '');
    const touchesTheOneBefore = start > 0 && start <= text.length && text[start - 1] !== ' ';
    if (touchesTheOneBefore || cell.startsWith(' ') || cell.includes(gap)) return undefined;
    cells.push(cell);
  }
  return cells;
}

/**
 * Deals the words out to the columns, in order, a cell being blank or one or more words. Worked from the last
 * column to the first; at most two ways are kept for each (column, word), since two are enough to know that there is no telling.
 */
function deal(
  text: string,
  words: readonly Word[],
  columns: readonly Word[],
  fits: (column: string, cell: string) => boolean,
): string[][] {
  let ways: string[][][] = Array.from({ length: words.length + 1 }, (_, at) =>
    at === words.length ? [[]] : [],
  );
  for (const column of columns.toReversed()) {
    const rest = ways;
    ways = rest.map((_, from) => {
      const found: string[][] = [];
      for (const { cell, end } of cellsFrom(text, words, from)) {
        if (found.length > 1) break;
        const after = rest[end] ?? [];
        if (after.length > 0 && fits(column.text, cell))
          found.push(...after.map((cells) => [cell, ...cells]));
      }
      return found.slice(0, 2);
    });
  }
  return ways[0] ?? [];
}

/** Every cell that can begin at a word: blank, that word, that word and the next one …, spaces between them as they stand. */
function* cellsFrom(
  text: string,
  words: readonly Word[],
  from: number,
): Generator<{ cell: string; end: number }> {
  yield { cell: '', end: from };
  const start = words[from]?.start ?? 0;
  for (const [index, word] of words.slice(from).entries()) {
    yield { cell: text.slice(start, word.start + word.text.length), end: from + index + 1 };
  }
}

/** The cells of a row, or why it has none. */
function readCells(line: Line, columns: readonly Word[], kind: TableKind): string[] | string {
  const checked = (column: string, cell: string) => own(kind.checks, column)?.(cell) ?? true;
  const usual = (column: string, cell: string) =>
    checked(column, cell) && (own(kind.shapes, column)?.test(cell) ?? true);
  const every = (cells: readonly string[], passes: typeof usual) =>
    cells.every((cell, index) => passes(columns[index]?.text ?? '', cell));

  const inLine = cut(expandTabs(line.text), columns);
  if (inLine !== undefined && every(inLine, usual)) return inLine;
  const words = wordsOf(line);
  if (words.length > mostWords) return 'it has too many words for a row';
  // A cell that is only unusual is no reason to refuse a row in line, unless its words can be dealt out so that none is.
  const readings = inLine !== undefined && every(inLine, checked) ? [inLine] : [];
  // STATUS may take all that is left, over gaps as well: no reading, but a rival to one that finds an OK further on.
  const dealt = (column: string, cell: string) =>
    (column === statusColumn || !cell.includes(gap)) && usual(column, cell);
  readings.push(...deal(expandTabs(line.text), words, columns, dealt));
  const [only] = readings;
  if (only === undefined || (readings.length === 1 && only.some((cell) => cell.includes(gap)))) {
    return 'it does not fit the columns of the header';
  }
  return readings.length === 1 ? only : 'it fits the columns of the header in more than one way';
}

function readRows({ header, body }: Table, kind: TableKind): { rows: Row[]; unread: UnreadLine[] } {
  const columns = wordsOf(header);
  const names = columns.map((column) => column.text);
  const allUnread = (reason: string) => ({ rows: [], unread: body.map((line) => unread(line, reason)) });

  const [first] = body;
  if (first !== undefined && wordsOf(first).every(({ text }) => partOfHeader.test(text))) {
    return allUnread('the header above it goes on in a second line, so where its columns are is not known');
  }
  const twice = names.find((name, index) => names.indexOf(name) < index);
  if (twice !== undefined) return allUnread(`the header above it has two columns ${twice}`);

  const startsRow = (line: Line) => own(kind.checks, names[0] ?? '')?.(wordsOf(line)[0]?.text ?? '') ?? true;
  const result: { rows: Row[]; unread: UnreadLine[] } = { rows: [], unread: [] };
  for (const [index, line] of body.entries()) {
    const cells = readCells(line, columns, kind);
    const next = body[index + 1];
    const goesOn = next !== undefined && !startsRow(next);
    if (typeof cells === 'string') result.unread.push(unread(line, cells));
    // With STATUS at its end a row that lost a part does not read; without, its last value may be the half of one.
    else if (goesOn && names.at(-1) !== statusColumn) {
      result.unread.push(unread(line, 'it may go on in the line below, which is not a row'));
    } else {
      result.rows.push({
        line,
        cells: Object.fromEntries(names.map((name, column) => [name, cells[column] ?? ''])),
      });
    }
  }
  return result;
}

/** The tables of one kind in an answer, and rows of that kind that stand under no header. */
function tablesIn(answer: readonly Line[], kind: TableKind): { tables: Table[]; strays: Line[] } {
  const tables: Table[] = [];
  const strays: Line[] = [];
  let table: Table | undefined;
  for (const line of answer) {
    if (isBlank(line)) continue;
    if (sectionTitle.test(line.text)) table = undefined;
    else if (firstColumnName.test(wordsOf(line)[0]?.text ?? '')) {
      table = isHeader(line, kind.columns) ? { header: line, body: [] } : undefined;
      if (table !== undefined) tables.push(table);
    } else if (table !== undefined) table.body.push(line);
    else if (kind.stray.test(line.text)) strays.push(line);
  }
  return { tables, strays };
}

/**
 * Reads the table of one kind out of what rladmin printed: alone, among other sections, or in a record of a session with the
 * commands in it. Of several answers in a record the last that has such a table counts, being what was so at the end. Every line
 * of its table is in `rows` or in `unread`. No table at all is never an empty result: then every line is unread (the first,
 * blank one where there is no other), while a table without rows gives two empty lists.
 */
export function readTable(text: string, kind: TableKind): { rows: Row[]; unread: UnreadLine[] } {
  const { lines, answers } = answersIn(text);
  const answer = answers.findLast((candidate) => candidate.some((line) => isHeader(line, kind.columns)));
  if (answer === undefined) {
    const reason = `there is no ${kind.name} here: no header line with ${kind.columns.join(', ')}`;
    const printed = lines.filter((line) => !isBlank(line));
    return {
      rows: [],
      unread: (printed.length > 0 ? printed : lines.slice(0, 1)).map((line) => unread(line, reason)),
    };
  }
  const { tables, strays } = tablesIn(answer, kind);
  const read = tables.map((table) => readRows(table, kind));
  const rows = read.flatMap((table) => table.rows);
  const notRead = [
    ...read.flatMap((table) => table.unread),
    ...strays.map((line) => unread(line, `it is a row, but there is no header of a ${kind.name} above it`)),
  ];

  const claimed = Map.groupBy(
    [...rows.map(({ line }) => line.text), ...notRead.map(({ line }) => line)].flatMap(kind.claims),
    (claim) => claim,
  );
  const contested = (row: Row) =>
    kind.claims(row.line.text).find((claim) => (claimed.get(claim)?.length ?? 0) > 1);
  return {
    rows: rows.filter((row) => contested(row) === undefined),
    unread: [
      ...notRead,
      ...rows.flatMap((row) => {
        const claim = contested(row);
        return claim === undefined ? [] : [unread(row.line, `another line is ${claim} too`)];
      }),
    ].sort((a, b) => a.lineNumber - b.lineNumber),
  };
}
