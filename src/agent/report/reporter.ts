import type { Clock, Timer } from '../../host/ports/clock.ts';
import type { Random } from '../../host/ports/random.ts';
import type { JournalRecord } from '../../protocol/renumbering/records.ts';
import {
  decodeReportAnswer,
  maxBatch,
  maxReportBytes,
  maxStreams,
  type Report,
  type ReportAnswer,
  type ReportEvent,
  type Snapshot,
} from '../../protocol/reporting.ts';
import type { Log } from '../log.ts';
import { type ReportChannel, type ReportConnector, ReportRefusal } from './channel.ts';
import type { Spool, SpoolStatus } from './spool.ts';

/** Milliseconds. A snapshot goes at once, the next no sooner than this, and at the latest after so long, as a sign of life. */
const snapshotEveryMs = 1_000;
const snapshotAtLeastMs = 30_000;
/** A collector that owes an answer for so long is given up, and another connection tried. */
const answerMs = 15_000;
/** The wait before the next try is drawn from [half, whole] of this; it doubles with each try in a row. */
const firstBackoffMs = 1_000;
const maxBackoffMs = 60_000;
/** What a collector may ask for at most. */
const maxRetryAfterMs = 3_600_000;

/** The journals of the renumberings of this host. */
export interface Journals {
  /** Plan ids, the newest first. */
  list(): Promise<string[]>;
  recordsOf(planId: string): Promise<readonly JournalRecord[]>;
}

export interface ReporterDependencies {
  clock: Clock;
  random: Random;
  connector: ReportConnector;
  spool: Spool;
  journals: Journals;
  bootId: string;
  version: string;
  snapshot: () => Snapshot;
  log: Log;
  /** Whether there is a connection is another matter now. */
  changed: () => void;
}

/** How it stands with the collector. `since` is wall clock, milliseconds since the epoch. */
export interface ReportStatus extends SpoolStatus {
  connected: boolean;
  since: number;
  /** Why there is no connection. */
  why: string;
}

/**
 * Tells the collector what happens here: the newest snapshot, and each stream of events from where the collector has it on, one batch at a
 * time. Nobody waits for it, and nothing that the collector says goes anywhere but into what is sent next.
 */
export class Reporter {
  readonly #deps: ReporterDependencies;
  #channel: ReportChannel | undefined;
  #status: { connected: boolean; since: number; why: string };
  #tries = 0;
  #retry: Timer | undefined;
  /** Runs while an answer is owed. */
  #overdue: Timer | undefined;
  #snapshotAt = Number.NEGATIVE_INFINITY;
  #snapshotTimer: Timer | undefined;
  /** How far the collector has each stream, as it said over this connection. */
  #acked = new Map<string, number>();
  /** Streams that may have more than that, in the order in which they are sent. */
  #due: string[] = [];
  #asking = false;
  /** A batch is on its way, or is being read. */
  #busy = false;
  #stopped = false;

  constructor(deps: ReporterDependencies) {
    this.#deps = deps;
    this.#status = { connected: false, since: deps.clock.wall(), why: 'no connection since the start' };
    this.#connect();
  }

