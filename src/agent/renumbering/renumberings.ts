import type { BootClock } from '../../host/ports/boot-clock.ts';
import type { Clock } from '../../host/ports/clock.ts';
import type { DeadMan } from '../../host/ports/dead-man.ts';
import type { Files } from '../../host/ports/files.ts';
import type { Random } from '../../host/ports/random.ts';
import type { Rs } from '../../host/ports/rs.ts';
import { asRlnetError, RlnetError } from '../../protocol/errors.ts';
import type { Plan } from '../../protocol/renumbering/plan.ts';
import type { Progress } from '../../protocol/renumbering/progress.ts';
import type { JournalRecord, Reason } from '../../protocol/renumbering/records.ts';
import type { Step } from '../../protocol/renumbering/steps.ts';
import type { Log } from '../log.ts';
import { askHeld, type ClaimDependencies, claimOf } from './claim.ts';
import { Journal } from './journal.ts';
import { type LockKeeper, openLockKeeper } from './lock-keeper.ts';
import { createPeerHandlers } from './peer-handlers.ts';
import type { Peers } from './peers.ts';
import { type Executors, Renumbering } from './renumbering.ts';

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
  /** The steps on this host. */
  executors: (context: StepContext) => Executors;
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

/** The renumberings of this host, and this agent's part in those of others. One is open at a time. */
export class Renumberings {
  readonly #deps: RenumberingsDependencies;
  readonly #ended = new AbortController();
  readonly keeper: LockKeeper;
  readonly handlers: ReturnType<typeof createPeerHandlers>;
  #open: Renumbering | undefined;
  /** Why the journal that is open cannot be gone on with. */
  #stuck: RlnetError | undefined;
  #running: Promise<void> = Promise.resolve();

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
      recordPath: `${deps.directory}/${registrations}`,
      isCurrent: (planId, act) => this.#isCurrent(planId, act),
    });
  }

  /** The open one; undefined where none is. */
  get open(): Progress | undefined {
    return this.#open?.progress;
  }

  /** Why the open one cannot go on, where its journal is damaged or cannot be written. */
  get stuck(): RlnetError | undefined {
    return this.#stuck;
  }

  /** The records of the open one, oldest first. */
  get records(): readonly JournalRecord[] {
    return this.#open?.journal.records ?? [];
  }

  /**
   * Begins to carry out a plan. It is on disk when this resolves.
   * @throws RlnetError RENUMBERING_OPEN; JOURNAL_NOT_WRITABLE
   */
  async start(plan: Plan): Promise<void> {
    if (this.#open !== undefined || this.#stuck !== undefined) {
      const { plan: other } = this.#open?.progress ?? {};
      throw new RlnetError(
        'RENUMBERING_OPEN',
        `A renumbering of this host is open already${other === undefined ? '' : `: ${other.id}, to ${other.change.to.address}`}.`,
        'See rlnet renumber list; wait until it ends, or abort it.',
      );
    }
    const { clock, bootClock, files } = this.#deps;
    const at = await bootClock.now();
    const journal = await Journal.begin(files, this.#path(plan.id), {
      type: 'open',
      wall: clock.wall(),
      at,
      plan,
    });
    this.#run(journal);
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

  /** Resolves when what is under way has come to a stop between two acts. Nothing is undone. */
  async close(): Promise<void> {
    this.#ended.abort(new Error('the agent ends'));
    await this.#running;
  }

  async #takeUp(): Promise<void> {
    const { files, directory } = this.#deps;
    this.#stuck = undefined;
    for (const name of await files.list(directory)) {
      if (!name.endsWith(journalSuffix) || name === registrations) continue;
      const path = `${directory}/${name}`;
      try {
        const journal = await Journal.take(files, path);
        if (journal === undefined) await files.remove(path);
        else if (journal.progress.closed === undefined) this.#run(journal);
      } catch (thrown) {
        this.#getStuck(asRlnetError(thrown));
      }
    }
  }

  /**
   * A journal that could not be written is taken up again after a while, as a new run of the agent would: from what the disk
   * says, into a new file. A damaged one waits for a person.
   */
  #getStuck(error: RlnetError): void {
    const { log, clock, changed } = this.#deps;
    this.#stuck = error;
    this.#open = undefined;
    log.error({ err: error }, 'the renumbering cannot go on');
    if (error.code === 'JOURNAL_NOT_WRITABLE') {
      clock.after(takeUpAgainMs, () => {
        if (this.#ended.signal.aborted) return;
        this.#takeUp().catch((thrown: unknown) => this.#getStuck(asRlnetError(thrown)));
      });
    }
    changed();
  }

  #run(journal: Journal): void {
    const { log, executors } = this.#deps;
    const { signal } = this.#ended;
    const { members } = journal.progress.plan;
    const claims: ClaimDependencies = {
      ...this.#deps,
      keeper: this.keeper,
      // While this host's RS is off nobody here can confirm whose node is which: the plan remembers.
      peers: {
        ...this.#deps.peers,
        hostOf: (uid) => members.find((member) => member.uid === uid)?.host ?? this.#deps.peers.hostOf(uid),
      },
    };
    const renumbering = new Renumbering(
      {
        ...this.#deps,
        executors: executors({ ...claims, signal }),
        askHeld: (progress) => {
          const claim = claimOf(progress);
          return claim === undefined ? Promise.resolve('absent') : askHeld(claims, claim);
        },
      },
      journal,
    );
    this.#open = renumbering;
    this.#running = renumbering.run(signal).then(
      (outcome) => {
        log.info({ plan: journal.progress.plan.id, outcome }, 'the renumbering is over');
        this.#open = undefined;
        this.#deps.changed();
      },
      (thrown: unknown) => {
        if (!signal.aborted) this.#getStuck(asRlnetError(thrown));
      },
    );
  }

  #isCurrent(planId: string, act: string): boolean {
    const progress = this.#open?.progress;
    return progress?.plan.id === planId && this.#open?.inFlight === act;
  }

  #path(planId: string): string {
    return `${this.#deps.directory}/${planId}${journalSuffix}`;
  }
}

const journalSuffix = '.ndjson';
const registrations = 'registrations.ndjson';
