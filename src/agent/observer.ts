import type { Clock, Timer } from '../host/ports/clock.ts';
import { asRlnetError } from '../protocol/errors.ts';
import type { Reading } from './observations.ts';

/** Something on this host that can be read, and perhaps says when it may have changed. */
export interface Source<T> {
  read(): Promise<T>;
  /** How often it is read without being asked, milliseconds; undefined: it is not. */
  everyMs: number | undefined;
  watch?(onHint: () => void): { close(): void };
}

/**
 * Reads a source at its pace, and at once on a hint. Never two reads at a time: a hint during a read makes it read once more.
 * A read that fails is a reading too.
 */
export class Observer<T> {
  readonly #clock: Clock;
  readonly #source: Source<T>;
  readonly #onReading: (reading: Reading<T>) => void;
  readonly #watch: { close(): void } | undefined;
  #running: Promise<void> | undefined;
  #again = false;
  #closed = false;
  #timer: Timer | undefined;

  constructor(clock: Clock, source: Source<T>, onReading: (reading: Reading<T>) => void) {
    this.#clock = clock;
    this.#source = source;
    this.#onReading = onReading;
    this.#watch = source.watch?.(() => void this.refresh());
    void this.refresh();
  }

  /** Resolves when a read that began after this call has ended. Never rejects. */
  refresh(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    if (this.#running !== undefined) {
      this.#again = true;
      return this.#running;
    }
    this.#timer?.cancel();
    this.#running = this.#readUntilQuiet().finally(() => {
      this.#running = undefined;
      const { everyMs } = this.#source;
      if (!this.#closed && everyMs !== undefined)
        this.#timer = this.#clock.after(everyMs, () => void this.refresh());
    });
    return this.#running;
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#watch?.close();
  }

  async #readUntilQuiet(): Promise<void> {
    do {
      this.#again = false;
      const reading = await this.#read();
      if (!this.#closed) this.#onReading(reading);
    } while (this.#again && !this.#closed);
  }

  async #read(): Promise<Reading<T>> {
    try {
      const value = await this.#source.read();
      return { at: this.#clock.wall(), value };
    } catch (thrown) {
      return { at: this.#clock.wall(), error: asRlnetError(thrown) };
    }
  }
}
