import * as v from 'valibot';
import { externalNodeSchema, externalReportSchema, externalRequestSchema } from './external.ts';
import { claimSchema, toldLockSchema } from './renumbering/lock.ts';
import { reasonSchema } from './renumbering/records.ts';
import {
  becauseSchema,
  journalPageSchema,
  planIdSchema,
  planReportSchema,
  planRequestSchema,
  renumberingSummarySchema,
} from './renumbering/request.ts';
import { declarationSchema } from './rollout/declaration.ts';
import { differenceSchema } from './rollout/difference.ts';
import { rolloutSchema } from './rollout/record.ts';
import { nodeTableSchema, rsNodeSchema } from './rs.ts';
import { addressSchema, nameSchema, uidSchema } from './schema.ts';
import {
  aboutSchema,
  checkReportSchema,
  clusterViewSchema,
  fixReportSchema,
  interfacesPageSchema,
  linksSchema,
  meshAboutSchema,
  meshReachSchema,
  meshViewSchema,
  portReachSchema,
} from './state.ts';
import { macSchema, maxNeighbours, neighbourSchema, wireReportSchema } from './wire.ts';

/** A node uid or a host's name, as a person gives it on the command line. */
const nodeReferenceSchema = v.pipe(v.string(), v.minLength(1), v.maxLength(64));

/**
 * Who asks. Peers are told apart by their TLS identity and this host's own view of RS, never by what a message says.
 * `candidate`: an agent of the cluster whose host is not a node yet, as far as is known here. `member`: one whose host is; it may do all that a
 * candidate may. `read`: /run/rlnet/read.sock (group rlnet). `act`: /run/rlnet/agent.sock (root); it may do all that `read` may.
 */
export type Caller = 'candidate' | 'member' | 'read' | 'act';

/** Who asks, and from which host: a peer's by its certificate, this host's own for the command line. */
export interface Asker {
  caller: Caller;
  host: string;
}

const node = v.object({ node: v.optional(nodeReferenceSchema) });
const host = v.object({ host: nameSchema });
const address = v.object({ address: addressSchema });
/** Ports of one address that are to be tried. */
const reachedPorts = v.object({
  ...address.entries,
  ports: v.pipe(v.array(portReachSchema.entries.port), v.maxLength(16)),
});

const actSchema = v.pipe(v.string(), v.maxLength(64));

/** What a registration carries beside the address: by what right, for which act, and how long it may take (seconds). */
const registrationEntries = {
  claim: claimSchema,
  nodeUid: uidSchema,
  /** Which act of the target this belongs to: direction, step and attempt. */
  act: actSchema,
  downSeconds: v.pipe(v.number(), v.minValue(0), v.maxValue(3_600)),
  rladminSeconds: v.pipe(v.number(), v.minValue(1), v.maxValue(600)),
};

/** Who asks for an operation, as the command line knows them; the agents add the host. */
const by = v.pipe(v.string(), v.trim(), v.minLength(1), v.maxLength(64));
const renumbering = v.object({ planId: planIdSchema, by });
const unknown = v.object({ host: nameSchema, unknown: v.string() });