  get status(): ReportStatus {
    return { ...this.#status, ...this.#deps.spool.status };
  }

  /** Something happened on this host. */
  event(kind: string, data: unknown): void {
    if (this.#stopped) return;
    const { spool, clock, bootId } = this.#deps;
    spool.add(clock.wall(), kind, data);
    void spool.settled().then(() => this.#more(`boot:${bootId}`));
  }

  /** A journal has one more record. */
  journalGrew(planId: string): void {
    this.#more(`journal:${planId}`);
  }

  /** The snapshot is another one. */
  stateChanged(): void {
    this.#snapshotSoon(snapshotEveryMs);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const timer of [this.#retry, this.#overdue, this.#snapshotTimer]) timer?.cancel();
    this.#channel?.close();
    await this.#deps.spool.settled();
  }

  #connect(): void {
    if (this.#stopped) return;
    this.#deps.connector.connect().then(
      (channel) => this.#open(channel),
      (thrown: unknown) => {
        const retryAfterMs = thrown instanceof ReportRefusal ? thrown.retryAfterMs : undefined;
        this.#lost(thrown instanceof Error ? thrown.message : String(thrown), retryAfterMs);
      },
    );
  }

  #open(channel: ReportChannel): void {
    if (this.#stopped) {
      channel.close();
      return;
    }
    this.#channel = channel;
    this.#acked = new Map();
    this.#due = [];
    this.#busy = false;
    this.#snapshotAt = Number.NEGATIVE_INFINITY;
    channel.start({
      text: (text) => this.#hear(channel, text),
      closed: (reason) => this.#closed(channel, reason),
    });
    const { version, bootId } = this.#deps;
    this.#send({ type: 'hello', version, bootId });
    this.#snapshotSoon(snapshotEveryMs);
    void this.#ask();
  }

  /** Asks how far the collector has everything that is here. */
  async #ask(): Promise<void> {
    const { spool, journals, bootId, log } = this.#deps;
    const channel = this.#channel;
    if (this.#asking) return;
    this.#asking = true;
    try {
      const boots = spool.boots.filter((boot) => boot !== bootId);
      const streams = [
        ...(await journals.list()).toReversed().map((planId) => `journal:${planId}`),
        ...boots.map((boot) => `boot:${boot}`),
        `boot:${bootId}`,
      ].slice(-maxStreams);
      if (channel !== undefined && channel === this.#channel) {
        this.#send({ type: 'streams', names: streams });
        this.#expectAnswer();
      }
    } catch (thrown) {
      log.error({ err: thrown }, 'what there is to report could not be read');
      this.#channel?.close();
    } finally {
      this.#asking = false;
    }
  }

  #hear(channel: ReportChannel, text: string): void {
    if (channel !== this.#channel) return;
    let answer: ReportAnswer;
    try {
      answer = decodeReportAnswer(text);
    } catch {
      this.#closed(channel, 'it answered something that is no answer');
      return;
    }
    this.#overdue?.cancel();
    this.#overdue = undefined;
    switch (answer.type) {
      case 'known': {
        for (const [stream, n] of Object.entries(answer.last)) this.#acked.set(stream, n);
        this.#deps.spool.known(answer.last[`boot:${this.#deps.bootId}`] ?? 0);
        this.#due = [...new Set([...Object.keys(answer.last), ...this.#due])];
        this.#connected();
        void this.#pump();
        return;
      }
      case 'ack':
        this.#busy = false;
        this.#acked.set(answer.stream, answer.n);
        if (answer.stream.startsWith('boot:'))
          void this.#deps.spool.acknowledged(answer.stream.slice('boot:'.length), answer.n);
        void this.#pump();
        return;
      case 'seen':
        return;
      case 'later':
        this.#closed(channel, `it cannot take it now: ${answer.why}`, answer.seconds * 1_000);
        return;
    }
  }

  #more(stream: string): void {
    if (!this.#acked.has(stream)) {
      // A journal that was begun after the collector was asked.
      if (this.#status.connected) this.#acked.set(stream, 0);
      else return;
    }
    if (!this.#due.includes(stream)) this.#due.push(stream);
    void this.#pump();
  }

  async #pump(): Promise<void> {
    const channel = this.#channel;
    if (this.#busy || channel === undefined || !this.#status.connected) return;
    this.#busy = true;
    let waits = false;
    try {
      for (let stream = this.#due[0]; stream !== undefined; stream = this.#due[0]) {
        const events = await this.#eventsOf(stream, this.#acked.get(stream) ?? 0);
        if (channel !== this.#channel) return;
        if (events.length > 0) {
          this.#send({ type: 'events', stream, events });
          this.#expectAnswer();
          waits = true;
          return;
        }
        this.#due = this.#due.filter((each) => each !== stream);
      }
    } catch (thrown) {
      this.#deps.log.error({ err: thrown }, 'events could not be read; they are tried again later');
      this.#closed(channel, 'what is to be reported could not be read here');
    } finally {
      if (channel === this.#channel && !waits) this.#busy = false;
    }
  }

  async #eventsOf(stream: string, after: number): Promise<ReportEvent[]> {
    const [kind, id = ''] = stream.split(':');
    const { spool, journals } = this.#deps;
    const events =
      kind === 'boot'
        ? await spool.after(id, after)
        : (await journals.recordsOf(id)).slice(after, after + maxBatch).map((record, index) => ({
            n: after + index + 1,
            at: record.wall,
            kind: 'journal',
            data: { planId: id, record },
          }));
    return fitting(events);
  }

  #send(report: Report): void {
    this.#channel?.send(JSON.stringify(report));
  }

  #expectAnswer(): void {
    const channel = this.#channel;
    this.#overdue ??= this.#deps.clock.after(answerMs, () => {
      if (channel !== undefined) this.#closed(channel, `it has not answered for ${answerMs / 1_000} s`);
    });
  }

  #snapshotSoon(minimumMs: number): void {
    const { clock } = this.#deps;
    if (this.#channel === undefined) return;
    const wait = Math.max(0, this.#snapshotAt + minimumMs - clock.monotonic());
    if (minimumMs === snapshotEveryMs) this.#snapshotTimer?.cancel();
    this.#snapshotTimer = clock.after(wait, () => {
      if (this.#channel === undefined || this.#stopped) return;
      this.#snapshotAt = clock.monotonic();
      this.#send({ type: 'snapshot', at: clock.wall(), snapshot: this.#deps.snapshot() });
      this.#expectAnswer();
      this.#snapshotSoon(snapshotAtLeastMs);
    });
  }

  #connected(): void {
    this.#tries = 0;
    if (this.#status.connected) return;
    this.#status = { connected: true, since: this.#deps.clock.wall(), why: '' };
    this.#deps.log.info({}, 'connected to the collector');
    this.#deps.changed();
  }

  #closed(channel: ReportChannel, reason: string, retryAfterMs?: number): void {
    if (channel !== this.#channel) return;
    this.#channel = undefined;
    channel.close();
    this.#overdue?.cancel();
    this.#overdue = undefined;
    this.#snapshotTimer?.cancel();
    this.#lost(reason, retryAfterMs);
  }

  #lost(reason: string, retryAfterMs = 0): void {
    if (this.#stopped) return;
    const { clock, random, log, changed } = this.#deps;
    const backoffMs = Math.min(maxBackoffMs, firstBackoffMs * 2 ** Math.min(this.#tries, 16));
    this.#tries += 1;
    if (this.#status.connected || this.#status.why !== reason) {
      log.warn({ reason }, 'no connection to the collector');
      const since = this.#status.connected ? clock.wall() : this.#status.since;
      this.#status = { connected: false, since, why: reason };
      changed();
    }
    const jittered = backoffMs * (0.5 + random.fraction() / 2);
    this.#retry?.cancel();
    // Jitter on top of what it asks for: it asks everybody for the same.
    const waitMs =
      retryAfterMs > 0 ? Math.min(retryAfterMs, maxRetryAfterMs) * (1 + random.fraction() / 4) : jittered;
    this.#retry = clock.after(Math.max(waitMs, jittered), () => this.#connect());
  }
}

/** As many of the first ones as go into one message; the first goes in any case. */
function fitting(events: readonly ReportEvent[]): ReportEvent[] {
  let room = maxReportBytes / 2;
  const end = events.findIndex((event) => {
    room -= JSON.stringify(event).length;
    return room < 0;
  });
  return events.slice(0, end < 0 ? events.length : Math.max(1, end));
}
