import { randomBytes } from 'node:crypto';
import type { Random } from './ports/random.ts';

/** Real chance. */
export function createRandom(): Random {
  return {
    fraction: () => Math.random(),
    id: () => randomBytes(16).toString('hex'),
  };
}
