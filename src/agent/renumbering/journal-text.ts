import { crc32 } from 'node:zlib';
import * as v from 'valibot';
import { RlnetError } from '../../protocol/errors.ts';
import { type JournalRecord, recordSchema } from '../../protocol/renumbering/records.ts';

/*
 * A journal is a file of lines, one JSON object each, appended and never changed. Each has its number `n`, from 1, and ends
 * with `sum`: the CRC-32 of the line's bytes before `,"sum"`. What a crash can leave is a *torn* line: the last one only, without its
 * newline, or with NUL bytes where a sector of it did not get to the disk and a later one did. Any other line that does not check is
 * damage, and nobody goes on from a damaged journal.
 */

/** The text of one record, with its newline. */
export function encodeRecord(number: number, record: JournalRecord): string {
  const body = JSON.stringify({ n: number, ...record }).slice(0, -1);
  return `${body},"sum":"${sumOf(body)}"}\n`;
}

function sumOf(body: string): string {
  return crc32(body).toString(16).padStart(8, '0');
}

export interface JournalText {
  records: JournalRecord[];
  /** The text without a torn last line. */
  whole: string;
  torn: boolean;
}

const tail = /^(.*),"sum":"([0-9a-f]{8})"\}$/s;
const numbered = v.looseObject({ n: v.number() });

/** @throws RlnetError JOURNAL_DAMAGED, with the line, for anything that no crash of ours leaves behind. */
export function decodeJournal(text: string, file: string): JournalText {
  const whole = untorn(text);
  const records = linesOf(whole).map((line, index) => decodeLine(line, index + 1, file));
  return { records, whole, torn: whole !== text };
}

/** The text up to the end of its last line that can have got to the disk as it was written. JSON has no NUL bytes. */
function untorn(text: string): string {
  const complete = text.slice(0, text.lastIndexOf('\n') + 1);
  const last = complete.lastIndexOf('\n', complete.length - 2) + 1;
  return complete.includes('\0', last) ? complete.slice(0, last) : complete;
}

function linesOf(whole: string): string[] {
  return whole.split('\n').slice(0, -1);
}

/** What can be trusted of a journal that may be damaged: the records before the damage, and what is wrong. For reading only. */
export function salvageJournal(
  text: string,
  file: string,
): { records: JournalRecord[]; damage?: RlnetError } {
  const lines = linesOf(untorn(text));
  const records: JournalRecord[] = [];
  for (const [index, line] of lines.entries()) {
    try {
      records.push(decodeLine(line, index + 1, file));
    } catch (thrown) {
      if (thrown instanceof RlnetError) return { records, damage: thrown };
      throw thrown;
    }
  }
  return { records };
}

function decodeLine(line: string, number: number, file: string): JournalRecord {
  const [, body, sum] = tail.exec(line) ?? [];
  if (body === undefined || sum !== sumOf(body)) throw damaged(file, number, 'its checksum does not fit');
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw damaged(file, number, 'it is not JSON', cause);
  }
  if (!v.is(numbered, value) || value.n !== number) throw damaged(file, number, `it is not number ${number}`);
  const parsed = v.safeParse(recordSchema, value);
  if (!parsed.success) {
    throw damaged(
      file,
      number,
      `this version of rlnet does not know what it says (${parsed.issues[0].message})`,
    );
  }
  return parsed.output;
}

/** The error for a journal that must not be gone on from. */
export function damaged(file: string, line: number, why: string, cause?: unknown): RlnetError {
  return new RlnetError(
    'JOURNAL_DAMAGED',
    `The journal of the renumbering cannot be used: ${why}.`,
    'Run rlnet rescue: it says what the host and RS are like now and which commands bring the node back.',
    { at: { file, line }, cause },
  );
}
