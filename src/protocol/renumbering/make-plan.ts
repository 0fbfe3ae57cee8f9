import { familyOf } from '../address.ts';
import { unifiedDiff } from '../unified-diff.ts';
import type { Bounds } from './bounds.ts';
import { copiesElsewhere, hasCopyElsewhere } from './cluster-guards.ts';
import type { Estimate, Facts, FactValues, GuardResult, Move } from './guard.ts';
import { guards, judge } from './guards.ts';
import type { Plan } from './plan.ts';
import { type Places, referencesTo } from './references.ts';

/** What a plan is made from. */
export interface PlanInput {
  /** 12 hexadecimal digits. */
  id: string;
  version: string;
  /** Wall clock, milliseconds since the epoch. */
  madeAt: number;
  cluster: string;
  move: Move;
  bounds: Bounds;
  facts: Facts;
  places: Places;
}

export interface Made {
  /** Absent where too little is known, or no change can be made, for a plan to be drawn at all: the guards say why. */
  plan?: Plan;
  /** All of them, those that pass too. */
  guards: GuardResult[];
}

/** Draws the plan of a move, and asks every guard. */
export function makePlan(input: PlanInput): Made {
  const { move, facts } = input;
  const said = judge(guards, move, facts);
  const plan = planOf(input);
  return plan === undefined ? { guards: said } : { plan, guards: said };
}

function planOf({ id, version, madeAt, cluster, move, bounds, facts, places }: PlanInput): Plan | undefined {
  const { change, kind, external, members, unit, owner, nodes, shards, estimate } = facts;
  if ('unknown' in change || 'unknown' in kind || 'unknown' in members || 'unknown' in unit) return undefined;
  if ('unknown' in owner || 'unknown' in nodes || 'unknown' in shards || 'unknown' in estimate)
    return undefined;
  if ('unknown' in external) return undefined;
  const found = owner.value;
  if (found.is === 'refused') return undefined;
  const { from, to, gateway } = change.value;
  const families = [from.address, to.address, ...(gateway === undefined ? [] : [gateway.to])].map(familyOf);
  if (new Set(families).size > 1) return undefined;
  const row = nodes.value.nodes.find(({ uid }) => uid === move.nodeUid);
  if (row === undefined) return undefined;
  const files = (found.edit?.files ?? []).map(({ path, before, after }) => ({
    path,
    diff: unifiedDiff(path, textOf(before), textOf(after)),
  }));
  return {
    id,
    version,
    madeAt,
    cluster,
    host: move.host,
    nodeUid: move.nodeUid,
    family: familyOf(to.address),
    kind: kind.value,
    change: change.value,
    members: [...members.value],
    unit: unit.value,
    owner: found.kind,
    ...(external.value === undefined ? {} : { external: external.value }),
    options: move.options,
    bounds,
    effects: [
      ...(found.edit?.warnings ?? []),
      ...effectsOf(move, row.role, nodes.value, shards.value, estimate.value),
    ],
    references: referencesTo(from.address, {
      external: external.value !== undefined,
      owner: found.kind,
      files: files.map(({ path }) => path),
      places,
    }),
    files,
    estimateSeconds: estimate.value.usual,
  };
}

/** Files of network owners are text; what is not UTF-8 in them is shown as such, and changed byte for byte all the same. */
function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** What clients and operators will see, one sentence each. */
function effectsOf(
  { nodeUid, options }: Move,
  role: 'master' | 'slave' | undefined,
  { nodes }: FactValues['nodes'],
  table: FactValues['shards'],
  { usual, worst }: Estimate,
): string[] {
  const own = table.shards.filter((shard) => shard.nodeUid === nodeUid);
  const moving = own.filter((shard) => shard.role === 'master' && hasCopyElsewhere(shard, table));
  const offline = own.filter((shard) => !hasCopyElsewhere(shard, table));
  const copies = moving.flatMap((shard) => copiesElsewhere(shard, table).map(({ uid }) => uid));
  const databases = [...new Set(moving.map(({ databaseName }) => databaseName))];
  const next = nodes.find(({ uid, status }) => uid !== nodeUid && status === 'ok')?.uid;
  return [
    `Node ${nodeUid} is out of service for about ${usual} s, which is what a ${options.reboot ? 'restart of the host' : 'stop of the unit'}, a start of RS and a soak usually take; at most ${worst} s with every wait up to its bound.`,
    ...databases.map((name) => {
      const shards = moving
        .filter(({ databaseName }) => databaseName === name)
        .map(({ uid }) => `redis:${uid}`);
      return `The masters ${shards.join(', ')} of ${name} move to other nodes; its clients see a failover.`;
    }),
    ...offline.map(
      ({ uid, databaseName }) =>
        `redis:${uid} of ${databaseName} is offline meanwhile: no other node has a healthy copy.`,
    ),
    `Connections to endpoints and proxies on node ${nodeUid} end, and clients have to connect again.`,
    ...(role === 'master'
      ? [
          `Another node becomes the cluster's master; rladmin cluster master set ${nodeUid} would give it back.`,
        ]
      : []),
    ...(moving.length > 0
      ? [
          `Shard roles stay where they moved; rladmin failover shard ${copies.join(' ')} gives them back to node ${nodeUid}, and rladmin verify balance shows what is uneven.`,
        ]
      : []),
    ...(options.reboot
      ? []
      : ["The host is not restarted, which leaves the vendor's order: the unit is stopped in its place."]),
    options.proveByReboot
      ? 'Once the node is OK at its new address, one more restart of the host proves that the address survives a boot: the node is out of service once more.'
      : 'That the new address survives a boot is not proven by a boot (--prove-by-reboot does).',
    ...(next === undefined ? [] : [`Node ${next} or another one that is OK tells RS the new address.`]),
  ];
}
