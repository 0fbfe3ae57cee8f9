import { type AfterBound, type BoundName, bounds } from './bounds.ts';
import type { Probe } from './probe.ts';
import { type Progress, secondsSince } from './progress.ts';
import type { BootTime, Reason, RenumberingOutcome } from './records.ts';
import {
  type BackStep,
  backRules,
  type Direction,
  type ForwardStep,
  forwardRules,
  type Step,
  type StepRule,
} from './steps.ts';

/** What this run of the agent knows beside the journal. */
export interface Facts {
  now: BootTime;
  /** Of the current step, just read. */
  probe: Probe;
  /** The guards of the current step, if they were asked since its last act: the refusals, none for a pass, and when they were known. */
  guards: { at: BootTime; refusals: readonly Reason[] } | undefined;
  /** The newest answer of a majority whether the lock is still held, with the moment of the question. */
  held: { at: BootTime; is: 'held' | 'lost' | 'absent' | 'unknown' } | undefined;
  /** What came of the current intent's act, if this run of the agent did it. */
  acted: { attempt: number; error: { reason: Reason; retryable: boolean } | undefined } | undefined;
}

/** The one thing to do next. */
export type Action =
  /** Write the intent, then act. */
  | { do: 'act'; step: Step; attempt: number }
  /** Ask the outage guards. */
  | { do: 'ask_guards'; step: Step }
  /** Ask a majority whether the lock is still held. */
  | { do: 'ask_held'; step: Step }
  | { do: 'note_done'; step: Step; evidence: string }
  | { do: 'alarm'; step: Step; reason: Reason }
  | { do: 'turn'; reason: Reason }
  | { do: 'close'; outcome: RenumberingOutcome; reason: Reason | undefined }
  /** Look again soon. */
  | { do: 'wait'; for: string }
  /** It is over. */
  | { do: 'end' };

/** "Still held" is good for so long, in seconds of boot time: less than any takeover by a person needs. */
export const heldGoodFor = 5;
/** And what the guards said, until the act: long enough to ask for the lock in between, and for nothing else. */
export const guardsGoodFor = 15;
/** A step is tried so often, whatever the reason for trying again. */
export const maxAttempts = 10;

const forwardBounds: Readonly<Record<ForwardStep, BoundName>> = {
  claim: 'claim',
  preflight: 'rehearse',
  rehearse: 'rehearse',
  arm: 'unit',
  demote: 'demote',
  disable: 'unit',
  restart: 'restart',
  readdress: 'readdress',
  register: 'down',
  external: 'down',
  enable: 'unit',
  start: 'start',
  rejoin: 'rejoin',
  prove: 'restart',
  release: 'resync',
};

/** The wait of a step: seconds, and what follows. */
export function boundOf(
  { plan, direction, committed, intent }: Progress,
  step: Step,
): { seconds: number; after: AfterBound } {
  // Back in service, only the lock is left: nothing to stop for.
  if (direction === 'back')
    return { seconds: plan.bounds.back, after: step === 'release' ? 'alarm' : 'stop' };
  const name = forwardBounds[step as ForwardStep];
  // Registering may be asked of three registrars, one after the other, each with its own wait for DOWN.
  const seconds = step === 'register' ? 3 * (plan.bounds.down + plan.bounds.rladmin) + 60 : plan.bounds[name];
  // What was not begun can be left: only a host that is on its way down, or back, is waited for without an end.
  const after = bounds[name].after === 'alarm' && intent === undefined ? 'turn' : bounds[name].after;
  return { seconds, after: committed ? 'alarm' : after };
}

/** What has to be known before the act of a step. */
export function ruleOf(direction: Direction, step: Step): StepRule {
  return direction === 'forward' ? forwardRules[step as ForwardStep] : backRules[step as BackStep];
}

/**
 * The heart of a renumbering: what to do next, from what the journal says and what reality shows. Pure.
 *
 * It never acts on an unknown, never goes past a step that reality does not show done, and gives each wait its bound.
 */
