import * as v from 'valibot';
import { planSchema } from './plan.ts';
import { directionSchema, stepSchema } from './steps.ts';

/** A moment on the boot clock: which boot, and how long since it (CLOCK_BOOTTIME, seconds). */
export const bootTimeSchema = v.object({ bootId: v.string(), seconds: v.pipe(v.number(), v.finite()) });
export type BootTime = v.InferOutput<typeof bootTimeSchema>;

/** Why something is refused, undone or given up: a stable code, one sentence, a remedy. */
export const reasonSchema = v.object({ code: v.string(), message: v.string(), remedy: v.string() });
export type Reason = v.InferOutput<typeof reasonSchema>;

const common = {
  /** Wall clock in milliseconds; for people. */
  wall: v.pipe(v.number(), v.finite()),
  at: bootTimeSchema,
};
const step = { direction: directionSchema, step: stepSchema };

/** How a renumbering ends. */
export const outcomeSchema = v.picklist(['done', 'rolled_back', 'stopped']);
export type RenumberingOutcome = v.InferOutput<typeof outcomeSchema>;

/**
 * What the journal of a renumbering holds, one record a line. An append-only list of types: a journal of another version
 * with a type that is not here stops the agent from going on with it.
 */
export const recordSchema = v.variant('type', [
  /** The first one. */
  v.object({ type: v.literal('open'), ...common, plan: planSchema }),
  /** An agent has taken the journal up: at its start, after a crash or a boot. */
  v.object({ type: v.literal('resumed'), ...common }),
  /** About to act. `attempt` counts from 1 within a direction; `detail` is what the act needs to be known by later. */
  v.object({
    type: v.literal('intent'),
    ...common,
    ...step,
    attempt: v.pipe(v.number(), v.integer(), v.minValue(1)),
    detail: v.optional(v.record(v.string(), v.string())),
  }),
  /**
   * Seen to be so, with what was seen. `rsMs`, `ownerMs`: for how many milliseconds of the step, in this run of the agent, rladmin was waited
   * for, and the owner of the network configuration.
   */
  v.object({
    type: v.literal('done'),
    ...common,
    ...step,
    evidence: v.string(),
    rsMs: v.optional(v.pipe(v.number(), v.minValue(0))),
    ownerMs: v.optional(v.pipe(v.number(), v.minValue(0))),
  }),
  /** From here on the way leads back. */
  v.object({ type: v.literal('turned'), ...common, reason: reasonSchema }),
  /** A person asked for it. */
  v.object({ type: v.literal('abort'), ...common, by: v.string(), reason: v.string() }),
  /** Something that a person should know, at once. */
  v.object({ type: v.literal('alarm'), ...common, ...step, reason: reasonSchema }),
  /** The dead man acted; the agent does no more than look and report. */
  v.object({ type: v.literal('taken_over'), ...common, direction_word: v.string() }),
  /** A person asked to go on after a stop. */
  v.object({ type: v.literal('reopened'), ...common, by: v.string() }),
  v.object({
    type: v.literal('closed'),
    ...common,
    outcome: outcomeSchema,
    reason: v.optional(reasonSchema),
  }),
]);
export type JournalRecord = v.InferOutput<typeof recordSchema>;