/** Every method, with the least caller that may ask for it. Append-only; a method that is not here is refused. */
export const methods = {
  /** What a host must know that is to become a node. */
  about: { callers: ['candidate'], params: v.object({}), result: aboutSchema },
  /** Connects to TCP ports of an address of the asking host, from the answering host's internal address. Up to 3 s. */
  reach_ports: {
    callers: ['candidate'],
    params: reachedPorts,
    result: v.object({ ports: v.array(portReachSchema) }),
  },
  /** The cluster as the answering agent sees it. */
  status: { callers: ['read'], params: v.object({}), result: clusterViewSchema },
  /** As `status`, and from then on a `status` event whenever it changes, until the connection ends. */
  watch: { callers: ['read'], params: v.object({}), result: clusterViewSchema },
  /** One part of a host's interfaces; of the answering host itself, or through it of another one. */
  interfaces: {
    callers: ['member', 'read'],
    params: v.object({ ...node.entries, after: v.optional(v.number()) }),
    result: interfacesPageSchema,
  },
  /** Reads everything afresh, runs every check, and says all results, those that passed too. */
  check: { callers: ['member', 'read'], params: node, result: checkReportSchema },
  /** Mends on the answering host what a check found and the agent can mend, and checks again. */
  fix: { callers: ['act'], params: node, result: fixReportSchema },
  /** Milliseconds since the newest echo of a host; absent where there is none. */
  reaches: { callers: ['member'], params: host, result: v.object({ echoAgeMs: v.optional(v.number()) }) },
  /** The answering host's side of its links. */
  links: { callers: ['member'], params: v.object({}), result: linksSchema },
  /** The links of every host that answers. */
  mesh: { callers: ['read'], params: v.object({}), result: meshViewSchema },
  /** Forgets a host that has left for good. */
  forget: { callers: ['act'], params: host, result: v.object({ forgotten: v.boolean() }) },
  /** Lets a host come from another machine than it came from so far. */
  unpin: { callers: ['act'], params: host, result: v.object({ unpinned: v.boolean() }) },
  /** Asks the answering host's wire who has an address. Takes up to 5 s; one address at a time. */
  wire: { callers: ['member'], params: address, result: wireReportSchema },
  /** What the answering host's neighbour tables have of an address, as they are. */
  neighbours: {
    callers: ['member'],
    params: address,
    result: v.object({ neighbours: v.pipe(v.array(neighbourSchema), v.maxLength(maxNeighbours)) }),
  },
  /** Asks for this agent's grant of the cluster's lock, for the caller's own host. */
  claim: {
    callers: ['member'],
    params: claimSchema,
    result: v.object({ granted: v.boolean(), reason: v.optional(reasonSchema) }),
  },
  /** Whether this agent's grant still stands. `closed` is for good, `absent` only says that there is none here. */
  held: {
    callers: ['member'],
    params: claimSchema,
    result: v.object({ held: v.picklist(['granted', 'absent', 'closed']) }),
  },
  /** What this agent knows of the lock. */
  lock: { callers: ['member', 'read'], params: v.object({}), result: v.object({ told: toldLockSchema }) },
  /** The caller closes claims of its own host. */
  close_claim: {
    callers: ['member'],
    params: v.object({ host: nameSchema, epoch: v.pipe(v.number(), v.integer(), v.minValue(1)) }),
    result: v.object({}),
  },
  /** Tells RS the new address of the caller's node, once RS calls that node DOWN. */
  register: {
    callers: ['member'],
    params: v.object({ ...registrationEntries, address: addressSchema }),
    result: v.object({ node: rsNodeSchema }),
  },
  /** Tells RS the external addresses of the caller's node. */
  register_external: {
    callers: ['member'],
    params: v.object({ ...registrationEntries, externalAddresses: v.array(addressSchema) }),
    result: v.object({ node: rsNodeSchema }),
  },
  /** A registrar asks the target, right before it acts. */
  still_current: {
    callers: ['member'],
    params: v.object({ planId: v.string(), act: actSchema }),
    result: v.object({ current: v.boolean() }),
  },
  /** Tries an address on the mesh's port from the answering host's internal address, at full size, and says whose card it met. */
  reach: {
    callers: ['member'],
    params: v.object({
      ...address.entries,
      bytes: v.pipe(v.number(), v.integer(), v.minValue(68), v.maxValue(65_535)),
    }),
    result: v.object({
      outcome: v.picklist(['connected', 'refused', 'unreachable', 'too_big', 'unknown']),
      why: v.optional(v.string()),
      /** Of the neighbour table; none where the address is not on-link there. */
      macs: v.pipe(v.array(macSchema), v.maxLength(maxNeighbours)),
    }),
  },
  /** RS's node table as this agent's own rladmin shows it now. */
  node_table: { callers: ['member', 'read'], params: v.object({}), result: nodeTableSchema },
  /**
   * Plans a renumbering of a node, and changes nothing. A plan that nothing stands in the way of is kept for an hour by the agent of its
   * host. This and the operations below are forwarded to the agent of the node, which may refuse them (`remote_operations`).
   */
  renumber_plan: {
    callers: ['member', 'act'],
    params: v.object({ ...node.entries, by, request: planRequestSchema }),
    result: planReportSchema,
  },
  /** Begins to carry out a plan. It is on disk at its host when this is answered. */
  renumber_start: { callers: ['member', 'act'], params: renumbering, result: host },
  /** Asks an open renumbering to turn back. Answered when that is on disk. */
  renumber_abort: {
    callers: ['member', 'act'],
    params: v.object({ ...renumbering.entries, reason: becauseSchema }),
    result: host,
  },
  /** Goes on with a renumbering that stopped. */
  renumber_resume: { callers: ['member', 'act'], params: renumbering, result: host },
  /** The renumberings of every host that answers, the newest first; of the answering host alone for a peer. */
  renumberings: {
    callers: ['member', 'read'],
    params: v.object({}),
    result: v.object({
      hosts: v.array(
        v.union([v.object({ host: nameSchema, renumberings: v.array(renumberingSummarySchema) }), unknown]),
      ),
    }),
  },
  /** A part of the journal of a renumbering of a host, from record number `after + 1` on. */
  renumber_journal: {
    callers: ['member', 'read'],
    params: v.object({ ...node.entries, planId: planIdSchema, after: v.optional(v.number()) }),
    result: journalPageSchema,
  },
  /** What every agent that answers knows of the cluster's lock. */
  lock_show: {
    callers: ['read'],
    params: v.object({}),
    result: v.object({
      hosts: v.array(v.union([v.object({ host: nameSchema, told: toldLockSchema }), unknown])),
    }),
  },
  /** Frees the lock of a host that is off, or whose renumbering has stopped. The others learn it from this agent's state. */
  lock_release: {
    callers: ['act'],
    params: v.object({ by, reason: becauseSchema, hostIsOff: v.boolean() }),
    result: v.object({ closed: v.array(claimSchema) }),
  },
  /** The external addresses of a node, or of all, as RS has them now, and where each of them is. */
  external_list: {
    callers: ['read'],
    params: node,
    result: v.object({
      nodes: v.array(externalNodeSchema),
      unread: nodeTableSchema.entries.unread,
    }),
  },
  /**
   * Changes a node's external addresses in RS and reads them back. Forwarded to the agent of the node where it is linked, which may refuse it
   * (`remote_operations`); any other agent of a node does it where it is not.
   */
  external_change: {
    callers: ['member', 'act'],
    params: v.object({ node: nodeReferenceSchema, by, request: externalRequestSchema }),
    result: externalReportSchema,
  },
  /** What every linked agent says in answer to `about`; for a host that is to become a node. */
  mesh_about: { callers: ['read'], params: v.object({}), result: meshAboutSchema },
  /** How the linked hosts of nodes reach an address of this host; for a host that is to become a node. */
  mesh_reach: { callers: ['act'], params: reachedPorts, result: meshReachSchema },
  /** The addresses of the cluster as they are, as a file would declare them; with what had to be left out, and why. */
  declaration: {
    callers: ['read'],
    params: v.object({}),
    result: v.object({
      declaration: declarationSchema,
      notes: v.array(v.object({ node: uidSchema, note: v.string() })),
    }),
  },
  /** What a declaration would change, and what the guards of each renumbering say of it now. Changes nothing. */
  rollout_plan: {
    callers: ['act'],
    params: v.object({ by, declaration: declarationSchema }),
    result: v.object({
      difference: differenceSchema,
      refusals: v.array(v.object({ node: uidSchema, reasons: v.array(reasonSchema) })),
      /** Of these changes: what they are now, whoever answers. */
      mark: v.string(),
    }),
  },
  /** Begins to carry a declaration out, led by the answering agent. It is on disk there when this is answered. */
  rollout_start: {
    callers: ['act'],
    params: v.object({
      by,
      declaration: declarationSchema,
      /** Of the plan that was shown: another one is refused. */
      mark: v.optional(v.string()),
    }),
    result: rolloutSchema,
  },
  /** Holds the rollout before its next node, or lets it go on; forwarded to the agent that leads it. */
  rollout_pause: {
    callers: ['member', 'act'],
    params: v.object({ by, paused: v.boolean(), reason: v.optional(becauseSchema) }),
    result: v.object({ leader: nameSchema }),
  },
  /** Ends the rollout; what is under way on a node goes on by itself. Forwarded to the agent that leads it. */
  rollout_end: {
    callers: ['member', 'act'],
    params: v.object({ by, reason: becauseSchema }),
    result: v.object({ leader: nameSchema }),
  },
  /** The newest rollout, whole; of the answering host alone for a peer. Absent where there was none. */
  rollout: {
    callers: ['member', 'read'],
    params: v.object({}),
    result: v.object({ rollout: v.optional(rolloutSchema) }),
  },
} as const satisfies Record<
  string,
  { callers: readonly Caller[]; params: v.GenericSchema; result: v.GenericSchema }
>;

export type MethodName = keyof typeof methods;
export type Params<M extends MethodName> = v.InferOutput<(typeof methods)[M]['params']>;
export type Result<M extends MethodName> = v.InferOutput<(typeof methods)[M]['result']>;

export function isMethod(name: string): name is MethodName {
  return Object.hasOwn(methods, name);
}

/** Whether the table lets this caller ask for this method. */
export function mayCall(caller: Caller, method: MethodName): boolean {
  const callers: readonly Caller[] = methods[method].callers;
  if (callers.includes(caller)) return true;
  if (caller === 'member') return callers.includes('candidate');
  return caller === 'act' && callers.includes('read');
}
