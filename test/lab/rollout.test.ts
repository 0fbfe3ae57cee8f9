import { setTimeout as sleep } from 'node:timers/promises';
import * as v from 'valibot';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Address } from '../../src/protocol/address.ts';
import type { ErrorReport } from '../../src/protocol/errors.ts';
import type { Result } from '../../src/protocol/methods.ts';
import { type Rollout, rolloutSchema } from '../../src/protocol/rollout/record.ts';
import { installAgents } from '../support/lab/agent.ts';
import { downLab, type Host, type Lab, upLab } from '../support/lab/lab.ts';
import { waitFor } from '../support/lab/run.ts';
import { allWell, watchFrom } from '../support/lab/watch.ts';
import { full } from '../support/sampling.ts';
import { bootstrapStandin } from '../support/standin/bootstrap.ts';
import { installStandin } from '../support/standin/install.ts';

/** The cluster's addresses as one file, on real hosts: systemd-networkd, reboots, the agent as a package installs it. RS is the stand-in. */

const labName = 'test-rollout';
const file = '/root/cluster.yaml';
let lab: Lab;
let n1: Host;
let n2: Host;
let n3: Host;

beforeAll(async () => {
  await downLab(labName);
  lab = await upLab({ name: labName, hosts: [{}, {}, {}] });
  [n1, n2, n3] = [lab.host('n1'), lab.host('n2'), lab.host('n3')];
  await Promise.all(lab.hosts.map((host) => installStandin(host)));
  const nodes = lab.hosts.map((host) => ({
    host,
    addr: host.address('internal', 'ipv4'),
    externalAddr: [host.address('external', 'ipv4')],
  }));
  await bootstrapStandin(nodes, {
    clusterName: 'rollout.example',
    family: 'ipv4',
    databases: [{ name: 'orders', masters: 2, replication: true }],
  });
  await installAgents(lab.hosts, { cluster: 'rollout', family: 'ipv4', now: Date.now() });
  await using watch = await watchFrom(n1);
  await watch.until('everything well', allWell);
}, 240_000);
afterAll(() => downLab(labName));

async function plan(host: Host): Promise<Result<'rollout_plan'> & { exitCode: number }> {
  const { exitCode, stdout } = await host.exec(['rlnet', 'plan', '-f', file, '--json'], {
    timeoutMs: 120_000,
  });
  return { ...(JSON.parse(stdout) as Result<'rollout_plan'>), exitCode };
}

async function rollout(host: Host): Promise<Rollout> {
  return v.parse(rolloutSchema, JSON.parse(await host.execOk(['rlnet', 'rollout', '--json'])));
}

async function inRs(uid: number): Promise<{ address: string; external: string }> {
  const said = await n3.execOk(['/opt/redislabs/bin/rladmin', 'info', 'node', `${uid}`]);
  const [, address = ''] = /^ *address: (.*)$/m.exec(said) ?? [];
  const [, external = ''] = /external addresses: (.*)/.exec(said) ?? [];
  return { address, external };
}

/** The file as it is, with these lines changed. */
async function edited(change: (text: string) => string): Promise<void> {
  const text = await n1.execOk(['rlnet', 'export']);
  for (const host of lab.hosts) await host.writeFile(file, change(text), 0o644);
}

const externalOf = (host: Host): Address => host.address('external', 'ipv4');

