import * as v from 'valibot';
import type { Files } from '../../host/ports/files.ts';
import { maxBatch, type ReportEvent, reportEventSchema } from '../../protocol/reporting.ts';

/** A segment is closed once it is so long, and the oldest one goes when all of them together are longer; bytes. */
const segmentBytes = 64 * 1024;
export const spoolBytes = 8 * 2 ** 20;

/** One file of the spool: events of one boot with numbers from `first` to `last`, one a line. */
interface Segment {
  /** Segments in the order in which they were begun, over all boots. */
  order: number;
  bootId: string;
  first: number;
  /** `first - 1` while it is empty. */
  last: number;
  bytes: number;
}

const segmentName = /^(\d{10})-([0-9a-zA-Z-]{1,64})-(\d+)\.ndjson$/;

export interface SpoolStatus {
  bytes: number;
  /** Events that could not be kept since the start of the agent: the oldest ones of a full spool, and what the disk did not take. */
  dropped: number;
}

/**
 * Events that wait for the collector, on disk: numbered from 1 in each boot, in order. An event is durable a moment after it is given. Capped: the
 * oldest are dropped, and the collector sees the gap in their numbers. Records of renumberings are not in here; their journals keep them.
 *
 * Invariant: nothing is ever appended to a file after a write to it failed, nor to one of an earlier run of the agent: what stands at its end
 * may be a part of a line.
 */
export class Spool {
  readonly #files: Files;
  readonly #directory: string;
  readonly #bootId: string;
  readonly #capBytes: number;
  #segments: Segment[] = [];
  /** The last number that was given in this boot. */
  #number: number;
  /** The segment that is written to; undefined where a new one is to be begun. */
  #current: Segment | undefined;
  #waiting: ReportEvent[] = [];
  #writing: Promise<void> = Promise.resolve();
  #dropped = 0;

  /** Takes up what is on disk. */
  static async open(files: Files, directory: string, bootId: string, capBytes = spoolBytes): Promise<Spool> {
    await files.makeDirectory(directory, 0o700);
    const segments: Segment[] = [];
    for (const name of (await files.list(directory)).sort()) {
      const [, order, boot, first] = segmentName.exec(name) ?? [];
      if (order === undefined || boot === undefined || first === undefined) continue;
      const text = await files.read(`${directory}/${name}`);
      const last = eventsIn(text).at(-1)?.n ?? Number(first) - 1;
      segments.push({
        order: Number(order),
        bootId: boot,
        first: Number(first),
        last,
        bytes: Buffer.byteLength(text),
      });
    }
    return new Spool(files, directory, bootId, capBytes, segments);
  }

  private constructor(
    files: Files,
    directory: string,
    bootId: string,
    capBytes: number,
    segments: Segment[],
  ) {
    this.#files = files;
    this.#directory = directory;
    this.#bootId = bootId;
    this.#capBytes = capBytes;
    this.#segments = segments;
    this.#number = Math.max(0, ...segments.filter((each) => each.bootId === bootId).map(({ last }) => last));
  }

  /**
   * What the collector has of this boot: numbers go on from there, also where the files that had them are gone.
   * @param last of the stream of this boot
   */
  known(last: number): void {
    this.#number = Math.max(this.#number, last);
  }

  get status(): SpoolStatus {
    return { bytes: this.#segments.reduce((sum, { bytes }) => sum + bytes, 0), dropped: this.#dropped };
  }

  /** The boots that events wait of, the oldest first. */
  get boots(): string[] {
    return [
      ...new Set(this.#segments.filter(({ first, last }) => last >= first).map(({ bootId }) => bootId)),
    ];
  }

  add(at: number, kind: string, data: unknown): void {
    this.#number += 1;
    this.#waiting.push({ n: this.#number, at, kind, data });
    if (this.#waiting.length === 1) this.#writing = this.#writing.then(() => this.#write());
  }

  /** Resolves when everything that was given before is on disk, or was dropped. */
  settled(): Promise<void> {
    return this.#writing;
  }

  /** The next events of a boot after a number, as many as go into one message. */
  async after(bootId: string, n: number): Promise<ReportEvent[]> {
    for (const segment of this.#segments.filter((each) => each.bootId === bootId && each.last > n)) {
      const text = (await this.#files.readIfExists(this.#path(segment))) ?? '';
      const events = eventsIn(text).filter((event) => event.n > n);
      if (events.length > 0) return events.slice(0, maxBatch);
    }
    return [];
  }

  /** The collector has everything of a boot up to a number. */
  async acknowledged(bootId: string, n: number): Promise<void> {
    // What is written to now stays, as it says how far this boot has been counted.
    const done = this.#segments.filter(
      (each) => each.bootId === bootId && each.last <= n && each !== this.#segments.at(-1),
    );
    await this.#remove(done);
    const newest = this.#segments.at(-1);
    if (newest !== undefined && newest.bootId === bootId && bootId !== this.#bootId && newest.last <= n)
      await this.#remove([newest]);
  }

  async #write(): Promise<void> {
    const events = this.#waiting.splice(0);
    const [first] = events;
    if (first === undefined) return;
    const text = events.map((event) => `${JSON.stringify(event)}\n`).join('');
    try {
      if (this.#current === undefined || this.#current.bytes >= segmentBytes) {
        const order = (this.#segments.at(-1)?.order ?? 0) + 1;
        const begun = { order, bootId: this.#bootId, first: first.n, last: first.n - 1, bytes: 0 };
        await this.#files.create(this.#path(begun), '', 0o600);
        this.#current = begun;
        this.#segments.push(begun);
      }
      await this.#files.append(this.#path(this.#current), text);
      this.#current.last = events.at(-1)?.n ?? first.n;
      this.#current.bytes += Buffer.byteLength(text);
    } catch {
      // What part of it is on disk nobody knows; it is read up to the last whole line, and counts as lost.
      this.#current = undefined;
      this.#dropped += events.length;
    }
    await this.#keepWithin();
  }

  async #keepWithin(): Promise<void> {
    while (this.status.bytes > this.#capBytes && this.#segments.length > 1) {
      const [oldest] = this.#segments;
      if (oldest === undefined) return;
      this.#dropped += oldest.last - oldest.first + 1;
      await this.#remove([oldest]);
    }
  }

  async #remove(segments: readonly Segment[]): Promise<void> {
    this.#segments = this.#segments.filter((each) => !segments.includes(each));
    for (const segment of segments) {
      if (segment === this.#current) this.#current = undefined;
      // One that stays is read again at the next start, and its events are known to the collector by their numbers.
      await this.#files.remove(this.#path(segment)).catch(() => {});
    }
  }

  #path({ order, bootId, first }: Segment): string {
    return `${this.#directory}/${String(order).padStart(10, '0')}-${bootId}-${first}.ndjson`;
  }
}

/** The events of a file up to the first line that is not whole. */
function eventsIn(text: string): ReportEvent[] {
  const lines = text.split('\n').slice(0, -1);
  const events: ReportEvent[] = [];
  for (const line of lines) {
    const event = parse(line);
    if (event === undefined) return events;
    events.push(event);
  }
  return events;
}

function parse(line: string): ReportEvent | undefined {
  try {
    const parsed = v.safeParse(reportEventSchema, JSON.parse(line));
    return parsed.success ? parsed.output : undefined;
  } catch {
    return undefined;
  }
}
