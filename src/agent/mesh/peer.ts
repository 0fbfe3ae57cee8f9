import type { Clock, Timer } from '../../host/ports/clock.ts';
import type { Address } from '../../protocol/address.ts';
import type { Reachability } from '../../protocol/reachability.ts';
import type { HostState } from '../../protocol/state.ts';
import type { Link } from './link.ts';
import {
  closedVerdictMs,
  echoWithinMs,
  judge,
  lateMs,
  missesToAsk,
  missesToJudge,
  overdueMs,
  pingsBetweenDoubts,
  testimonyMs,
} from './reachability.ts';

/** Loss is given over so many looks at whether an echo is overdue, one a ping: half a minute. */
const lossWindow = 60;
/** What comes so soon after the silence began may have been under way when the way was cut, and shows nothing. */
const underWayMs = 100;
/** A link that ends so soon after a stall of this process was ended for it: the peer found this host silent, and not the other way round. */
const wokenMs = 1_000;
/** A link that closes counts as so many misses at once: one more, and the witnesses are asked. */
const missesOfClosedLink = 2;
const noTestimony: ReadonlyMap<string, boolean> = new Map();

/** A time in which a peer does not answer. Monotonic times. */
interface Silence {
  /** When it began: with the first ping without an echo, or with the end of the link. */
  since: number;
  /** What another host has heard of the peer counts from here on: it may have lived until the next echo was overdue. */
  brokenFrom: number;
}

/** A peer as others may read it. Times are wall clock, milliseconds since the epoch. */
export interface PeerView {
  host: string;
  linked: boolean;
  /** Since when it is linked, or not. */
  since: number;
  /** The other end of the link's socket. */
  address: Address | undefined;
  /** The internal address that the peer says it has. */
  internalAddress: Address | undefined;
  machineId: string | undefined;
  /** The node uid that this host's own RS node table bears out. */
  nodeUid: number | undefined;
  noLink: string | undefined;
  reachability: Reachability;
  roundTripMs: number | undefined;
  /** Of the last pings, which part brought no echo in time, 0 to 1; undefined before there was one. */
  loss: number | undefined;
  state: HostState | undefined;
}

/** Another host of the cluster: its link if there is one, and what the pings say. */
export class Peer {
  readonly host: string;
  readonly #clock: Clock;
  #link: Link | undefined;
  #since: number;
  #noLink = 'no link since start';
  /** Monotonic time from which the age of the newest echo counts, if that is older: a link began, or this process was stalled. */
  #countedFrom = 0;
  /** Runs from the end of a link to the verdict. */
  #verdict: Timer | undefined;
  #silence: Silence | undefined;
  /** Monotonic time at which this process was found to have been stalled last. */
  #stalledAt = Number.NEGATIVE_INFINITY;
  /** Whether something of the peer's came since, over the link that it began on. */
  #heard = false;
  readonly #outcomes: boolean[] = [];
  readonly #witnesses = new Map<string, { reaches: boolean; at: number }>();
  #state: HostState | undefined;
  #reachability: Reachability;
  /** Pings in a row that were due and brought no echo. */
  misses = 0;
  /** Grows with each run of misses, so that a late witness does not testify in the next one. */
  round = 0;
  provenUid: number | undefined;

  constructor(host: string, clock: Clock) {
    this.host = host;
    this.#clock = clock;
    this.#since = clock.wall();
    this.#reachability = { status: 'suspect', since: this.#since, why: `no link: ${this.#noLink}` };
  }

  get link(): Link | undefined {
    return this.#link;
  }

  get noLink(): string {
    return this.#noLink;
  }

  get reachability(): Reachability {
    return this.#reachability;
  }

  /** Whether its link is to be given up. */
  get isSilent(): boolean {
    return this.#link !== undefined && this.misses >= missesToJudge;
  }

  linked(link: Link): void {
    this.#state = link.state ?? this.#state;
    this.#link = link;
    this.stop();
    this.#since = this.#clock.wall();
    this.#trust();
    this.#countedFrom = this.#clock.monotonic();
    this.judge();
    // Its echo is to come at once: by when the next ping is due does not depend on this one.
    link.ping();
  }

