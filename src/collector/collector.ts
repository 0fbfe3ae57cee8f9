import type { Clock, Timer } from '../host/ports/clock.ts';
import { asRlnetError } from '../protocol/errors.ts';
import { decodeReport, type ReportAnswer } from '../protocol/reporting.ts';
import type { AgentConnection } from './connections.ts';
import type { Database, Source, Write } from './database.ts';

/** What comes within so long is written together, so that a thousand agents cost one fsync and not a thousand; milliseconds. */
const commitEveryMs = 25;
/** An agent whose report could not be written comes again after so long, seconds; its own jitter on top. */
const laterSeconds = 15;
/** So many reports of one agent may wait to be written. It sends one batch and one snapshot at a time, so more is no agent of ours. */
const maxWaitingEach = 8;
/** Old events are looked for so often, and a batch of them is removed at a time; milliseconds. */
const forgetEveryMs = 3_600_000;
const forgetPauseMs = 200;
/** The clock may be off by so much since the start before nothing is removed by it, milliseconds. */
const clockJumpMs = 3_600_000;
const dayMs = 86_400_000;

export interface CollectorDependencies {
  clock: Clock;
  database: Database;
  keep: { eventDays: number; renumberingDays: number };
  log: {
    info(fields: object, text: string): void;
    warn(fields: object, text: string): void;
    error(fields: object, text: string): void;
  };
}

/** Counters since the start, and what is so now. */
export interface CollectorCounts {
  connections: number;
  reports: number;
  events: number;
  refused: number;
  /** Commits that failed. */
  failures: number;
  /** Why nothing can be written, since the last try. */
  trouble: string | undefined;
}

interface Job {
  write: Write;
  done: (error: string | undefined) => void;
}

/**
 * Takes reports and writes them down. It answers for an event only once it is on the disk, keeps nothing else of it in memory, and asks agents for
 * nothing.
 */
