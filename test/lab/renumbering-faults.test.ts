import { afterAll, beforeAll, expect, test } from 'vitest';
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
  waitUntilWell,
  whereabouts,
} from '../support/lab/renumbering.ts';
import { recordRs } from '../support/lab/rs-client.ts';
import { waitFor } from '../support/lab/run.ts';
import { full } from '../support/sampling.ts';

/**
 * Renumberings that something goes wrong in, on real hosts. Whatever it is, the node ends in service at its new address or at its old one, the
 * same for RS and for the kernel, with its unit enabled; or the renumbering has stopped, and says why.
 */

const labName = 'test-renumbering-faults';
/** The node that moves, and the hosts that look on: the last one is no node. */
const node = 2;
const foreign = '10.77.0.199';

let lab: Lab;
let n1: Host;
let n2: Host;
let n3: Host;
let stranger: Host;
/** The node's next new address: one that no test before has left in anybody's tables. */
let next = 100;

beforeAll(async () => {
  await downLab(labName);
  lab = await upCluster(labName, [{}, {}, {}], 'ipv4', {}, [
    { rlnet: false, extraInternal: [`${foreign}/24`] },
  ]);
  [n1, n2, n3, stranger] = [lab.host('n1'), lab.host('n2'), lab.host('n3'), lab.host('n4')];
});
afterAll(() => downLab(labName));

const nodes = (): Host[] => [n1, n2, n3];
const fresh = (): string => `10.77.0.${next++}`;

/** In service at one of the two addresses, the same for RS and the kernel, and with nothing of the renumbering left. */
async function endsWell(end: Ended, { old, fresh: wanted }: { old: string; fresh: string }): Promise<void> {
  await waitUntilWell(nodes());
  const now = await whereabouts(n2, node, n1);
  const all = JSON.stringify({ end, now }, null, 1);
  expect(['done', 'rolled_back'], all).toContain(end.outcome);
  const address = end.outcome === 'done' ? wanted : old;
  expect(now, all).toMatchObject({ rs: address, status: 'OK', enabled: 'enabled', active: 'active' });
  expect(now.kernel, all).toContain(address);
  expect(now.kernel, all).not.toContain(address === old ? wanted : old);
  expect(await n1.execOk(['rlnet', 'lock', 'show'])).toContain('nobody has the lock');
}

async function oldAddress(): Promise<string> {
  return (await whereabouts(n2, node, n1)).rs ?? '';
}

/** Begins a renumbering and waits until a step is about to be carried out. */
async function beginUpTo(step: ForwardStep): Promise<{ planId: string; old: string; fresh: string }> {
  const [old, wanted] = [await oldAddress(), fresh()];
  const planId = await begin(n1, node, `${wanted}/24`);
  await recorded(n1, planId, `${step} to begin`, (record) => {
    // What is done already when it is looked at is never begun.
    return (record.type === 'intent' || record.type === 'done') && record.step === step;
  });
  return { planId, old, fresh: wanted };
}

/** All steps in a full run, else those. */
const steps = (...some: ForwardStep[]): readonly ForwardStep[] => (full ? forwardSteps : some);

test.for(steps('readdress'))('the agent is killed in %s', { timeout: patienceMs }, async (step) => {
  await using record = recordRs(nodes());
  const begun = await beginUpTo(step);
  await n2.exec(['systemctl', 'kill', '--signal=KILL', 'rlnet']);
  await endsWell(await ended(n1, begun.planId), begun);
  expect(record.summary()).toMatchObject({ leastUp: 2, noQuorumMs: 0, offlineMs: {} });
});

test.for(steps())('the host loses its power in %s', { timeout: patienceMs }, async (step) => {
  const begun = await beginUpTo(step);
  await n2.kill();
  await n2.start({ addresses: false });
  await endsWell(await ended(n1, begun.planId), begun);
});

test.for(steps())('an operator aborts in %s', { timeout: patienceMs }, async (step) => {
  const begun = await beginUpTo(step);
  await n1.exec(['rlnet', 'renumber', 'abort', begun.planId, '--reason', 'a test']);
  await endsWell(await ended(n1, begun.planId), begun);
});

test('an address that a foreign host has is refused in the rehearsal, before anything is taken down', async () => {
  const old = await oldAddress();
  await using record = recordRs(nodes());
  const end = await renumber(n1, node, `${foreign}/24`);
  expect(end).toMatchObject({ outcome: 'rolled_back', reason: { code: 'ADDRESS_IN_USE' } });
  expect(end.records.some((each) => each.type === 'intent' && each.step === 'demote')).toBe(false);
  await endsWell(end, { old, fresh: foreign });
  expect(record.summary()).toMatchObject({ leastUp: 3, leastOk: 3 });
});

test.runIf(full)('a duplicate appears while the node is out', { timeout: patienceMs }, async () => {
  const begun = await beginUpTo('disable');
  const card = ['dev', 'eth0'];
  await stranger.execOk(['ip', 'addr', 'add', `${begun.fresh}/24`, ...card]);
  const end = await ended(n1, begun.planId);
  await stranger.execOk(['ip', 'addr', 'del', `${begun.fresh}/24`, ...card]);
  expect(end).toMatchObject({ outcome: 'rolled_back', reason: { code: 'ADDRESS_IN_USE' } });
  await endsWell(end, begun);
});

