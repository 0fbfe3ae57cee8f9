import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Plan, PlanOptions } from '../../src/protocol/renumbering/plan.ts';
import type { PlanReport, RenumberingSummary } from '../../src/protocol/renumbering/request.ts';
import { downLab, type Host, type Lab } from '../support/lab/lab.ts';
import {
  begin,
  ended,
  patienceMs,
  recorded,
  rsUnit,
  upCluster,
  waitUntilWell,
  whereabouts,
} from '../support/lab/renumbering.ts';
import { waitFor } from '../support/lab/run.ts';
import { full } from '../support/sampling.ts';

/** What a person may ask of a renumbering beside its address, and of those that there are, with the shipped package on real hosts. */

const node = 2;
/** Its addresses as a lab gives them; the first one is that of RS. */
const old = ['10.77.0.22', 'fd77:0:0:1::22'];
/** What `follow` and `plan` end with (docs/errors.md). */
const exit = { refused: 7, rolledBack: 31 };

async function askPlan(from: Host, address: string, options: string[]) {
  const argv = ['rlnet', 'renumber', 'plan', `${node}`, address, ...options];
  const { stdout, exitCode } = await from.exec([...argv, '--json'], { timeoutMs: 90_000 });
  const report = JSON.parse(stdout) as PlanReport;
  const refusals = report.guards.filter(
    ({ severity, outcome }) => severity === 'refuses' && outcome !== 'pass',
  );
  const codes = report.guards.filter(({ outcome }) => outcome !== 'pass').map(({ code }) => code);
  return { plan: report.plan, refusals, codes, exitCode };
}

/** How `rlnet renumber list` has a plan, asked on that host. */
async function listed(from: Host, planId: string): Promise<RenumberingSummary['is'] | undefined> {
  const { hosts } = JSON.parse(await from.execOk(['rlnet', 'renumber', 'list', '--json'])) as {
    hosts: { renumberings?: RenumberingSummary[] }[];
  };
  return hosts.flatMap(({ renumberings = [] }) => renumberings).find((each) => each.planId === planId)?.is;
}

