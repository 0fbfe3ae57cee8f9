import { expect, it, vi } from 'vitest';
import { paced } from '../../../src/agent/paced.ts';
import { createManualClock } from '../../support/manual-clock.ts';

it('runs at once, and once more at the end of its pace for all who asked meanwhile', async () => {
  const clock = createManualClock();
  const action = vi.fn();
  const { ask } = paced(clock, 1_000, action);
  for (let count = 0; count < 5; count += 1) ask();
  expect(action).toHaveBeenCalledTimes(1);
  await clock.pass(999);
  expect(action).toHaveBeenCalledTimes(1);
  await clock.pass(1);
  expect(action).toHaveBeenCalledTimes(2);
  await clock.pass(10_000);
  expect(action).toHaveBeenCalledTimes(2);
  ask();
  expect(action).toHaveBeenCalledTimes(3);
});

it('keeps its pace while it is asked all the time', async () => {
  const clock = createManualClock();
  const action = vi.fn();
  const { ask } = paced(clock, 1_000, action);
  for (let tenths = 0; tenths < 100; tenths += 1) {
    ask();
    await clock.pass(100);
  }
  expect(action).toHaveBeenCalledTimes(11);
});

it('runs no more once it is cancelled, and leaves no timer', async () => {
  const clock = createManualClock();
  const action = vi.fn();
  const { ask, cancel } = paced(clock, 1_000, action);
  ask();
  ask();
  cancel();
  ask();
  expect(clock.pending).toBe(0);
  await clock.pass(10_000);
  expect(action).toHaveBeenCalledTimes(1);
});
