import { randomUUID } from 'node:crypto';
import type { Random } from './ports/random.ts';

/** Real chance. */
export function createRandom(): Random {
  return {
    fraction: () => Math.random(),
    // Drawn from a store that Node fills 128 at a time: a mesh needs one for each ping.
    id: () => randomUUID().replaceAll('-', ''),
  };
}
