import { appendFile, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Spool } from '../../../src/agent/report/spool.ts';
import { createFiles } from '../../../src/host/files.ts';
import type { Files } from '../../../src/host/ports/files.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const files = createFiles();

/** Adds events one after the other, each on disk before the next. */
async function add(spool: Spool, count: number, data: unknown = 'x'): Promise<void> {
  for (let index = 0; index < count; index += 1) {
    spool.add(1, 'finding', data);
    await spool.settled();
  }
}
const numbers = async (spool: Spool, boot: string, after = 0): Promise<number[]> =>
  (await spool.after(boot, after)).map(({ n }) => n);

test('numbers go on over restarts of the agent within a boot, and begin anew with the next boot', async () => {
  const directory = await temporaryDirectory();
  const first = await Spool.open(files, directory, 'a');
  await add(first, 3);
  const again = await Spool.open(files, directory, 'a');
  await add(again, 2);
  expect([...(await numbers(again, 'a')), ...(await numbers(again, 'a', 3))]).toEqual([1, 2, 3, 4, 5]);
  const next = await Spool.open(files, directory, 'b');
  await add(next, 1);
  expect(next.boots).toEqual(['a', 'b']);
  expect(await numbers(next, 'b')).toEqual([1]);
});

test('they go on too where everything was acknowledged meanwhile', async () => {
  const directory = await temporaryDirectory();
  const first = await Spool.open(files, directory, 'a');
  await add(first, 3);
  await first.acknowledged('a', 3);
  const again = await Spool.open(files, directory, 'a');
  await add(again, 1);
  expect(await numbers(again, 'a', 3)).toEqual([4]);
});

test('the files of a boot that is over go with its last acknowledgement', async () => {
  const directory = await temporaryDirectory();
  await add(await Spool.open(files, directory, 'a'), 3);
  const next = await Spool.open(files, directory, 'b');
  await add(next, 1);
  await next.acknowledged('a', 2);
  expect(next.boots).toEqual(['a', 'b']);
  await next.acknowledged('a', 3);
  expect(next.boots).toEqual(['b']);
  expect(await readdir(directory)).toHaveLength(1);
});

test('a line that a crash has cut off is no event, and nothing is written behind it', async () => {
  const directory = await temporaryDirectory();
  await add(await Spool.open(files, directory, 'a'), 2);
  const [name = ''] = await readdir(directory);
  await appendFile(join(directory, name), '{"n":3,"at":1,"kind":"fin');
  const again = await Spool.open(files, directory, 'a');
  await add(again, 1);
  expect(await numbers(again, 'a')).toEqual([1, 2]);
  expect(await numbers(again, 'a', 2)).toEqual([3]);
  expect(await readFile(join(directory, name), 'utf8')).toMatch(/"fin$/);
});

test('a spool that is full drops its oldest events and says how many', async () => {
  const directory = await temporaryDirectory();
  const cap = 200_000;
  const spool = await Spool.open(files, directory, 'a', cap);
  await add(spool, 30, 'x'.repeat(10_000));
  expect(spool.status.bytes).toBeLessThanOrEqual(cap);
  const [oldest = 0] = await numbers(spool, 'a');
  expect(spool.status.dropped).toBe(oldest - 1);
  expect(oldest).toBeGreaterThan(1);
});

test('what the disk does not take is counted, and later events are written into a file of their own', async () => {
  const directory = await temporaryDirectory();
  let full = false;
  const failing: Files = {
    ...files,
    append: async (path, text) => {
      if (!full) return await files.append(path, text);
      await writeFile(path, text.slice(0, 10), { flag: 'a' });
      throw new Error('ENOSPC');
    },
  };
  const spool = await Spool.open(failing, directory, 'a');
  await add(spool, 2);
  full = true;
  await add(spool, 3);
  full = false;
  await add(spool, 1);
  expect(spool.status.dropped).toBe(3);
  expect(await numbers(spool, 'a')).toEqual([1, 2]);
  expect(await numbers(spool, 'a', 2)).toEqual([6]);
});
