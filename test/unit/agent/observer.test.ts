import { expect, test } from 'vitest';
import type { Reading } from '../../../src/agent/observations.ts';
import { Observer, type Source } from '../../../src/agent/observer.ts';
import { RlnetError } from '../../../src/protocol/errors.ts';
import { createManualClock } from '../../support/manual-clock.ts';

/** An observer of a source whose reads the test ends one by one. */
function observe(more: Pick<Source<number>, 'turn'> = {}) {
  const clock = createManualClock();
  const readings: Reading<number>[] = [];
  const reads: PromiseWithResolvers<number>[] = [];
  let watched = true;
  let hint = (): void => {};
  const observer = new Observer<number>(
    clock,
    {
      everyMs: 1_000,
      ...more,
      read: () => {
        const read = Promise.withResolvers<number>();
        reads.push(read);
        return read.promise;
      },
      watch: (onHint) => {
        hint = onHint;
        return {
          close: () => {
            watched = false;
          },
        };
      },
    },
    (reading) => readings.push(reading),
  );
  return {
    clock,
    observer,
    readings,
    reads,
    hint: () => hint(),
    watched: () => watched,
    /** Ends the newest read. */
    answer: async (value: number) => {
      reads.at(-1)?.resolve(value);
      await clock.pass(0);
    },
  };
}

test('reads at once, and then on the beat of its pace', async () => {
  const { clock, readings, reads, answer } = observe();
  expect(reads).toHaveLength(1);
  await clock.pass(5_300);
  // A read that takes long is not overtaken by the next.
  expect(reads).toHaveLength(1);
  await answer(1);
  await clock.pass(699);
  expect(reads).toHaveLength(1);
  await clock.pass(1);
  expect(reads).toHaveLength(2);
  await answer(2);
  expect(readings.map((reading) => 'value' in reading && reading.value)).toEqual([1, 2]);
  expect(readings.map(({ at }) => at - clock.wall())).toEqual([-700, 0]);
});

test('reads at once on a hint, and leaves out a beat that comes soon after', async () => {
  const { clock, reads, hint, answer } = observe();
  await answer(1);
  await clock.pass(600);
  hint();
  expect(reads).toHaveLength(2);
  await answer(2);
  await clock.pass(1_399);
  expect(reads).toHaveLength(2);
  expect(clock.pending).toBe(1);
  await clock.pass(1);
  expect(reads).toHaveLength(3);
});

test('reads at each of its turns where there are turns, as they are by then, and a hint takes none away', async () => {
  const turn = { place: 1, of: 4, everyMs: 1_000 };
  const { clock, reads, hint, answer } = observe({ turn: () => turn });
  await answer(1);
  await clock.pass(249);
  expect(reads).toHaveLength(1);
  await clock.pass(1);
  expect(reads).toHaveLength(2);
  await answer(2);
  await clock.pass(800);
  hint();
  await answer(3);
  expect(reads).toHaveLength(3);
  await clock.pass(199);
  expect(reads).toHaveLength(3);
  turn.place = 2;
  await clock.pass(1);
  expect(reads).toHaveLength(4);
  await answer(4);
  await clock.pass(249);
  expect(reads).toHaveLength(4);
  await clock.pass(1);
  expect(reads).toHaveLength(5);
});

test('reads once more for any number of hints that came during a read, and never two at a time', async () => {
  const { readings, reads, hint, answer } = observe();
  hint();
  hint();
  hint();
  expect(reads).toHaveLength(1);
  await answer(1);
  expect(reads).toHaveLength(2);
  await answer(2);
  expect(reads).toHaveLength(2);
  expect(readings).toHaveLength(2);
});

test('a refresh ends with a read that began after it was asked for', async () => {
  const { clock, observer, readings, answer } = observe();
  let refreshed = false;
  const refresh = observer.refresh().then(() => {
    refreshed = true;
  });
  await answer(1);
  await clock.pass(0);
  expect(refreshed).toBe(false);
  await answer(2);
  await refresh;
  expect(readings.at(-1)).toMatchObject({ value: 2 });
});

test('a read that fails is a reading, with the reason, and the next one comes at its pace', async () => {
  const { clock, readings, reads } = observe();
  const gone = new RlnetError('COMMAND_NOT_FOUND', 'There is no rladmin.', 'Install it.');
  reads[0]?.reject(gone);
  await clock.pass(1_000);
  reads[1]?.reject(new TypeError('a defect'));
  await clock.pass(0);
  expect(readings[0]).toMatchObject({ error: gone });
  expect(readings[1]).toMatchObject({ error: { code: 'INTERNAL', message: 'unexpected: a defect' } });
  await clock.pass(1_000);
  expect(reads).toHaveLength(3);
});

test('is silent once it is closed, in the middle of a read too', async () => {
  const { clock, observer, readings, reads, hint, watched, answer } = observe();
  hint();
  observer.close();
  expect(watched()).toBe(false);
  await answer(1);
  await clock.pass(10_000);
  await observer.refresh();
  expect(readings).toEqual([]);
  expect(reads).toHaveLength(1);
  expect(clock.pending).toBe(0);
});

test('reads what it could not read again after 15 s, also where it is read by cron alone', async () => {
  const clock = createManualClock();
  let broken = true;
  let reads = 0;
  const observer = new Observer<number>(
    clock,
    {
      everyMs: undefined,
      read: () => {
        reads += 1;
        return broken ? Promise.reject(new Error('not now')) : Promise.resolve(reads);
      },
    },
    () => {},
  );
  await clock.pass(15_000);
  expect(reads).toBe(2);
  broken = false;
  await clock.pass(15_000);
  expect(reads).toBe(3);
  await clock.pass(3_600_000);
  expect(reads).toBe(3);
  observer.close();
});
