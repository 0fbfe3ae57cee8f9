import * as v from 'valibot';
import { finiteSchema } from './schema.ts';

/**
 * What this agent thinks of a peer, since when (wall clock) and why. It only reports: no guard, lock or step relies on it.
 * `unreachable` is never said of a peer that a witness reaches: then the path between is broken, and it stays `suspect`.
 */
export const reachabilitySchema = v.variant('status', [
  v.object({ status: v.literal('reachable'), since: finiteSchema }),
  v.object({ status: v.literal('suspect'), since: finiteSchema, why: v.string() }),
  v.object({
    status: v.literal('unreachable'),
    since: finiteSchema,
    why: v.string(),
    /** Whether another peer said that it does not reach it either; between two hosts nobody can. */
    confirmed: v.boolean(),
  }),
]);
export type Reachability = v.InferOutput<typeof reachabilitySchema>;
