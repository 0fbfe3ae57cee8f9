import type { Random } from '../../host/ports/random.ts';
import { familyOf } from '../../protocol/address.ts';
import { defaultBounds } from '../../protocol/renumbering/bounds.ts';
import type { Facts, Move } from '../../protocol/renumbering/guard.ts';
import { guards, judge } from '../../protocol/renumbering/guards.ts';
import type { Plan } from '../../protocol/renumbering/plan.ts';
import type { PlanReport } from '../../protocol/renumbering/request.ts';
import { unifiedDiff } from '../../protocol/unified-diff.ts';
import type { FactDependencies } from './facts.ts';
import { readAllFacts } from './guards.ts';

export interface PlanningDependencies extends FactDependencies {
  random: Random;
  cluster: string;
  version: string;
}

/** Makes plans for the node of this host, each from facts that are read for it. Nothing is touched. */
export function planMaker(deps: PlanningDependencies): (move: Move) => Promise<PlanReport> {
  const { random, clock, cluster, version } = deps;
  return async (move) => {
    const facts = await readAllFacts(deps, move, defaultBounds);
    const drawn = drawnFrom(move, facts);
    return {
      guards: judge(guards, move, facts),
      ...(drawn === undefined
        ? {}
        : { plan: { ...drawn, id: random.id().slice(0, 12), version, cluster, madeAt: clock.wall() } }),
    };
  };
}

/** @returns undefined where too little is known: the guards say what */
function drawnFrom(
  { nodeUid, host, options }: Move,
  { change, kind, members, unit, owner, nodes, estimate }: Facts,
): Omit<Plan, 'id' | 'version' | 'cluster' | 'madeAt'> | undefined {
  if ('unknown' in change || 'unknown' in kind || 'unknown' in members || 'unknown' in unit) return undefined;
  if ('unknown' in owner || 'unknown' in nodes || 'unknown' in estimate) return undefined;
  const row = nodes.value.nodes.find(({ uid }) => uid === nodeUid);
  if (owner.value.is === 'refused' || row === undefined) return undefined;
  const { from, to } = change.value;
  if (familyOf(from.address) !== familyOf(to.address)) return undefined;
  const addresses = row.externalAddresses;
  const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
  return {
    host,
    nodeUid,
    family: familyOf(from.address),
    kind: kind.value,
    change: change.value,
    members: [...members.value],
    unit: unit.value,
    owner: owner.value.kind,
    ...(addresses.includes(from.address)
      ? {
          external: {
            from: addresses,
            to: addresses.map((each) => (each === from.address ? to.address : each)),
          },
        }
      : {}),
    options,
    bounds: defaultBounds,
    effects: [],
    references: [],
    files: (owner.value.edit?.files ?? []).map(({ path, before, after }) => ({
      path,
      diff: unifiedDiff(path, text(before), text(after)),
    })),
    estimateSeconds: estimate.value.usual,
  };
}
