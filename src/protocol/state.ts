import * as v from 'valibot';
import { checkResultSchema, findingSchema } from './finding.ts';
import { hostsJudgementSchema } from './hosts-file.ts';
import { networkInterfaceSchema } from './interfaces.ts';
import { inventorySchema } from './inventory.ts';
import { nodeTableSchema } from './rs.ts';
import { addressSchema, familySchema, nameSchema, uidSchema } from './schema.ts';
import { unitStateSchema } from './unit.ts';

/** A `state` message lists this many addresses at most; the rest is a count, and `interfaces` has them all. */
export const maxAddressesInState = 64;

const listedAddressSchema = v.object({
  interface: v.string(),
  address: addressSchema,
  prefixLength: v.number(),
  /** Whether a socket could use it: interface active, address neither tentative nor failed. */
  usable: v.boolean(),
});

/** Why something is not known, in one sentence. */
const unknownSchema = v.object({ unknown: v.string() });

/**
 * What a host says of itself, whole: the newest replaces the one before. Wall-clock times are in milliseconds since the
 * epoch of the host's own clock.
 */
export const hostStateSchema = v.object({
  host: nameSchema,
  /** The agent's version. */
  version: v.string(),
  mode: v.picklist(['manage', 'observe']),
  /** Grows by one with each change, from 1 at each start of the agent. */
  revision: v.number(),
  nodeUid: v.optional(uidSchema),
  /** The address that RS has for this node, and so the one the agent means to use for the mesh. */
  internalAddress: v.optional(addressSchema),
  internalFamily: v.optional(familySchema),
  addresses: v.object({ listed: v.array(listedAddressSchema), more: v.number() }),
  unit: v.union([unitStateSchema, unknownSchema]),
  hostsFile: hostsJudgementSchema,
  findings: v.array(findingSchema),
});
export type HostState = v.InferOutput<typeof hostStateSchema>;

/** How this agent and another host stand to each other. */
export const linkViewSchema = v.variant('status', [
  v.object({ status: v.literal('self') }),
  v.object({
    status: v.literal('connected'),
    since: v.number(),
    address: addressSchema,
    roundTripMs: v.optional(v.number()),
  }),
  v.object({ status: v.literal('disconnected'), since: v.number(), reason: v.string() }),
]);
export type LinkView = v.InferOutput<typeof linkViewSchema>;

/** The cluster as one agent sees it; what `rlnet status` shows. */
export const clusterViewSchema = v.object({
  cluster: nameSchema,
  /** The host whose agent says so. */
  seenFrom: nameSchema,
  at: v.number(),
  internalFamily: v.optional(familySchema),
  /** RS's own node table as this host's rladmin printed it last, and when; or why there is none. */
  rs: v.union([v.object({ ...nodeTableSchema.entries, at: v.number() }), unknownSchema]),
  /** Every host that is known of. The state of a host that is not connected is the last one it sent. */
  hosts: v.array(v.object({ host: nameSchema, link: linkViewSchema, state: v.optional(hostStateSchema) })),
  /** Addresses at which an agent should be, and none was reached: since when and why. */
  unreached: v.array(v.object({ address: addressSchema, since: v.number(), reason: v.string() })),
});
export type ClusterView = v.InferOutput<typeof clusterViewSchema>;

/** A part of a host's list of interfaces, small enough for one message. */
export const interfacesPageSchema = v.object({
  host: nameSchema,
  /** When the kernel was read. */
  at: v.number(),
  interfaces: v.array(networkInterfaceSchema),
  /** Pass it as `after` for the next part; absent on the last one. */
  next: v.optional(v.number()),
  /** Speed and driver per link, from the slow inventory; on the first part only. */
  inventory: v.optional(inventorySchema),
});
export type InterfacesPage = v.InferOutput<typeof interfacesPageSchema>;

export const checkReportSchema = v.object({
  host: nameSchema,
  nodeUid: v.optional(uidSchema),
  results: v.array(checkResultSchema),
});
export type CheckReport = v.InferOutput<typeof checkReportSchema>;
