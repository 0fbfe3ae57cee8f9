import type { Random } from '../../../src/host/ports/random.ts';

/**
 * A stream of chance. All of a run's streams come from one seed, each by its name alone: what one draws has no bearing on
 * another, so that one more draw in one process leaves every other process as it was.
 */
export class Stream {
  readonly #name: string;
  // sfc32, a small fast counting generator (Chris Doty-Humphrey, PractRand).
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(name: string) {
    this.#name = name;
    [this.#a, this.#b, this.#c] = [hashOf(name, 1), hashOf(name, 2), hashOf(name, 3)];
    for (let round = 0; round < 12; round++) this.uint32();
  }

  split(name: string): Stream {
    return new Stream(`${this.#name}/${name}`);
  }

  uint32(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  /** Uniform in [0, 1). */
  fraction(): number {
    return this.uint32() / 2 ** 32;
  }

  /** Uniform in [low, high). */
  between(low: number, high: number): number {
    return low + (high - low) * this.fraction();
  }

  /** A whole number from 0 to `count` - 1. */
  below(count: number): number {
    return Math.floor(this.fraction() * count);
  }

  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  /** @throws RangeError where there is nothing to pick from */
  pick<T>(from: readonly T[]): T {
    const picked = from[this.below(from.length)];
    if (picked === undefined) throw new RangeError('nothing to pick from');
    return picked;
  }
}

/** The twin of the real source of chance. */
export function createSimRandom(stream: Stream): Random {
  const word = (): string => stream.uint32().toString(16).padStart(8, '0');
  return {
    fraction: () => stream.fraction(),
    id: () => word() + word() + word() + word(),
  };
}

/** FNV-1a with a last stir, so that names that differ in one letter give streams that differ in all. */
function hashOf(text: string, salt: number): number {
  let hash = 2166136261 ^ Math.imul(salt, 0x9e3779b1);
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 16777619);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) | 0;
}