export class Collector {
  readonly #deps: CollectorDependencies;
  readonly #startedAt: { wall: number; monotonic: number };
  /** By source; a second connection of one host ends the first. */
  readonly #connections = new Map<string, AgentConnection>();
  readonly #counts: CollectorCounts = {
    connections: 0,
    reports: 0,
    events: 0,
    refused: 0,
    failures: 0,
    trouble: undefined,
  };
  #jobs: Job[] = [];
  #commit: Timer | undefined;
  #forgetting: Timer;
  #stopped = false;

  constructor(deps: CollectorDependencies) {
    this.#deps = deps;
    this.#startedAt = { wall: deps.clock.wall(), monotonic: deps.clock.monotonic() };
    this.#forgetting = deps.clock.after(forgetEveryMs, () => this.#forget());
  }

  get counts(): CollectorCounts {
    return { ...this.#counts, connections: this.#connections.size };
  }

  isConnected({ cluster, host }: Source): boolean {
    return this.#connections.has(`${cluster}/${host}`);
  }

  refused(why: string, from: string): void {
    this.#counts.refused += 1;
    this.#deps.log.warn({ from }, `an agent was turned away: ${why}`);
  }

  accept(connection: AgentConnection): void {
    const { cluster, host } = connection;
    const name = `${cluster}/${host}`;
    this.#connections.get(name)?.close();
    this.#connections.set(name, connection);
    let about = { version: '', bootId: '' };
    let waiting = 0;
    const send = (answer: ReportAnswer): void => connection.send(JSON.stringify(answer));
    const put = (write: Write, answer: () => ReportAnswer): void => {
      waiting += 1;
      if (waiting > maxWaitingEach) {
        connection.close();
        return;
      }
      this.#put(write, (error) => {
        waiting -= 1;
        send(error === undefined ? answer() : { type: 'later', seconds: laterSeconds, why: error });
      });
    };
    connection.start({
      text: (text) => {
        try {
          const report = decodeReport(text);
          this.#counts.reports += 1;
          const received = this.#deps.clock.wall();
          switch (report.type) {
            case 'hello':
              about = { version: report.version, bootId: report.bootId };
              return;
            case 'snapshot': {
              const json = JSON.stringify(report.snapshot);
              const at = report.at;
              put({ source: { cluster, host }, what: 'snapshot', at, received, ...about, json }, () => ({
                type: 'seen',
              }));
              return;
            }
            case 'streams': {
              const last = report.names.map((stream) => [stream, this.#last({ cluster, host }, stream)]);
              send({ type: 'known', last: Object.fromEntries(last) as Record<string, number> });
              return;
            }
            case 'events': {
              const { stream, events } = report;
              this.#counts.events += events.length;
              put({ source: { cluster, host }, what: 'events', stream, received, events }, () => ({
                type: 'ack',
                stream,
                n: this.#last({ cluster, host }, stream),
              }));
              return;
            }
          }
        } catch (thrown) {
          this.refused(asRlnetError(thrown).message, name);
          connection.close();
        }
      },
      closed: () => {
        if (this.#connections.get(name) === connection) this.#connections.delete(name);
      },
    });
  }

  /** Writes what waits. */
  stop(): void {
    this.#stopped = true;
    this.#commit?.cancel();
    this.#forgetting.cancel();
    this.#write();
  }

  #last(source: Source, stream: string): number {
    return this.#deps.database.last(source, stream);
  }

  #put(write: Write, done: Job['done']): void {
    this.#jobs.push({ write, done });
    this.#commit ??= this.#deps.clock.after(commitEveryMs, () => this.#write());
  }

  #write(): void {
    this.#commit = undefined;
    const jobs = this.#jobs;
    this.#jobs = [];
    if (jobs.length === 0) return;
    const error = this.#tryToWrite(newestOnly(jobs).map(({ write }) => write));
    for (const { done } of jobs) done(error);
  }

  #tryToWrite(writes: readonly Write[]): string | undefined {
    try {
      this.#deps.database.write(writes);
      if (this.#counts.trouble !== undefined) this.#deps.log.info({}, 'the database can be written again');
      this.#counts.trouble = undefined;
      return undefined;
    } catch (thrown) {
      const why = thrown instanceof Error ? thrown.message : String(thrown);
      this.#counts.failures += 1;
      if (this.#counts.trouble !== why)
        this.#deps.log.error({ err: thrown }, 'the database cannot be written');
      this.#counts.trouble = why;
      return why;
    }
  }

  /** By the wall clock, so not after it has jumped: a clock that is wrong by a year would take everything along. */
  #forget(): void {
    const { clock, database, keep, log } = this.#deps;
    if (this.#stopped) return;
    const now = clock.wall();
    const drift = now - this.#startedAt.wall - (clock.monotonic() - this.#startedAt.monotonic);
    let more = false;
    if (Math.abs(drift) > clockJumpMs) {
      log.warn({ driftMs: drift }, 'the clock has jumped since the start; nothing old is removed');
    } else {
      try {
        ({ more } = database.forget({
          events: now - keep.eventDays * dayMs,
          journals: now - keep.renumberingDays * dayMs,
        }));
      } catch (thrown) {
        log.error({ err: thrown }, 'old events could not be removed');
      }
    }
    this.#forgetting = clock.after(more ? forgetPauseMs : forgetEveryMs, () => this.#forget());
  }
}

/** Of several snapshots of one host the last one. */
function newestOnly(jobs: readonly Job[]): Job[] {
  const newest = new Map<string, Job>();
  for (const job of jobs)
    if (job.write.what === 'snapshot')
      newest.set(`${job.write.source.cluster}/${job.write.source.host}`, job);
  return jobs.filter(
    (job) =>
      job.write.what !== 'snapshot' ||
      newest.get(`${job.write.source.cluster}/${job.write.source.host}`) === job,
  );
}
