import { describe, expect, it } from 'vitest';
import type { FactDependencies } from '../../../src/agent/renumbering/facts.ts';
import { askGuardsOf } from '../../../src/agent/renumbering/guards.ts';
import { planMakerOf } from '../../../src/agent/renumbering/plan-maker.ts';
import type { NetworkOwner } from '../../../src/host/ports/network-owner.ts';
import { RlnetError } from '../../../src/protocol/errors.ts';
import { defaultBounds } from '../../../src/protocol/renumbering/bounds.ts';
import { refusalsOf } from '../../../src/protocol/renumbering/guards.ts';
import type { Plan } from '../../../src/protocol/renumbering/plan.ts';
import { type Progress, progressOf } from '../../../src/protocol/renumbering/progress.ts';
import { moveTo, soundFacts } from '../../support/renumbering/facts.ts';
import { enabledUnit } from '../../support/unit-record.ts';

const timeout = () =>
  Promise.reject(new RlnetError('COMMAND_TIMEOUT', 'rladmin took longer than 20 s.', 'Look.'));

/** Sources that have `soundFacts` to tell. */
function sources(change: Partial<FactDependencies['rs']> = {}): FactDependencies {
  const facts = soundFacts();
  const rs = {
    localUid: async () => facts.localUid,
    nodeTable: async () => facts.nodes,
    shardTable: async () => facts.shards,
    runningActions: async () => facts.running,
    replicaHaGraceSeconds: async () => facts.replicaHaGraceSeconds,
    ...change,
  };
  const owner: Pick<NetworkOwner, 'kind' | 'plan' | 'locate'> = {
    kind: 'systemd-networkd',
    plan: async () => ({ files: [], warnings: [] }),
    locate: async () => [],
  };
  const answers = {
    about: { version: '0.1.0', clock: 0, openRenumberings: [] },
    lock: { told: 'none' },
  };
  return {
    rs,
    clock: { wall: () => 0 },
    peers: {
      hostOf: (uid: number) => `n${uid}`,
      call: async (_host: string, method: keyof typeof answers) => answers[method],
    },
    interfaces: { read: async () => facts.interfaces },
    kernel: { snapshot: async () => ({ routes: facts.routes }) },
    hostsFile: { judge: async () => facts.hostsFile },
    units: { record: async (unit: string) => enabledUnit({ unit }) },
    surroundings: {
      freeBytes: async () => 2 ** 30,
      clockSynchronised: async () => true,
      vendor: async () => undefined,
      firewallRules: async () => [],
    },
    ownerOf: async () => owner,
    rsUnit: async () => 'rlec_supervisor.service',
    agentUnit: 'rlnet.service',
    mode: 'manage',
    certificateEnds: async () => 365 * 86_400_000,
    directories: ['/var/lib/rlnet'],
  } as unknown as FactDependencies;
}

async function planned(deps: FactDependencies): Promise<Plan> {
  const { plan } = await planMakerOf({
    ...deps,
    random: { id: () => 'abcdef0123456789abcdef0123456789', fraction: () => 0 },
    files: { read: async () => '::1 localhost\n' },
    cluster: 'demo',
    version: '0.1.0',
    seeds: [],
    bounds: defaultBounds,
  })(moveTo('192.0.2.52/24'));
  if (plan === undefined) throw new Error('no plan was made');
  return plan;
}

async function progress(): Promise<Progress> {
  const at = { bootId: 'one', seconds: 1 };
  return progressOf([{ type: 'open', wall: 0, at, plan: await planned(sources()) }]);
}

describe('asking the guards of a step', () => {
  it('says nothing where all of them pass', async () => {
    const ask = askGuardsOf(sources());
    for (const step of ['preflight', 'demote', 'restart', 'release'] as const) {
      expect(await ask(await progress(), step)).toEqual([]);
    }
  });

  it('is no pass where something could not be read: it has to be asked again', async () => {
    const ask = askGuardsOf(sources({ shardTable: timeout }));
    await expect(ask(await progress(), 'disable')).rejects.toMatchObject({
      code: 'GUARD_UNKNOWN',
      retryable: true,
      message: expect.stringContaining('rladmin took longer than 20 s'),
    });
  });

  it('says what is wrong, also where something else could not be read', async () => {
    const running = { actions: ['migrate_shard (x): running'], unread: [] };
    const ask = askGuardsOf(sources({ shardTable: timeout, runningActions: async () => running }));
    expect((await ask(await progress(), 'disable')).map(({ code }) => code)).toEqual(['ACTION_RUNNING']);
  });
});

describe('making a plan', () => {
  it('reads all that the guards need, and gives it an id of 12 digits', async () => {
    const plan = await planned(sources());
    expect(plan).toMatchObject({ id: 'abcdef012345', owner: 'systemd-networkd', kind: 'same_subnet' });
    expect(plan.members.map(({ host }) => host)).toEqual(['n1', 'n2', 'n3']);
  });

  it('shows every guard also where RS does not answer at all', async () => {
    const deps = sources({ nodeTable: timeout, shardTable: timeout, runningActions: timeout });
    const made = await planMakerOf({
      ...deps,
      random: { id: () => 'abcdef0123456789abcdef0123456789', fraction: () => 0 },
      files: { read: async () => '' },
      cluster: 'demo',
      version: '0.1.0',
      seeds: [],
      bounds: defaultBounds,
    })(moveTo('192.0.2.52/24'));
    expect(made.plan).toBeUndefined();
    const codes = refusalsOf(made.guards).map(({ code }) => code);
    expect(codes).toEqual(
      expect.arrayContaining(['NODE_NOT_OK', 'SHARD_WITHOUT_REPLICA', 'ACTION_RUNNING', 'OTHER_RENUMBERING']),
    );
  });
});
