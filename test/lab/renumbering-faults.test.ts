import { afterAll, describe, expect, test } from 'vitest';
import { type ForwardStep, forwardSteps } from '../../src/protocol/renumbering/steps.ts';
import { downLab, type Host, type Lab } from '../support/lab/lab.ts';
import {
  begin,
  type Ended,
  ended,
  patienceMs,
  recorded,
  renumber,
  rsUnit,
  upCluster,
  type Whereabouts,
  waitUntilWell,
  whereabouts,
} from '../support/lab/renumbering.ts';
import { recordRs } from '../support/lab/rs-client.ts';
import { waitFor } from '../support/lab/run.ts';
import { full } from '../support/sampling.ts';
import { lending } from '../support/turns.ts';

/**
 * Renumberings that something goes wrong in, on real hosts. Whatever it is, the node ends in service at its new address or at its old one, the
 * same for RS and for the kernel, with its unit enabled; or the renumbering has stopped, and says why.
 */

/** The node that moves. */
const node = 2;
const foreign = '10.77.0.199';

/** What a test has for itself: a cluster of three nodes, and a host that is none. */
interface Cluster {
  lab: Lab;
  nodes: Host[];
  n1: Host;
  /** The one that moves. Its only network is the internal one. */
  n2: Host;
  n3: Host;
  stranger: Host;
  /** A new address: one that no test before has left in anybody's tables. */
  fresh: () => string;
  /** A renumbering has stopped there, and nobody types what has to be typed. */
  stopped: boolean;
}

async function upFaultCluster(name: string): Promise<Cluster> {
  await downLab(name);
  const hosts = [{}, { external: [] }, {}];
  const lab = await upCluster(name, hosts, 'ipv4', {}, [{ rlnet: false, extraInternal: [`${foreign}/24`] }]);
  const [n1, n2, n3, stranger] = ['n1', 'n2', 'n3', 'n4'].map((each) => lab.host(each)) as [
    Host,
    Host,
    Host,
    Host,
  ];
  let next = 100;
  return { lab, nodes: [n1, n2, n3], n1, n2, n3, stranger, fresh: () => `10.77.0.${next++}`, stopped: false };
}

/** Three in a full run, as a renumbering waits for most of its time. */
const labs = (full ? ['1', '2', '3'] : ['1']).map((number): { name: string; cluster?: Cluster } => ({
  name: `test-renumbering-faults-${number}`,
}));
const lend = lending(labs);
afterAll(() => Promise.all(labs.map(({ name }) => downLab(name))));

/** Lends a cluster. One where a test failed, or left a renumbering that stopped, makes room for a new one. */
const onCluster = (work: (cluster: Cluster) => Promise<void>): Promise<void> =>
  lend(async (place) => {
    place.cluster ??= await upFaultCluster(place.name);
    try {
      await work(place.cluster);
      if (place.cluster.stopped) delete place.cluster;
    } catch (thrown) {
      delete place.cluster;
      throw thrown;
    }
  });

/** In service at one of the two addresses, the same for RS and the kernel, and with nothing of the renumbering left. */
async function endsWell({ nodes, n1, n2 }: Cluster, end: Ended, { old, fresh }: Begun): Promise<void> {
  await waitUntilWell(nodes);
  const now = await whereabouts(n2, node, n1);
  const all = JSON.stringify({ end, now }, null, 1);
  expect(['done', 'rolled_back'], all).toContain(end.outcome);
  const [address, other] = end.outcome === 'done' ? [fresh, old] : [old, fresh];
  expect(now, all).toMatchObject({ rs: address, status: 'OK', enabled: 'enabled', active: 'active' });
  expect(now.kernel, all).toContain(address);
  expect(now.kernel, all).not.toContain(other);
  expect(await n1.execOk(['rlnet', 'lock', 'show'])).toContain('nobody has the lock');
  // It has no directory before the first one.
  expect(await n2.exec(['ls', '-A', '/var/lib/rlnet/dead-man'])).toMatchObject({ stdout: '' });
}

/** Or it stopped: with a reason, with the lock, and with the commands to type. */
async function endsWellOrStops(cluster: Cluster, end: Ended, begun: Begun): Promise<void> {
  if (end.outcome !== 'stopped') return endsWell(cluster, end, begun);
  const { n1, n2 } = cluster;
  cluster.stopped = true;
  expect(end.reason?.remedy).toMatch(/\S/);
  expect(await n1.execOk(['rlnet', 'lock', 'show'])).toContain(end.planId);
  const { stdout, stderr } = await n2.exec(['rlnet', 'rescue']);
  expect(`${stdout}${stderr}`).toMatch(/^1\. (on this host|ON ANOTHER NODE): /m);
}