export function nextAction(progress: Progress, facts: Facts): Action {
  const { direction, step, committed } = progress;
  if (progress.closed !== undefined) return { do: 'end' };
  if (step === undefined) {
    return {
      do: 'close',
      outcome: direction === 'forward' ? 'done' : 'rolled_back',
      reason: progress.turned ?? (direction === 'back' ? broughtBack : undefined),
    };
  }
  if (progress.takenOver === 'both') return stopAfterTakeOver(progress.takenOver);
  // What the dead man has brought up is not taken down again for an abort.
  if (progress.abort !== undefined && direction === 'forward' && progress.takenOver === undefined) {
    if (!committed) return { do: 'turn', reason: abortReason(progress.abort) };
    if (step === 'prove' && progress.intent === undefined)
      return leftOut(step, `${progress.abort.by} asked to abort`);
  }
  const { probe } = facts;
  if (probe.is === 'done') return { do: 'note_done', step, evidence: probe.evidence };
  if (probe.is === 'failed') {
    return giveUp(progress, step, probe.reason) ?? { do: 'wait', for: probe.reason.message };
  }

  // Neither a bound nor a failed attempt may take a node back that is in service.
  if (probe.is === 'soaking') return { do: 'wait', for: probe.evidence };

  const acted = facts.acted?.attempt === (progress.intent?.attempt ?? 0) ? facts.acted : undefined;
  const error = acted?.error;
  // Without its quorum RS is likely to refuse for as long as the node is out: the way back is not put off by trying again.
  const isFinal = error?.retryable === false || (step === 'register' && progress.plan.options.acceptOutage);
  if (error !== undefined && isFinal) {
    const given = giveUp(progress, step, error.reason);
    if (given !== undefined) return given;
  }
  const bound = boundOf(progress, step);
  const overdue = secondsSince(progress.stepSince, facts.now) > bound.seconds;
  const attempt = (progress.intent?.attempt ?? 0) + 1;
  if (overdue || attempt > maxAttempts) {
    const reason =
      attempt > maxAttempts
        ? tooManyAttempts(step, error?.reason)
        : tooLate(step, bound.seconds, probe, error?.reason);
    const given = giveUp(progress, step, reason, bound.after);
    if (given !== undefined) return given;
  }
  if (probe.is === 'unknown') return { do: 'wait', for: probe.why };
  // Acted on in this run, and without an error: it takes its time. After an alarm it is tried again, once in so long.
  if (acted !== undefined && error === undefined && progress.intent !== undefined) {
    const isDue = secondsSince(progress.intent.at, facts.now) > bound.seconds;
    if (!isDue) return { do: 'wait', for: probe.evidence };
  }
  return leaveFor(progress, facts, step) ?? { do: 'act', step, attempt };
}

function leftOut(step: Step, why: string): Action {
  return { do: 'note_done', step, evidence: `left out: ${why}` };
}

/** What has to be asked, or stands in the way, before the act; undefined when nothing does. */
function leaveFor(progress: Progress, facts: Facts, step: Step): Action | undefined {
  const rule = ruleOf(progress.direction, step);
  if (rule.guards && progress.takenOver === undefined) {
    const { guards, now } = facts;
    if (guards === undefined || secondsSince(guards.at, now) > guardsGoodFor)
      return { do: 'ask_guards', step };
    const [refusal] = guards.refusals;
    if (refusal !== undefined) {
      if (step === 'prove' && progress.alarmed.has(step)) return leftOut(step, refusal.message);
      return progress.committed ? { do: 'wait', for: refusal.message } : { do: 'turn', reason: refusal };
    }
  }
  if (!rule.held) return undefined;
  const { held } = facts;
  if (
    held === undefined ||
    held.is === 'unknown' ||
    held.is === 'absent' ||
    secondsSince(held.at, facts.now) > heldGoodFor
  ) {
    return { do: 'ask_held', step };
  }
  return held.is === 'held' ? undefined : withoutLock(progress, step);
}

