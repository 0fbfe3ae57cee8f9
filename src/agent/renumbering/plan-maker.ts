import type { Files } from '../../host/ports/files.ts';
import type { Random } from '../../host/ports/random.ts';
import type { Address } from '../../protocol/address.ts';
import { asRlnetError } from '../../protocol/errors.ts';
import type { Bounds } from '../../protocol/renumbering/bounds.ts';
import type { Fact, Move } from '../../protocol/renumbering/guard.ts';
import { type Made, makePlan } from '../../protocol/renumbering/make-plan.ts';
import type { FactDependencies } from './facts.ts';
import { readAllFacts } from './guards.ts';

export interface PlanMakerDependencies extends FactDependencies {
  random: Random;
  files: Pick<Files, 'read'>;
  cluster: string;
  version: string;
  seeds: readonly Address[];
  bounds: Bounds;
}

/** Makes plans for the node of this host, each from facts that are read for it. Nothing is touched. */
export function planMakerOf(deps: PlanMakerDependencies): (move: Move) => Promise<Made> {
  const { random, clock, files, surroundings, cluster, version, seeds, bounds } = deps;
  return async (move) => {
    const [facts, hosts, firewall] = await Promise.all([
      readAllFacts(deps, move, bounds),
      attempt(async () => (await files.read('/etc/hosts')).split('\n')),
      attempt(() => surroundings.firewallRules()),
    ]);
    return makePlan({
      id: random.id().slice(0, 12),
      version,
      madeAt: clock.wall(),
      cluster,
      move,
      bounds,
      facts,
      places: { hosts, firewall, seeds },
    });
  };
}

async function attempt<T>(read: () => Promise<T>): Promise<Fact<T>> {
  try {
    return { value: await read() };
  } catch (thrown) {
    return { unknown: asRlnetError(thrown).message.replace(/\.$/, '') };
  }
}
