import type { Clock, Timer } from '../host/ports/clock.ts';
import { asRlnetError } from '../protocol/errors.ts';
import { untilBeat } from './beat.ts';
import type { Reading } from './observations.ts';
import { type Turn, untilTurn } from './table-turns.ts';

/** What could not be read is read again after this, where its own pace is slower: an answer that is not known must not stay so for an hour. Milliseconds. */
const tryAgainMs = 15_000;

/** Something on this host that can be read, and perhaps says when it may have changed. */
export interface Source<T> {
  read(): Promise<T>;
  /** How often it is read without being asked, milliseconds; undefined: it is not. After a read out of turn it can be half as long again. */
  everyMs: number | undefined;
  /** Where hosts read the same thing in turns: this host's, as it is now. Then it is read at each of its turns, whatever else made it be read. */
  turn?: () => Turn;
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
  /** When the newest read began. Monotonic. */
  #beganAt = 0;
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
    this.#running = this.#readUntilQuiet().then((failed) => {
      this.#running = undefined;
      const nextMs = this.#untilNext(failed);
      if (!this.#closed && nextMs !== undefined)
        this.#timer = this.#clock.after(nextMs, () => void this.refresh());
    });
    return this.#running;
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#watch?.close();
  }

  /** Milliseconds; undefined where only a hint makes it be read again. */
  #untilNext(failed: boolean): number | undefined {
    const turn = this.#source.turn?.();
    const pace = turn?.everyMs ?? this.#source.everyMs ?? Number.POSITIVE_INFINITY;
    const everyMs = failed ? Math.min(pace, tryAgainMs) : pace;
    if (everyMs === Number.POSITIVE_INFINITY) return undefined;
    // All keep one beat, so that what has one pace is read together and makes one new state.
    if (turn === undefined) return untilBeat(this.#clock.monotonic(), everyMs);
    return untilTurn({ ...turn, everyMs }, this.#clock.wall(), this.#clock.monotonic() - this.#beganAt);
  }

  /** @returns whether the newest reading failed */
  async #readUntilQuiet(): Promise<boolean> {
    for (;;) {
      this.#again = false;
      const reading = await this.#read();
      if (!this.#closed) this.#onReading(reading);
      if (!this.#again || this.#closed) return 'error' in reading;
    }
  }

  async #read(): Promise<Reading<T>> {
    this.#beganAt = this.#clock.monotonic();
    try {
      const value = await this.#source.read();
      return { at: this.#clock.wall(), value };
    } catch (thrown) {
      return { at: this.#clock.wall(), error: asRlnetError(thrown) };
    }
  }
}
