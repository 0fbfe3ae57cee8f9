import type { Clock, Timer } from '../../../src/host/ports/clock.ts';
import type { Random } from '../../../src/host/ports/random.ts';
import type { KernelEvent, Owner } from './event-queue.ts';
import type { Kernel } from './kernel.ts';
import { createSimRandom, type Stream } from './random.ts';

/** The clocks of the machine that a process runs on. */
export interface MachineClocks {
  /** Milliseconds since the epoch. */
  wall: () => number;
  /** Milliseconds since boot. */
  monotonic: () => number;
}

/**
 * One process with its event loop, as Node runs it. While it is frozen (SIGSTOP) or stalled (its loop is held up by a long
 * computation) nothing of it happens. Afterwards, first the timers that are due fire, in the order of their deadlines, and
 * then what arrived meanwhile is read: on SIGCONT epoll_wait ends with EINTR (signal(7)), its timeout is over, and libuv runs the
 * timers before it polls again.
 */
export class SimProcess implements Owner {
  readonly name: string;
  readonly clock: Clock;
  readonly random: Random;
  /** For latencies of what this process does. */
  readonly latency: Stream;
  readonly #kernel: Kernel;
  readonly #clocks: MachineClocks;
  readonly #lateness: Stream;
  readonly #exits: (() => void)[] = [];
  #timers: KernelEvent[] = [];
  #arrivals: KernelEvent[] = [];
  #alive = true;
  #frozen = false;
  /** Stalls that are under way. */
  #stalls = 0;
  #asleep = false;
  /** Since when its event loop turns without a break, or would if it is held up now. Virtual time. */
  runningSince: number;

  /** @param name unique in the run: the streams of chance of this process hang on it */
  constructor(kernel: Kernel, name: string, clocks: MachineClocks) {
    this.#kernel = kernel;
    this.#clocks = clocks;
    this.name = name;
    this.runningSince = kernel.now;
    this.random = createSimRandom(kernel.random.split(`${name}/random`));
    this.latency = kernel.random.split(`${name}/latency`);
    this.#lateness = kernel.random.split(`${name}/lateness`);
    this.clock = {
      wall: clocks.wall,
      monotonic: clocks.monotonic,
      after: (ms, action) => this.#after(ms, action),
    };
  }

  get isAlive(): boolean {
    return this.#alive;
  }

  /** Whether its event loop turns: neither dead nor frozen nor stalled, on a machine that is awake. */
  get isRunning(): boolean {
    return this.#alive && !this.#frozen && !this.#asleep && this.#stalls === 0;
  }

  /** Something from outside that the event loop gets to see `delayMs` from now: a packet, the end of a system call. */
  io(delayMs: number, label: string, run: () => void): void {
    if (this.#alive) this.#kernel.after(delayMs, 'io', label, run, this);
  }

  /** A system call that takes `delayMs`; what `call` throws is what it rejects with. Never settles once the process is dead. */
  call<T>(delayMs: number, label: string, call: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.io(delayMs, label, () => {
        try {
          resolve(call());
        } catch (thrown) {
          reject(thrown as Error);
        }
      });
    });
  }

  /** Called when the process is gone, however it ended: the operating system cleans up behind it. */
  onExit(action: () => void): void {
    this.#exits.push(action);
  }

  /** kill -9, a crash, or a regular end: nothing of it happens any more. */
  exit(): void {
    if (!this.#alive) return;
    this.#alive = false;
    this.#timers = [];
    this.#arrivals = [];
    for (const action of this.#exits) action();
  }

  /** SIGSTOP. */
  freeze(): void {
    this.#kernel.note('fault', `${this.name} is frozen`);
    this.#frozen = true;
  }

  /** SIGCONT. */
  thaw(): void {
    this.#kernel.note('fault', `${this.name} is thawed`);
    this.#frozen = false;
    this.#release();
  }

  /** Its machine is suspended, or resumes. */
  sleep(asleep: boolean): void {
    this.#asleep = asleep;
    this.#release();
  }

  /** Holds the event loop up for `ms` milliseconds. */
  stall(ms: number): void {
    this.#kernel.note('fault', `${this.name} stalls for ${ms} ms`);
    this.#stalls += 1;
    this.#kernel.world(ms, `${this.name} goes on`, () => {
      this.#stalls -= 1;
      this.#release();
    });
  }

  takes(event: KernelEvent): boolean {
    if (!this.#alive) return false;
    if (this.isRunning) {
      // Less time went by for the machine than for the world: it has slept.
      const early = (event.deadline ?? Number.NEGATIVE_INFINITY) - this.#clocks.monotonic();
      if (early < 0.001) return true;
      this.#kernel.again(event, early);
      return false;
    }
    (event.kind === 'timer' ? this.#timers : this.#arrivals).push(event);
    return false;
  }

  #release(): void {
    if (!this.isRunning) return;
    this.runningSince = this.#kernel.now;
    const held = [...this.#timers, ...this.#arrivals];
    this.#timers = [];
    this.#arrivals = [];
    for (const event of held) this.#kernel.again(event);
  }

  /** As setTimeout: a millisecond at least, and up to a millisecond late. */
  #after(ms: number, action: () => void): Timer {
    if (!this.#alive) return { cancel: () => {} };
    const delay = Math.max(1, ms) + this.#lateness.fraction();
    const event = this.#kernel.after(delay, 'timer', 'timer', action, this);
    event.deadline = this.#clocks.monotonic() + delay;
    return {
      cancel: () => {
        event.cancelled = true;
      },
    };
  }
}