describe('in a cluster of three', () => {
  const labName = 'test-renumbering-options';
  let lab: Lab;
  let n1: Host;
  let n2: Host;
  let n3: Host;

  beforeAll(async () => {
    await downLab(labName);
    lab = await upCluster(labName, [{}, {}, {}], 'ipv4');
    [n1, n2, n3] = [lab.host('n1'), lab.host('n2'), lab.host('n3')];
  });
  afterAll(() => downLab(labName));

  test('every option of a plan is in the plan, and what is not needed or does not fit is said', async () => {
    const wanted: Partial<PlanOptions> = { reboot: false, proveByReboot: true, acceptOutage: true };
    const options = ['--no-reboot', '--prove-by-reboot', '--accept-outage', '--interface', 'eth0'];
    const { plan, codes, exitCode } = await askPlan(n1, '10.77.0.150/24', [...options, '--cut-over']);
    expect([exitCode, codes]).toEqual([0, expect.arrayContaining(['CUT_OVER_NOT_NEEDED'])]);
    expect(plan).toMatchObject({ change: { link: { name: 'eth0' } }, options: wanted } as Partial<Plan>);
    const text = await n3.execOk(['rlnet', 'renumber', 'plan', '2', '10.77.0.150/24', ...options]);
    expect(text).toMatch(/steps .*restart \(the unit alone\).*rejoin, prove, release/);
    expect(await listed(n3, plan?.id ?? '')).toBe('planned');

    const gateway = await askPlan(n1, '10.77.0.150/24', ['--gateway', '10.99.0.1']);
    expect([gateway.exitCode, gateway.codes]).toEqual([
      exit.refused,
      expect.arrayContaining(['GATEWAY_OUTSIDE']),
    ]);
    const elsewhere = await askPlan(n1, '10.77.0.150/24', ['--interface', 'eth9']);
    expect([elsewhere.exitCode, elsewhere.codes]).toEqual([
      exit.refused,
      expect.arrayContaining(['LINK_NOT_FOUND']),
    ]);
    expect((await whereabouts(n2, node, n1)).kernel).toEqual(old);
  });

  test('a shard without a replica is refused by its id, and accepted by its id', async () => {
    const rladmin = '/opt/redislabs/bin/rladmin';
    await n1.execOk([rladmin, 'standin', 'seed-database', 'alone', '1', 'single', `${node}`]);
    const { refusals, exitCode } = await askPlan(n1, '10.77.0.150/24', []);
    expect([exitCode, refusals.map(({ code }) => code)]).toEqual([exit.refused, ['SHARD_WITHOUT_REPLICA']]);
    const [, id = ''] = /redis:(\d+)/.exec(refusals[0]?.message ?? '') ?? [];
    const accepted = await askPlan(n1, '10.77.0.150/24', ['--accept-shards', id]);
    expect([accepted.exitCode, accepted.plan?.options.acceptShards]).toEqual([0, [Number(id)]]);
  });

  test('an abort turns it back, and follow ends with that', { timeout: patienceMs }, async () => {
    const shards = await acceptingShards(n1);
    const planId = await begin(n1, node, '10.77.0.151/24', ['--no-reboot', ...shards]);
    const follow = n3.exec(['rlnet', 'renumber', 'follow'], { timeoutMs: patienceMs });
    await recorded(n1, planId, 'the rehearsal to begin', (record) => {
      return record.type === 'intent' && record.step === 'rehearse';
    });
    expect(await listed(n1, planId)).toBe('open');
    await n3.execOk(['rlnet', 'renumber', 'abort', planId, '--reason', 'a test'], { timeoutMs: 90_000 });
    expect(await ended(n1, planId)).toMatchObject({ outcome: 'rolled_back', reason: { code: 'ABORTED' } });
    const followed = await follow;
    expect([followed.exitCode, followed.stdout]).toEqual([
      exit.rolledBack,
      expect.stringMatching(/turns back: ABORTED/),
    ]);
    expect(await n1.execOk(['rlnet', 'renumber', 'list'])).toMatch(
      new RegExp(`${planId} .*10\\.77\\.0\\.22 .*10\\.77\\.0\\.151 .*rolled back`),
    );
    await waitUntilWell(lab.hosts);
    expect((await whereabouts(n2, node, n1)).kernel).toEqual(old);
  });

  test('one that stopped keeps the lock until it is resumed', { timeout: 2 * patienceMs }, async () => {
    const shards = await acceptingShards(n1);
    const dropIn = `/etc/systemd/system/${rsUnit}.d`;
    await n2.execOk(['mkdir', '-p', dropIn]);
    await n2.writeFile(`${dropIn}/refuses.conf`, '[Service]\nExecStartPre=/bin/false\n');
    await n2.execOk(['systemctl', 'daemon-reload']);
    const planId = await begin(n1, node, '10.77.0.152/24', ['--no-reboot', ...shards]);
    const end = await ended(n1, planId);
    expect(end, JSON.stringify(end.records, null, 1)).toMatchObject({ outcome: 'stopped' });
    expect(await listed(n3, planId)).toBe('stopped');
    expect(await n1.execOk(['rlnet', 'lock', 'show'])).toContain(`n2 has the lock for ${planId}`);
    const refused = await n1.exec(
      ['rlnet', 'renumber', 'start', '2', '10.77.0.153/24', '--yes', '--json', ...shards],
      { timeoutMs: 90_000 },
    );
    expect(refused.exitCode).toBe(exit.refused);

    await n2.execOk(['rm', '-r', dropIn]);
    await n2.execOk(['systemctl', 'daemon-reload']);
    await n1.execOk(['rlnet', 'renumber', 'resume', planId]);
    const again = await waitFor('it to end anew', { timeoutMs: patienceMs }, async () => {
      const now = await ended(n1, planId);
      return now.records.length > end.records.length && now.outcome !== 'stopped' ? now : undefined;
    });
    expect(again.records.map(({ type }) => type)).toContain('reopened');
    expect(again.outcome).toBe('rolled_back');
    await waitUntilWell(lab.hosts);
    const now = await whereabouts(n2, node, n1);
    expect(now).toMatchObject({ rs: old[0], status: 'OK', enabled: 'enabled', active: 'active' });
    expect(await n1.execOk(['rlnet', 'lock', 'show'])).toContain('nobody has the lock');
  });

  test.runIf(full)(
    'a proof by a boot restarts the host twice, while follow loses its own agent for a while and goes on',
    {
      timeout: 2 * patienceMs,
    },
    async () => {
      const shards = await acceptingShards(n1);
      const planId = await begin(n1, node, '10.77.0.154/24', ['--prove-by-reboot', ...shards]);
      const follow = n3.exec(['rlnet', 'renumber', 'follow', planId], { timeoutMs: 2 * patienceMs });
      await recorded(n1, planId, 'the node to rejoin', (record) => {
        return record.type === 'done' && record.step === 'start';
      });
      await n3.execOk(['systemctl', 'stop', 'rlnet']);
      await sleep(3_000);
      await n3.execOk(['systemctl', 'start', 'rlnet']);
      const end = await ended(n1, planId);
      expect(end, JSON.stringify(end.records, null, 1)).toMatchObject({ outcome: 'done' });
      const boots = new Set(end.records.flatMap((record) => ('at' in record ? record.at.bootId : [])));
      expect(boots.size).toBe(3);
      const followed = await follow;
      expect(followed.exitCode).toBe(0);
      expect(followed.stdout).toMatch(/; waiting\n/);
      for (const step of ['claim', 'restart', 'rejoin', 'prove', 'release'])
        expect(followed.stdout).toMatch(new RegExp(` ${step} done: `));
      expect(await n2.execOk(['rlnet', 'renumber', 'show', planId, '--timing'])).toMatch(/prove/);
      await waitUntilWell(lab.hosts);
      expect(await whereabouts(n2, node, n1)).toMatchObject({
        rs: '10.77.0.154',
        status: 'OK',
        kernel: ['10.77.0.154', old[1]],
      });
    },
  );
});