  /** @param news called where the verdict falls without a ping that is due */
  unlinked(reason: string, news: () => void): void {
    this.#state = this.#link?.state ?? this.#state;
    this.#link = undefined;
    this.#noLink = reason;
    this.#since = this.#clock.wall();
    const now = this.#clock.monotonic();
    this.#silence ??= { since: now, brokenFrom: now };
    const sleptThrough = now - this.#stalledAt < wokenMs;
    if (!sleptThrough) this.misses = Math.max(this.misses, missesOfClosedLink);
    this.judge();
    if (sleptThrough) return;
    this.#verdict = this.#clock.after(closedVerdictMs, () => {
      if (this.#clock.monotonic() - now > closedVerdictMs + lateMs) return;
      this.misses = Math.max(this.misses, missesToJudge);
      if (this.judge()) news();
    });
  }

  /** No verdict falls any more but at a ping. */
  stop(): void {
    this.#verdict?.cancel();
  }

  ping(): void {
    this.#link?.ping(echoWithinMs);
  }

  /**
   * Counts a miss where the newest echo is too old, at the pace of the pings.
   * @param late whether this process was stalled: it may have slept through the echo, so a miss is its own and counts for nothing, and what was
   *   counted before is out of date
   * @returns the misses in a row
   */
  count(late: boolean): number {
    const now = this.#clock.monotonic();
    if (late) {
      this.#stalledAt = now;
      this.stop();
      this.#countAnew();
      this.#countedFrom = now;
    }
    if (this.#link === undefined) {
      if (!late) this.misses += 1;
      return this.misses;
    }
    const { echoedAt = Number.NEGATIVE_INFINITY, unechoedSince } = this.#link;
    const from = Math.max(this.#countedFrom, echoedAt);
    const isMissed = now - from > overdueMs;
    if (isMissed) {
      this.#silence ??= { since: unechoedSince ?? from, brokenFrom: from + overdueMs };
      this.misses += 1;
    }
    // Else nothing was due yet: neither is it missed, nor does anything speak for the peer.
    else if (echoedAt < this.#countedFrom) return this.misses;
    else this.#trust();
    if (this.#outcomes.push(!isMissed) > lossWindow) this.#outcomes.shift();
    return this.misses;
  }

  /** Whether other peers are to be asked now whether they reach it. */
  get isDoubted(): boolean {
    const doubts = this.misses - missesToAsk;
    if (doubts < 0) return false;
    return this.#reachability.status !== 'unreachable' || doubts % pingsBetweenDoubts === 0;
  }

  /**
   * @param round  the run of misses in which the witness was asked
   * @param echoAgeMs milliseconds since the witness had its newest echo; undefined where it has none. Only an echo from after the silence
   *   began here says that it reaches it: an older one may be from before the end.
   */
  testify(round: number, witness: string, echoAgeMs: number | undefined): void {
    if (round !== this.round || this.#silence === undefined) return;
    const at = this.#clock.monotonic();
    this.#witnesses.set(witness, {
      reaches: echoAgeMs !== undefined && at - echoAgeMs > this.#silence.brokenFrom,
      at,
    });
  }

  /** @returns whether the verdict is another one now */
  judge(): boolean {
    const before = this.#reachability;
    const link = this.#link;
    // As nearly always, and for each peer twice a second.
    if (link !== undefined && this.misses === 0 && before.status === 'reachable') return false;
    const silentFrom = (this.#silence?.since ?? Number.POSITIVE_INFINITY) + underWayMs;
    if (link !== undefined && link.pingedAt > silentFrom) this.#heard = true;
    const evidence = {
      misses: this.misses,
      noLink: link === undefined ? this.#noLink : undefined,
      heard: this.#heard,
      witnesses: this.#freshTestimony(),
    };
    this.#reachability = judge(before, evidence, this.#clock.wall());
    return before.status !== this.#reachability.status;
  }

  view(): PeerView {
    const link = this.#link;
    const losses = this.#outcomes.filter((echoed) => !echoed).length;
    return {
      host: this.host,
      linked: link !== undefined,
      since: this.#since,
      address: link?.channel.address,
      internalAddress: link?.peer?.internalAddress,
      machineId: link?.peer?.machineId,
      nodeUid: this.provenUid,
      noLink: link === undefined ? this.#noLink : undefined,
      reachability: this.#reachability,
      roundTripMs: link?.roundTripMs,
      loss: this.#outcomes.length === 0 ? undefined : losses / this.#outcomes.length,
      state: link?.state ?? this.#state,
    };
  }

  #freshTestimony(): ReadonlyMap<string, boolean> {
    if (this.#witnesses.size === 0) return noTestimony;
    const oldest = this.#clock.monotonic() - testimonyMs;
    for (const [witness, { at }] of this.#witnesses) if (at < oldest) this.#witnesses.delete(witness);
    return new Map([...this.#witnesses].map(([witness, { reaches }]) => [witness, reaches]));
  }

  #trust(): void {
    this.#countAnew();
    this.#silence = undefined;
  }

  /** A silence that goes on begins now, for all that is known. */
  #countAnew(): void {
    if (this.misses > 0) this.round += 1;
    this.misses = 0;
    const now = this.#clock.monotonic();
    if (this.#silence !== undefined) this.#silence = { since: now, brokenFrom: now };
    this.#heard = false;
    this.#witnesses.clear();
  }
}
