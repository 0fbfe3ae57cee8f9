import type { Plan } from './plan.ts';
import type { BootTime, JournalRecord, Reason, RenumberingOutcome } from './records.ts';
import { backStepsFor, type Direction, type ForwardStep, forwardPathOf, type Step } from './steps.ts';

/** An act that was about to happen. */
export interface Intent {
  attempt: number;
  at: BootTime;
  detail: Readonly<Record<string, string>>;
}

/** Where a renumbering stands: what its journal says, and nothing else. */
export interface Progress {
  plan: Plan;
  direction: Direction;
  /** All steps of this direction, in order. */
  path: readonly Step[];
  /** The first step of the path that is not done; undefined when all are. */
  step: Step | undefined;
  /** Since when it is that step's turn, as far as this boot can tell. */
  stepSince: BootTime;
  /** The newest intent of the current step. Whether its act happened is not known from here. */
  intent: Intent | undefined;
  /** The newest intent of every step forward that was ever intended. */
  intended: ReadonlyMap<ForwardStep, Intent>;
  /** How often RS was asked for the new address. */
  registrations: number;
  /** It was asked once, and seen to hold it after that: no `addr set` of the way forward can still be under way. */
  landed: boolean;
  /** When each step of this direction was seen done. */
  done: ReadonlyMap<Step, BootTime>;
  /** Its own dead man was seen armed. Before, one that is there is of a renumbering that stopped. */
  armed: boolean;
  /** The node has rejoined at its new address: there is no way back from here. */
  committed: boolean;
  abort: { by: string; reason: string } | undefined;
  turned: Reason | undefined;
  /** The dead man acted, on this word. */
  takenOver: string | undefined;
  /** Steps of this direction that an alarm was raised for. */
  alarmed: ReadonlySet<Step>;
  closed: { outcome: RenumberingOutcome; reason: Reason | undefined } | undefined;
}

const forward: readonly Step[] = forwardPathOf({ proveByReboot: true });
const isForward = (step: Step): step is ForwardStep => forward.includes(step);

/** The steps that are left once the dead man has acted: to look, and what he knows nothing of. */
function afterTakeOver({ external }: Plan, word: string): readonly Step[] {
  return word === 'new' && external !== undefined ? ['rejoin', 'external', 'release'] : ['rejoin', 'release'];
}

/**
 * Reads a journal's records in order.
 * @throws RangeError where they are not a journal that rlnet could have written; the caller says which file
 */
export function progressOf(records: readonly JournalRecord[]): Progress {
  const [first, ...rest] = records;
  if (first?.type !== 'open') throw new RangeError('the first record is not of type open');
  const path = forwardPathOf(first.plan.options);
  let progress: Progress = {
    plan: first.plan,
    direction: 'forward',
    path,
    step: path[0],
    stepSince: first.at,
    intent: undefined,
    intended: new Map(),
    registrations: 0,
    landed: false,
    done: new Map(),
    armed: false,
    committed: false,
    abort: undefined,
    turned: undefined,
    takenOver: undefined,
    alarmed: new Set(),
    closed: undefined,
  };
  for (const record of rest) progress = advance(progress, record);
  return progress;
}

/**
 * The progress after one more record.
 * @throws RangeError as `progressOf`
 */
export function advance(progress: Progress, record: JournalRecord): Progress {
  if (progress.closed !== undefined && record.type !== 'reopened' && record.type !== 'resumed') {
    throw new RangeError(`a record of type ${record.type} follows the closing one`);
  }
  switch (record.type) {
    case 'open':
      throw new RangeError('a second record of type open');
    case 'resumed':
      // Another boot has another clock; within one, waiting goes on from where it was.
      return record.at.bootId === progress.stepSince.bootId
        ? progress
        : { ...progress, stepSince: record.at };
    case 'intent': {
      if (record.direction !== progress.direction || record.step !== progress.step) {
        throw new RangeError(`an intent for ${record.step} where ${progress.step ?? 'no step'} is due`);
      }
      const intent = { attempt: record.attempt, at: record.at, detail: record.detail ?? {} };
      const intended =
        progress.direction === 'forward' && isForward(record.step)
          ? new Map(progress.intended).set(record.step, intent)
          : progress.intended;
      const registrations = progress.registrations + (record.step === 'register' ? 1 : 0);
      return { ...progress, intent, intended, registrations, landed: progress.landed && registrations === 1 };
    }
    case 'done': {
      if (record.direction !== progress.direction || record.step !== progress.step) {
        throw new RangeError(`${record.step} is done where ${progress.step ?? 'no step'} is due`);
      }
      const done = new Map(progress.done).set(record.step, record.at);
      return {
        ...progress,
        done,
        step: progress.path.find((step) => !done.has(step)),
        stepSince: record.at,
        intent: undefined,
        landed: progress.landed || (record.step === 'register' && progress.registrations === 1),
        armed: progress.armed || record.step === 'arm',
        committed: progress.committed || (progress.direction === 'forward' && record.step === 'rejoin'),
      };
    }
    case 'abort':
      return { ...progress, abort: { by: record.by, reason: record.reason } };
    case 'turned': {
      if (progress.direction === 'back') throw new RangeError('it turned back twice');
      if (progress.committed) throw new RangeError('it turned back after the node had rejoined');
      if (progress.takenOver !== undefined)
        throw new RangeError('it turned back after the dead man had acted');
      const path = backStepsFor(new Set(progress.intended.keys()));
      return {
        ...progress,
        direction: 'back',
        path,
        step: path[0],
        stepSince: record.at,
        intent: undefined,
        done: new Map(),
        turned: record.reason,
        alarmed: new Set(),
      };
    }
    case 'alarm':
      return { ...progress, alarmed: new Set(progress.alarmed).add(record.step) };
    case 'taken_over': {
      const path = afterTakeOver(progress.plan, record.direction_word);
      return {
        ...progress,
        direction: record.direction_word === 'new' ? 'forward' : 'back',
        path,
        step: path[0],
        stepSince: record.at,
        intent: undefined,
        done: new Map(),
        takenOver: record.direction_word,
        alarmed: new Set(),
      };
    }
    case 'reopened':
      return { ...progress, closed: undefined, stepSince: record.at, intent: undefined };
    case 'closed':
      return { ...progress, closed: { outcome: record.outcome, reason: record.reason } };
  }
}

/** Seconds since a moment; since this boot began where it was in another one. */
export function secondsSince(then: BootTime, now: BootTime): number {
  return now.bootId === then.bootId ? now.seconds - then.seconds : now.seconds;
}
