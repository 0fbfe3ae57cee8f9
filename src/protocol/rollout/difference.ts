import * as v from 'valibot';
import { type Address, compareAddresses, familyOf } from '../address.ts';
import { hostAddressSchema } from '../address-change.ts';
import { unfitForOthers } from '../address-choice.ts';
import { type Reason, reasonSchema } from '../renumbering/records.ts';
import type { NodeTable, RsNode } from '../rs.ts';
import { addressSchema, nameSchema, uidSchema } from '../schema.ts';
import type { Declaration, DeclaredNode } from './declaration.ts';

/** One thing to do to one node. `internal`: a renumbering. `external`: its external addresses become these. */
export const changeSchema = v.variant('kind', [
  v.object({
    kind: v.literal('internal'),
    node: uidSchema,
    host: v.optional(nameSchema),
    from: v.optional(addressSchema),
    to: hostAddressSchema,
    gateway: v.optional(addressSchema),
  }),
  v.object({
    kind: v.literal('external'),
    node: uidSchema,
    host: v.optional(nameSchema),
    /** The whole list afterwards. */
    to: v.array(addressSchema),
    added: v.array(addressSchema),
    removed: v.array(addressSchema),
  }),
]);
export type Change = v.InferOutput<typeof changeSchema>;

/** What differs between a declaration and the cluster, in the order in which it would be changed. */
export const differenceSchema = v.object({
  changes: v.array(changeSchema),
  /** Nodes that are as they are declared. */
  unchanged: v.array(uidSchema),
  /** Nodes of RS that the declaration does not have. */
  undeclared: v.array(uidSchema),
  /** What keeps it from being carried out. */
  problems: v.array(reasonSchema),
});
export type Difference = v.InferOutput<typeof differenceSchema>;

/** What is known of the cluster's agents: a part of `rlnet status`. */
interface Known {
  cluster: string;
  hosts: readonly { host: string; state?: { nodeUid?: number | undefined } | undefined }[];
}

/**
 * Compares a declaration with RS's node table. Replicas come first and the cluster's master last; of one node the internal address comes before the
 * external ones, since a renumbering takes an external address that is the old internal one along. An external address that goes from one node to another
 * is taken from the first before the other gets it.
 */
export function differenceOf(declaration: Declaration, table: NodeTable, view: Known): Difference {
  const hostOf = (uid: number): { host?: string } => {
    const host = view.hosts.find(({ state }) => state?.nodeUid === uid)?.host;
    return host === undefined ? {} : { host };
  };
  const declared = declaration.nodes;
  const rows = new Map(table.nodes.map((row) => [row.uid, row]));
  const internal = inOrder(
    declared.flatMap((each): (Change & { kind: 'internal' })[] => {
      const row = rows.get(each.node);
      if (row === undefined || each.internal === undefined || each.internal.address === row.address)
        return [];
      return [
        {
          kind: 'internal',
          node: each.node,
          ...hostOf(each.node),
          ...(row.address === undefined ? {} : { from: row.address }),
          to: each.internal,
          ...(each.gateway === undefined ? {} : { gateway: each.gateway }),
        },
      ];
    }),
    rows,
  );
  const external = declared.flatMap((each): (Change & { kind: 'external' })[] => {
    const row = rows.get(each.node);
    if (row === undefined || each.external === undefined) return [];
    return externalChanges(each, row, hostOf(each.node));
  });
  const changes = [...released(external), ...ordered(internal.changes, external, rows)];
  const changed = new Set(changes.map(({ node }) => node));
  return {
    changes,
    unchanged: declared.map(({ node }) => node).filter((node) => rows.has(node) && !changed.has(node)),
    undeclared: table.nodes.map(({ uid }) => uid).filter((uid) => !declared.some(({ node }) => node === uid)),
    problems: [...problemsOf(declaration, table, view.cluster), ...internal.problems],
  };
}