describe('external addresses in the file', () => {
  test('are exported as they are, which is nothing to change', async () => {
    await edited((text) => text);
    const { exitCode, difference, refusals } = await plan(n2);
    expect(difference).toEqual({ changes: [], unchanged: [1, 2, 3], undeclared: [], problems: [] });
    expect({ exitCode, refusals }).toEqual({ exitCode: 0, refusals: [] });
  });

  test('are changed on two nodes, and what somebody adds past the file is found', async () => {
    await edited((text) =>
      text
        .replace(`["${externalOf(n2)}"]`, `["${externalOf(n2)}", "203.0.113.2", "2001:db8::2"]`)
        .replace(`["${externalOf(n3)}"]`, '["203.0.113.3"]'),
    );
    const { difference } = await plan(n1);
    expect(difference.changes.map(({ node, kind }) => `${node} ${kind}`)).toEqual([
      '2 external',
      '3 external',
    ]);
    const applied = await n1.exec(['rlnet', 'apply', '-f', file, '--yes'], { timeoutMs: 60_000 });
    expect(applied.exitCode, applied.stdout + applied.stderr).toBe(0);
    expect((await inRs(2)).external).toBe(`${externalOf(n2)}, 203.0.113.2, 2001:db8::2`);
    expect((await inRs(3)).external).toBe('203.0.113.3');
    expect((await plan(n1)).difference.changes).toEqual([]);

    await n2.execOk(['rlnet', 'external', 'add', '1', '203.0.113.99']);
    await using watch = await watchFrom(n1);
    // Nothing is said of what was applied just before.
    const { view } = await watch.until('the finding', ({ hosts }) =>
      hosts.some(({ state }) => state?.findings.some(({ code }) => code === 'EXTERNAL_ADDRESS_UNDECLARED')),
    );
    const found = view.hosts.flatMap(({ host, state }) =>
      (state?.findings ?? [])
        .filter(({ code }) => code === 'EXTERNAL_ADDRESS_UNDECLARED')
        .map(({ evidence }) => `${host}: ${evidence}`),
    );
    expect(found).toEqual(['n1: node 1 has 203.0.113.99']);
    await n2.execOk(['rlnet', 'external', 'remove', '1', '203.0.113.99']);
  });

  test('are not changed by a plan that was shown before somebody changed one of them', async () => {
    await edited((text) => text.replace('["203.0.113.3"]', '["203.0.113.34"]'));
    const { mark } = await plan(n1);
    await n2.execOk(['rlnet', 'external', 'add', '3', '203.0.113.35']);
    const apply = await n1.exec(['rlnet', 'apply', '-f', file, '--plan', mark, '--json']);
    expect(apply).toMatchObject({ exitCode: 7, stdout: '' });
    expect((JSON.parse(apply.stderr) as { error: ErrorReport }).error.code).toBe('ROLLOUT_PLAN_OUTDATED');
    expect((await inRs(3)).external).toBe('203.0.113.3, 203.0.113.35');
    await n2.execOk(['rlnet', 'external', 'remove', '3', '203.0.113.35']);
    expect((await plan(n1)).mark).toBe(mark);
  });

  test('wait for a maintenance window, over a restart of the agent, and can be paused and ended from any host', async () => {
    const day = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'][(new Date().getUTCDay() + 3) % 7];
    await edited(
      (text) =>
        `${text.replace('["203.0.113.3"]', '["203.0.113.33"]')}windows:\n  - { days: [${day}], from: "10:00", to: "10:01" }\n`,
    );
    await using apply = await n1.spawn(['rlnet', 'apply', '-f', file, '--yes']);
    for await (const line of apply.lines) if (line.includes('no maintenance window is open')) break;
    const { id } = await rollout(n3);
    expect(await n2.exec(['rlnet', 'apply', '-f', file, '--yes', '--json'])).toMatchObject({ exitCode: 7 });
    await n2.execOk(['rlnet', 'pause', '--reason', 'lunch']);
    expect(await rollout(n2)).toMatchObject({ id, leader: 'n1', paused: { reason: 'lunch' } });
    await n1.execOk(['systemctl', 'restart', 'rlnet']);
    await waitFor('the rollout to be known', { timeoutMs: 30_000 }, async () => {
      const { exitCode, stdout } = await n3.exec(['rlnet', 'rollout']);
      return exitCode === 0 && stdout.includes(id) && stdout.includes('paused') ? true : undefined;
    });
    await n2.execOk(['rlnet', 'unpause']);
    await n3.execOk(['rlnet', 'rollout', 'end', '--reason', 'not this week']);
    expect(await rollout(n2)).toMatchObject({ id, outcome: 'stopped', reason: { code: 'ROLLOUT_ENDED' } });
    expect((await inRs(3)).external).toBe('203.0.113.3');
  });

  test.for([
    ['nodes:\n  - node: 1\n    internl: 1.2.3.4/24\n', 3, 'CLUSTER_FILE_INVALID'],
    ['cluster: other\nnodes:\n  - node: 1\n', 7, 'CLUSTER_FILE_REFUSED'],
    ['nodes:\n  - node: 9\n    external: []\n', 7, 'CLUSTER_FILE_REFUSED'],
    ['nodes:\n  - node: 1\n    internal: "fd77:0:0:1::51/64"\n', 7, 'CLUSTER_FILE_REFUSED'],
  ] as const)('are not begun with the file %j', async ([text, status, code]) => {
    await n1.writeFile(file, text, 0o644);
    const { exitCode, stderr } = await n1.exec(['rlnet', 'apply', '-f', file, '--yes', '--json']);
    expect(exitCode).toBe(status);
    expect((JSON.parse(stderr) as { error: ErrorReport }).error.code).toBe(code);
  });
});

