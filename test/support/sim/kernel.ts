import { EventQueue, type KernelEvent, type Owner } from './event-queue.ts';
import { Stream } from './random.ts';
import { Trace } from './trace.ts';

/** After so many events the real event loop gets its turn: for the test runner's own timers, and for Ctrl-C. */
const eventsPerTurn = 4096;

/** Called after every event; throws, with a sentence, when something is not as it must be. */
export type Check = (event: KernelEvent) => void;

/**
 * Virtual time. One queue of events in a fixed order (time, then sequence), and between two events every microtask runs to its end,
 * so that whatever awaits in the code under test comes out the same each time.
 */
export class Kernel {
  readonly seed: string;
  /** The root of all chance. Split it by name; never draw from it. */
  readonly random: Stream;
  readonly trace: Trace;
  readonly #queue = new EventQueue();
  readonly #checks: Check[] = [];
  #sequence = 0;
  #now = 0;
  /** How many events ran. */
  events = 0;
  /** The event that ran last. */
  last: KernelEvent | undefined;

  constructor(seed: string, onLine?: (line: string) => void) {
    this.seed = seed;
    this.random = new Stream(`seed ${seed}`);
    this.trace = new Trace(onLine);
  }

  /** Milliseconds since the simulation began. */
  get now(): number {
    return this.#now;
  }

  /** `run` happens `delayMs` from now, unless its owner is gone by then. */
  after(
    delayMs: number,
    kind: KernelEvent['kind'],
    label: string,
    run: () => void,
    owner?: Owner,
  ): KernelEvent {
    const event: KernelEvent = {
      time: wholeMicroseconds(this.#now + delayMs),
      sequence: this.#sequence++,
      kind,
      label,
      owner,
      run,
      cancelled: false,
    };
    this.#queue.push(event);
    return event;
  }

  /** Something of no process: a fault, a packet on the wire. */
  world(delayMs: number, label: string, run: () => void): KernelEvent {
    return this.after(delayMs, 'world', label, run);
  }

  /** Puts an event that its owner kept into the queue again, due `delayMs` from now and after all that is there. */
  again(event: KernelEvent, delayMs = 0): void {
    event.time = wholeMicroseconds(this.#now + delayMs);
    event.sequence = this.#sequence++;
    this.#queue.push(event);
  }

  check(check: Check): void {
    this.#checks.push(check);
  }

  note(who: string, what: string): void {
    this.trace.add(this.#now, who, what);
  }

  /** Lets `ms` milliseconds of virtual time go by. */
  async run(ms: number): Promise<void> {
    await this.#runTo(wholeMicroseconds(this.#now + ms), () => false);
  }

  /**
   * Runs until `condition` is met, which is asked after every event.
   * @returns the milliseconds that it took; undefined where it was not met within `withinMs`
   */
  async runUntil(condition: () => boolean, withinMs: number): Promise<number | undefined> {
    const start = this.#now;
    return (await this.#runTo(wholeMicroseconds(start + withinMs), condition))
      ? this.#now - start
      : undefined;
  }

  /** Runs events as they come, for tests that await something of the simulation by themselves. Call the result to end it. */
  runInBackground(): () => void {
    let stopped = false;
    void (async () => {
      while (!stopped) {
        const next = this.#queue.peek();
        if (next !== undefined) await this.#runTo(next.time, () => stopped);
        else await new Promise((resolve) => setTimeout(resolve, 1));
      }
    })();
    return () => {
      stopped = true;
    };
  }

  async #runTo(time: number, condition: () => boolean): Promise<boolean> {
    // From here on this runs in a microtask, where a tick comes after every other microtask, however they beget each other.
    await Promise.resolve();
    await tick();
    if (condition()) return true;
    for (let next = this.#queue.peek(); next !== undefined && next.time <= time; next = this.#queue.peek()) {
      this.#queue.pop();
      if (next.cancelled) continue;
      this.#now = next.time;
      if (next.owner !== undefined && !next.owner.takes(next)) continue;
      this.events += 1;
      this.last = next;
      this.trace.add(this.#now, next.owner?.name ?? 'world', next.label);
      next.run();
      await tick();
      for (const check of this.#checks) check(next);
      if (condition()) return true;
      if (this.events % eventsPerTurn === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    this.#now = Math.max(this.#now, time);
    return false;
  }
}

/** Resolves when every microtask has run, also those that others begot: Node drains them before it takes the next tick. */
function tick(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}

/** In milliseconds, without what is smaller: sums of fractions stay readable, and equal where they are meant to be. */
function wholeMicroseconds(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
