import { expect, test } from 'vitest';
import { Allowance } from '../../../src/agent/mesh/allowance.ts';

const rate = { perSecond: 4, atOnce: 3 };

test('gives what was saved up, then at its rate, and saves no more than may be taken at once', () => {
  const allowance = new Allowance(rate, 1_000);
  const taken = [1_000, 1_000, 1_000, 1_000, 1_249, 1_250, 1_250].map((now) => allowance.take(now));
  expect(taken).toEqual([true, true, true, false, false, true, false]);
  const later = [99_000, 99_000, 99_000, 99_000].map((now) => allowance.take(now));
  expect(later).toEqual([true, true, true, false]);
});

test('what is refused costs nothing', () => {
  const allowance = new Allowance({ perSecond: 1, atOnce: 1 }, 0);
  expect(allowance.take(0)).toBe(true);
  for (let now = 0; now < 1_000; now += 10) expect(allowance.take(now)).toBe(false);
  expect(allowance.take(1_001)).toBe(true);
});

test('is full at the start, and again when nobody took anything for a while', () => {
  const allowance = new Allowance(rate, 0);
  expect(allowance.isFull(0)).toBe(true);
  allowance.take(0);
  expect(allowance.isFull(249)).toBe(false);
  expect(allowance.isFull(250)).toBe(true);
});
