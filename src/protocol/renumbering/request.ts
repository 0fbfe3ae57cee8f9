import * as v from 'valibot';
import { hostAddressSchema } from '../address-change.ts';
import { addressSchema, finiteSchema, nameSchema, uidSchema } from '../schema.ts';
import { planOptionsSchema, planSchema } from './plan.ts';
import { outcomeSchema, reasonSchema, recordSchema } from './records.ts';
import { directionSchema, stepSchema } from './steps.ts';

/** A plan that nobody started is forgotten so long after it was made, milliseconds: what it was made from is old by then. */
export const planKeptMs = 60 * 60 * 1000;

export const planIdSchema = v.pipe(v.string(), v.regex(/^[0-9a-f]{12}$/, 'Invalid plan id'));

/** Why a person did something, in their own words; in the journal and in the log of both hosts. */
export const becauseSchema = v.pipe(v.string(), v.trim(), v.minLength(1), v.maxLength(300));

/** What a person asks to be planned: everything else is found out. */
export const planRequestSchema = v.object({
  to: hostAddressSchema,
  /** The new network's gateway, in place of the old one's. */
  gateway: v.optional(addressSchema),
  /** Where the new address is to be, if not where the old one is. */
  interface: v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(15))),
  options: planOptionsSchema,
});
export type PlanRequest = v.InferOutput<typeof planRequestSchema>;

/** What a guard says of a plan; its remedy is empty where it passes. */
const guardResultSchema = v.object({
  code: v.string(),
  severity: v.picklist(['refuses', 'warns']),
  outcome: v.picklist(['pass', 'fail', 'unknown']),
  message: v.string(),
  why: v.optional(v.string()),
  remedy: v.string(),
});

/** A plan and all of its guards. There is none where what stands in the way leaves nothing to plan. */
export const planReportSchema = v.object({
  plan: v.optional(planSchema),
  guards: v.array(guardResultSchema),
});
export type PlanReport = v.InferOutput<typeof planReportSchema>;

/** The guards that keep a plan from being started: those that refuse and do not pass, which what is not known does neither. */
export function refusalsOf({ guards }: Pick<PlanReport, 'guards'>): PlanReport['guards'] {
  return guards.filter(({ severity, outcome }) => severity === 'refuses' && outcome !== 'pass');
}

/** `planned`: nobody has started it. `open`: under way. Else how it ended; one that stopped can be resumed. */
export const standingSchema = v.picklist(['planned', 'open', 'stopped', 'done', 'rolled_back']);

/** One renumbering of one host, in short. Times are wall clock, milliseconds since the epoch. */
export const renumberingSummarySchema = v.object({
  planId: v.string(),
  host: nameSchema,
  nodeUid: uidSchema,
  from: hostAddressSchema,
  to: hostAddressSchema,
  is: standingSchema,
  /** Of its newest record; when it was planned, for one that is only planned. */
  at: finiteSchema,
});
export type RenumberingSummary = v.InferOutput<typeof renumberingSummarySchema>;

/** A renumbering that is open, or has stopped and keeps the lock: a host's part in its state. */
export const openRenumberingSchema = v.object({
  planId: v.string(),
  nodeUid: uidSchema,
  from: hostAddressSchema,
  to: hostAddressSchema,
  direction: directionSchema,
  /** Absent at the end. */
  step: v.optional(stepSchema),
  /** Since when it is this step's turn. Wall clock. */
  since: finiteSchema,
  /** Why it stopped, or cannot go on; an alarm of the current step. */
  trouble: v.optional(reasonSchema),
  is: v.picklist(['open', 'stopped']),
  /** Whether it sets the node's external addresses too, as the old address is one of them. */
  movesExternal: v.optional(v.boolean()),
});
export type OpenRenumbering = v.InferOutput<typeof openRenumberingSchema>;

/** A part of a journal, small enough for one message. */
export const journalPageSchema = v.object({
  host: nameSchema,
  planId: v.string(),
  /** From number `after + 1` on. */
  records: v.array(recordSchema),
  /** There are more records than these now. */
  more: v.boolean(),
  outcome: v.optional(outcomeSchema),
});
export type JournalPage = v.InferOutput<typeof journalPageSchema>;
