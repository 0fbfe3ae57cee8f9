import { describe, expect, it } from 'vitest';
import { full } from '../support/sampling.ts';
import { play } from '../support/sim/scenario.ts';
import { type Distribution, distributionOf } from '../support/sim/statistics.ts';
import type { ClusterPlan } from '../support/sim/world.ts';
import { nineHosts, type TableChanges, tableChanges, tablesDiffer, threeHosts } from './scenarios.ts';

/** When a change in RS's node table is seen of which nothing tells. `rladmin` takes 100 to 1000 ms here, and looks at its end. */

const seeds = full ? 100 : 10;
const changes = 10;

async function measure(
  cluster: ClusterPlan,
  gone: Parameters<typeof tableChanges>[2],
): Promise<{ first: Distribution; others: Distribution; readsEachMinute: number }> {
  const all: TableChanges[] = [];
  for (let seed = 1; seed <= seeds; seed++)
    all.push((await play(tableChanges(cluster, changes, gone), seed)).result);
  const found = {
    first: distributionOf(all.flatMap(({ first }) => first)),
    others: distributionOf(all.flatMap(({ others }) => others)),
    readsEachMinute: Math.max(...all.map(({ readsEachMinute }) => readsEachMinute)),
  };
  console.info(`table, ${cluster.hosts} hosts, without ${gone}: ${JSON.stringify(found)}`);
  return found;
}

describe(`a change of the node table, ${seeds * changes} times at any moment`, () => {
  it('is seen by one of three hosts in 5 s and by the others 1.5 s later, with five reads a minute and one more for each change', async () => {
    const { first, others, readsEachMinute } = await measure(threeHosts, 'nothing');
    expect(first.max).toBeLessThan(5_000);
    expect(others.max).toBeLessThan(1_500);
    // Three changes a minute; what is read at one's own turn needs no other read.
    expect(readsEachMinute).toBeLessThan(8);
  }, 600_000);

  it('is seen as soon by one of nine, each of which reads the more seldom', async () => {
    const { first, others, readsEachMinute } = await measure(nineHosts, 'nothing');
    expect(first.max).toBeLessThan(4_000 + 1_200);
    expect(others.max).toBeLessThan(1_500);
    // Nearly two at its own turns, and three changes.
    expect(readsEachMinute).toBeLessThan(6);
  }, 600_000);

  it('is missed by the turn of an agent that is gone, and no turn is kept for a node that RS calls down', async () => {
    const agent = await measure(threeHosts, 'agent');
    expect(agent.first.max).toBeLessThan(8_000 + 1_200);
    expect(agent.first.max).toBeGreaterThan(6_000 + 1_200);
    const power = await measure(threeHosts, 'power');
    expect(power.first.max).toBeLessThan(6_000 + 1_200);
  }, 600_000);
});

it('hosts whose tables differ for good read no more for that', async () => {
  const { result } = await play(tablesDiffer, 1);
  expect(result).toBeGreaterThan(4.9);
  expect(result).toBeLessThan(5.2);
});