test.runIf(full)(
  'a unit that does not start at the new address brings the node back to the old one',
  {
    timeout: patienceMs,
  },
  async () => {
    const [old, wanted] = [await oldAddress(), fresh()];
    const dropIn = `/etc/systemd/system/${rsUnit}.d`;
    await n2.execOk(['mkdir', '-p', dropIn]);
    const refuses = `! ip -o addr | grep -qF "${wanted}/"`;
    await n2.writeFile(`${dropIn}/refuses.conf`, `[Service]\nExecStartPre=/bin/sh -c '${refuses}'\n`);
    await n2.execOk(['systemctl', 'daemon-reload']);
    await using record = recordRs(nodes());
    const end = await renumber(n1, node, `${wanted}/24`);
    await n2.execOk(['rm', '-r', dropIn]);
    await n2.execOk(['systemctl', 'daemon-reload']);
    expect(end.outcome).toBe('rolled_back');
    await endsWell(end, { old, fresh: wanted });
    expect(record.summary()).toMatchObject({ leastUp: 2, noQuorumMs: 0, offlineMs: {} });
  },
);

test.runIf(full)('the peers are cut off after the node has moved', { timeout: patienceMs }, async () => {
  const begun = await beginUpTo('register');
  await n2.cut('internal');
  await new Promise((resolve) => setTimeout(resolve, 20_000));
  await n2.heal('internal');
  await endsWell(await ended(n1, begun.planId), begun);
});

test.runIf(full)(
  'another node goes down while this one is about to go',
  { timeout: patienceMs },
  async () => {
    const begun = await beginUpTo('arm');
    await n3.execOk(['systemctl', 'stop', rsUnit]);
    const end = await ended(n1, begun.planId);
    await n3.execOk(['systemctl', 'start', rsUnit]);
    await endsWell(end, begun);
  },
);

test.for(full ? (['before', 'after'] as const) : [])(
  'the host of the registrar is lost %s it tells RS the new address',
  { timeout: patienceMs },
  async (when) => {
    const begun = await beginUpTo(when === 'before' ? 'register' : 'enable');
    // The first member but the target is asked first. The journal is read on the other.
    await n1.kill();
    const end = ended(n3, begun.planId);
    await new Promise((resolve) => setTimeout(resolve, 10_000));
    await n1.start({ addresses: false });
    await endsWell(await end, begun);
  },
);

// The dead man is armed before `demote`, and the node is back in service after `start`.
test.for(steps('disable').filter((step) => isArmedIn(step)))(
  'the agent and its Node.js are gone in %s: the dead man brings the node back, at the address that RS holds for it',
  { timeout: patienceMs },
  async (step) => {
    await n2.execOk(['cp', '-a', '/opt/rlnet', '/root/rlnet-saved']);
    // Its time in full would be five minutes.
    const dropIn = '/etc/systemd/system/rlnet-dead-man.timer.d';
    await n2.execOk(['mkdir', '-p', dropIn]);
    await n2.writeFile(`${dropIn}/test.conf`, '[Timer]\nOnActiveSec=\nOnActiveSec=45\n');
    await n2.execOk(['systemctl', 'daemon-reload']);
    const begun = await beginUpTo(step);
    await waitFor('the host to be up', { timeoutMs: 60_000 }, async () => {
      const removed = await n2
        .exec([
          'sh',
          '-c',
          'rm -rf /opt/rlnet && systemctl kill --signal=KILL rlnet; systemctl stop --no-block rlnet',
        ])
        .catch(() => undefined);
      return removed?.exitCode === 0 ? true : undefined;
    });
    await waitFor('the dead man to finish', { timeoutMs: 240_000 }, async () => {
      const seen = await n2.exec(['test', '-e', '/var/lib/rlnet/dead-man/finished']).catch(() => undefined);
      return seen?.exitCode === 0 ? true : undefined;
    });
    const now = await waitFor('RS to see the node', { timeoutMs: 60_000 }, async () => {
      const seen = await whereabouts(n2, node, n1);
      return seen.status === 'OK' ? seen : undefined;
    });
    expect(now).toMatchObject({ enabled: 'enabled', active: 'active' });
    expect([begun.old, begun.fresh]).toContain(now.rs);
    expect(now.kernel).toContain(now.rs);
    // A person installs rlnet again; it sees what the dead man did, and ends, or says that it stopped.
    await n2.execOk(['mv', '/root/rlnet-saved', '/opt/rlnet']);
    await n2.execOk(['rm', '-r', dropIn]);
    await n2.execOk(['systemctl', 'daemon-reload']);
    await n2.execOk(['systemctl', 'start', 'rlnet']);
    const end = await ended(n1, begun.planId);
    if (end.outcome !== 'stopped') await endsWell(end, begun);
    else await n1.execOk(['rlnet', 'lock', 'release', '--reason', 'a test', '--host-is-off']);
  },
);

function isArmedIn(step: ForwardStep): boolean {
  const steps: readonly ForwardStep[] = forwardSteps;
  return steps.indexOf(step) >= steps.indexOf('demote') && steps.indexOf(step) <= steps.indexOf('start');
}
