import { describe, expect, test } from 'vitest';
import type { Peers } from '../../../src/agent/renumbering/peers.ts';
import { markOf, Rollouts } from '../../../src/agent/rollout/rollouts.ts';
import { createFiles } from '../../../src/host/files.ts';
import { createRandom } from '../../../src/host/random.ts';
import { parseAddress, parseInterfaceAddress } from '../../../src/protocol/address.ts';
import { RlnetError } from '../../../src/protocol/errors.ts';
import type { ExternalRequest } from '../../../src/protocol/external.ts';
import type { Claim } from '../../../src/protocol/renumbering/lock.ts';
import type { PlanRequest, RenumberingSummary } from '../../../src/protocol/renumbering/request.ts';
import type { Declaration } from '../../../src/protocol/rollout/declaration.ts';
import { differenceOf } from '../../../src/protocol/rollout/difference.ts';
import { nextOf, type Rollout } from '../../../src/protocol/rollout/record.ts';
import type { ClusterView } from '../../../src/protocol/state.ts';
import { recordLog } from '../../support/agents.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { examplePlan } from '../../support/renumbering/plan.ts';
import { type InProcessCluster, inProcessCluster } from '../../support/standin/in-process.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { cluster, node } from '../standin/fixture.ts';

/** Nodes 1 (master) to 3 at 192.0.2.2 to .4; the agents of other hosts are played, RS is the stand-in. */

const files = createFiles();
const declaration: Declaration = {
  nodes: [1, 2].map((uid) => ({
    node: uid,
    internal: parseInterfaceAddress(`192.0.2.${50 + uid}/24`),
    ...(uid === 2 ? { external: [parseAddress('203.0.113.2')] } : {}),
  })),
  windows: [],
};

/** What the agents of the nodes know: the renumberings that they were asked for. */
interface Played {
  rs: InProcessCluster;
  renumberings: RenumberingSummary[];
  /** Every operation that was asked for, in order. */
  asked: string[];
  /** How a renumbering that was started ends; open until it is said. */
  ends: (planId: string, is: 'done' | 'rolled_back' | 'stopped') => void;
  /** Called before each operation; what it throws is the answer. */
  before: (operation: string) => void;
  claims: Claim[];
  call: Peers['call'];
}

function play(): Played {
  const rs = inProcessCluster(cluster({ nodes: [node(1), node(2), node(3)] }));
  const played: Played = {
    rs,
    renumberings: [],
    asked: [],
    claims: [],
    before: () => {},
    ends: (planId, is) => {
      const found = played.renumberings.find((each) => each.planId === planId);
      if (found === undefined) throw new Error(`nobody planned ${planId}`);
      found.is = is;
      if (is !== 'done') return;
      rs.config = {
        ...rs.config,
        nodes: rs.config.nodes.map((each) =>
          each.uid === found.nodeUid ? { ...each, addr: found.to.address } : each,
        ),
      };
    },
    call: (async (host: string, method: string, params: object) => {
      const uid = Number(host.slice(1));
      if (method === 'renumberings')
        return { hosts: [{ host, renumberings: played.renumberings.filter((each) => each.host === host) }] };
      played.before(method);
      played.asked.push(`${method} ${host}`);
      if (method === 'renumber_plan') {
        const { to } = (params as { request: PlanRequest }).request;
        const planId = (played.renumberings.length + 1).toString(16).padStart(12, '0');
        const from = { address: parseAddress(`192.0.2.${uid + 1}`), prefixLength: 24 };
        played.renumberings.push({ planId, host, nodeUid: uid, from, to, is: 'planned', at: 0 });
        return { plan: examplePlan({ id: planId, host, nodeUid: uid }), guards: [] };
      }
      if (method === 'renumber_start') {
        const { planId } = params as { planId: string };
        const found = played.renumberings.find((each) => each.planId === planId);
        if (found?.is !== 'planned') throw new RlnetError('PLAN_UNKNOWN', `No plan ${planId}.`, 'Plan anew.');
        found.is = 'open';
        return { host };
      }
      const { request } = params as { request: ExternalRequest };
      await rs.rsOf(1).setExternalAddresses(uid, request.addresses, 1_000);
      return {};
    }) as Peers['call'],
  };
  return played;
}

const hosts = ['n1', 'n2', 'n3'];