/** Accepts the shards that only node 2 has, if there are any. */
async function acceptingShards(from: Host): Promise<string[]> {
  const { refusals } = await askPlan(from, '10.77.0.159/24', []);
  const ids = [...(refusals[0]?.message ?? '').matchAll(/redis:(\d+)/g)].map(([, id]) => id);
  return ids.length === 0 ? [] : ['--accept-shards', ids.join(',')];
}

describe('in a cluster of two', () => {
  const labName = 'test-renumbering-two';
  let lab: Lab;

  beforeAll(async () => {
    await downLab(labName);
    lab = await upCluster(labName, [{}, {}], 'ipv4');
  });
  afterAll(() => downLab(labName));

  test.runIf(full)(
    'the outage is refused, or accepted, and the node goes back as RS takes no address without its quorum',
    {
      timeout: patienceMs,
    },
    async () => {
      const [n1, n2] = [lab.host('n1'), lab.host('n2')];
      const { refusals, exitCode } = await askPlan(n1, '10.77.0.150/24', []);
      expect([exitCode, refusals.map(({ code }) => code)]).toEqual([exit.refused, ['QUORUM_AT_RISK']]);
      const end = await ended(n1, await begin(n1, node, '10.77.0.150/24', ['--accept-outage']));
      expect(end, JSON.stringify(end.records, null, 1)).toMatchObject({
        outcome: 'rolled_back',
        reason: { code: 'COMMAND_FAILED' },
      });
      const asked = end.records.filter(({ type, ...record }) => {
        return type === 'intent' && 'step' in record && record.step === 'register';
      });
      expect(asked.length).toBe(1);
      await waitUntilWell(lab.hosts);
      expect(await whereabouts(n2, node, n1)).toMatchObject({
        rs: old[0],
        status: 'OK',
        kernel: old,
        enabled: 'enabled',
        active: 'active',
      });
    },
  );
});
