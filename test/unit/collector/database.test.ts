import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Database, type Write } from '../../../src/collector/database.ts';
import type { ReportEvent } from '../../../src/protocol/reporting.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const source = { cluster: 'demo', host: 'n1' };
const stream = 'boot:a';
const numbered = (...numbers: number[]): ReportEvent[] =>
  numbers.map((n) => ({ n, at: n, kind: 'finding', data: { n } }));
const events = (
  numbers: readonly number[],
  more: Partial<Extract<Write, { what: 'events' }>> = {},
): Write => ({
  source,
  what: 'events',
  stream,
  received: 5,
  events: numbered(...numbers),
  ...more,
});
const snapshot = (json: string): Write => ({
  source,
  what: 'snapshot',
  at: 1,
  received: 2,
  version: '0.1.0',
  bootId: 'a',
  json,
});
const numbersIn = (database: Database): number[] =>
  database.events({ after: 0, limit: 1_000 }).map(({ n }) => n);

test('events are there once and in order, however often they come', () => {
  const database = new Database(':memory:');
  expect(database.last(source, stream)).toBe(0);
  database.write([events([1, 2])]);
  database.write([events([1, 2, 3]), events([3, 4])]);
  expect(numbersIn(database)).toEqual([1, 2, 3, 4]);
  expect(database.last(source, stream)).toBe(4);
  expect(database.lost()).toBe(0);
});

test('numbers that were passed over are counted as lost', () => {
  const database = new Database(':memory:');
  database.write([events([3]), events([4, 7])]);
  expect(numbersIn(database)).toEqual([3, 4, 7]);
  expect(database.lost()).toBe(4);
});

test('of snapshots the last one wins', () => {
  const database = new Database(':memory:');
  database.write([snapshot('{"a":1}')]);
  database.write([snapshot('{"a":2}')]);
  expect(database.hosts()).toMatchObject([{ ...source, snapshot: '{"a":2}' }]);
});

test('what was written is there after the process is gone', async () => {
  const path = join(await temporaryDirectory(), 'collector.sqlite');
  const first = new Database(path);
  first.write([events([1, 2]), snapshot('{}')]);
  // Not closed: as after a SIGKILL, the log is all there is.
  const second = new Database(path);
  expect(second.last(source, stream)).toBe(2);
  expect(second.hosts()).toHaveLength(1);
  second.close();
  first.close();
});

test('a write that fails leaves nothing behind, and the next one works', () => {
  const database = new Database(':memory:');
  const bad = { ...events([2]), received: Number.NaN };
  expect(() => database.write([events([1]), bad])).toThrow(/NOT NULL/);
  expect(numbersIn(database)).toEqual([]);
  database.write([events([1, 2])]);
  expect(numbersIn(database)).toEqual([1, 2]);
});

test('old events go, records of renumberings when they are older, and how far a stream had got stays', () => {
  const database = new Database(':memory:');
  const journal = numbered(1).map((event) => ({ ...event, kind: 'journal' }));
  database.write([
    events([1], { received: 10 }),
    events([2], { received: 30 }),
    events([], { stream: 'journal:b', received: 10, events: journal }),
  ]);
  expect(database.forget({ events: 20, journals: 5 })).toEqual({ more: false });
  expect(database.events({ limit: 9 }).map(({ stream: of, n }) => `${of} ${n}`)).toEqual([
    'journal:b 1',
    'boot:a 2',
  ]);
  database.forget({ events: 50, journals: 50 });
  expect(numbersIn(database)).toEqual([]);
  database.write([events([1, 2, 3])]);
  expect(numbersIn(database)).toEqual([3]);
});

test('events are found by cluster, host, kind and stream, and paged by id', () => {
  const database = new Database(':memory:');
  database.write([events([1, 2, 3]), events([1], { source: { cluster: 'other', host: 'n1' } })]);
  expect(database.events({ cluster: 'other', limit: 9 })).toMatchObject([{ cluster: 'other', n: 1 }]);
  expect(database.events({ cluster: 'demo', kind: 'peer', limit: 9 })).toEqual([]);
  const [first, second] = database.events({ cluster: 'demo', after: 0, limit: 2 });
  expect([first?.n, second?.n]).toEqual([1, 2]);
  expect(database.events({ cluster: 'demo', after: second?.id ?? 0, limit: 2 }).map(({ n }) => n)).toEqual([
    3,
  ]);
});

test('a file that is no database is refused, and stays as it is', async () => {
  const path = join(await temporaryDirectory(), 'collector.sqlite');
  const { writeFile, readFile } = await import('node:fs/promises');
  await writeFile(path, 'This is a text of some length, and no database at all.'.repeat(20));
  expect(() => new Database(path)).toThrow(expect.objectContaining({ code: 'DATABASE_UNUSABLE' }));
  expect(await readFile(path, 'utf8')).toMatch(/^This is a text/);
});
