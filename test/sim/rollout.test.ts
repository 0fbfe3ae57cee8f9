import { describe, expect, it } from 'vitest';
import { asRlnetError } from '../../src/protocol/errors.ts';
import type { Rollout } from '../../src/protocol/rollout/record.ts';
import { full, sampleOf } from '../support/sampling.ts';
import { Stream } from '../support/sim/random.ts';
import { outside, RolloutCluster, target } from '../support/sim/renumbering/rollout.ts';

/** `RolloutCluster` asks after every event that one node at most is out of service, and one renumbering at most is open. */

const hourMs = 3_600_000;
const leader = 'n1';

/** Begins it on each of these hosts, at the same moment. @returns those that did */
async function started(
  cluster: RolloutCluster,
  windows: Rollout['declaration']['windows'] = [],
  hosts = [leader],
): Promise<string[]> {
  const answers: { host: string; refused?: string }[] = [];
  for (const host of hosts) {
    const rollouts = cluster.rollouts(host);
    if (rollouts === undefined) throw new Error(`the agent of ${host} does not run`);
    rollouts.start({ ...cluster.declaration, windows }, 'root').then(
      () => answers.push({ host }),
      (thrown: unknown) => answers.push({ host, refused: asRlnetError(thrown).code }),
    );
  }
  await cluster.kernel.runUntil(() => answers.length === hosts.length, 60_000);
  // Whoever is later and has heard of it.
  expect(answers.filter(({ refused }) => refused !== undefined && refused !== 'ROLLOUT_OPEN')).toEqual([]);
  const begun = answers.flatMap(({ host, refused }) => (refused === undefined ? [host] : []));
  expect(begun.length).toBeGreaterThan(0);
  return begun;
}

/** As the file declares it: three internal addresses, and the external ones of two. */
function isAsDeclared(cluster: RolloutCluster): void {
  expect(cluster.inRs).toEqual(
    cluster.inRs.map(({ uid }) => ({
      uid,
      address: target(uid),
      external: uid > 2 ? [] : [outside(uid)],
    })),
  );
}