/** What a declared list of external addresses comes to once the renumbering of the same node has taken its old address along. */
function externalChanges(
  { node, external = [], internal }: DeclaredNode,
  row: RsNode,
  host: { host?: string },
): (Change & { kind: 'external' })[] {
  const moves = internal !== undefined && row.address !== undefined && internal.address !== row.address;
  const before = row.externalAddresses.map((address) =>
    moves && address === row.address ? internal.address : address,
  );
  const to = [...new Set(external)];
  const added = to.filter((address) => !before.includes(address));
  const removed = before.filter((address) => !to.includes(address));
  if (added.length === 0 && removed.length === 0) return [];
  return [{ kind: 'external', node, ...host, to, added, removed }];
}

/** What another node is to get is taken away first of all: RS would have it on two otherwise. */
function released(external: readonly (Change & { kind: 'external' })[]): Change[] {
  const wanted = new Set(external.flatMap(({ added }) => added));
  return external.flatMap((change): Change[] => {
    const going = change.removed.filter((address) => wanted.has(address));
    if (going.length === 0) return [];
    const to = [
      ...change.to.filter((address) => !change.added.includes(address)),
      ...change.removed.filter((address) => !going.includes(address)),
    ];
    return [{ ...change, to, added: [], removed: going }];
  });
}

function ordered(
  internal: readonly (Change & { kind: 'internal' })[],
  external: readonly (Change & { kind: 'external' })[],
  rows: ReadonlyMap<number, RsNode>,
): Change[] {
  const moving = new Set(internal.map(({ node }) => node));
  const withMove = internal.flatMap((change): Change[] => [
    change,
    ...external.filter(({ node }) => node === change.node),
  ]);
  const alone = external.filter(({ node }) => !moving.has(node)).toSorted(byRole(rows));
  // They interrupt nobody, and are quick.
  return [...alone, ...withMove];
}

/** Replicas first, master last; one whose new address another one still has comes after that one. */
function inOrder(
  changes: (Change & { kind: 'internal' })[],
  rows: ReadonlyMap<number, RsNode>,
): { changes: (Change & { kind: 'internal' })[]; problems: Reason[] } {
  const left = changes.toSorted(byRole(rows));
  const order: (Change & { kind: 'internal' })[] = [];
  while (left.length > 0) {
    const next = left.findIndex(
      ({ to, node }) => !left.some((other) => other.node !== node && other.from === to.address),
    );
    if (next === -1) {
      const nodes = left.map(({ node }) => node).join(', ');
      return {
        changes: [...order, ...left],
        problems: [
          {
            code: 'ADDRESSES_IN_A_CIRCLE',
            message: `Nodes ${nodes} are each to have the address of another one of them: none of them can be first.`,
            remedy: 'Move one of them to a free address first, then the others, then that one.',
          },
        ],
      };
    }
    order.push(...left.splice(next, 1));
  }
  return { changes: order, problems: [] };
}

function byRole(rows: ReadonlyMap<number, RsNode>): (a: { node: number }, b: { node: number }) => number {
  const rank = ({ node }: { node: number }): number => (rows.get(node)?.role === 'master' ? 1 : 0);
  return (a, b) => rank(a) - rank(b) || a.node - b.node;
}

