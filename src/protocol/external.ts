import * as v from 'valibot';
import type { Address } from './address.ts';
import { unfitForOthers } from './address-choice.ts';
import { RlnetError } from './errors.ts';
import type { OpenRenumbering } from './renumbering/request.ts';
import type { NodeTable, RsNode } from './rs.ts';
import { addressSchema, nameSchema, uidSchema } from './schema.ts';
import type { HostState } from './state.ts';

/** More than any node has, and still one message. */
const mostAddresses = 64;

/** What is to become of a node's external addresses. `set` replaces all of them. */
export const externalRequestSchema = v.object({
  action: v.picklist(['add', 'set', 'remove']),
  addresses: v.pipe(v.array(addressSchema), v.minLength(1), v.maxLength(mostAddresses)),
  /** Whether the node may be left without any; RS then takes its internal address for external too. */
  allowNone: v.boolean(),
});
export type ExternalRequest = v.InferOutput<typeof externalRequestSchema>;

/**
 * One external address of a node. `on`: an `interface` of its host has it; `none` has, which is fine where something leads to the host
 * from outside (elastic IP, VIP of a load balancer); `unknown`: its agent does not say.
 */
const externalAddressSchema = v.object({
  address: addressSchema,
  on: v.picklist(['interface', 'none', 'unknown']),
  interface: v.optional(v.string()),
});
export type ExternalAddress = v.InferOutput<typeof externalAddressSchema>;

/** A node with its external addresses, in RS's order. */
export const externalNodeSchema = v.object({
  uid: uidSchema,
  /** Absent where no agent is known to be the node's. */
  host: v.optional(nameSchema),
  internal: v.optional(addressSchema),
  external: v.array(externalAddressSchema),
});
export type ExternalNode = v.InferOutput<typeof externalNodeSchema>;

/** What RS had before and after, and the difference: both empty where nothing had to be done. */
export const externalReportSchema = v.object({
  node: externalNodeSchema,
  added: v.array(addressSchema),
  removed: v.array(addressSchema),
});
export type ExternalReport = v.InferOutput<typeof externalReportSchema>;

export interface ExternalChange {
  before: readonly Address[];
  after: Address[];
  added: Address[];
  removed: Address[];
}

/** A renumbering that is open or has stopped, as its host says. */
export interface Standing {
  nodeUid: number;
  host: string;
  renumbering: OpenRenumbering;
}

/**
 * What a request comes to. Adding what is there and removing what is not change nothing, and are no errors.
 * @param renumberings all that are known in the cluster
 * @throws RlnetError NODE_UNKNOWN, EXTERNAL_ADDRESS_UNUSABLE, EXTERNAL_ADDRESS_TAKEN, EXTERNAL_LAST_ADDRESS, EXTERNAL_RENUMBERING_OPEN;
 *   RS_VIEW_UNKNOWN where a row that could not be read may hold one of the addresses
 */
export function externalChangeOf(
  request: ExternalRequest,
  uid: number,
  table: NodeTable,
  renumberings: readonly Standing[],
): ExternalChange {
  const { externalAddresses: before } = rowOf(table, uid);
  const after = [...new Set(wanted(request, before))];
  const added = after.filter((address) => !before.includes(address));
  const removed = before.filter((address) => !after.includes(address));
  const change = { before, after, added, removed };
  if (added.length === 0 && removed.length === 0) return change;
  for (const address of added) requireFree(address, uid, table, renumberings);
  if (after.length === 0 && !request.allowNone) {
    throw new RlnetError(
      'EXTERNAL_LAST_ADDRESS',
      `Node ${uid} would have no external address left; clients would be sent to its internal one.`,
      'Add another one first, or say --allow-none where that is meant.',
    );
  }
  for (const each of renumberings) requireApart(each, uid, [...added, ...removed]);
  return change;
}

/** The row of a node. @throws RlnetError NODE_UNKNOWN */
export function rowOf({ nodes, unread }: NodeTable, uid: number): RsNode {
  const row = nodes.find((node) => node.uid === uid);
  if (row !== undefined) return row;
  throw new RlnetError(
    'NODE_UNKNOWN',
    `RS shows no node ${uid}${unread.length > 0 ? ', and a row of its table cannot be read' : ''}.`,
    `Known: ${nodes.map((node) => node.uid).join(', ')}. See rladmin status nodes.`,
  );
}

function wanted({ action, addresses }: ExternalRequest, before: readonly Address[]): readonly Address[] {
  switch (action) {
    case 'add':
      return [...before, ...addresses];
    case 'remove':
      return before.filter((address) => !addresses.includes(address));
    case 'set':
      return addresses;
  }
}

function requireFree(
  address: Address,
  uid: number,
  { nodes, unread }: NodeTable,
  renumberings: readonly Standing[],
): void {
  const unfit = unfitForOthers(address);
  if (unfit !== undefined) {
    throw new RlnetError(
      'EXTERNAL_ADDRESS_UNUSABLE',
      `${address} cannot be an external address: ${unfit.replace(/\.$/, '')}.`,
      'Give an address that clients can reach.',
    );
  }
  const holder = nodes.find(
    (node) => node.uid !== uid && (node.address === address || node.externalAddresses.includes(address)),
  );
  const moving = renumberings.find(
    ({ nodeUid, renumbering }) => nodeUid !== uid && renumbering.to.address === address,
  );
  const whose = holder?.uid ?? moving?.nodeUid;
  if (whose !== undefined) {
    throw new RlnetError(
      'EXTERNAL_ADDRESS_TAKEN',
      `${address} is an address of node ${whose}${holder === undefined ? '-to-be, which is being renumbered' : ''}; clients of one node would reach the other.`,
      `Take it from node ${whose} first: rlnet external list ${whose}.`,
    );
  }
  const [hidden] = unread;
  if (hidden !== undefined) {
    throw new RlnetError(
      'RS_VIEW_UNKNOWN',
      `Whether another node has ${address} is not known: a row of RS's node table cannot be read (${hidden.reason}).`,
      'Run rladmin status nodes by hand; if it does show a table, report it with that output.',
    );
  }
}

/** A renumbering writes the whole list where the old address is in it, and would overwrite, or be overwritten. */
function requireApart(
  { nodeUid, host, renumbering }: Standing,
  uid: number,
  touched: readonly Address[],
): void {
  if (nodeUid !== uid) return;
  const { planId, from, to, is, movesExternal } = renumbering;
  const meets = touched.includes(from.address) || touched.includes(to.address);
  if (movesExternal !== true && !meets) return;
  throw new RlnetError(
    'EXTERNAL_RENUMBERING_OPEN',
    `The renumbering ${planId} of node ${uid} (${host}) ${is === 'stopped' ? 'has stopped' : 'is under way'} and changes its external addresses too.`,
    is === 'stopped'
      ? `See rlnet renumber show ${planId}; resume it, or free its lock with rlnet lock release.`
      : `Wait until it has ended: rlnet renumber follow ${planId}.`,
  );
}

/** Where an external address is on the host of its node. @param state the newest word of its agent, where it is linked */
export function placeOf(address: Address, state: HostState | undefined): ExternalAddress {
  if (state === undefined) return { address, on: 'unknown' };
  const found = state.addresses.listed.find((each) => each.address === address);
  if (found !== undefined) return { address, on: 'interface', interface: found.interface };
  return { address, on: state.addresses.more > 0 ? 'unknown' : 'none' };
}