interface Begun {
  planId: string;
  old: string;
  fresh: string;
}

async function oldAddress({ n1, n2 }: Cluster): Promise<string> {
  return (await whereabouts(n2, node, n1)).rs ?? '';
}

/** Begins a renumbering and waits until a step is about to be carried out. */
async function beginUpTo(cluster: Cluster, step: ForwardStep): Promise<Begun> {
  const { n1 } = cluster;
  const [old, fresh] = [await oldAddress(cluster), cluster.fresh()];
  const planId = await begin(n1, node, `${fresh}/24`);
  await recorded(n1, planId, `${step} to begin`, (record) => {
    // What is done already when it is looked at is never begun.
    return (record.type === 'intent' || record.type === 'done') && record.step === step;
  });
  return { planId, old, fresh };
}

/** The node in service, whoever brought it there. */
async function inService({ n1, n2 }: Cluster, { old, fresh }: Begun): Promise<Whereabouts> {
  const now = await waitFor('the node to be in service', { timeoutMs: 240_000 }, async () => {
    const seen = await whereabouts(n2, node, n1).catch(() => undefined);
    return seen?.status === 'OK' && seen.enabled === 'enabled' && seen.active === 'active' ? seen : undefined;
  });
  expect([old, fresh]).toContain(now.rs);
  expect(now.kernel).toContain(now.rs);
  return now;
}

/** The dead man of the next renumbering waits for less than its five minutes. */
async function hurryDeadMan({ n2 }: Cluster): Promise<AsyncDisposable> {
  const dropIn = '/etc/systemd/system/rlnet-dead-man.timer.d';
  await n2.writeFile(`${dropIn}/test.conf`, '[Timer]\nOnActiveSec=\nOnActiveSec=45\n');
  await n2.execOk(['systemctl', 'daemon-reload']);
  return {
    [Symbol.asyncDispose]: async () => {
      await n2.execOk(['rm', '-r', dropIn]);
      await n2.execOk(['systemctl', 'daemon-reload']);
    },
  };
}

/** All steps in a full run, else those. */
const steps = (...some: ForwardStep[]): readonly ForwardStep[] => (full ? forwardSteps : some);

