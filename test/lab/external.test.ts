import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ExternalReport } from '../../src/protocol/external.ts';
import type { Result } from '../../src/protocol/methods.ts';
import type { PlanReport } from '../../src/protocol/renumbering/request.ts';
import { installAgents } from '../support/lab/agent.ts';
import { downLab, type Host, type Lab, upLab } from '../support/lab/lab.ts';
import { allWell, watchFrom } from '../support/lab/watch.ts';
import { bootstrapStandin } from '../support/standin/bootstrap.ts';
import { installStandin } from '../support/standin/install.ts';

/** External addresses on real hosts, from the command line of one for the nodes of others. RS is the stand-in. */

const labName = 'test-external';
let lab: Lab;
let n1: Host;
let n3: Host;

beforeAll(async () => {
  await downLab(labName);
  lab = await upLab({ name: labName, hosts: [{}, {}, {}] });
  [n1, n3] = [lab.host('n1'), lab.host('n3')];
  await Promise.all(lab.hosts.map((host) => installStandin(host)));
  const nodes = lab.hosts.map((host) => ({
    host,
    addr: host.address('internal', 'ipv6'),
    externalAddr: [host.address('external', 'ipv4')],
  }));
  await bootstrapStandin(nodes, { clusterName: 'external.example', family: 'ipv6' });
  await installAgents(lab.hosts, { cluster: 'external', family: 'ipv6', now: Date.now() });
  await using watch = await watchFrom(n1);
  await watch.until('everything well', allWell);
}, 240_000);
afterAll(() => downLab(labName));

async function external(host: Host, ...args: string[]): Promise<ExternalReport> {
  return JSON.parse(await host.execOk(['rlnet', 'external', ...args, '--json'])) as ExternalReport;
}

async function inRs(uid: number): Promise<string> {
  const table = await n3.execOk(['/opt/redislabs/bin/rladmin', 'info', 'node', `${uid}`]);
  return /external addresses: (.*)/.exec(table)?.[1] ?? '';
}

describe('rlnet external', () => {
  test("adds, replaces and takes away another node's addresses of both families, bound or not", async () => {
    const own = lab.host('n2').address('external', 'ipv4');
    const bound = lab.host('n2').address('external', 'ipv6');
    const added = await external(n1, 'add', '2', '203.0.113.7', bound);
    expect(added).toMatchObject({
      added: ['203.0.113.7', bound],
      removed: [],
      node: {
        uid: 2,
        host: 'n2',
        external: [
          { address: own, on: 'interface', interface: 'eth1' },
          { address: '203.0.113.7', on: 'none' },
          { address: bound, on: 'interface', interface: 'eth1' },
        ],
      },
    });
    expect(await inRs(2)).toBe(`${own}, 203.0.113.7, ${bound}`);
    expect(await external(n1, 'add', 'n2', '203.0.113.7')).toMatchObject({ added: [], removed: [] });

    expect(await external(n3, 'remove', '2', own)).toMatchObject({ removed: [own] });
    expect(await external(n3, 'set', '2', '2001:DB8:0:0::2')).toMatchObject({
      added: ['2001:db8::2'],
      removed: ['203.0.113.7', bound],
    });
    expect(await inRs(2)).toBe('2001:db8::2');
    const text = await n1.execOk(['rlnet', 'external', 'list', '2']);
    expect(text).toMatch(/^2 +n2 +\S+ +2001:db8::2 +on no interface of n2/m);
  });

  test.for([
    [['add', '2', '2001:db8::/32'], 2, 'ADDRESS_INVALID'],
    [['add', '2', '010.0.0.1'], 2, 'ADDRESS_INVALID'],
    [['add', '2', 'fe80::2'], 7, 'EXTERNAL_ADDRESS_UNUSABLE'],
    [['add', '2', '10.88.0.21'], 7, 'EXTERNAL_ADDRESS_TAKEN'],
    [['add', '9', '203.0.113.9'], 5, 'NODE_UNKNOWN'],
    [['remove', '3', '10.88.0.23'], 7, 'EXTERNAL_LAST_ADDRESS'],
  ] as const)('refuses %j with status %d and %s', async ([args, status, code]) => {
    const { exitCode, stdout, stderr } = await n1.exec(['rlnet', 'external', ...args, '--json']);
    expect({ exitCode, stdout }, stderr).toEqual({ exitCode: status, stdout: '' });
    expect(JSON.parse(stderr)).toMatchObject({ error: { code } });
  });

  test('takes the last one where that is meant, and lists what is left from every host', async () => {
    await external(n1, 'remove', '3', '10.88.0.23', '--allow-none');
    expect(await inRs(3)).toBe('N/A');
    for (const host of lab.hosts) {
      const listed = JSON.parse(
        await host.execOk(['rlnet', 'external', 'list', '--json']),
      ) as Result<'external_list'>;
      expect(listed.nodes.map(({ uid, external: addresses }) => [uid, addresses.length])).toEqual([
        [1, 1],
        [2, 1],
        [3, 0],
      ]);
    }
  });

  test('that change after a renumbering of the node was planned keep that plan from being carried out', {
    timeout: 240_000,
  }, async () => {
    const internal = lab.host('n2').address('internal', 'ipv6');
    const planned = async (): Promise<PlanReport['plan']> => {
      const argv = ['rlnet', 'renumber', 'plan', '2', 'fd77:0:0:1::72/64', '--json'];
      const { stdout } = await n1.exec(argv, { timeoutMs: 90_000 });
      return (JSON.parse(stdout) as PlanReport).plan;
    };
    await external(n1, 'add', '2', internal);
    const id = (await planned())?.id ?? 'none';
    await external(n3, 'add', '2', '203.0.113.72');
    await n1.execOk(['rlnet', 'renumber', 'start', id], { timeoutMs: 60_000 });
    const followed = await n1.exec(['rlnet', 'renumber', 'follow', id], { timeoutMs: 120_000 });
    expect(followed.exitCode, followed.stdout).toBe(31);
    expect(followed.stdout).toContain('NODE_ADDRESSES_CHANGED');
    expect(await inRs(2)).toContain('203.0.113.72');
    expect(await inRs(2)).toContain(internal);
    expect((await lab.host('n2').execOk(['systemctl', 'is-enabled', 'rlec_supervisor'])).trim()).toBe(
      'enabled',
    );
    // Planned anew it takes both along.
    expect((await planned())?.external?.to).toEqual(
      expect.arrayContaining(['fd77:0:0:1::72', '203.0.113.72']),
    );
  });
});
