import type { Rs } from '../../host/ports/rs.ts';
import type { Address } from '../../protocol/address.ts';
import { asRlnetError, RlnetError } from '../../protocol/errors.ts';
import {
  type ExternalChange,
  type ExternalNode,
  type ExternalReport,
  type ExternalRequest,
  externalChangeOf,
  placeOf,
  rowOf,
  type Standing,
} from '../../protocol/external.ts';
import type { Claim } from '../../protocol/renumbering/lock.ts';
import type { NodeTable, RsNode } from '../../protocol/rs.ts';
import type { ClusterView } from '../../protocol/state.ts';
import type { Handlers } from '../call.ts';
import type { Log } from '../log.ts';
import type { Admit } from '../operations.ts';
import type { Peers } from '../renumbering/peers.ts';

/** How long `rladmin node UID external_addr` may take. Milliseconds. */
const rladminMs = 20_000;
/** Another agent reads RS's table, changes it and reads it again. Milliseconds. */
const forwardMs = 60_000;
const tableMs = 10_000;

export interface ExternalDependencies {
  host: string;
  rs: Pick<
    Rs,
    'localUid' | 'nodeTable' | 'addExternalAddress' | 'removeExternalAddress' | 'setExternalAddresses'
  >;
  view: () => ClusterView;
  ask: Peers['call'];
  /** Claims of the cluster's lock that are known to be open. */
  openClaims: () => readonly Claim[];
  admit: Admit;
  /** Why this agent may not act at all (mode: observe); undefined where it may. */
  forbidden: RlnetError | undefined;
  log: Log;
}

/**
 * External addresses of the cluster's nodes. rladmin changes those of any node from any node, so that an agent whose own node is asked about,
 * or else any agent whose host is a node, acts; what is known of renumberings is known best by the former.
 */
export function createExternalHandlers(
  deps: ExternalDependencies,
): Pick<Handlers, 'external_list' | 'external_change'> {
  const { host: own, rs, view, ask } = deps;
  /** One at a time: each decides on what the one before has left. */
  let last: Promise<unknown> = Promise.resolve();

  const linked = (): ClusterView['hosts'] =>
    view().hosts.filter(({ link }) => link.status !== 'disconnected');
  const hostOf = (uid: number): ClusterView['hosts'][number] | undefined =>
    view().hosts.find(({ state }) => state?.nodeUid === uid);

  /** RS's node table, freshly: of this host, or of a linked one where this is no node. */
  const freshTable = async (): Promise<NodeTable> => {
    if ((await rs.localUid()) !== undefined) return await rs.nodeTable();
    const host = anotherNode(linked(), own);
    return await ask(host, 'node_table', {}, tableMs);
  };

  const shown = (row: RsNode): ExternalNode => {
    const at = hostOf(row.uid);
    const fresh = at === undefined || at.link.status === 'disconnected' ? undefined : at.state;
    return {
      uid: row.uid,
      ...(at === undefined ? {} : { host: at.host }),
      ...(row.address === undefined ? {} : { internal: row.address }),
      external: row.externalAddresses.map((address) => placeOf(address, fresh)),
    };
  };

  const standings = (): Standing[] =>
    view().hosts.flatMap(({ host, state }) =>
      state?.renumbering === undefined
        ? []
        : [{ host, nodeUid: state.renumbering.nodeUid, renumbering: state.renumbering }],
    );

  /** An agent that does not answer cannot say what it is doing; the lock can. */
  const requireNoHiddenRenumbering = (uid: number): void => {
    const at = hostOf(uid);
    if (at !== undefined && at.link.status !== 'disconnected') return;
    const seen = new Set(linked().map(({ host }) => host));
    const claim = deps
      .openClaims()
      .find(({ host }) => (at === undefined ? !seen.has(host) : host === at.host));
    if (claim === undefined) return;
    throw new RlnetError(
      'EXTERNAL_RENUMBERING_OPEN',
      `${claim.host} does not answer and has the lock for the renumbering ${claim.planId}, which may be of node ${uid}.`,
      'See rlnet lock show, and wait until it is free.',
    );
  };

  const act = async (uid: number, request: ExternalRequest): Promise<ExternalReport> => {
    if (deps.forbidden !== undefined) throw deps.forbidden;
    requireNoHiddenRenumbering(uid);
    const change = externalChangeOf(request, uid, await rs.nodeTable(), standings());
    const { added, removed, before } = change;
    if (added.length === 0 && removed.length === 0) {
      return { node: shown(rowOf(await rs.nodeTable(), uid)), added, removed };
    }
    deps.log.warn({ nodeUid: uid, added, removed }, 'changes external addresses, as asked');
    const failed = await carryOut(rs, uid, request, change);
    const row = rowOf(await rs.nodeTable(), uid);
    const now = row.externalAddresses;
    const missing = added.filter((address) => !now.includes(address));
    const left = removed.filter((address) => now.includes(address));
    // Also where a command failed: it may have worked before it did.
    if (missing.length > 0 || left.length > 0) throw notTakenUp(uid, now, missing, left, failed);
    return {
      node: shown(row),
      added: now.filter((address) => !before.includes(address)),
      removed: before.filter((address) => !now.includes(address)),
    };
  };

  return {
    external_list: async ({ node }) => {
      const table = await freshTable();
      const uid = node === undefined ? undefined : uidOf(node, table, view());
      const rows = uid === undefined ? table.nodes : [rowOf(table, uid)];
      return { nodes: rows.map(shown), unread: table.unread };
    },
    external_change: async (params, asker) => {
      const { node, by, request } = params;
      deps.admit(asker, `external ${request.action}`, { by, node, addresses: request.addresses });
      const isNode = (await rs.localUid()) !== undefined;
      if (asker.caller !== 'member') {
        const uid = uidOf(node, await freshTable(), view());
        const at = hostOf(uid);
        const theirs = at?.link.status === 'connected' ? at.host : undefined;
        const elsewhere = theirs ?? (isNode ? undefined : anotherNode(linked(), own));
        if (elsewhere !== undefined)
          return await ask(elsewhere, 'external_change', { ...params, node: `${uid}` }, forwardMs);
      }
      const done = last.then(async () => act(uidOf(node, await rs.nodeTable(), view()), request));
      last = done.catch(() => {});
      return await done;
    },
  };
}

