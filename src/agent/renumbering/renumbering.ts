import type { BootClock } from '../../host/ports/boot-clock.ts';
import { type Clock, sleep, type Timer } from '../../host/ports/clock.ts';
import type { DeadMan } from '../../host/ports/dead-man.ts';
import { asRlnetError, type RlnetError } from '../../protocol/errors.ts';
import { signOfLifeSeconds, wordBeforeDone, wordBeforeIntent } from '../../protocol/renumbering/dead-man.ts';
import {
  type Action,
  type Facts,
  guardsGoodFor,
  heldGoodFor,
  nextAction,
  ruleOf,
} from '../../protocol/renumbering/next-action.ts';
import type { Probe } from '../../protocol/renumbering/probe.ts';
import { type Progress, secondsSince } from '../../protocol/renumbering/progress.ts';
import type {
  BootTime,
  JournalRecord,
  Reason,
  RenumberingOutcome,
} from '../../protocol/renumbering/records.ts';
import type { BackStep, Direction, ForwardStep, Step } from '../../protocol/renumbering/steps.ts';
import type { Log } from '../log.ts';
import type { Journal } from './journal.ts';
import { type Waits, waitedSince } from './waits.ts';

/** How long to wait before reality is looked at again, milliseconds. A look costs some execs. */
const lookAgainMs = 500;
/** And before the lock is asked for again: right after a boot the links come within moments, and the question costs next to nothing. */
const askAgainMs = 100;

/** One step on this host: how to see whether it is so, and how to make it so. Both may be called any number of times. */
export interface StepExecutor {
  /** Reads reality. What it throws means that it could not be found out. */
  probe(progress: Progress): Promise<Probe>;
  /** Makes it so; idempotent. What it throws was not, or not wholly, carried out. */
  act(progress: Progress, attempt: number): Promise<void>;
  /** What the act has to be known by later, written with the intent: an epoch, a boot id. */
  detail?(progress: Progress, attempt: number): Promise<Record<string, string>>;
}

export interface Executors {
  forward: Readonly<Record<ForwardStep, StepExecutor>>;
  back: Readonly<Record<BackStep, StepExecutor>>;
}

export interface RenumberingDependencies {
  clock: Clock;
  bootClock: BootClock;
  deadMan: DeadMan;
  executors: Executors;
  /** The outage guards, or all of them for the preflight: the refusals. What it throws means that they could not be asked. */
  askGuards: (progress: Progress, step: Step) => Promise<Reason[]>;
  /** A majority of the frozen set on whether the lock is still held. */
  askHeld: (progress: Progress) => Promise<NonNullable<Facts['held']>['is']>;
  /** As it is now. */
  waited: () => Waits;
  log: Log;
  /** Called after every record. */
  changed: (progress: Progress, record: JournalRecord) => void;
}

/**
 * What was asked for a while is known since it was answered; an agent that slept meanwhile has an old answer, and so a longer while is
 * held against it.
 */
function knownSince(asked: BootTime, answered: BootTime): BootTime {
  const old = Math.max(0, secondsSince(asked, answered) - guardsGoodFor);
  return { ...answered, seconds: answered.seconds - old };
}

/** One act among all of a renumbering: a late answer to an earlier one must not be taken for it. */
export function actName(direction: Direction, step: Step, attempt: number): string {
  return `${direction} ${step} ${attempt}`;
}

/**
 * Drives the one renumbering of this host: looks at reality, lets `nextAction` decide, writes the intent, acts. The only
 * writer of its journal.
 */
export class Renumbering {
  readonly journal: Journal;
  readonly #deps: RenumberingDependencies;
  #abort: { by: string; reason: string; noted: PromiseWithResolvers<void> } | undefined;
  #guards: Facts['guards'];
  #held: Facts['held'];
  #acted: Facts['acted'];
  #inFlight: string | undefined;
  #signOfLife: Timer | undefined;
  /** The step that the facts above are about. */
  #about: string | undefined;
  /** How it was when that step's turn came. */
  #waitedBefore: Waits = { rsMs: 0, ownerMs: 0 };

  constructor(deps: RenumberingDependencies, journal: Journal) {
    this.#deps = deps;
    this.journal = journal;
  }

  get progress(): Progress {
    return this.journal.progress;
  }

  /** The act that is under way now, in this run of the agent; undefined between acts. */
  get inFlight(): string | undefined {
    return this.#inFlight;
  }

