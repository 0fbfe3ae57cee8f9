import { createHash } from 'node:crypto';

/** How many lines go into the hash at a time. */
const chunk = 512;
/** How much of a line counts and is shown, in characters. */
const longestLine = 300;

/**
 * Everything that happened, in order. Two runs are the same run exactly when their hashes are equal. Only the newest lines are
 * kept, unless somebody listens.
 */
export class Trace {
  readonly #hash = createHash('sha256');
  readonly #listener: ((line: string) => void) | undefined;
  #lines: string[] = [];
  #before: string[] = [];
  /** How many lines there were. */
  count = 0;

  constructor(listener?: (line: string) => void) {
    this.#listener = listener;
  }

  /** @param now virtual time in milliseconds */
  add(now: number, who: string, what: string): void {
    const line = `${now.toFixed(3)} ${who} ${what.length > longestLine ? what.slice(0, longestLine) : what}`;
    this.count += 1;
    this.#lines.push(line);
    this.#listener?.(line);
    if (this.#lines.length >= chunk) this.#fold();
  }

  /** The newest lines, oldest first. */
  tail(lines: number): string[] {
    return [...this.#before, ...this.#lines].slice(-lines);
  }

  hash(): string {
    this.#fold();
    return this.#hash.copy().digest('hex').slice(0, 32);
  }

  #fold(): void {
    if (this.#lines.length === 0) return;
    this.#hash.update(`${this.#lines.join('\n')}\n`);
    this.#before = this.#lines;
    this.#lines = [];
  }
}