describe('a renumbering', { concurrent: true, timeout: 3 * patienceMs }, () => {
  test.for(steps('readdress'))('whose agent is killed in %s', (step) =>
    onCluster(async (cluster) => {
      const { nodes, n1, n2 } = cluster;
      await using record = recordRs(nodes);
      const begun = await beginUpTo(cluster, step);
      await n2.exec(['systemctl', 'kill', '--signal=KILL', 'rlnet']);
      await endsWell(cluster, await ended(n1, begun.planId), begun);
      expect(record.summary()).toMatchObject({ leastUp: 2, noQuorumMs: 0, offlineMs: {} });
    }),
  );

  test('to an address that a foreign host has is refused in the rehearsal, before anything is taken down', () =>
    onCluster(async (cluster) => {
      const { nodes, n1 } = cluster;
      const old = await oldAddress(cluster);
      await using record = recordRs(nodes);
      const end = await renumber(n1, node, `${foreign}/24`);
      expect(end).toMatchObject({ outcome: 'rolled_back', reason: { code: 'ADDRESS_IN_USE' } });
      expect(end.records.some((each) => each.type === 'intent' && each.step === 'demote')).toBe(false);
      await endsWell(cluster, end, { planId: end.planId, old, fresh: foreign });
      expect(record.summary()).toMatchObject({ leastUp: 3, leastOk: 3 });
    }));

  test.runIf(full)('whose address somebody else takes while the node is out', () =>
    onCluster(async (cluster) => {
      const { n1, stranger } = cluster;
      const begun = await beginUpTo(cluster, 'disable');
      const card = ['dev', 'eth0'];
      await stranger.execOk(['ip', 'addr', 'add', `${begun.fresh}/24`, ...card]);
      const end = await ended(n1, begun.planId);
      await stranger.execOk(['ip', 'addr', 'del', `${begun.fresh}/24`, ...card]);
      expect(end).toMatchObject({ outcome: 'rolled_back', reason: { code: 'ADDRESS_IN_USE' } });
      await endsWell(cluster, end, begun);
    }),
  );

  test.runIf(full)(
    'with a gateway that is none is refused in the rehearsal, before anything is taken down',
    () =>
      onCluster(async (cluster) => {
        const { nodes, n1, n2 } = cluster;
        const [old, fresh] = [await oldAddress(cluster), cluster.fresh()];
        const routes = await n2.execOk(['ip', 'route']);
        await using record = recordRs(nodes);
        const end = await renumber(n1, node, `${fresh}/24`, ['--gateway', '10.77.0.250']);
        expect(end).toMatchObject({ outcome: 'rolled_back', reason: { code: 'GATEWAY_SILENT' } });
        await endsWell(cluster, end, { planId: end.planId, old, fresh });
        expect(await n2.execOk(['ip', 'route'])).toBe(routes);
        expect(record.summary()).toMatchObject({ leastUp: 3, leastOk: 3 });
      }),
  );

  test.runIf(full)('whose unit does not start at the new address goes back to the old one', () =>
    onCluster(async (cluster) => {
      const { nodes, n1, n2 } = cluster;
      const [old, fresh] = [await oldAddress(cluster), cluster.fresh()];
      const dropIn = `/etc/systemd/system/${rsUnit}.d`;
      const refuses = `! ip -o addr | grep -qF "${fresh}/"`;
      await n2.writeFile(`${dropIn}/refuses.conf`, `[Service]\nExecStartPre=/bin/sh -c '${refuses}'\n`);
      await n2.execOk(['systemctl', 'daemon-reload']);
      await using record = recordRs(nodes);
      const end = await renumber(n1, node, `${fresh}/24`);
      await n2.execOk(['rm', '-r', dropIn]);
      await n2.execOk(['systemctl', 'daemon-reload']);
      expect(end.outcome).toBe('rolled_back');
      await endsWell(cluster, end, { planId: end.planId, old, fresh });
      expect(record.summary()).toMatchObject({ leastUp: 2, noQuorumMs: 0, offlineMs: {} });
    }),
  );

  test.runIf(full)('whose peers are cut off after the node has moved', () =>
    onCluster(async (cluster) => {
      const { n1, n2 } = cluster;
      const begun = await beginUpTo(cluster, 'register');
      await n2.cut('internal');
      await new Promise((resolve) => setTimeout(resolve, 20_000));
      await n2.heal('internal');
      await endsWell(cluster, await ended(n1, begun.planId), begun);
    }),
  );

  test.runIf(full)('while another node goes down', () =>
    onCluster(async (cluster) => {
      const { n1, n3 } = cluster;
      const begun = await beginUpTo(cluster, 'arm');
      await n3.execOk(['systemctl', 'stop', rsUnit]);
      const end = await ended(n1, begun.planId);
      await n3.execOk(['systemctl', 'start', rsUnit]);
      await endsWell(cluster, end, begun);
    }),
  );

  test.for(full ? (['before', 'after'] as const) : [])(
    'whose registrar loses its host %s it tells RS the new address',
    (when) =>
      onCluster(async (cluster) => {
        const { n1, n3 } = cluster;
        const begun = await beginUpTo(cluster, when === 'before' ? 'register' : 'enable');
        // The first member but the target is asked first. The journal is read on the other.
        await n1.kill();
        const end = ended(n3, begun.planId);
        await new Promise((resolve) => setTimeout(resolve, 10_000));
        await n1.start({ addresses: false });
        await endsWell(cluster, await end, begun);
      }),
  );

  test.runIf(full)(
    'whose reboot never ends has the lock and the node out, and goes on when a person has reset the host',
    () =>
      onCluster(async (cluster) => {
        const { nodes, n1, n2 } = cluster;
        await using record = recordRs(nodes);
        const bootId = await n2.bootId();
        const stuck = ['ExecStop=/bin/sleep infinity', 'TimeoutStopSec=infinity'];
        const properties = stuck.map((property) => `--property=${property}`);
        await n2.execOk(['systemd-run', '--unit=stuck', ...properties, '/bin/sleep', 'infinity']);
        const begun = await beginUpTo(cluster, 'disable');
        await waitFor('the agent to be stopped', { timeoutMs: 60_000 }, async () => {
          const { stdout } = await n2.exec(['systemctl', 'is-active', 'rlnet']);
          return stdout.trim() === 'inactive' ? true : undefined;
        });
        await new Promise((resolve) => setTimeout(resolve, 30_000));
        expect(await n2.bootId()).toBe(bootId);
        expect(await n1.execOk(['rlnet', 'lock', 'show'])).toContain(begun.planId);
        const other = ['rlnet', 'renumber', 'start', '3', `${cluster.fresh()}/24`, '--yes', '--json'];
        expect(await n1.exec(other)).not.toMatchObject({ exitCode: 0 });
        await n2.kill();
        await n2.start({ addresses: false });
        await endsWell(cluster, await ended(n1, begun.planId), begun);
        expect(record.summary()).toMatchObject({ leastUp: 2, noQuorumMs: 0, offlineMs: {} });
      }),
  );

  // Where the agent cannot write its journal it does nothing more, and the dead man may come. In the last block of a file there is room all the same.
  test.for(full ? (['rehearse', 'disable', 'readdress', 'enable'] as const) : [])(
    'whose disk is full for half a minute from %s on ends by itself when there is room again',
    (step) =>
      onCluster(async (cluster) => {
        const { n1, n2 } = cluster;
        await using _ = await hurryDeadMan(cluster);
        const begun = await beginUpTo(cluster, step);
        await n2.fillDisk();
        // There is room before the dead man comes: RS, which it starts, would not come up either, and a person would have to end it.
        await new Promise((resolve) => setTimeout(resolve, 30_000));
        const told = await n1.execOk(['rlnet', 'status', '--json']);
        await n2.freeDisk();
        const end = await ended(n1, begun.planId);
        const seen = told.includes('JOURNAL_NOT_WRITABLE') ? 'JOURNAL_NOT_WRITABLE' : 'no code';
        process.stdout.write(
          `  disk full from ${step} on: ${seen} told, then ${end.outcome} ${end.reason?.code ?? ''}\n`,
        );
        await endsWellOrStops(cluster, end, begun);
      }),
  );

  test.for(steps())('whose host loses its power in %s', (step) =>
    onCluster(async (cluster) => {
      const { n1, n2 } = cluster;
      const begun = await beginUpTo(cluster, step);
      await n2.kill();
      await n2.start({ addresses: false });
      await endsWell(cluster, await ended(n1, begun.planId), begun);
    }),
  );

  test.for(steps())('that an operator aborts in %s', (step) =>
    onCluster(async (cluster) => {
      const { n1 } = cluster;
      const begun = await beginUpTo(cluster, step);
      await n1.exec(['rlnet', 'renumber', 'abort', begun.planId, '--reason', 'a test']);
      await endsWell(cluster, await ended(n1, begun.planId), begun);
    }),
  );

  // The dead man is there from `arm` to `release`.
  test.for(steps('disable'))(
    'whose agent and its Node.js are gone in %s: the node is in service all the same, at the address that RS holds for it',
    (step) =>
      onCluster(async (cluster) => {
        const { n1, n2 } = cluster;
        await using _ = await hurryDeadMan(cluster);
        await n2.execOk(['cp', '-a', '/opt/rlnet', '/root/rlnet-saved']);
        const begun = await beginUpTo(cluster, step);
        const remove =
          'rm -rf /opt/rlnet && systemctl kill --signal=KILL rlnet; systemctl stop --no-block rlnet';
        await waitFor('the host to be up', { timeoutMs: 60_000 }, async () => {
          const removed = await n2.exec(['sh', '-c', remove]).catch(() => undefined);
          return removed?.exitCode === 0 ? true : undefined;
        });
        // Where none is armed, not yet or not any more, the node is not out.
        const units = 'rlnet-dead-man.timer rlnet-dead-man.service';
        const waits = `[ -e /var/lib/rlnet/dead-man/finished ] || ! systemctl is-active --quiet ${units}`;
        await waitFor('the dead man to finish', { timeoutMs: 240_000 }, async () => {
          const seen = await n2.exec(['sh', '-c', waits]).catch(() => undefined);
          return seen?.exitCode === 0 ? true : undefined;
        });
        await inService(cluster, begun);
        const acted = await n2.exec(['test', '-e', '/var/lib/rlnet/dead-man/finished']);
        if (acted.exitCode !== 0) {
          // What was on trial in the kernel goes without anybody.
          await waitFor('one of the addresses to be gone', { timeoutMs: 120_000 }, async () => {
            const { kernel } = await whereabouts(n2, node, n1);
            return kernel.includes(begun.old) && kernel.includes(begun.fresh) ? undefined : true;
          });
        }
        // A person installs rlnet again; it sees what the dead man did, and ends, or says that it stopped.
        await n2.execOk(['mv', '/root/rlnet-saved', '/opt/rlnet']);
        await n2.execOk(['systemctl', 'start', 'rlnet']);
        await endsWellOrStops(cluster, await ended(n1, begun.planId), begun);
      }),
  );
});
