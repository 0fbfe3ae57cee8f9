import * as v from 'valibot';
import { checkResultSchema, findingSchema } from './finding.ts';
import { hostsJudgementSchema, hostsMendSchema } from './hosts-file.ts';
import { networkInterfaceSchema } from './interfaces.ts';
import { inventorySchema } from './inventory.ts';
import { reachabilitySchema } from './reachability.ts';
import { toldLockSchema } from './renumbering/lock.ts';
import { openRenumberingSchema } from './renumbering/request.ts';
import { rolloutSummarySchema } from './rollout/record.ts';
import { nodeTableSchema } from './rs.ts';
import { addressSchema, familySchema, finiteSchema, nameSchema, uidSchema } from './schema.ts';
import { unitStateSchema } from './unit.ts';

/** A `state` message lists this many addresses at most; the rest is a count, and `interfaces` has them all. */
export const maxAddressesInState = 64;

const listedAddressSchema = v.object({
  interface: v.string(),
  address: addressSchema,
  prefixLength: finiteSchema,
  /** Whether a socket could use it: interface active, address neither tentative nor failed. */
  usable: v.boolean(),
});

/** And so many peers for others to find them: more than a cluster has nodes. */
export const maxKnownInState = 128;

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
  revision: finiteSchema,
  nodeUid: v.optional(uidSchema),
  /** The address that RS has for this node, and so the one the agent means to use for the mesh. */
  internalAddress: v.optional(addressSchema),
  internalFamily: v.optional(familySchema),
  /** Another one whenever this host reads something else in RS's node table; of no meaning beyond that. Absent while it has none. */
  rsTable: v.optional(v.pipe(v.string(), v.maxLength(64))),
  addresses: v.object({
    listed: v.pipe(v.array(listedAddressSchema), v.maxLength(maxAddressesInState)),
    more: finiteSchema,
  }),
  unit: v.union([unitStateSchema, unknownSchema]),
  hostsFile: hostsJudgementSchema,
  findings: v.array(findingSchema),
  /** What this agent knows of the cluster's lock; absent from agents that know no lock. */
  lock: v.optional(toldLockSchema),
  /** The renumbering of this host that is open, or has stopped and keeps the lock. */
  renumbering: v.optional(openRenumberingSchema),
  /** The newest rollout that this host's agent led, or leads. */
  rollout: v.optional(rolloutSummarySchema),
  /** The hosts that it is linked to, for others to find them. Each speaks for its own address; this is a hint whom to dial. */
  knows: v.pipe(
    v.array(v.object({ host: nameSchema, address: addressSchema })),
    v.maxLength(maxKnownInState),
  ),
});
export type HostState = v.InferOutput<typeof hostStateSchema>;

/** How this agent and another host stand to each other. */
export const linkViewSchema = v.variant('status', [
  v.object({ status: v.literal('self') }),
  v.object({
    status: v.literal('connected'),
    since: finiteSchema,
    address: addressSchema,
    roundTripMs: v.optional(finiteSchema),
    reachability: reachabilitySchema,
  }),
  v.object({
    status: v.literal('disconnected'),
    since: finiteSchema,
    reason: v.string(),
    reachability: reachabilitySchema,
  }),
]);
export type LinkView = v.InferOutput<typeof linkViewSchema>;

/** The cluster as one agent sees it; what `rlnet status` shows. */
export const clusterViewSchema = v.object({
  cluster: nameSchema,
  /** The host whose agent says so. */
  seenFrom: nameSchema,
  at: finiteSchema,
  internalFamily: v.optional(familySchema),
  /** RS's own node table as this host's rladmin printed it last, and when; or why there is none. */
  rs: v.union([v.object({ ...nodeTableSchema.entries, at: finiteSchema }), unknownSchema]),
  /** Every host that is known of. The state of a host that is not connected is the last one it sent. */
  hosts: v.array(v.object({ host: nameSchema, link: linkViewSchema, state: v.optional(hostStateSchema) })),
  /** Addresses at which an agent should be, and none was reached: since when and why. */
  unreached: v.array(v.object({ address: addressSchema, since: finiteSchema, reason: v.string() })),
});
export type ClusterView = v.InferOutput<typeof clusterViewSchema>;

