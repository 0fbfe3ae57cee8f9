import type { ForwardStep } from '../../../../src/protocol/renumbering/steps.ts';
import { rsUnit } from '../host.ts';
import { plain, untilAt } from './stories.ts';
import { asks, type Story } from './story.ts';

/** Stories of one thing that has to come out in one way. */

/** Two people start another renumbering of the same node at the same moment as the first. */
export const startedTwice: Story = {
  ...plain(2),
  name: 'started-twice',
  ends: ['done'],
  meanwhile: async (stage) => {
    const { running } = stage.cluster.agent('n2');
    for (const plan of stage.plans)
      for (const id of ['aaaaaaaaaaaa', 'bbbbbbbbbbbb'])
        asks(stage, 'another', running?.start({ ...plan, id }));
    await stage.kernel.run(1_000);
    const refused = stage.seen.get('another: RENUMBERING_OPEN') ?? 0;
    if (refused !== 2) throw new Error(`S3: ${3 - refused} were begun at the same time on one host`);
  },
};

/** Somebody gives the node its old address in RS again before the unit starts. */
export const registeredOver: Story = {
  ...plain(2),
  name: 'registered-over',
  ends: ['rolled_back REGISTRATION_LOST'],
  meanwhile: async (stage) => {
    await untilAt(stage, 'enable');
    stage.cluster.rs.seed(['node', '2', 'addr', 'set', '192.0.2.2']);
  },
};

/** Somebody asks to abort once the dead man has brought the node up at the new address. */
export const abortedAfterTheDeadMan: Story = {
  ...plain(2),
  name: 'aborted-after-the-dead-man',
  ends: ['done'],
  meanwhile: async (stage) => {
    const { host, deadMan } = stage.cluster.agent('n2');
    await untilAt(stage, 'enable');
    host.stop('rlnet');
    await stage.kernel.runUntil(() => deadMan.acted > 0, 600_000);
    await stage.kernel.run(1_000);
    host.start('rlnet');
    await untilAt(stage, 'rejoin');
    asks(stage, 'abort', stage.cluster.agent('n2').running?.abort('000000000002', 'root', 'too late'));
  },
};

/** The lock is freed by a person with the node out of service, and another renumbering is started before the dead man acts. */
export const startedAfterOneStopped: Story = {
  ...plain(2),
  name: 'started-after-one-stopped',
  ends: ['stopped LOCK_LOST', 'rolled_back UNIT_UNFIT'],
  meanwhile: async (stage) => {
    const { cluster, kernel, plans } = stage;
    await kernel.runUntil(
      () => cluster.agent('n2').running?.open?.intended.has('register') === true,
      600_000,
    );
    for (const { running } of cluster.agents)
      for (const claim of running?.keeper.openClaims() ?? [])
        asks(stage, 'lock release', running?.keeper.close(claim));
    await kernel.runUntil(() => cluster.agent('n2').running?.open === undefined, 300_000);
    const others = plans.map((plan) => ({ ...plan, id: 'aaaaaaaaaaaa' }));
    for (const other of others) asks(stage, 'another', cluster.agent('n2').running?.start(other));
    await kernel.run(1_000);
    plans.push(...others);
  },
};

/** The holder is cut off as it gives the lock back, and then loses its record of it, as a host does that is installed anew. */
export const releasedAlone: Story = {
  ...plain(2),
  name: 'released-alone',
  ends: ['done'],
  meanwhile: async (stage) => {
    const { network } = stage.cluster;
    const { host } = stage.cluster.agent('n2');
    await untilAt(stage, 'release');
    network.isolate('n2');
    await stage.kernel.run(120_000);
    if (stage.cluster.agent('n2').running?.open?.step !== 'release')
      throw new Error('S3: the lock was taken for free with that on one disk alone');
    stage.cluster.agent('n2').kill();
    host.disk.unlink('/var/lib/rlnet/lock.json');
    host.disk.syncAll();
    await stage.kernel.run(5_000);
    network.rejoin('n2');
  },
};

/** The agent is gone for good in the middle of a step, so that the dead man brings the node up; then it is there again. */
function agentGone(at: ForwardStep, named: string, ends: string): Story {
  return {
    ...plain(2),
    name: named,
    ends: [ends],
    meanwhile: async (stage) => {
      const { host, deadMan } = stage.cluster.agent('n2');
      await stage.kernel.runUntil(
        () => stage.cluster.agent('n2').running?.open?.intended.has(at) === true,
        300_000,
      );
      host.stop('rlnet');
      await stage.kernel.runUntil(() => deadMan.acted > 0, 900_000);
      await stage.kernel.run(30_000);
      host.start('rlnet');
    },
  };
}

/** The dead man acts, on each of his words. */
export const agentsGone: readonly Story[] = [
  agentGone('disable', 'dead-man-old', 'rolled_back DEAD_MAN_ACTED'),
  agentGone('register', 'dead-man-both', 'stopped DEAD_MAN_ACTED'),
  agentGone('enable', 'dead-man-new', 'done'),
];

/** Somebody gives the node its old address in RS again as its unit starts; its host has both, so that RS calls it OK there. */
export const registeredOverLate: Story = {
  ...plain(2),
  name: 'registered-over-late',
  change: { kind: 'already_bound' },
  ends: ['rolled_back STEP_TIMEOUT'],
  meanwhile: async (stage) => {
    const { rs, agents } = stage.cluster;
    await untilAt(stage, 'start');
    const isUp = () =>
      agents.some(({ host }) => host.name === 'n2' && host.unit(rsUnit)?.activeState === 'active');
    await stage.kernel.runUntil(isUp, 60_000);
    if (rs.seed(['node', '2', 'addr', 'set', '192.0.2.2']) !== 0)
      throw new Error('RS did not take the address');
  },
};

export const directed: readonly Story[] = [
  startedTwice,
  registeredOver,
  registeredOverLate,
  abortedAfterTheDeadMan,
  startedAfterOneStopped,
  releasedAlone,
  ...agentsGone,
];