function problemsOf(
  { cluster, nodes }: Declaration,
  { nodes: rows, unread }: NodeTable,
  own: string,
): Reason[] {
  const found: Reason[] = [];
  const say = (code: string, message: string, remedy: string): void => {
    found.push({ code, message, remedy });
  };
  if (cluster !== undefined && cluster !== own)
    say(
      'CLUSTER_DIFFERS',
      `The file is for ${cluster}, and this is ${own}.`,
      'Take the file of this cluster.',
    );
  for (const { line, reason } of unread)
    say(
      'NODE_UNREAD',
      `A row of RS's node table cannot be read: ${reason} (${line.slice(0, 60)}).`,
      'Run rladmin status nodes by hand.',
    );
  const families = new Set(rows.flatMap(({ address }) => (address === undefined ? [] : [familyOf(address)])));
  const holders = new Map<Address, Set<number>>();
  const seen = new Set<number>();
  for (const { node, internal, external = [] } of nodes) {
    const row = rows.find(({ uid }) => uid === node);
    if (seen.has(node))
      say('NODE_TWICE', `Node ${node} stands there twice.`, 'Put its addresses into one entry.');
    seen.add(node);
    if (row === undefined)
      say('NODE_UNKNOWN', `RS has no node ${node}.`, `Known: ${rows.map(({ uid }) => uid).join(', ')}.`);
    if (internal !== undefined && families.size === 1 && !families.has(familyOf(internal.address)))
      say(
        'FAMILY_DIFFERS',
        `${internal.address} of node ${node} is ${familyOf(internal.address)}, and the nodes use the other family.`,
        'The family of a cluster is for life.',
      );
    for (const address of external) {
      const why = unfitForOthers(address);
      if (why !== undefined)
        say(
          'EXTERNAL_ADDRESS_UNUSABLE',
          `${address} of node ${node}: ${why}`,
          'Give an address that clients can reach.',
        );
    }
    for (const address of new Set([...(internal === undefined ? [] : [internal.address]), ...external]))
      holders.set(address, (holders.get(address) ?? new Set()).add(node));
  }
  // What is not declared stays where it is.
  for (const row of rows) {
    const entry = nodes.find(({ node }) => node === row.uid);
    const kept = [
      ...(entry?.internal === undefined && row.address !== undefined ? [row.address] : []),
      ...(entry?.external === undefined ? row.externalAddresses : []),
    ];
    for (const address of kept) holders.set(address, (holders.get(address) ?? new Set()).add(row.uid));
  }
  for (const [address, uids] of [...holders].toSorted(([a], [b]) => compareAddresses(a, b)))
    if (uids.size > 1)
      say(
        'ADDRESS_TWICE',
        `${address} would be an address of nodes ${[...uids].toSorted((a, b) => a - b).join(' and ')}.`,
        'One address, one node.',
      );
  return found;
}

/**
 * What a change would do beyond what was shown of it, as RS has other addresses by now, in a clause; undefined where it would do nothing else.
 * What it would not have to do any more is no surprise: an earlier change, or half of this one, has done it.
 */
export function beyondShown(change: Change, row: RsNode): string | undefined {
  if (change.kind === 'internal') {
    if (row.address === change.from || row.address === change.to.address) return undefined;
    return `RS has ${row.address ?? 'no address that can be read'} for it, and the plan went from ${change.from ?? 'an unknown one'}`;
  }
  const { to, added, removed } = change;
  const now = row.externalAddresses;
  const gone = now.filter((address) => !to.includes(address) && !removed.includes(address));
  const back = to.filter((address) => !now.includes(address) && !added.includes(address));
  if (gone.length === 0 && back.length === 0) return undefined;
  const clauses = [
    ...(gone.length === 0 ? [] : [`${gone.join(', ')} would be taken away`]),
    ...(back.length === 0 ? [] : [`${back.join(', ')} would come back`]),
  ];
  return `RS has ${now.join(', ') || 'no external address'} for it, and ${clauses.join(' and ')}, which the plan did not say`;
}

/** External addresses that RS has and the declaration does not, by node: what somebody did past it. */
export function undeclaredExternal(
  { nodes }: Declaration,
  table: NodeTable,
): { node: number; addresses: Address[] }[] {
  return nodes.flatMap(({ node, external }) => {
    const row = table.nodes.find(({ uid }) => uid === node);
    if (row === undefined || external === undefined) return [];
    const addresses = row.externalAddresses.filter((address) => !external.includes(address));
    return addresses.length === 0 ? [] : [{ node, addresses }];
  });
}
