import type { BootClock } from '../../host/ports/boot-clock.ts';
import type { Clock, Timer } from '../../host/ports/clock.ts';
import type { DeadMan } from '../../host/ports/dead-man.ts';
import type { Files } from '../../host/ports/files.ts';
import type { Random } from '../../host/ports/random.ts';
import type { Rs } from '../../host/ports/rs.ts';
import { asRlnetError, RlnetError } from '../../protocol/errors.ts';
import type { Plan } from '../../protocol/renumbering/plan.ts';
import type { Progress } from '../../protocol/renumbering/progress.ts';
import type { JournalRecord, Reason } from '../../protocol/renumbering/records.ts';
import type { OpenRenumbering, RenumberingSummary } from '../../protocol/renumbering/request.ts';
import type { Step } from '../../protocol/renumbering/steps.ts';
import type { Log } from '../log.ts';
import { askHeld, type ClaimDependencies, claimOf } from './claim.ts';
import { Journal } from './journal.ts';
import { decodeJournal } from './journal-text.ts';
import { type LockKeeper, openLockKeeper } from './lock-keeper.ts';
import { openRenumberingOf, summaryOf } from './outline.ts';
import { createPeerHandlers } from './peer-handlers.ts';
import type { Peers } from './peers.ts';
import { type Executors, Renumbering, type RenumberingDependencies } from './renumbering.ts';
import type { Waits } from './waits.ts';

/** How long a journal that could not be written is left alone, milliseconds. */
const takeUpAgainMs = 30_000;

export interface RenumberingsDependencies {
  host: string;
  /** Where journals, lock and records are kept. */
  directory: string;
  clock: Clock;
  bootClock: BootClock;
  random: Random;
  files: Files;
  rs: Rs;
  peers: Peers;
  deadMan: DeadMan;
  /** Why this agent may not act at all (mode: observe); undefined where it may. */
  forbidden?: RlnetError | undefined;
  /** The steps of a plan on this host. @throws RlnetError where this version cannot carry such a plan out */
  executors: (context: StepContext, plan: Plan) => Executors;
  /** As it is now. */
  waited: () => Waits;
  /** The guards of a step: the refusals. */
  askGuards: (progress: Progress, step: Step) => Promise<Reason[]>;
  log: Log;
  /** Something that others are told has changed: where the renumbering stands, with the record that says so, or else the lock. */
  changed: (progress?: Progress, record?: JournalRecord) => void;
}

/** What steps have of the cluster. */
export interface StepContext extends ClaimDependencies {
  /** Aborts when the agent ends. */
  signal: AbortSignal;
}

/** Those that change addresses of this host, and those right before and after, in which there is little time. */
const changingAddresses: ReadonlySet<Step> = new Set(['rehearse', 'arm', 'restart', 'readdress']);

/** The renumberings of this host, and this agent's part in those of others. One is open at a time. */
export class Renumberings {
  readonly #deps: RenumberingsDependencies;
  readonly #ended = new AbortController();
  readonly keeper: LockKeeper;
  readonly handlers: ReturnType<typeof createPeerHandlers>;
  #open: Renumbering | undefined;
  /** The newest one that stopped. It keeps the lock until it is resumed, or a person frees it. */
  #stopped: Journal | undefined;
  /** Why the journal that is open cannot be gone on with. */
  #stuck: RlnetError | undefined;
  #running: Promise<void> = Promise.resolve();
  /** Two people may start or resume at the same moment, and journals be taken up again meanwhile: one after the other. */
  #beginning: Promise<unknown> = Promise.resolve();
  #takesUpAgain: Timer | undefined;

  /**
   * Takes up what was under way, if anything was.
   * @throws RlnetError LOCK_STATE_DAMAGED
   */
  static async begin(deps: RenumberingsDependencies): Promise<Renumberings> {
    await deps.files.makeDirectory(deps.directory, 0o700);
    const keeper = await openLockKeeper({ ...deps, changed: () => deps.changed() });
    const renumberings = new Renumberings(deps, keeper);
    await renumberings.#takeUp();
    return renumberings;
  }

  private constructor(deps: RenumberingsDependencies, keeper: LockKeeper) {
    this.#deps = deps;
    this.keeper = keeper;
    this.handlers = createPeerHandlers({
      ...deps,
      keeper,
      recordPath: `${deps.directory}/registrations.ndjson`,
      isCurrent: (planId, act) => this.#isCurrent(planId, act),
    });
  }

  /** The open one; undefined where none is. */
  get open(): Progress | undefined {
    return this.#open?.progress;
  }

  /** Whether the open one has an act under way in this very moment, or is at a step that changes this host's addresses or is next to one. */
  get isChangingAddress(): boolean {
    const step = this.#open?.progress.step;
    return this.#open?.inFlight !== undefined || (step !== undefined && changingAddresses.has(step));
  }

