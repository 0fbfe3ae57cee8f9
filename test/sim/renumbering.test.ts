import { expect, test } from 'vitest';
import { Kernel } from '../support/sim/kernel.ts';
import { RenumberingCluster } from '../support/sim/renumbering/cluster.ts';

test('a node moves to its new address', async () => {
  const kernel = new Kernel('happy');
  const cluster = new RenumberingCluster(kernel, 3);
  cluster.rs.rladmin(1, ['standin', 'seed-database', 'db', '2', 'replication']);
  cluster.powerOn();
  await kernel.run(30_000);
  const agent = cluster.agent('n2');
  const plan = cluster.plan(2);
  await Promise.all([agent.running?.start(plan), kernel.run(10)]);
  await kernel.runUntil(() => agent.outcomes.has(plan.id), 3_600_000);
  expect(agent.outcomes.get(plan.id)).toBe('done');
});
