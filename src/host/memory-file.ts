import { readFileSync } from 'node:fs';
import { errnoOf } from '../protocol/errors.ts';

/**
 * A small file of a file system in memory (/proc, /run), read at once: nothing is waited for there, and a turn in another thread for each step of a
 * reading would cost twenty times as much.
 * @returns undefined where it does not exist
 */
export function readMemoryFile(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT') return undefined;
    throw thrown;
  }
}