/** A part of a host's list of interfaces, small enough for one message. */
export const interfacesPageSchema = v.object({
  host: nameSchema,
  /** When the kernel was read. */
  at: finiteSchema,
  interfaces: v.array(networkInterfaceSchema),
  /** Pass it as `after` for the next part; absent on the last one. */
  next: v.optional(finiteSchema),
  /** As in the host's state; on the first part only, as is the inventory. */
  internalFamily: v.optional(familySchema),
  internalAddress: v.optional(addressSchema),
  /** Speed and driver per link, from the slow inventory. */
  inventory: v.optional(inventorySchema),
});
export type InterfacesPage = v.InferOutput<typeof interfacesPageSchema>;

export const checkReportSchema = v.object({
  host: nameSchema,
  nodeUid: v.optional(uidSchema),
  results: v.array(checkResultSchema),
});
export type CheckReport = v.InferOutput<typeof checkReportSchema>;

/** What was done about what a check found, and the check after that. */
export const fixReportSchema = v.object({
  /** Codes of findings that were mended, with how. A finding that is not here cannot be mended by the agent, or was not there. */
  fixed: v.object({ HOSTS_LOCALHOST_IPV6_MISSING: v.optional(hostsMendSchema) }),
  ...checkReportSchema.entries,
});
export type FixReport = v.InferOutput<typeof fixReportSchema>;

/** What an agent tells a host that is no node yet, and may be about to become one. */
export const aboutSchema = v.object({
  internalFamily: v.optional(familySchema),
  version: v.string(),
  /** Its wall clock, milliseconds since the epoch. */
  clock: finiteSchema,
  /** Renumberings that are under way, as far as it knows. */
  openRenumberings: v.array(v.string()),
  /** RS's nodes, as the agent read them last; absent where it knows none, and from agents that do not say. */
  nodes: v.optional(v.array(v.object({ uid: uidSchema, address: v.optional(addressSchema) }))),
});
export type About = v.InferOutput<typeof aboutSchema>;

/** What the agents that are linked say to a host that may be about to become a node. */
export const meshAboutSchema = v.object({
  hosts: v.array(
    v.union([
      v.object({
        host: nameSchema,
        about: aboutSchema,
        /** How far its wall clock is ahead of the asking host's, milliseconds; half of the round trip is taken off. */
        clockAheadMs: finiteSchema,
      }),
      v.object({ host: nameSchema, ...unknownSchema.entries }),
    ]),
  ),
});
export type MeshAbout = v.InferOutput<typeof meshAboutSchema>;

/** What became of a TCP connection to a port of an address. A refusal is an answer: the path is open. */
export const portReachSchema = v.object({
  port: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535)),
  outcome: v.picklist(['connected', 'refused', 'unreachable', 'unknown']),
  why: v.optional(v.string()),
});
export type PortReach = v.InferOutput<typeof portReachSchema>;

/** How the hosts of nodes that are linked reach an address of the asking one. */
export const meshReachSchema = v.object({
  hosts: v.array(
    v.union([
      v.object({ host: nameSchema, ports: v.array(portReachSchema) }),
      v.object({ host: nameSchema, ...unknownSchema.entries }),
    ]),
  ),
});
export type MeshReach = v.InferOutput<typeof meshReachSchema>;

/** One host's side of its links. */
export const linksSchema = v.object({
  host: nameSchema,
  links: v.array(
    v.object({
      host: nameSchema,
      linked: v.boolean(),
      /** Since when it is linked, or not. Wall clock. */
      since: finiteSchema,
      address: v.optional(addressSchema),
      reachability: reachabilitySchema,
      roundTripMs: v.optional(finiteSchema),
      /** Which part of the last pings brought no echo in time, 0 to 1. */
      loss: v.optional(finiteSchema),
      /** Bytes; what the kernel has found for the link's socket. */
      pathMtu: v.optional(finiteSchema),
    }),
  ),
  /** How many peers were turned away since the start of the agent, by code. */
  refusals: v.record(v.string(), finiteSchema),
});
export type Links = v.InferOutput<typeof linksSchema>;

/** Both sides of every pair, from every agent that answered. */
export const meshViewSchema = v.object({
  seenFrom: nameSchema,
  at: finiteSchema,
  hosts: v.array(v.union([linksSchema, v.object({ host: nameSchema, ...unknownSchema.entries })])),
});
export type MeshView = v.InferOutput<typeof meshViewSchema>;