  /** Why the open one cannot go on, where its journal is damaged or cannot be written. */
  get stuck(): RlnetError | undefined {
    return this.#stuck;
  }

  /** The open one, else the one that stopped and keeps the lock, as others are told of it. */
  get standing(): OpenRenumbering | undefined {
    const journal = this.#open?.journal ?? this.#stopped;
    if (journal === undefined || (journal === this.#stopped && !this.#keepsLock(journal))) return undefined;
    return openRenumberingOf(journal, this.#stuck);
  }

  /**
   * Begins to carry out a plan. It is on disk when this resolves.
   * @throws RlnetError RENUMBERING_OPEN; JOURNAL_NOT_WRITABLE
   */
  start(plan: Plan): Promise<void> {
    return this.#next(() => this.#start(plan));
  }

  async #start(plan: Plan): Promise<void> {
    this.#requireNone();
    const { clock, bootClock, files } = this.#deps;
    // First: what cannot be carried out here must not be begun.
    const parts = this.#partsFor(plan);
    const at = await bootClock.now();
    const journal = await Journal.begin(files, this.#path(plan.id), {
      type: 'open',
      wall: clock.wall(),
      at,
      plan,
    });
    this.#run(journal, parts);
  }

  /** @throws RlnetError RENUMBERING_NOT_OPEN */
  async abort(planId: string, by: string, reason: string): Promise<void> {
    if (this.#open?.progress.plan.id !== planId) {
      throw new RlnetError(
        'RENUMBERING_NOT_OPEN',
        `No renumbering ${planId} is open on this host.`,
        'See rlnet renumber list.',
      );
    }
    await this.#open.abort(by, reason);
  }

  /**
   * Goes on with the one that stopped. That a person asked for it is on disk when this resolves.
   * @throws RlnetError RENUMBERING_NOT_OPEN, RENUMBERING_OPEN; JOURNAL_DAMAGED; JOURNAL_NOT_WRITABLE
   */
  resume(planId: string, by: string): Promise<void> {
    return this.#next(() => this.#resume(planId, by));
  }

  async #resume(planId: string, by: string): Promise<void> {
    if (this.#open?.progress.plan.id !== planId && this.#stopped?.progress.plan.id !== planId) {
      throw new RlnetError(
        'RENUMBERING_NOT_OPEN',
        `No renumbering ${planId} of this host has stopped.`,
        'See rlnet renumber list.',
      );
    }
    const stopped = this.#stopped;
    this.#requireNone(planId);
    const { clock, bootClock, files } = this.#deps;
    // Read anew: a write that failed ended the one before.
    const journal = await Journal.take(files, this.#path(planId));
    if (journal === undefined || stopped === undefined)
      throw new RangeError('a journal that stopped is empty');
    await journal.append({ type: 'reopened', wall: clock.wall(), at: await bootClock.now(), by });
    this.#stopped = undefined;
    this.#run(journal);
  }

  /** The renumberings of this host by their journals, the newest first. A journal that cannot be read is passed over. */
  async history(): Promise<RenumberingSummary[]> {
    const { files, directory } = this.#deps;
    const ids = (await files.list(directory)).flatMap((name) => journalName.exec(name)?.[1] ?? []);
    const all = await Promise.all(
      ids.map(async (id) => summaryOf(await this.recordsOf(id).catch((): JournalRecord[] => []))),
    );
    return all.flatMap((summary) => summary ?? []).toSorted((a, b) => b.at - a.at);
  }

  /**
   * All records of a journal, oldest first; none where there is no such journal.
   * @throws RlnetError JOURNAL_DAMAGED
   */
  async recordsOf(planId: string): Promise<JournalRecord[]> {
    if (this.#open?.progress.plan.id === planId) return [...this.#open.journal.records];
    const text = await this.#deps.files.readIfExists(this.#path(planId));
    return text === undefined ? [] : decodeJournal(text, this.#path(planId)).records;
  }

  /** Resolves when what is under way has come to a stop between two acts. Nothing is undone. */
  async close(): Promise<void> {
    this.#ended.abort(new Error('the agent ends'));
    await this.#running;
  }

  #next<T>(action: () => Promise<T>): Promise<T> {
    const result = this.#beginning.then(action);
    this.#beginning = result.catch(() => {});
    return result;
  }

  /** @throws RlnetError RENUMBERING_OPEN for any but the given one that stopped */
  #requireNone(planId?: string): void {
    const { standing } = this;
    if (this.#deps.forbidden !== undefined) throw this.#deps.forbidden;
    if (
      this.#stuck === undefined &&
      (standing === undefined || (standing.is === 'stopped' && standing.planId === planId))
    )
      return;
    const what = standing === undefined ? '' : `: ${standing.planId}, to ${standing.to.address}`;
    throw standing?.is === 'stopped'
      ? new RlnetError(
          'RENUMBERING_OPEN',
          `A renumbering of this host has stopped and keeps the lock${what}.`,
          'See rlnet renumber show; resume it, or free its lock with rlnet lock release.',
        )
      : new RlnetError(
          'RENUMBERING_OPEN',
          `A renumbering of this host is open already${what}.`,
          'See rlnet renumber list; wait until it ends, or abort it.',
        );
  }

  #keepsLock({ progress }: Journal): boolean {
    const claim = claimOf(progress);
    return claim !== undefined && this.keeper.answerHeld(claim) !== 'closed';
  }

  async #takeUp(): Promise<void> {
    const { files, directory } = this.#deps;
    this.#stuck = undefined;
    for (const name of await files.list(directory)) {
      if (!journalName.test(name)) continue;
      const path = `${directory}/${name}`;
      // What goes on is not taken from under itself because another journal could not be written.
      if (this.#open?.journal.path === path) continue;
      try {
        const journal = await Journal.take(files, path);
        if (journal === undefined) await files.remove(path);
        else if (journal.progress.closed === undefined) {
          // The dead man is not forbidden anything, and brings the unit back.
          if (this.#deps.forbidden !== undefined) throw this.#deps.forbidden;
          this.#run(journal);
        } else if (journal.progress.closed.outcome === 'stopped')
          this.#stopped = newer(this.#stopped, journal);
        else await this.#closeClaimOf(journal);
      } catch (thrown) {
        this.#getStuck(asRlnetError(thrown));
      }
    }
  }

  /** What is over holds no lock: the record of the lock may have been lost since, and the others were not all told. */
  async #closeClaimOf({ progress }: Journal): Promise<void> {
    const claim = claimOf(progress);
    if (claim === undefined || this.keeper.answerHeld(claim) === 'closed') return;
    await this.keeper.close(claim).catch((thrown: unknown) => {
      this.#deps.log.warn({ err: thrown }, 'a claim whose renumbering is over could not be closed');
    });
  }

  /**
   * A journal that could not be written is taken up again after a while, as a new run of the agent would: from what the disk
   * says, into a new file. A damaged one waits for a person.
   */
  #getStuck(error: RlnetError): void {
    const { log, clock, changed } = this.#deps;
    this.#stuck = error;
    log.error({ err: error }, 'the renumbering cannot go on');
    if (error.code === 'JOURNAL_NOT_WRITABLE' && this.#takesUpAgain === undefined) {
      this.#takesUpAgain = clock.after(takeUpAgainMs, () => {
        this.#takesUpAgain = undefined;
        if (this.#ended.signal.aborted) return;
        this.#next(() => this.#takeUp()).catch((thrown: unknown) => this.#getStuck(asRlnetError(thrown)));
      });
    }
    changed();
  }

  #partsFor(plan: Plan): RenumberingDependencies {
    const claims: ClaimDependencies = {
      ...this.#deps,
      keeper: this.keeper,
      // While this host's RS is off nobody here can confirm whose node is which: the plan remembers.
      peers: {
        ...this.#deps.peers,
        hostOf: (uid) =>
          plan.members.find((member) => member.uid === uid)?.host ?? this.#deps.peers.hostOf(uid),
      },
    };
    return {
      ...this.#deps,
      executors: this.#deps.executors({ ...claims, signal: this.#ended.signal }, plan),
      askHeld: (progress) => {
        const claim = claimOf(progress);
        return claim === undefined ? Promise.resolve('absent') : askHeld(claims, claim);
      },
    };
  }

  #run(journal: Journal, parts = this.#partsFor(journal.progress.plan)): void {
    const { log } = this.#deps;
    const { signal } = this.#ended;
    const renumbering = new Renumbering(parts, journal);
    this.#open = renumbering;
    this.#running = renumbering.run(signal).then(
      (outcome) => {
        log.info({ plan: journal.progress.plan.id, outcome }, 'the renumbering is over');
        this.#open = undefined;
        if (outcome === 'stopped') this.#stopped = journal;
        this.#deps.changed();
      },
      (thrown: unknown) => {
        this.#open = undefined;
        if (!signal.aborted) this.#getStuck(asRlnetError(thrown));
      },
    );
  }

  #isCurrent(planId: string, act: string): boolean {
    const progress = this.#open?.progress;
    return progress?.plan.id === planId && this.#open?.inFlight === act;
  }

  #path(planId: string): string {
    return `${this.#deps.directory}/${planId}.ndjson`;
  }
}

/** By the plan's id; other files of that ending in the same directory are no journals. */
const journalName = /^([0-9a-f]{12})\.ndjson$/;

function newer(known: Journal | undefined, other: Journal): Journal {
  return known !== undefined && (known.records.at(-1)?.wall ?? 0) > (other.records.at(-1)?.wall ?? 0)
    ? known
    : other;
}
