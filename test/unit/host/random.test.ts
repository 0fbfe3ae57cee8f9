import { expect, it } from 'vitest';
import { createRandom } from '../../../src/host/random.ts';

it('draws fractions in [0, 1) that differ', () => {
  const random = createRandom();
  const drawn = Array.from({ length: 100 }, () => random.fraction());
  expect(drawn.every((value) => value >= 0 && value < 1)).toBe(true);
  expect(new Set(drawn).size).toBeGreaterThan(90);
});

it('makes ids of 32 hexadecimal digits, no two alike', () => {
  const random = createRandom();
  const ids = Array.from({ length: 100 }, () => random.id());
  expect(ids.every((id) => /^[0-9a-f]{32}$/.test(id))).toBe(true);
  expect(new Set(ids).size).toBe(100);
});
