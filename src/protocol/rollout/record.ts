import * as v from 'valibot';
import { reasonSchema } from '../renumbering/records.ts';
import type { standingSchema } from '../renumbering/request.ts';
import { finiteSchema, nameSchema } from '../schema.ts';
import { declarationSchema, isInWindow } from './declaration.ts';
import { changeSchema } from './difference.ts';

/**
 * `waiting`: its turn has not come. `begun`: on disk before anything was asked of anybody; of a renumbering the plan is known then.
 * `failed` ends the rollout.
 */
const stepSchema = v.object({
  change: changeSchema,
  is: v.picklist(['waiting', 'begun', 'done', 'failed']),
  planId: v.optional(v.string()),
  /** Wall clock, milliseconds. */
  beganAt: v.optional(finiteSchema),
  endedAt: v.optional(finiteSchema),
});
export type RolloutStep = v.InferOutput<typeof stepSchema>;

const pauseSchema = v.object({ by: v.string(), reason: v.string(), at: finiteSchema });

/** One rollout, whole: what its leader has on disk. Times are wall clock, milliseconds since the epoch. */
export const rolloutSchema = v.object({
  id: v.string(),
  /** The host whose agent leads it. */
  leader: nameSchema,
  by: v.string(),
  startedAt: finiteSchema,
  declaration: declarationSchema,
  steps: v.array(stepSchema),
  paused: v.optional(pauseSchema),
  /** Why the next node's turn has not come, and since when. */
  holds: v.optional(v.object({ why: v.string(), since: finiteSchema })),
  /** Absent while it is open. */
  outcome: v.optional(v.picklist(['done', 'stopped'])),
  reason: v.optional(reasonSchema),
});
export type Rollout = v.InferOutput<typeof rolloutSchema>;

/** A rollout in short, as its leader tells the others in its state. */
export const rolloutSummarySchema = v.object({
  id: v.string(),
  by: v.string(),
  startedAt: finiteSchema,
  is: v.picklist(['open', 'paused', 'done', 'stopped']),
  done: finiteSchema,
  of: finiteSchema,
  /** The node whose turn it is, while one has it. */
  node: v.optional(finiteSchema),
  holds: v.optional(v.string()),
  reason: v.optional(reasonSchema),
});
export type RolloutSummary = v.InferOutput<typeof rolloutSummarySchema>;

export function summaryOf(rollout: Rollout): RolloutSummary {
  const { id, by, startedAt, steps, outcome, paused, holds, reason } = rollout;
  const current = steps.find(({ is }) => is === 'begun' || is === 'failed');
  return {
    id,
    by,
    startedAt,
    is: outcome ?? (paused === undefined ? 'open' : 'paused'),
    done: steps.filter(({ is }) => is === 'done').length,
    of: steps.length,
    ...(current === undefined ? {} : { node: current.change.node }),
    ...(holds === undefined ? {} : { holds: holds.why }),
    ...(reason === undefined ? {} : { reason }),
  };
}

/** What a rollout goes by, freshly read. */
export interface RolloutFacts {
  /** Wall clock, milliseconds. */
  now: number;
  /** Why the cluster is not fit for the next node, where it is not. What could not be read is no fitness. */
  unfit: string | undefined;
  /** Of the renumbering that has begun: how it stands; undefined where its agent does not answer or does not know it. */
  standing: v.InferOutput<typeof standingSchema> | 'not_known' | undefined;
}

export type RolloutAction =
  /** Begin the step with this index, or go on with one that has begun and was not asked for yet. */
  | { act: 'begin'; index: number }
  /** Start the plan of a renumbering that is only planned: the agent ended between its record and the start. */
  | { act: 'start'; index: number }
  | { act: 'watch'; index: number }
  | { act: 'finish_step'; index: number }
  | { act: 'hold'; why: string }
  | { act: 'stop'; code: string; message: string; remedy: string }
  | { act: 'finish' };

/** How long the gate between two nodes may be shut. Milliseconds. */
const gateMs = 30 * 60_000;

/**
 * What is next. One node at a time; a pause and the windows hold it between nodes and never inside one; the first failure stops it.
 */
export function nextOf(rollout: Rollout, facts: RolloutFacts): RolloutAction | undefined {
  if (rollout.outcome !== undefined) return undefined;
  const begun = rollout.steps.findIndex(({ is }) => is === 'begun');
  if (begun !== -1) return nextOfStep(rollout, begun, facts);
  const index = rollout.steps.findIndex(({ is }) => is === 'waiting');
  if (index === -1) {
    // The end has the same gate as the way from one node to the next.
    return facts.unfit === undefined ? { act: 'finish' } : held(rollout, facts, facts.unfit);
  }
  if (rollout.paused !== undefined)
    return { act: 'hold', why: `paused by ${rollout.paused.by}: ${rollout.paused.reason}` };
  if (!isInWindow(rollout.declaration.windows, facts.now))
    return { act: 'hold', why: 'no maintenance window is open' };
  return facts.unfit === undefined ? { act: 'begin', index } : held(rollout, facts, facts.unfit);
}

function nextOfStep({ steps }: Rollout, index: number, { standing }: RolloutFacts): RolloutAction {
  const step = steps[index];
  // What sets external addresses can be done twice.
  if (step === undefined || step.change.kind === 'external' || step.planId === undefined)
    return { act: 'begin', index };
  const { node } = step.change;
  switch (standing) {
    case 'planned':
      return { act: 'start', index };
    case 'not_known':
      // Its time was over before it was started, and nothing was done.
      return { act: 'begin', index };
    case 'done':
      return { act: 'finish_step', index };
    case 'rolled_back':
    case 'stopped':
      return {
        act: 'stop',
        code: 'ROLLOUT_STEP_FAILED',
        message: `The renumbering ${step.planId} of node ${node} ${standing === 'stopped' ? 'has stopped' : 'was rolled back'}.`,
        remedy: `See rlnet renumber show ${step.planId}; mend what it names, then apply the file again: what is done is not done twice.`,
      };
    case 'open':
    case undefined:
      return { act: 'watch', index };
  }
}

function held({ holds }: Rollout, { now }: RolloutFacts, why: string): RolloutAction {
  if (holds === undefined || now - holds.since < gateMs) return { act: 'hold', why };
  return {
    act: 'stop',
    code: 'ROLLOUT_GATE_SHUT',
    message: `For ${gateMs / 60_000} minutes the cluster was not fit for the next node: ${why}.`,
    remedy: 'Mend that, then apply the file again: what is done is not done twice.',
  };
}