/** An agent on n1 over a directory: after a crash another one over the same. */
async function agentOver(directory: string, played: Played, { told }: { told?: ClusterView['hosts'] } = {}) {
  const clock = createManualClock();
  const log = recordLog();
  const view = {
    cluster: 'demo',
    seenFrom: 'n1',
    at: 0,
    rs: { unknown: '' },
    unreached: [],
    hosts:
      told ?? hosts.map((host, index) => ({ host, link: { status: 'self' }, state: { nodeUid: index + 1 } })),
  } as unknown as ClusterView;
  const rollouts = new Rollouts({
    host: 'n1',
    directory,
    clock,
    random: createRandom(),
    files,
    rs: played.rs.rsOf(1),
    view: () => view,
    call: played.call,
    openClaims: () => played.claims,
    forbidden: undefined,
    log,
    changed: () => {},
  });
  await rollouts.takeUp();
  /** Lets time pass until it is so: writing to the disk takes its own time. */
  const until = async (what: string, so: () => boolean): Promise<void> => {
    for (let tries = 0; tries < 400; tries += 1) {
      if (so()) return;
      await clock.pass(1_000);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    throw new Error(`never ${what}: ${JSON.stringify(rollouts.rollout)} ${played.asked.join(', ')}`);
  };
  return { rollouts, clock, log, until };
}

const started = (played: Played): RenumberingSummary | undefined =>
  played.renumberings.find(({ is }) => is === 'open');

describe('a rollout', () => {
  test('does one node after another, the master last, and ends when the cluster is as it is declared', async () => {
    const played = play();
    const { rollouts, until } = await agentOver(await temporaryDirectory(), played);
    await rollouts.start(declaration, 'root');
    await until('renumbers node 2', () => started(played)?.nodeUid === 2);
    // Nobody else's turn comes while that goes on.
    await until('is patient', () => played.asked.length === 2);
    played.ends('000000000001', 'done');
    await until('renumbers node 1', () => started(played)?.nodeUid === 1);
    played.ends('000000000002', 'done');
    await until('is done', () => rollouts.rollout?.outcome === 'done');
    expect(played.asked).toEqual([
      'renumber_plan n2',
      'renumber_start n2',
      'external_change n2',
      'renumber_plan n1',
      'renumber_start n1',
    ]);
    expect(rollouts.declared).toEqual(declaration);
    expect(rollouts.told).toMatchObject({ is: 'done', done: 3, of: 3 });
  });

  test('is done at once where nothing differs, and is what is declared then', async () => {
    const { rollouts } = await agentOver(await temporaryDirectory(), play());
    const nothing: Declaration = { nodes: [{ node: 3, external: [] }], windows: [] };
    expect(await rollouts.start(nothing, 'root')).toMatchObject({ steps: [], outcome: 'done' });
    expect(rollouts.declared).toEqual(nothing);
  });

  test.for(['rolled_back', 'stopped'] as const)(
    'stops where a renumbering is %s, and begins with no other node',
    async (is) => {
      const played = play();
      const { rollouts, until } = await agentOver(await temporaryDirectory(), played);
      await rollouts.start(declaration, 'root');
      await until('renumbers node 2', () => started(played) !== undefined);
      played.ends('000000000001', is);
      await until('has stopped', () => rollouts.rollout?.outcome === 'stopped');
      expect(rollouts.rollout).toMatchObject({
        reason: { code: 'ROLLOUT_STEP_FAILED' },
        steps: [{ is: 'failed' }, { is: 'waiting' }, { is: 'waiting' }],
      });
      expect(rollouts.declared).toBeUndefined();
      // By hand: what is done is not done twice.
      played.ends('000000000001', 'done');
      expect((await rollouts.start(declaration, 'root')).steps).toHaveLength(2);
    },
  );

  test('stops with the reason where a guard refuses, and waits where one only does not know', async () => {
    const played = play();
    const { rollouts, until } = await agentOver(await temporaryDirectory(), played);
    let answer = new RlnetError('GUARD_UNKNOWN', 'Not known.', 'Wait.');
    played.before = () => {
      throw answer;
    };
    await rollouts.start(declaration, 'root');
    await until('waits', () => rollouts.rollout?.holds?.why === 'Not known.');
    expect(rollouts.rollout?.outcome).toBeUndefined();
    answer = new RlnetError('PLAN_REFUSED', 'UNIT_UNFIT: masked.', 'Unmask it.');
    await until('has stopped', () => rollouts.rollout?.outcome === 'stopped');
    expect(rollouts.rollout?.reason).toEqual({
      code: 'PLAN_REFUSED',
      message: 'Node 2 (internal address): UNIT_UNFIT: masked.',
      remedy: 'Unmask it.',
    });
  });

  test('waits while somebody has the lock, and stops where that lasts for half an hour', async () => {
    const played = play();
    played.claims = [{ epoch: 1, host: 'n3', planId: 'ffffffffffff', members: [1, 2, 3] }];
    const { rollouts, clock, until } = await agentOver(await temporaryDirectory(), played);
    await rollouts.start(declaration, 'root');
    await until('waits', () => rollouts.rollout?.holds?.why === 'n3 has the lock for ffffffffffff');
    await clock.pass(29 * 60_000);
    expect(rollouts.rollout?.outcome).toBeUndefined();
    await clock.pass(2 * 60_000);
    await until('has stopped', () => rollouts.rollout?.outcome === 'stopped');
    expect(rollouts.rollout?.reason?.code).toBe('ROLLOUT_GATE_SHUT');
    expect(played.asked).toEqual([]);
  });

  test('is held by a pause between nodes and never inside one', async () => {
    const played = play();
    const { rollouts, until, clock } = await agentOver(await temporaryDirectory(), played);
    await rollouts.start(declaration, 'root');
    await until('renumbers node 2', () => started(played) !== undefined);
    await rollouts.pause({ by: 'root', reason: 'lunch' });
    played.ends('000000000001', 'done');
    await until('has noted it', () => rollouts.rollout?.steps[0]?.is === 'done');
    await until('holds', () => rollouts.rollout?.holds?.why === 'paused by root: lunch');
    await clock.pass(5 * 60_000);
    expect(rollouts.rollout?.outcome).toBeUndefined();
    expect(played.asked).toHaveLength(2);
    await rollouts.pause(undefined);
    await until('goes on', () => started(played)?.nodeUid === 1);
  });

  test('is not begun with the mark of a plan that was shown before somebody changed an external address', async () => {
    const played = play();
    const { rollouts } = await agentOver(await temporaryDirectory(), played);
    const shown = async (): Promise<string> =>
      markOf(
        differenceOf(declaration, await played.rs.rsOf(1).nodeTable(), { cluster: 'demo', hosts: [] })
          .changes,
      );
    const mark = await shown();
    await played.rs.rsOf(1).addExternalAddress(2, parseAddress('203.0.113.99'), 1_000);
    await expect(rollouts.start(declaration, 'root', mark)).rejects.toMatchObject({
      code: 'ROLLOUT_PLAN_OUTDATED',
      message: expect.stringContaining(mark),
    });
    expect(rollouts.rollout).toBeUndefined();
    expect(await rollouts.start(declaration, 'root', await shown())).toMatchObject({ by: 'root' });
  });

  test('stops where somebody changed an external address while it waited, and takes nothing away that was not shown', async () => {
    const played = play();
    const { rollouts, until } = await agentOver(await temporaryDirectory(), played);
    await rollouts.start(declaration, 'root');
    await until('renumbers node 2', () => started(played)?.nodeUid === 2);
    await played.rs.rsOf(1).addExternalAddress(2, parseAddress('203.0.113.99'), 1_000);
    played.ends('000000000001', 'done');
    await until('has stopped', () => rollouts.rollout?.outcome === 'stopped');
    expect(rollouts.rollout?.reason).toMatchObject({
      code: 'ROLLOUT_PLAN_OUTDATED',
      message: expect.stringContaining('203.0.113.99 would be taken away'),
    });
    expect(played.rs.config.nodes[1]?.externalAddr).toContain('203.0.113.99');
  });

  test('stops where somebody renumbered the node while it waited', async () => {
    const played = play();
    const { rollouts, until } = await agentOver(await temporaryDirectory(), played);
    await rollouts.start(declaration, 'root');
    await until('renumbers node 2', () => started(played)?.nodeUid === 2);
    played.rs.config = {
      ...played.rs.config,
      nodes: played.rs.config.nodes.map((each) =>
        each.uid === 1 ? { ...each, addr: parseAddress('192.0.2.99') } : each,
      ),
    };
    played.ends('000000000001', 'done');
    await until('has stopped', () => rollouts.rollout?.outcome === 'stopped');
    expect(rollouts.rollout?.reason).toMatchObject({
      code: 'ROLLOUT_PLAN_OUTDATED',
      message: 'Node 1: RS has 192.0.2.99 for it, and the plan went from 192.0.2.2.',
    });
    expect(played.asked).toEqual(['renumber_plan n2', 'renumber_start n2', 'external_change n2']);
  });

  test('is one at a time in the whole cluster', async () => {
    const played = play();
    const { rollouts } = await agentOver(await temporaryDirectory(), played);
    await rollouts.start(declaration, 'root');
    await expect(rollouts.start(declaration, 'root')).rejects.toMatchObject({ code: 'ROLLOUT_OPEN' });
    const rollout = { id: 'a', by: 'root', startedAt: 0, is: 'open', done: 0, of: 1 };
    const told = [
      { host: 'n1', link: { status: 'self' }, state: { nodeUid: 1 } },
      { host: 'n2', link: { status: 'connected' }, state: { nodeUid: 2, rollout } },
    ] as unknown as ClusterView['hosts'];
    const other = await agentOver(await temporaryDirectory(), play(), { told });
    await expect(other.rollouts.start(declaration, 'root')).rejects.toMatchObject({
      code: 'ROLLOUT_OPEN',
      message: expect.stringContaining('led by n2'),
    });
  });
});

describe('the agent that leads a rollout can end at any moment:', () => {
  /** The operation before which, or after which, the agent ends. */
  const moments = ['renumber_plan', 'renumber_start', 'external_change'].flatMap((operation) =>
    (['before', 'after'] as const).map((when) => [when, operation] as const),
  );
  test.for(moments)('%s %s', async ([when, operation]) => {
    const played = play();
    const directory = await temporaryDirectory();
    const first = await agentOver(directory, played);
    await first.rollouts.start(declaration, 'root');
    let crashed = false;
    const { call } = played;
    /** Never answers, as the process that asked is not there any more. */
    const gone = new Promise<never>(() => {});
    played.call = (async (...question: Parameters<Peers['call']>) => {
      if (question[1] !== operation || crashed) return await call(...question);
      if (when === 'after') await call(...question);
      crashed = true;
      return await gone;
    }) as Peers['call'];
    const dying = await agentOver(directory, played);
    // The first one is the same agent before it read its record anew.
    void first.rollouts.close();
    const finish = (): void => {
      const open = started(played);
      if (open !== undefined) played.ends(open.planId, 'done');
    };
    await dying.until('is where it ends', () => {
      if (operation === 'external_change') finish();
      return crashed;
    });
    const second = await agentOver(directory, played);
    await second.until('is done', () => {
      finish();
      return second.rollouts.rollout?.outcome === 'done';
    });
    expect(played.rs.config.nodes.map(({ addr }) => addr)).toEqual(['192.0.2.51', '192.0.2.52', '192.0.2.4']);
    expect(played.rs.config.nodes[1]?.externalAddr).toEqual(['203.0.113.2']);
    // No node was taken out twice.
    expect(played.asked.filter((each) => each.startsWith('renumber_start'))).toEqual([
      'renumber_start n2',
      'renumber_start n1',
    ]);
  });

  test('a record that cannot be read is said to be, and nothing is done', async () => {
    const directory = await temporaryDirectory();
    await files.create(`${directory}/rollout.json`, '{"id":', 0o600);
    const { rollouts, log } = await agentOver(directory, play());
    expect(rollouts.rollout).toBeUndefined();
    expect(log.entries).toEqual([expect.objectContaining({ level: 'error' })]);
  });

  test('what cannot be put on the disk is not begun', async () => {
    const played = play();
    const directory = await temporaryDirectory();
    const { rollouts } = await agentOver(`${directory}/none`, played);
    await expect(rollouts.start(declaration, 'root')).rejects.toMatchObject({ code: 'ENOENT' });
    expect(rollouts.rollout).toBeUndefined();
    expect(played.asked).toEqual([]);
  });
});

test('a renumbering that goes on is watched, whatever the pause, the windows and the cluster are', () => {
  const change = {
    kind: 'internal' as const,
    node: 2,
    to: parseInterfaceAddress('192.0.2.52/24'),
  };
  const rollout: Rollout = {
    id: 'a',
    leader: 'n1',
    by: 'root',
    startedAt: 0,
    declaration: { nodes: [], windows: [{ from: '00:00', to: '00:01' }] },
    steps: [{ change, is: 'begun', planId: '000000000001' }],
    paused: { by: 'root', reason: 'lunch', at: 0 },
  };
  const at = Date.UTC(2026, 0, 1, 12);
  expect(nextOf(rollout, { now: at, unfit: 'node 2 is DOWN', standing: 'open' })).toEqual({
    act: 'watch',
    index: 0,
  });
  expect(nextOf(rollout, { now: at, unfit: undefined, standing: 'done' })).toEqual({
    act: 'finish_step',
    index: 0,
  });
  expect(nextOf(rollout, { now: at, unfit: undefined, standing: 'planned' })).toEqual({
    act: 'start',
    index: 0,
  });
  const waiting: Rollout = { ...rollout, steps: [{ change, is: 'waiting' }] };
  expect(nextOf(waiting, { now: at, unfit: undefined, standing: undefined })).toMatchObject({ act: 'hold' });
  const { paused: _, ...unpaused } = waiting;
  expect(nextOf(unpaused, { now: at, unfit: undefined, standing: undefined })).toMatchObject({
    act: 'hold',
    why: 'no maintenance window is open',
  });
  expect(
    nextOf({ ...rollout, outcome: 'done' }, { now: at, unfit: undefined, standing: undefined }),
  ).toBeUndefined();
});
