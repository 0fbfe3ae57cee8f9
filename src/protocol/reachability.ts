import * as v from 'valibot';

/**
 * What this agent thinks of a peer, since when (wall clock) and why. It only reports: no guard, lock or step relies on it.
 * `unreachable` is never said of a peer that a witness reaches: then the path between is broken, and it stays `suspect`.
 */
export const reachabilitySchema = v.variant('status', [
  v.object({ status: v.literal('reachable'), since: v.number() }),
  v.object({ status: v.literal('suspect'), since: v.number(), why: v.string() }),
  v.object({
    status: v.literal('unreachable'),
    since: v.number(),
    why: v.string(),
    /** Whether another peer said that it does not reach it either; between two hosts nobody can. */
    confirmed: v.boolean(),
  }),
]);
export type Reachability = v.InferOutput<typeof reachabilitySchema>;
