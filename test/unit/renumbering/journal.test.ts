import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Journal } from '../../../src/agent/renumbering/journal.ts';
import { decodeJournal, encodeRecord, salvageJournal } from '../../../src/agent/renumbering/journal-text.ts';
import { createFiles } from '../../../src/host/files.ts';
import { progressOf } from '../../../src/protocol/renumbering/progress.ts';
import type { JournalRecord } from '../../../src/protocol/renumbering/records.ts';
import { examplePlan } from '../../support/renumbering/plan.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const moment = { wall: 1, at: { bootId: 'b', seconds: 1 } };
const open: JournalRecord = { type: 'open', ...moment, plan: examplePlan() };
const evidence = fc.string();
const records = fc
  .array(evidence, { maxLength: 6 })
  .map((all): JournalRecord[] => [
    open,
    ...all.map((text): JournalRecord => ({ type: 'abort', ...moment, by: text, reason: text })),
  ]);
const textOf = (all: readonly JournalRecord[]): string =>
  all.map((record, index) => encodeRecord(index + 1, record)).join('');

describe('the text of a journal', () => {
  it('is read back as it was written', () => {
    fc.assert(
      fc.property(records, (all) => {
        expect(decodeJournal(textOf(all), 'j')).toEqual({ records: all, whole: textOf(all), torn: false });
      }),
    );
  });

  it('may be cut off anywhere: what is left are the records that were whole', () => {
    fc.assert(
      fc.property(records, fc.nat(), (all, at) => {
        const text = textOf(all);
        const cut = text.slice(0, at % (text.length + 1));
        const { records: left, whole, torn } = decodeJournal(cut, 'j');
        expect(left).toEqual(all.slice(0, cut.split('\n').length - 1));
        expect(torn).toBe(cut.length > whole.length);
      }),
    );
  });

  it('may have a hole in its last line, where a sector did not get to the disk and a later one did, and in no other', () => {
    fc.assert(
      fc.property(records, fc.nat(), fc.integer({ min: 1, max: 512 }), (all, at, bytes) => {
        const text = textOf(all);
        const last = text.lastIndexOf('\n', text.length - 2) + 1;
        const holed = (from: number, end: number): string => {
          const start = from + (at % (end - 1 - from));
          const length = Math.min(bytes, end - 1 - start);
          return text.slice(0, start) + '\0'.repeat(length) + text.slice(start + length);
        };
        const torn = { records: all.slice(0, -1), whole: text.slice(0, last), torn: true };
        expect(decodeJournal(holed(last, text.length), 'j')).toEqual(torn);
        expect(salvageJournal(holed(last, text.length), 'j')).toEqual({ records: torn.records });
        if (last > 0) expect(() => decodeJournal(holed(0, last), 'j')).toThrow('checksum');
      }),
    );
  });

  it('is refused as damaged where one byte of a complete line is another', () => {
    fc.assert(
      fc.property(records, fc.nat(), fc.integer({ min: 1, max: 94 }), (all, at, by) => {
        const text = textOf(all);
        const index = at % text.length;
        if (text[index] === '\n') return;
        const other = String.fromCharCode(32 + ((text.charCodeAt(index) - 32 + by) % 95));
        if (other === text[index]) return;
        const damaged = text.slice(0, index) + other + text.slice(index + 1);
        expect(() => decodeJournal(damaged, 'j')).toThrow(
          expect.objectContaining({ code: 'JOURNAL_DAMAGED' }),
        );
      }),
    );
  });

  it('can be read for a person up to the damage, without what a crash tore', () => {
    fc.assert(
      fc.property(records, fc.nat(), (all, at) => {
        const lines = textOf(all).split('\n').slice(0, -1);
        const bad = at % lines.length;
        const text = lines
          .map((line, index) => (index === bad ? line.replace('"n"', '"m"') : line))
          .join('\n');
        const { records: left, damage } = salvageJournal(`${text}\n{"n":`, 'j');
        expect(left).toEqual(all.slice(0, bad));
        expect(damage).toMatchObject({ code: 'JOURNAL_DAMAGED', at: { line: bad + 1 } });
        expect(salvageJournal(`${textOf(all)}{"n":`, 'j')).toEqual({ records: all });
      }),
    );
  });

  it('is refused where a line is missing, doubled or out of order', () => {
    const [a = '', b = '', c = ''] = [open, open, open].map((record, index) =>
      encodeRecord(index + 1, record),
    );
    for (const text of [a + c, a + a, b + a, b]) {
      expect(() => decodeJournal(text, 'j')).toThrow(expect.objectContaining({ code: 'JOURNAL_DAMAGED' }));
    }
  });
});

describe('a journal on disk', () => {
  const abort: JournalRecord = { type: 'abort', ...moment, by: 'root', reason: 'later' };

  it('goes on where it was, without what a crash tore', async () => {
    const files = createFiles();
    const path = `${await temporaryDirectory()}/j`;
    const journal = await Journal.begin(files, path, open);
    await journal.append(abort);
    await files.append(path, '{"n":3,"type":"ab');
    const again = await Journal.take(files, path);
    expect(again?.records).toEqual([open, abort]);
    expect(again?.progress).toEqual(progressOf([open, abort]));
    await again?.append({ type: 'turned', ...moment, reason: { code: 'A', message: 'b', remedy: 'c' } });
    expect((await Journal.take(files, path))?.progress.direction).toBe('back');
  });

  it('is as if it had never been where not even its first record is whole', async () => {
    const files = createFiles();
    const path = `${await temporaryDirectory()}/j`;
    await files.create(path, '{"n":1,"type":"open"', 0o600);
    expect(await Journal.take(files, path)).toBeUndefined();
  });

  it('writes nothing more after a write that failed', async () => {
    const files = createFiles();
    const path = `${await temporaryDirectory()}/j`;
    let failing = true;
    const journal = await Journal.begin(
      {
        ...files,
        append: async (...args) => {
          if (failing) throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
          await files.append(...args);
        },
      },
      path,
      open,
    );
    await expect(journal.append(abort)).rejects.toMatchObject({ code: 'JOURNAL_NOT_WRITABLE' });
    failing = false;
    await expect(journal.append(abort)).rejects.toMatchObject({ code: 'JOURNAL_NOT_WRITABLE' });
    expect(journal.progress.abort).toBeUndefined();
    expect(await files.read(path)).toBe(encodeRecord(1, open));
  });
});
