import {
  type ReportChannel,
  type ReportConnector,
  ReportRefusal,
} from '../../../src/agent/report/channel.ts';
import { Collector } from '../../../src/collector/collector.ts';
import { Database } from '../../../src/collector/database.ts';
import type { Kernel } from './kernel.ts';
import { SimProcess } from './process.ts';

/**
 * What a collector is like: `gone` it is not running; `busy` it answers 429 with Retry-After, `broken` 500; `garbles` half of each answer comes;
 * `silent` it takes everything and answers nothing; `full` its disk takes nothing.
 */
export type CollectorMode = 'up' | 'gone' | 'busy' | 'broken' | 'garbles' | 'silent' | 'full';

const pathMs = 5;

/** The real collector over a real database, on virtual time and a simulated wire. */
export class SimCollector {
  readonly database = new Database(':memory:');
  readonly #kernel: Kernel;
  readonly #write = this.database.write.bind(this.database);
  readonly #channels = new Set<() => void>();
  #mode: CollectorMode = 'up';
  #runs = 0;
  #process: SimProcess;
  #collector: Collector;
  /** What its wall clock is off by, milliseconds. */
  clockOffMs = 0;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.database.write = (writes) => {
      if (this.#mode === 'full') throw new Error('database or disk is full');
      this.#write(writes);
    };
    [this.#process, this.#collector] = this.#run();
  }

  /** Another mode from now on. It is killed with what it has not written yet, and begins anew on what is on its disk. */
  become(mode: CollectorMode): void {
    this.#kernel.note('collector', mode);
    this.#mode = mode;
    for (const cut of this.#channels) cut();
    this.#channels.clear();
    this.#process.exit();
    [this.#process, this.#collector] = this.#run();
  }

  /** How an agent's process gets to it. */
  connectorOf(host: string, agent: SimProcess): ReportConnector {
    return {
      connect: () =>
        new Promise((resolve, reject) => {
          agent.io(pathMs, 'dials the collector', () => {
            if (this.#mode === 'gone') reject(new ReportRefusal('connection refused'));
            else if (this.#mode === 'busy') reject(new ReportRefusal('it answered HTTP 429', 30_000));
            else if (this.#mode === 'broken') reject(new ReportRefusal('it answered HTTP 500'));
            else resolve(this.#channel(host, agent));
          });
        }),
    };
  }

  #channel(host: string, agent: SimProcess): ReportChannel {
    const process = this.#process;
    const mode = this.#mode;
    let open = true;
    let toAgent: { text: (text: string) => void; closed: (reason: string) => void } | undefined;
    let toCollector: { text: (text: string) => void; closed: () => void } | undefined;
    const end = (): void => {
      if (!open) return;
      open = false;
      agent.io(pathMs, 'the collector hangs up', () => toAgent?.closed('connection reset'));
      process.io(pathMs, 'the agent hangs up', () => toCollector?.closed());
    };
    this.#channels.add(end);
    agent.onExit(end);
    this.#collector.accept({
      cluster: 'demo',
      host,
      start: (handlers) => {
        toCollector = handlers;
      },
      send: (text) => {
        if (!open || mode === 'silent') return;
        const arrives = mode === 'garbles' ? text.slice(0, text.length / 2) : text;
        agent.io(pathMs, 'hears the collector', () => {
          if (open) toAgent?.text(arrives);
        });
      },
      close: end,
    });
    return {
      start: (handlers) => {
        toAgent = handlers;
      },
      send: (text) => {
        if (!open) return;
        process.io(pathMs, `hears ${host}`, () => {
          if (open) toCollector?.text(text);
        });
      },
      close: end,
    };
  }

  #run(): [SimProcess, Collector] {
    this.#runs += 1;
    const process = new SimProcess(this.#kernel, `collector-${this.#runs}`, {
      wall: () => 1_700_000_000_000 + this.#kernel.now + this.clockOffMs,
      monotonic: () => this.#kernel.now,
    });
    const log = { info: () => {}, warn: () => {}, error: () => {} };
    const keep = { eventDays: 30, renumberingDays: 365 };
    return [process, new Collector({ clock: process.clock, database: this.database, keep, log })];
  }
}
