import type { Kernel } from './kernel.ts';
import type { SimProcess } from './process.ts';

/** What a crash point needs to know of the machine it is on. */
export interface Struck {
  readonly name: string;
  powerOff(): void;
  powerOn(bootMs: number): void;
}

/**
 * A moment at which a fault may leave something half done. `written`: the page cache has it, the disk need not. A command has no such
 * moment: what it did it has done.
 */
export interface Point {
  host: string;
  /** The process, with the number of its start. */
  process: string;
  /** `append /var/lib/rlnet/a`, `rladmin node 2 addr set 192.0.2.9` … */
  what: string;
  when: 'before' | 'written' | 'after';
}

export type FaultAtPoint =
  /** The process is gone; its service manager starts it again. */
  | { kind: 'kill' }
  /** The plug is pulled, and put back after `lastsMs`. */
  | { kind: 'power'; lastsMs: number }
  /** The host is cut off the network for `lastsMs`; the process goes on. */
  | { kind: 'cut'; lastsMs: number };

/**
 * @param at   how many points come before it: of the run for the first fault, since the one before for any other
 * @param host which host is struck, and of it the agent; the one whose point it is where it is absent
 */
export type PlannedFault = FaultAtPoint & { at: number; host?: string };

/**
 * The points of a run, numbered as they come. Run a story once without a fault to know how many there are; then once for each, with a fault
 * at it. The same seed meets the same points up to the fault.
 */
export class CrashPoints {
  readonly #kernel: Kernel;
  readonly #network: { isolate(name: string): void; rejoin(name: string): void };
  #counts: (point: Point) => boolean = () => false;
  #faults: readonly PlannedFault[] = [];
  /** Since the start, or the fault that struck last. */
  #since = 0;
  /** Who is struck where a fault names another host than that of its point. */
  victim: (host: string) => { host: Struck; process: SimProcess | undefined } | undefined = () => undefined;
  /** Those that counted, in order. */
  readonly passed: Point[] = [];

  constructor(kernel: Kernel, network: { isolate(name: string): void; rejoin(name: string): void }) {
    this.#kernel = kernel;
    this.#network = network;
  }

  /** From now on. @param counts the points that are numbered; others are passed by */
  plan(counts: (point: Point) => boolean, faults: readonly PlannedFault[] = []): void {
    this.#counts = counts;
    this.#faults = faults;
    this.#since = 0;
  }

  /** Faults that no point has met yet. */
  get left(): number {
    return this.#faults.length;
  }

  /** Resolves at once, or never: where a fault has ended the process. */
  async pass(host: Struck, process: SimProcess, what: string, when: Point['when']): Promise<void> {
    const point: Point = { host: host.name, process: process.name, what, when };
    if (!process.isAlive || !this.#counts(point)) return;
    this.passed.push(point);
    const [next, ...later] = this.#faults;
    if (next === undefined || this.#since++ < next.at) return;
    this.#faults = later;
    this.#since = 0;
    this.#kernel.note('fault', `${next.kind} at point ${this.passed.length - 1}: ${what}, ${when}`);
    const other = next.host === undefined || next.host === host.name ? undefined : this.victim(next.host);
    this.#strike(other?.host ?? host, other === undefined ? process : other.process, next);
    if (!process.isAlive) await new Promise<never>(() => {});
  }

  #strike(host: Struck, process: SimProcess | undefined, fault: FaultAtPoint): void {
    switch (fault.kind) {
      case 'kill':
        process?.exit();
        return;
      case 'power':
        host.powerOff();
        this.#kernel.world(fault.lastsMs, `${host.name} has power again`, () => host.powerOn(0));
        return;
      case 'cut':
        this.#network.isolate(host.name);
        this.#kernel.world(fault.lastsMs, `${host.name} is mended`, () => this.#network.rejoin(host.name));
    }
  }
}
