import { afterAll, beforeAll, expect, test } from 'vitest';
import type { JournalRecord } from '../../src/protocol/renumbering/records.ts';
import type { PlanReport } from '../../src/protocol/renumbering/request.ts';
import type { ClusterView } from '../../src/protocol/state.ts';
import { installAgents } from '../support/lab/agent.ts';
import { downLab, type Host, type Lab, upLab } from '../support/lab/lab.ts';
import { waitFor } from '../support/lab/run.ts';
import { allWell, type Watch, watchFrom } from '../support/lab/watch.ts';
import { bootstrapStandin } from '../support/standin/bootstrap.ts';
import { installStandin } from '../support/standin/install.ts';

/** Nodes that are renumbered for real: systemd, systemd-networkd, reboots, the agent as a package installs it. RS is the stand-in. */

const labName = 'test-renumbering';
const patienceMs = 420_000;
const unit = 'rlec_supervisor.service';

let lab: Lab;
let n1: Host;
let n2: Host;
let n3: Host;
let watch: Watch;

beforeAll(async () => {
  await downLab(labName);
  lab = await upLab({ name: labName, hosts: [{}, {}, {}] });
  [n1, n2, n3] = [lab.host('n1'), lab.host('n2'), lab.host('n3')];
  await Promise.all(lab.hosts.map((host) => installStandin(host)));
  const nodes = lab.hosts.map((host) => ({
    host,
    addr: host.address('internal', 'ipv4'),
    externalAddr: host.addresses('external'),
  }));
  await bootstrapStandin(nodes, {
    clusterName: 'renumbering.example',
    family: 'ipv4',
    databases: [{ name: 'orders', masters: 2, replication: true }],
  });
  await installAgents(lab.hosts, { cluster: 'renumbering', family: 'ipv4', now: Date.now() });
  watch = await watchFrom(n1);
  await watch.until('everything well', allWell);
}, 240_000);
afterAll(async () => {
  await watch?.[Symbol.asyncDispose]();
  await downLab(labName);
});

async function journalOf(planId: string): Promise<JournalRecord[]> {
  const text = await n1.execOk(['rlnet', 'renumber', 'show', planId, '--json']);
  return (JSON.parse(text) as { records: JournalRecord[] }).records;
}

async function viewFrom(host: Host): Promise<ClusterView> {
  return JSON.parse(await host.execOk(['rlnet', 'status', '--json'])) as ClusterView;
}

function addressesOf(view: ClusterView): (string | undefined)[] {
  return 'nodes' in view.rs ? view.rs.nodes.map(({ address }) => address) : [];
}

test(
  'node 2 is moved from node 1: what was planned is done, over a restart of its host, and everything knows the new address',
  async () => {
    const [old, fresh] = [n2.address('internal', 'ipv4'), '10.77.0.52'];
    const planned = await n1.exec(['rlnet', 'renumber', 'plan', '2', `${fresh}/24`, '--json']);
    expect(planned.exitCode, planned.stdout + planned.stderr).toBe(0);
    const { plan } = JSON.parse(planned.stdout) as PlanReport;
    expect(plan).toMatchObject({ host: 'n2', kind: 'same_subnet', owner: 'systemd-networkd' });
    const planId = plan?.id ?? '';
    const boot = await n2.bootId();

    await n1.execOk(['rlnet', 'renumber', 'start', planId]);
    const followed = await n1.exec(['rlnet', 'renumber', 'follow', planId], { timeoutMs: patienceMs });
    expect(followed.exitCode, followed.stdout + followed.stderr).toBe(0);
    process.stdout.write(await n1.execOk(['rlnet', 'renumber', 'show', planId, '--timing']));

    expect(await n2.bootId()).not.toBe(boot);
    expect((await journalOf(planId)).at(-1)).toMatchObject({ type: 'closed', outcome: 'done' });
    const view = await watch.until('everything well at the new address', (seen) => {
      return allWell(seen) && addressesOf(seen).includes(plan?.change.to.address);
    });
    expect(addressesOf(view.view)).not.toContain(old);
    const kernel = await n2.execOk(['ip', '-o', 'addr']);
    expect(kernel).toContain(`${fresh}/24`);
    expect(kernel).not.toContain(`${old}/24`);
    expect((await n2.execOk(['systemctl', 'is-enabled', unit])).trim()).toBe('enabled');
    const lock = await n1.execOk(['rlnet', 'lock', 'show']);
    expect(lock).toContain('nobody has the lock');
    expect(await n2.execOk(['ls', '-A', '/var/lib/rlnet/dead-man'])).toBe('');
  },
  patienceMs,
);

test(
  'a node whose agent and Node.js are gone in the middle is brought back by the dead man, enabled and at its old address',
  async () => {
    const old = n3.address('internal', 'ipv4');
    // Its time in full would be five minutes.
    await n3.execOk(['mkdir', '-p', '/etc/systemd/system/rlnet-dead-man.timer.d']);
    await n3.writeFile(
      '/etc/systemd/system/rlnet-dead-man.timer.d/test.conf',
      '[Timer]\nOnActiveSec=\nOnActiveSec=45\n',
      0o644,
    );
    await n3.execOk(['systemctl', 'daemon-reload']);
    const started = JSON.parse(
      await n1.execOk(['rlnet', 'renumber', 'start', '3', '10.77.0.53/24', '--yes', '--json'], {
        timeoutMs: 90_000,
      }),
    ) as { planId: string };
    await waitFor('the unit to be disabled', { timeoutMs: 120_000 }, async () => {
      const { stdout } = await n3.exec(['systemctl', 'is-enabled', unit]);
      return stdout.trim() === 'disabled' ? true : undefined;
    });
    await n3.exec([
      'sh',
      '-c',
      'rm -rf /opt/rlnet; systemctl kill --signal=KILL rlnet; systemctl stop --no-block rlnet',
    ]);
    await waitFor('the dead man to finish', { timeoutMs: 240_000 }, async () => {
      const { exitCode } = await n3.exec(['test', '-e', '/var/lib/rlnet/dead-man/finished']);
      return exitCode === 0 ? true : undefined;
    });
    expect((await n3.execOk(['systemctl', 'is-enabled', unit])).trim()).toBe('enabled');
    expect((await n3.execOk(['systemctl', 'is-active', unit])).trim()).toBe('active');
    expect(await n3.execOk(['ip', '-o', 'addr'])).toContain(`${old}/24`);
    await waitFor('RS to see the node', { timeoutMs: 60_000 }, async () => {
      const { rs } = await viewFrom(n1);
      return 'nodes' in rs && rs.nodes.find(({ uid }) => uid === 3)?.status === 'ok' ? true : undefined;
    });
    // Its host's agent is gone for good here: a person says so, and the lock is free.
    const release = ['rlnet', 'lock', 'release', '--reason', `the agent of n3 is gone (${started.planId})`];
    expect((await n1.exec(release)).exitCode).toBe(7);
    await n1.execOk([...release, '--host-is-off']);
    expect(await n1.execOk(['rlnet', 'lock', 'show'])).toContain('nobody has the lock');
  },
  patienceMs,
);
