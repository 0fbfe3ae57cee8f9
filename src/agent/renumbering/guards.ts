import { RlnetError } from '../../protocol/errors.ts';
import { draw, estimateOf } from '../../protocol/renumbering/draw.ts';
import type { Facts, Guard, GuardResult, Move } from '../../protocol/renumbering/guard.ts';
import { guardsOf, judge, neededBy, reasonOf, refusalsOf } from '../../protocol/renumbering/guards.ts';
import type { Plan } from '../../protocol/renumbering/plan.ts';
import type { Progress } from '../../protocol/renumbering/progress.ts';
import type { Reason } from '../../protocol/renumbering/records.ts';
import type { Step } from '../../protocol/renumbering/steps.ts';
import { type FactDependencies, readAgents, readFacts, readOwner } from './facts.ts';

const notAskedFor = { unknown: 'it was not asked for' };

/**
 * Asks the guards of a step of a renumbering that is under way: what stands in the way, nothing for a pass.
 * @returns the refusals that were seen
 * @throws RlnetError GUARD_UNKNOWN where nothing was seen to be wrong and something could not be read: that is no pass. Asking
 *   again may help
 */
export function askGuardsOf(deps: FactDependencies): (progress: Progress, step: Step) => Promise<Reason[]> {
  return async ({ plan }, step) => {
    const refusals = refusalsOf(await askOfPlan(deps, plan, guardsOf(step)));
    const seen = refusals.filter(({ outcome }) => outcome === 'fail');
    const [unknown] = refusals;
    if (seen.length > 0 || unknown === undefined) return seen.map(reasonOf);
    const codes = refusals.map(({ code }) => code).join(', ');
    throw new RlnetError('GUARD_UNKNOWN', `${codes} cannot be told: ${unknown.message}`, unknown.remedy);
  };
}

/** Everything that these guards say of a plan, those that pass and those that warn too. */
export async function askOfPlan(
  deps: FactDependencies,
  plan: Plan,
  asked: readonly Guard[],
): Promise<GuardResult[]> {
  const needed = neededBy(asked);
  const move = moveOf(plan);
  const [read, agents] = await Promise.all([
    readFacts(deps, needed),
    needed.has('agents')
      ? readAgents(
          deps,
          plan.members.map(({ uid }) => uid),
        )
      : undefined,
  ]);
  const change = { value: plan.change };
  const kind = { value: plan.kind };
  const owner = needed.has('owner') ? await readOwner(deps, move, change, kind) : notAskedFor;
  return judge(asked, move, {
    ...read,
    change,
    kind,
    external: { value: plan.external },
    owner,
    members: { value: plan.members },
    estimate: { value: estimateOf(plan.options, plan.bounds) },
    agents: agents === undefined ? notAskedFor : { value: agents },
  });
}

/** All facts for a move that there is no plan of yet. */
export async function readAllFacts(
  deps: FactDependencies,
  move: Move,
  bounds: Plan['bounds'],
): Promise<Facts> {
  const read = await readFacts(deps, neededBy(guardsOf('preflight')));
  const agents: Facts['agents'] =
    'unknown' in read.nodes
      ? read.nodes
      : {
          value: await readAgents(
            deps,
            read.nodes.value.nodes.map(({ uid }) => uid),
          ),
        };
  const drawn = draw(move, { ...read, agents }, bounds);
  return { ...read, ...drawn, agents, owner: await readOwner(deps, move, drawn.change, drawn.kind) };
}

function moveOf({ id, host, nodeUid, change: { to, gateway }, options }: Plan): Move {
  return {
    planId: id,
    host,
    nodeUid,
    to,
    options,
    ...(gateway === undefined ? {} : { gateway: gateway.to }),
  };
}