describe.runIf(full)('three internal and two external addresses', () => {
  test("are changed with real restarts and quorum all the while, the leading agent's own node among them, and then there is nothing to change", async () => {
    const fresh = ['10.77.0.51', '10.77.0.52', '10.77.0.53'];
    await edited((text) =>
      lab.hosts
        .reduce(
          (so, host, index) => so.replace(`"${host.address('internal', 'ipv4')}/24"`, `"${fresh[index]}/24"`),
          text,
        )
        .replace(`"${externalOf(n1)}"`, `"${externalOf(n1)}", "203.0.113.1"`)
        .replace('["203.0.113.3"]', '["203.0.113.33"]'),
    );
    const { difference, refusals } = await plan(n1);
    expect(refusals).toEqual([]);
    expect(difference.changes.filter(({ kind }) => kind === 'internal').map(({ node }) => node)).toEqual([
      2, 3, 1,
    ]);
    const boots = await Promise.all(lab.hosts.map((host) => host.bootId()));

    const began = Date.now();
    await using _apply = await n1.spawn(['rlnet', 'apply', '-f', file, '--yes']);
    const worst = { away: 0, seen: 0 };
    let last: Rollout | undefined;
    while (last?.outcome === undefined && Date.now() - began < 900_000) {
      await sleep(1_000);
      for (const host of lab.hosts) {
        const asked = await host
          .exec(['rlnet', 'rollout', '--json'], { timeoutMs: 10_000 })
          .catch(() => undefined);
        if (asked?.exitCode === 0) last = v.parse(rolloutSchema, JSON.parse(asked.stdout));
        const table = await host
          .exec(['/opt/redislabs/bin/rladmin', 'status', 'nodes'], { timeoutMs: 10_000 })
          .catch(() => undefined);
        if (table?.exitCode !== 0) continue;
        worst.seen += 1;
        worst.away = Math.max(worst.away, (table.stdout.match(/ DOWN, /g) ?? []).length);
      }
    }
    process.stdout.write(
      `  measured: three internal and two external addresses in ${Math.round((Date.now() - began) / 1000)} s; ${last?.steps.map(({ change, beganAt = 0, endedAt = 0 }) => `node ${change.node} ${change.kind} ${Math.round((endedAt - beganAt) / 1000)} s`).join(', ')}\n`,
    );
    expect(last, JSON.stringify(last)).toMatchObject({ outcome: 'done', leader: 'n1' });
    expect(worst.seen).toBeGreaterThan(10);
    expect(worst.away).toBeLessThanOrEqual(1);
    for (const [index, host] of lab.hosts.entries()) expect(await host.bootId()).not.toBe(boots[index]);
    for (const [index, address] of fresh.entries()) expect((await inRs(index + 1)).address).toBe(address);
    expect((await inRs(1)).external).toBe(`${externalOf(n1)}, 203.0.113.1`);
    expect((await inRs(3)).external).toBe('203.0.113.33');
    await waitFor('an empty plan', { timeoutMs: 60_000 }, async () => {
      const { difference: left } = await plan(n3);
      return left.changes.length === 0 && left.problems.length === 0 ? true : undefined;
    });
  }, 1_000_000);
});
