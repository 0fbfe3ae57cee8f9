import * as v from 'valibot';
import { finiteSchema } from './schema.ts';

/** How bad it is: `error` stops or will stop service, `warning` is a risk, `info` is worth knowing. */
export const severitySchema = v.picklist(['error', 'warning', 'info']);
export type Severity = v.InferOutput<typeof severitySchema>;

/**
 * What one check found on one host. `pass` is said only when it was seen; what could not be found out is `unknown`.
 * `not_applicable`: the question does not arise, such as the address of a host that is not a node yet.
 * Codes are stable and append-only.
 */
export const checkResultSchema = v.object({
  code: v.string(),
  title: v.string(),
  outcome: v.picklist(['pass', 'fail', 'unknown', 'not_applicable']),
  severity: severitySchema,
  /** What was seen, literally where possible. */
  evidence: v.string(),
  /** What a person does about it. */
  remedy: v.string(),
  /** The code of the check that fails and is the cause of this one. */
  behind: v.optional(v.string()),
});
export type CheckResult = v.InferOutput<typeof checkResultSchema>;

/** A check that has failed, or whose answer is unknown, for long enough for people to see it; and since when (wall clock, milliseconds since the epoch). */
export const findingSchema = v.object({ ...checkResultSchema.entries, since: finiteSchema });
export type Finding = v.InferOutput<typeof findingSchema>;
