import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createClock } from '../../src/host/clock.ts';
import { createDetachedTimer } from '../../src/host/detached-timer.ts';
import type { StandingChange } from '../../src/host/ports/kernel-addresses.ts';
import {
  compareSnapshots,
  describeDifference,
  type NetworkSnapshot,
} from '../../src/protocol/network-snapshot.ts';
import { type DetachedTimerUnderTest, detachedTimerContract } from '../support/contracts/detached-timer.ts';
import {
  type KernelContractOptions,
  kernelAddressesContract,
} from '../support/contracts/kernel-addresses.ts';
import { changesBetween } from '../support/kernel-addresses.ts';
import { kernelOf } from '../support/lab/kernel-host.ts';
import { downLab, type Host, type Lab, upLab } from '../support/lab/lab.ts';
import { waitFor } from '../support/lab/run.ts';
import { sampleOf } from '../support/sampling.ts';
import { lending, turns } from '../support/turns.ts';

/**
 * Changes of an address on hosts with systemd and an owner of the network at work: what they come to on every kind of host, and what becomes of
 * them when rlnet is killed.
 */

const labName = 'test-kernel';
const owners = ['networkd', 'NetworkManager', 'netplan', 'ifupdown'] as const;
const checkout = '/opt/redislabs/standin';
const driver = [`${checkout}/node_modules/.bin/node`, `${checkout}/test/support/lab/kernel-driver.ts`];

let lab: Lab;
let place: KernelContractOptions['place'];

beforeAll(async () => {
  await downLab(labName);
  const configured = owners.map((owner) => ({ owner }));
  const bare = configured.map((host) => ({ ...host, internal: [], external: [], rlnet: false }));
  lab = await upLab({ name: labName, hosts: [...configured, ...bare] });
  place = lending(await Promise.all(lab.hosts.slice(configured.length).map(kernelOf)));
});
afterAll(() => downLab(labName));

async function call<T>(host: Host, ...args: string[]): Promise<T> {
  const answer = JSON.parse(await host.execOk([...driver, ...args], { timeoutMs: 60_000 })) as {
    result: T;
    error?: { code: string; message: string };
  };
  if (answer.error !== undefined) throw new Error(`${answer.error.code}: ${answer.error.message}`);
  return answer.result;
}

const snapshotOf = (host: Host) => call<NetworkSnapshot>(host, 'snapshot');
const standingOn = (host: Host) => call<StandingChange | null>(host, 'standing');

/** From the host's internal address to one that ends in 1 more digit. */
function changeOn(host: Host, family: 'ipv4' | 'ipv6'): string {
  const address = host.address('internal', family);
  return family === 'ipv4'
    ? `eth0 ${address}/24 ${address.replace(/\d+$/, (last) => `${Number(last) + 100}`)}/24`
    : `eth0 ${address}/64 ${address}0/64`;
}

const cases = owners.flatMap((owner, index) => {
  // A host has one change at a time.
  const inTurn = turns();
  return (['ipv4', 'ipv6'] as const).map((family) => ({ owner, family, name: `n${index + 1}`, inTurn }));
});

const timersOn = (host: Host) =>
  host.execOk(['systemctl', 'list-units', '--all', '--plain', '--no-legend', 'rlnet-take-back*']);

describe('a swap beside the owner of the network', { concurrent: true }, () => {
  it.for(sampleOf(cases, 4))(
    'is taken back by systemd after its process and all of its group were killed: $owner, $family',
    ({ owner, family, name, inTurn }) =>
      inTurn(async () => {
        const host = lab.host(name);
        const before = await snapshotOf(host);
        const unit = `swapper-${family}`;
        const program = [...driver, 'swap', changeOn(host, family), '20', 'stay'];
        await host.execOk(['systemd-run', '--quiet', `--unit=${unit}`, '--collect', ...program]);
        await waitFor('the swap', { timeoutMs: 60_000 }, async () => {
          const journal = await host.execOk(['journalctl', '--output=cat', `--unit=${unit}`]);
          expect(journal).not.toContain('"error"');
          return journal.includes('"result"') || undefined;
        });
        await host.execOk(['systemctl', 'kill', '--kill-whom=all', '--signal=SIGKILL', unit]);
        const standing = await standingOn(host);
        expect(standing).toMatchObject({ kind: 'swap', takenBack: false });
        // Long enough for an owner that minds.
        await new Promise((resolve) => setTimeout(resolve, 5_000));
        if (standing !== null) {
          const reaction = compareSnapshots(standing.expected, await snapshotOf(host)).map(
            describeDifference,
          );
          const words = reaction.length === 0 ? 'leaves it alone' : reaction.join('; ');
          process.stdout.write(
            `  measured: ${owner}, ${family}: 5 s after a foreign change the owner ${words}\n`,
          );
        }
        await waitFor('the take-back', { timeoutMs: 60_000 }, async () => {
          const { stdout } = await host.exec(['cat', '/run/rlnet/address-change/result']);
          return stdout !== '' || undefined;
        });
        expect(await host.execOk(['cat', '/run/rlnet/address-change/result'])).toBe('same\n');
        expect(changesBetween(before, await snapshotOf(host))).toEqual([]);
        await call(host, 'takeBack');
        expect(await standingOn(host)).toBeNull();
        expect(await timersOn(host)).toBe('');
      }),
  );

  it.for(sampleOf(cases, 4))(
    'can be rehearsed, kept in force longer, and kept for good: $owner, $family',
    ({ family, name, inTurn }) =>
      inTurn(async () => {
        const host = lab.host(name);
        const before = await snapshotOf(host);
        const change = changeOn(host, family);
        await call(host, 'rehearse', change, '60');
        await call(host, 'takeBack');
        expect(changesBetween(before, await snapshotOf(host))).toEqual([]);
        await call(host, 'swap', change, '60');
        await call(host, 'extend', change, '60');
        await call(host, 'keep');
        const [link = '', from = '', to = ''] = change.split(' ');
        expect(await timersOn(host)).toBe('');
        await call(host, 'swap', [link, to, from].join(' '), '60');
        await call(host, 'keep');
        expect(changesBetween(before, await snapshotOf(host))).toEqual([]);
      }),
  );
});

// Their owners have given these hosts no addresses, and mind none that comes and goes.
kernelAddressesContract({
  place: (work) => place(work),
  sample: { cases: 4, trials: 2, changes: 4, rehearsals: 3, deaths: 4 },
  // Each has a process of Node.js. In network namespaces every case goes through all of them.
  phaseStep: 3,
});

const timerUnderTest = async (): Promise<DetachedTimerUnderTest> => {
  const host = lab.host('n1');
  const directory = (await host.execOk(['mktemp', '-d'])).trim();
  let scripts = 0;
  return {
    timer: createDetachedTimer(
      {
        run: (file, args, { timeoutMs }) => host.exec([file, ...args], { timeoutMs }),
        lines: () => {
          throw new Error('not used');
        },
      },
      createClock(),
    ),
    script: async (text) => {
      const path = `${directory}/script-${scripts++}`;
      await host.writeFile(path, `${text}\n`, 0o600);
      return path;
    },
    path: (name) => `${directory}/${name}.out`,
    read: async (path) => {
      const { exitCode, stdout } = await host.exec(['cat', path]);
      return exitCode === 0 ? stdout : undefined;
    },
  };
};

detachedTimerContract('the transient timer of systemd', timerUnderTest, { concurrent: true });