  /** Turns back as soon as what is under way has ended. Resolves when that is on disk. */
  async abort(by: string, reason: string): Promise<void> {
    this.#abort ??= { by, reason, noted: Promise.withResolvers<void>() };
    await this.#abort.noted.promise;
  }

  /**
   * Goes on until it is closed.
   * @returns the outcome
   * @throws RlnetError JOURNAL_NOT_WRITABLE: nothing more is done, and the dead man will bring the unit back; the signal's reason
   */
  async run(signal: AbortSignal): Promise<RenumberingOutcome> {
    await this.#append({ type: 'resumed', ...(await this.#moment()) });
    this.#giveSignsOfLife();
    try {
      return await this.#goOn(signal);
    } finally {
      this.#signOfLife?.cancel();
    }
  }

  async #goOn(signal: AbortSignal): Promise<RenumberingOutcome> {
    for (;;) {
      signal.throwIfAborted();
      try {
        await this.#noteTakeOver();
        await this.#noteAbort();
        const action = await this.#decide();
        signal.throwIfAborted();
        const { closed } = this.progress;
        if (action.do === 'end' && closed !== undefined) {
          this.#abort?.noted.resolve();
          return closed.outcome;
        }
        await this.#carryOut(action, signal);
      } catch (thrown) {
        signal.throwIfAborted();
        if (this.journal.failed !== undefined) throw this.journal.failed;
        // A clock that cannot be read, a word that the disk did not take: nothing was done, and it is looked at again.
        this.#deps.log.warn({ err: thrown }, 'a look or a note did not succeed');
        await this.#pause(signal);
      }
    }
  }

  async #decide(): Promise<Action> {
    const { progress } = this;
    const about = `${progress.direction} ${progress.step ?? ''}`;
    if (about !== this.#about) {
      this.#about = about;
      this.#guards = undefined;
      this.#acted = undefined;
      this.#waitedBefore = this.#deps.waited();
    }
    const probe = await this.#probe(progress);
    return nextAction(progress, {
      now: await this.#deps.bootClock.now(),
      probe,
      guards: this.#guards,
      held: this.#held,
      acted: this.#acted,
    });
  }

  async #probe(progress: Progress): Promise<Probe> {
    const { step, direction, closed } = progress;
    if (step === undefined || closed !== undefined) return { is: 'not_done', evidence: '' };
    try {
      return await this.#executor(direction, step).probe(progress);
    } catch (thrown) {
      return { is: 'unknown', why: asRlnetError(thrown).message };
    }
  }

  async #carryOut(action: Action, signal: AbortSignal): Promise<void> {
    const { progress } = this;
    const { direction } = progress;
    const { log, deadMan } = this.#deps;
    switch (action.do) {
      case 'act':
        await this.#act(progress, action.step, action.attempt);
        // Trying again at once would use up the attempts while what is in the way is still there.
        if (this.#acted?.error !== undefined) await this.#pause(signal, action.attempt);
        return;
      case 'ask_guards':
        try {
          const asked = await this.#deps.bootClock.now();
          const refusals = await this.#deps.askGuards(progress, action.step);
          this.#guards = { at: knownSince(asked, await this.#deps.bootClock.now()), refusals };
        } catch (thrown) {
          log.warn({ err: thrown, step: action.step }, 'the guards could not be asked');
          await this.#pause(signal);
        }
        return;
      case 'ask_held': {
        // The moment of the question counts: an answer says nothing about later.
        const at = await this.#deps.bootClock.now();
        const is = await this.#deps.askHeld(progress);
        this.#held = { at, is };
        if (is === 'unknown' || is === 'absent') await sleep(this.#deps.clock, askAgainMs, signal);
        return;
      }
      case 'note_done': {
        const word = wordBeforeDone(action.step);
        if (word !== undefined) await deadMan.setWord(word);
        const { step, evidence } = action;
        const waited = waitedSince(this.#waitedBefore, this.#deps.waited());
        await this.#append({ type: 'done', ...(await this.#moment()), direction, step, evidence, ...waited });
        return;
      }
      case 'alarm': {
        const { step, reason } = action;
        log.error({ step, code: reason.code }, reason.message);
        await this.#append({ type: 'alarm', ...(await this.#moment()), direction, step, reason });
        return;
      }
      case 'turn':
        log.warn({ code: action.reason.code }, `turns back: ${action.reason.message}`);
        await this.#append({ type: 'turned', ...(await this.#moment()), reason: action.reason });
        return;
      case 'close': {
        const { outcome, reason } = action;
        await this.#append({
          type: 'closed',
          ...(await this.#moment()),
          outcome,
          ...(reason === undefined ? {} : { reason }),
        });
        return;
      }
      case 'wait':
        // What the guards said is of no use any more once time has gone by.
        this.#guards = undefined;
        await this.#pause(signal);
        return;
      case 'end':
        return;
    }
  }

  async #act(progress: Progress, step: Step, attempt: number): Promise<void> {
    const executor = this.#executor(progress.direction, step);
    const word = wordBeforeIntent(step);
    if (word !== undefined) await this.#deps.deadMan.setWord(word);
    let detail: Record<string, string> | undefined;
    try {
      detail = await executor.detail?.(progress, attempt);
    } catch (thrown) {
      const { retryable, message } = asRlnetError(thrown);
      this.#deps.log.warn({ err: thrown, step }, `${step} cannot begin: ${message}`);
      this.#acted = { attempt: attempt - 1, error: { reason: asRlnetError(thrown).report(), retryable } };
      return;
    }
    await this.#append({
      type: 'intent',
      ...(await this.#moment()),
      direction: progress.direction,
      step,
      attempt,
      ...(detail === undefined ? {} : { detail }),
    });
    this.#guards = undefined;
    let error: RlnetError | undefined;
    // The dead man may have come between: it acts on its own from then on, and what was intended is off.
    await this.#noteTakeOver();
    if (this.progress.takenOver !== progress.takenOver) return;
    if (ruleOf(progress.direction, step).held && !(await this.#heldIsFresh())) return;
    this.#inFlight = actName(progress.direction, step, attempt);
    try {
      await executor.act(this.progress, attempt);
    } catch (thrown) {
      error = asRlnetError(thrown);
      this.#deps.log.warn({ err: thrown, step, attempt }, `${step} did not come about: ${error.message}`);
    } finally {
      this.#inFlight = undefined;
    }
    this.#acted = {
      attempt,
      error: error === undefined ? undefined : { reason: error.report(), retryable: error.retryable },
    };
  }

  /** Asked last: an agent that slept since the answer may have slept while somebody freed the lock. It asks again then. */
  async #heldIsFresh(): Promise<boolean> {
    const { at } = this.#held ?? {};
    return at !== undefined && secondsSince(at, await this.#deps.bootClock.now()) <= heldGoodFor;
  }

  async #noteTakeOver(): Promise<void> {
    if (this.progress.closed !== undefined || this.progress.takenOver !== undefined) return;
    if (!this.progress.armed) return;
    const word = await this.#deps.deadMan.takenOver();
    if (word === undefined) return;
    this.#deps.log.error({ word }, 'the dead man has acted');
    await this.#append({ type: 'taken_over', ...(await this.#moment()), direction_word: word });
  }

  /** By a timer and not by the loop: an act may take minutes, and has a bound of its own. */
  #giveSignsOfLife(): void {
    if (this.progress.armed) {
      this.#deps.deadMan.postpone().catch((thrown: unknown) => {
        this.#deps.log.error({ err: thrown }, 'the dead man could not be told that the agent is alive');
      });
    }
    this.#signOfLife = this.#deps.clock.after(signOfLifeSeconds * 1000, () => this.#giveSignsOfLife());
  }

  async #noteAbort(): Promise<void> {
    const asked = this.#abort;
    if (asked === undefined || this.progress.abort !== undefined || this.progress.closed !== undefined)
      return;
    await this.#append({ type: 'abort', ...(await this.#moment()), by: asked.by, reason: asked.reason });
    asked.noted.resolve();
  }

  async #append(record: JournalRecord): Promise<void> {
    await this.journal.append(record);
    this.#deps.changed(this.progress, record);
  }

  async #moment(): Promise<{ wall: number; at: BootTime }> {
    return { wall: this.#deps.clock.wall(), at: await this.#deps.bootClock.now() };
  }

  #executor(direction: Direction, step: Step): StepExecutor {
    const { forward, back } = this.#deps.executors;
    return direction === 'forward' ? forward[step as ForwardStep] : back[step as BackStep];
  }

  #pause(signal: AbortSignal, times = 1): Promise<void> {
    return sleep(this.#deps.clock, lookAgainMs * times, signal);
  }
}