/**
 * Somebody freed the lock: from here on, service is restored and nothing else is changed. Where RS holds the old address
 * the way leads back, where it holds the new one it goes on; where that is open the dead man has both addresses to offer.
 */
function withoutLock({ direction, intended }: Progress, step: Step): Action {
  if (direction === 'forward' && (step === 'external' || step === 'prove')) {
    return leftOut(step, 'the lock was freed by somebody else');
  }
  if (direction === 'forward' && !intended.has('register')) return { do: 'turn', reason: lockLost };
  return { do: 'close', outcome: 'stopped', reason: lockLost };
}

/**
 * What follows when a step does not come about.
 * @returns undefined where an alarm was raised already and there is nothing better than to go on trying
 */
function giveUp(
  progress: Progress,
  step: Step,
  reason: Reason,
  after: AfterBound = 'turn',
): Action | undefined {
  if (after === 'alarm' || progress.committed) {
    if (!progress.alarmed.has(step)) return { do: 'alarm', step, reason };
    // The node is in service, and others wait for the lock: what it can do without is left out.
    const isLeftOut = step === 'external' || (step === 'prove' && progress.intent === undefined);
    return isLeftOut ? leftOut(step, reason.message) : undefined;
  }
  if (progress.direction === 'back' || progress.takenOver !== undefined || after === 'stop') {
    return { do: 'close', outcome: 'stopped', reason };
  }
  return { do: 'turn', reason };
}

function stopAfterTakeOver(word: string): Action {
  return {
    do: 'close',
    outcome: 'stopped',
    reason: {
      code: 'DEAD_MAN_ACTED',
      message: `The dead man brought the unit up again (direction ${word}), with both addresses bound.`,
      remedy: 'Look in rladmin status nodes which address RS holds, and run rlnet rescue for the commands.',
    },
  };
}

/** The way back that nobody turned to: the agent was gone before RS was asked for the new address. */
const broughtBack: Reason = {
  code: 'DEAD_MAN_ACTED',
  message:
    'The dead man brought the unit up at the old address, as the agent gave no sign of life for too long.',
  remedy: 'Look in the journal of the host why the agent was away (journalctl -u rlnet); then plan anew.',
};

const lockLost: Reason = {
  code: 'LOCK_LOST',
  message: 'The lock of this renumbering was freed by somebody else while it was under way.',
  remedy: 'See rlnet lock show for who freed it and why; the node is being brought back into service.',
};

function abortReason({ by, reason }: { by: string; reason: string }): Reason {
  return {
    code: 'ABORTED',
    message: `${by} asked to abort: ${reason}.`,
    remedy: 'Plan anew when you are ready.',
  };
}

function tooLate(step: Step, seconds: number, probe: Probe, error: Reason | undefined): Reason {
  if (error === undefined && probe.is === 'not_done' && probe.overdue !== undefined) return probe.overdue;
  const seen = probe.is === 'unknown' ? probe.why : probe.is === 'not_done' ? probe.evidence : '';
  const last = error === undefined ? '' : ` The last attempt said: ${error.message}`;
  return {
    code: 'STEP_TIMEOUT',
    message: `${step} was not through after ${seconds} s: ${seen}.${last}`,
    remedy:
      error?.remedy ?? 'rlnet renumber show has all that was seen; docs/address-change.md explains the step.',
  };
}

function tooManyAttempts(step: Step, error: Reason | undefined): Reason {
  return {
    code: error?.code ?? 'STEP_TIMEOUT',
    message: `${step} was begun ${maxAttempts} times and not seen done.${error === undefined ? '' : ` The last attempt said: ${error.message}`}`,
    remedy: error?.remedy ?? 'Look in the journal of the host why the agent was started again so often.',
  };
}
