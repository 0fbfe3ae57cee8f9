import * as v from 'valibot';
import { addressChangeSchema } from '../address-change.ts';
import { addressSchema, familySchema, finiteSchema, nameSchema, uidSchema } from '../schema.ts';
import { unitRecordSchema } from '../unit.ts';
import { boundsSchema } from './bounds.ts';

/**
 * How the node moves. `same_subnet`: the new address is in the network of the old one. `dual_homed`: in another network
 * that is reachable now. `already_bound`: the host has it already, so nothing changes in the operating system.
 * `cut_over`: in a network that exists only once somebody has moved a port or a cloud NIC; it cannot be rehearsed.
 */
export const moveKindSchema = v.picklist(['same_subnet', 'dual_homed', 'already_bound', 'cut_over']);
export type MoveKind = v.InferOutput<typeof moveKindSchema>;

/** A node of the cluster as it was when the plan was made. */
const memberSchema = v.object({ uid: uidSchema, host: v.optional(nameSchema), address: addressSchema });
export type Member = v.InferOutput<typeof memberSchema>;

/** A place that names the old address, and who changes it. */
const referenceSchema = v.object({
  where: v.string(),
  /** `rlnet`: this renumbering does. `person`: nobody but a person can. */
  who: v.picklist(['rlnet', 'person']),
  what: v.string(),
});
export type Reference = v.InferOutput<typeof referenceSchema>;

/** The new content of one file of the configuration's owner, as a unified diff. */
const fileDiffSchema = v.object({ path: v.string(), diff: v.string() });

/** What a person decided about this renumbering. */
export const planOptionsSchema = v.object({
  /** False: stop the unit in place of the restart, which leaves the vendor's order. */
  reboot: v.boolean(),
  /** The new network exists only once somebody has moved a port; there is no rehearsal. */
  cutOver: v.boolean(),
  /** One more restart before release, which proves that the new address survives a boot. */
  proveByReboot: v.boolean(),
  /** The cluster loses its quorum while the node is out (two nodes). */
  acceptOutage: v.boolean(),
  /** Shards that have no replica and are offline while the node is out, by their ids in `redis:ID`. */
  acceptShards: v.array(v.pipe(v.number(), v.integer())),
});
export type PlanOptions = v.InferOutput<typeof planOptionsSchema>;

/** One change of one node's internal address, complete: what `plan` shows is what `start` does. */
export const planSchema = v.object({
  id: v.pipe(v.string(), v.regex(/^[0-9a-f]{12}$/)),
  /** The version of rlnet that made it. */
  version: v.string(),
  /** Wall clock, milliseconds since the epoch. */
  madeAt: finiteSchema,
  cluster: nameSchema,
  host: nameSchema,
  nodeUid: uidSchema,
  family: familySchema,
  kind: moveKindSchema,
  change: addressChangeSchema,
  /** All nodes of the cluster, by uid: the frozen set of the lock. */
  members: v.pipe(v.array(memberSchema), v.minLength(1)),
  /** The systemd unit that runs RS, as it was: what `enable` puts back. */
  unit: unitRecordSchema,
  /** Who owns the network configuration; `hook` and `manual` where rlnet does not edit it. */
  owner: v.string(),
  /** The external addresses of the node before and after, where the old internal one is among them. */
  external: v.optional(v.object({ from: v.array(addressSchema), to: v.array(addressSchema) })),
  options: planOptionsSchema,
  bounds: boundsSchema,
  /** What clients will see, in sentences. */
  effects: v.array(v.string()),
  references: v.array(referenceSchema),
  files: v.array(fileDiffSchema),
  /** How long the node is likely to be out of service, seconds. */
  estimateSeconds: finiteSchema,
});
export type Plan = v.InferOutput<typeof planSchema>;

/** More than half of the frozen set. */
export function majorityOf({ members }: Pick<Plan, 'members'>): number {
  return Math.floor(members.length / 2) + 1;
}