describe('a rollout', () => {
  it('moves all nodes, each once and the master last, though its leading agent ends with its own host', async () => {
    const cluster = await RolloutCluster.up('a', 3);
    const boots = cluster.renumbering.host(leader).bootId;
    await started(cluster);
    expect(await cluster.untilEnded(leader, hourMs)).toMatchObject({ outcome: 'done' });
    expect(cluster.begun).toEqual([2, 3, 1]);
    expect(cluster.renumbering.host(leader).bootId).not.toBe(boots);
    isAsDeclared(cluster);
  });

  const seeds = Array.from({ length: full ? 400 : 40 }, (_, index) => `leader-${index}`);
  it.each(sampleOf(seeds, full ? seeds.length : 12))(
    'is gone on with where the agent or the host of its leader ends at any moment (%s)',
    async (seed) => {
      const cluster = await RolloutCluster.up(seed, 3);
      const chance = new Stream(seed);
      await started(cluster);
      const faults = 1 + chance.below(4);
      for (let fault = 0; fault < faults; fault += 1) {
        await cluster.kernel.run(chance.between(0, 300_000));
        const agent = cluster.renumbering.agent(leader);
        if (!agent.host.isOn) continue;
        if (chance.chance(0.7)) agent.kill();
        else {
          agent.host.powerOff();
          agent.host.powerOn(30_000);
        }
      }
      const rollout = await cluster.untilEnded(leader, 3 * hourMs);
      // Its own node is renumbered too: a host that dies in the middle of that may bring it back to the old address, and stops the rollout.
      if (rollout?.outcome === 'stopped') {
        expect(rollout.reason?.code).toBe('ROLLOUT_STEP_FAILED');
        const done = rollout.steps.filter(({ is }) => is === 'done').map(({ change }) => change.node);
        expect(
          cluster.inRs.filter(({ uid, address }) => address === target(uid)).map(({ uid }) => uid),
        ).toEqual(expect.arrayContaining(done));
      } else {
        expect(rollout).toMatchObject({ outcome: 'done' });
        isAsDeclared(cluster);
      }
      expect(new Set(cluster.begun).size).toBe(cluster.begun.length);
    },
  );

  it('stops at the first failure and touches no other node; by hand it goes on, and nothing is done twice', async () => {
    const cluster = await RolloutCluster.up('a', 3);
    const third = cluster.renumbering.agent('n3');
    third.faults.unitStarts = () => !third.host.holds(target(3));
    await started(cluster);
    expect(await cluster.untilEnded(leader, hourMs)).toMatchObject({
      outcome: 'stopped',
      reason: { code: 'ROLLOUT_STEP_FAILED', message: expect.stringContaining('node 3') },
    });
    await cluster.kernel.run(hourMs);
    expect(cluster.begun).toEqual([2, 3]);
    expect(cluster.inRs.map(({ uid, address }) => address === target(uid))).toEqual([false, true, false]);

    third.faults.unitStarts = () => true;
    await started(cluster);
    expect(await cluster.untilEnded(leader, hourMs)).toMatchObject({ outcome: 'done' });
    expect(cluster.begun).toEqual([2, 3, 3, 1]);
    isAsDeclared(cluster);
  });

  const twins = Array.from({ length: full ? 100 : 10 }, (_, index) => `twins-${index}`);
  it.each(sampleOf(twins, full ? twins.length : 3))(
    'that two agents begin at the same moment takes no two nodes out, and ends as declared (%s)',
    async (seed) => {
      const cluster = await RolloutCluster.up(seed, 3);
      const chance = new Stream(seed);
      const begun = await started(cluster, [], ['n1', 'n2']);
      await cluster.kernel.run(chance.between(0, 600_000));
      if (chance.chance(0.5)) cluster.renumbering.agent('n2').kill();
      const outcomes: (string | undefined)[] = [];
      for (const host of begun) outcomes.push((await cluster.untilEnded(host, 3 * hourMs))?.outcome);
      expect(outcomes).toContain('done');
      expect(new Set(cluster.begun).size).toBe(3);
      isAsDeclared(cluster);
    },
  );

  it('waits for its maintenance window, over a crash of the leading agent, and begins when it opens', async () => {
    const cluster = await RolloutCluster.up('a', 3);
    const opens = new Date(Math.ceil(cluster.renumbering.host(leader).wall() / 60_000) * 60_000 + 2 * hourMs);
    const text = (date: Date): string => date.toISOString().slice(11, 16);
    await started(cluster, [{ from: text(opens), to: text(new Date(opens.getTime() + hourMs)) }]);
    await cluster.kernel.run(hourMs);
    cluster.renumbering.agent(leader).kill();
    await cluster.kernel.runUntil(
      () => cluster.renumbering.host(leader).wall() >= opens.getTime() - 1_000,
      2 * hourMs,
    );
    expect(cluster.rolloutOf(leader)?.holds?.why).toBe('no maintenance window is open');
    expect(cluster.begun).toEqual([]);
    const took = await cluster.kernel.runUntil(() => cluster.begun.length > 0, hourMs);
    expect(took).toBeLessThan(15_000);
    expect(await cluster.untilEnded(leader, hourMs)).toMatchObject({ outcome: 'done' });
    isAsDeclared(cluster);
  });

  it('begins with no node once its window is over, and goes on in the next one', async () => {
    const cluster = await RolloutCluster.up('a', 3);
    const now = cluster.renumbering.host(leader).wall();
    const text = (ms: number): string => new Date(ms).toISOString().slice(11, 16);
    await started(cluster, [{ from: text(now - 60_000), to: text(now + 60_000) }]);
    await cluster.kernel.runUntil(() => cluster.rolloutOf(leader)?.steps[1]?.is !== 'waiting', hourMs);
    await cluster.kernel.run(6 * hourMs);
    // One node was begun with, and it went on to its end after that.
    expect(cluster.begun).toEqual([2]);
    expect(cluster.rolloutOf(leader)).toMatchObject({ holds: { why: 'no maintenance window is open' } });
    await cluster.kernel.runUntil(() => cluster.begun.length > 1, 24 * hourMs);
    expect(cluster.begun).toEqual([2, 3]);
  });
});