/** @returns what a command threw, if one did: the rest was not tried then */
async function carryOut(
  rs: ExternalDependencies['rs'],
  uid: number,
  { action }: ExternalRequest,
  { after, added, removed }: ExternalChange,
): Promise<RlnetError | undefined> {
  try {
    // One by one where one by one was asked for: what somebody else adds meanwhile stays.
    if (action === 'set') await rs.setExternalAddresses(uid, after, rladminMs);
    for (const address of action === 'add' ? added : []) await rs.addExternalAddress(uid, address, rladminMs);
    for (const address of action === 'remove' ? removed : [])
      await rs.removeExternalAddress(uid, address, rladminMs);
    return undefined;
  } catch (thrown) {
    return asRlnetError(thrown);
  }
}

/** @throws RlnetError NODE_UNKNOWN */
function uidOf(node: string, table: NodeTable, { hosts }: ClusterView): number {
  const named = hosts.find(({ host }) => host === node)?.state?.nodeUid;
  if (named !== undefined) return named;
  if (/^[1-9]\d{0,8}$/.test(node)) return rowOf(table, Number(node)).uid;
  throw new RlnetError(
    'NODE_UNKNOWN',
    `No node is at a host named ${node}, as far as its agent says.`,
    `Give the node's uid: ${table.nodes.map(({ uid }) => uid).join(', ')}.`,
  );
}

/** @throws RlnetError PEER_UNREACHABLE */
function anotherNode(linked: ClusterView['hosts'], own: string): string {
  const found = linked.find(({ host, state }) => host !== own && state?.nodeUid !== undefined);
  if (found !== undefined) return found.host;
  throw new RlnetError(
    'PEER_UNREACHABLE',
    `${own} is no node, and no agent of a node is linked to it: nobody can be asked for rladmin.`,
    'Run it on a node, or see rlnet mesh for what keeps the agents apart.',
  );
}

function notTakenUp(
  uid: number,
  now: readonly Address[],
  missing: readonly Address[],
  left: readonly Address[],
  failed: RlnetError | undefined,
): RlnetError {
  const wrong = [
    ...(missing.length > 0 ? [`${missing.join(', ')} missing`] : []),
    ...(left.length > 0 ? [`${left.join(', ')} still there`] : []),
  ].join(', ');
  const why = failed === undefined ? '' : `; ${failed.message.replace(/\.$/, '')}`;
  return new RlnetError(
    'EXTERNAL_NOT_TAKEN_UP',
    `RS has ${now.join(', ') || 'no external address'} for node ${uid} now: ${wrong}${why}.`,
    'Run it again; if RS refuses it again, read what it said in rladmin on that node.',
    { cause: failed },
  );
}
