/** So many of something in a second, and so many at once after a time without. */
export interface Rate {
  perSecond: number;
  atOnce: number;
}

/** What may still be taken at a rate (a token bucket). Full at the start. */
export class Allowance {
  readonly #rate: Rate;
  #left: number;
  #at: number;

  /** @param now monotonic, milliseconds, as everywhere here */
  constructor(rate: Rate, now: number) {
    this.#rate = rate;
    this.#left = rate.atOnce;
    this.#at = now;
  }

  /** Takes one. @returns false where none is left: nothing was taken */
  take(now: number): boolean {
    this.#earn(now);
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }

  /** Whether it is as good as new: it need not be kept. */
  isFull(now: number): boolean {
    this.#earn(now);
    return this.#left === this.#rate.atOnce;
  }

  #earn(now: number): void {
    const { perSecond, atOnce } = this.#rate;
    this.#left = Math.min(atOnce, this.#left + ((now - this.#at) / 1000) * perSecond);
    this.#at = now;
  }
}
