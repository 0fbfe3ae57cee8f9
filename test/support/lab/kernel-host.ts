import { expect } from 'vitest';
import type { StandingChange } from '../../../src/host/ports/kernel-addresses.ts';
import type { AddressChange } from '../../../src/protocol/address-change.ts';
import { type ErrorReport, RlnetError } from '../../../src/protocol/errors.ts';
import type { KernelUnderTest, OpenKernel } from '../contracts/kernel-addresses.ts';
import { changesBetween, type Death, scriptOf } from '../kernel-addresses.ts';
import { call } from '../standin/lines.ts';
import type { Host } from './lab.ts';
import { waitFor } from './run.ts';

/** Hosts of the lab whose addresses, routes and rules are made others again and again, while their systemd and their network's owner run. */

/** What `kernel-server.ts` is asked. */
export type KernelCall =
  | { call: 'swap' | 'rehearse'; change: AddressChange; seconds: number }
  | { call: 'killOwner'; death: Death }
  | { call: 'snapshot' | 'standing' | 'takeBack' | 'elapse' };

const socket = '/root/kernel.sock';
const checkout = '/opt/redislabs/standin';
const answerTimeoutMs = 120_000;

/**
 * Makes a host without addresses of its own ready to be others. Nothing that it sends reaches anybody: others have the same addresses.
 */
export async function kernelOf(host: Host): Promise<OpenKernel> {
  await host.cut();
  const program = [
    `${checkout}/node_modules/.bin/node`,
    `${checkout}/test/support/lab/kernel-server.ts`,
    socket,
  ];
  await host.execOk(['systemd-run', '--quiet', '--unit=kernel-server', ...program]);
  await waitFor('the kernel server', { timeoutMs: 60_000 }, async () => {
    const { exitCode } = await host.exec(['test', '-S', socket]);
    return exitCode === 0 ? true : undefined;
  });
  // Where it has a word in IPv6 it makes link-local addresses itself, and again when they are taken away.
  if (host.plan.owner === 'NetworkManager') await sh(host, cards.map(leaveIpv6Alone).join('\n'));
  await sh(host, `${settings(0)}\n${clear}`);
  const kernel = remote(host);
  const bare = await kernel.snapshot();
  return async (commands, { promote }): Promise<KernelUnderTest> => {
    await sh(host, `${settings(promote)}\n${scriptOf(commands)}`);
    return {
      exec: {
        run: (file, args, { timeoutMs }) => host.exec([file, ...args], { timeoutMs }),
      },
      kernel,
      killOwner: async (death) => {
        await ask(host, { call: 'killOwner', death });
      },
      // Also after a test that failed.
      [Symbol.asyncDispose]: async () => {
        await kernel.takeBack().catch(() => {});
        await sh(host, clear);
        expect(changesBetween(bare, await kernel.snapshot()), `${host.name} is not bare again`).toEqual([]);
      },
    };
  };
}

async function ask(host: Host, message: KernelCall): Promise<unknown> {
  const { result, error } = (await call({ path: host.pathHere(socket) }, message, answerTimeoutMs)) as {
    result: unknown;
    error?: ErrorReport;
  };
  if (error !== undefined) throw new RlnetError(error.code, error.message, error.remedy);
  return result;
}

function remote(host: Host): KernelUnderTest['kernel'] {
  const asks = async <T>(message: KernelCall): Promise<T> => (await ask(host, message)) as T;
  return {
    snapshot: () => asks({ call: 'snapshot' }),
    standing: async () => (await asks<StandingChange | null>({ call: 'standing' })) ?? undefined,
    rehearse: (change, seconds) => asks({ call: 'rehearse', change, seconds }),
    swap: (change, seconds) => asks({ call: 'swap', change, seconds }),
    takeBack: () => asks({ call: 'takeBack' }),
    elapse: () => asks({ call: 'elapse' }),
  };
}

async function sh(host: Host, script: string): Promise<void> {
  await host.execOk(['sh', '-exc', script], { timeoutMs: 60_000 });
}

const cards = ['eth0', 'eth1'];

const leaveIpv6Alone = (card: string): string =>
  `nmcli connection modify ${card} ipv6.method ignore; nmcli connection up ${card}`;

/** As hosts in network namespaces have them: addresses that come from nowhere else, and at once. */
const settings = (promote: 0 | 1): string =>
  [
    'sysctl -qw',
    ...['all', ...cards].map((card) => `net.ipv4.conf.${card}.promote_secondaries=${promote}`),
    ...cards.flatMap((card) => [
      `net.ipv6.conf.${card}.accept_dad=0`,
      `net.ipv6.conf.${card}.addr_gen_mode=1`,
    ]),
  ].join(' ');

/** Takes away every rule, address and route that neither the kernel nor the loopback needs. */
const clear = `
for family in -4 -6; do
  ip $family rule show | sed -n 's/:.*//p' | grep -Evx '0|32766|32767' | while read -r priority; do
    ip $family rule delete priority "$priority"
  done
done
${cards.map((card) => `ip address flush dev ${card}`).join('\n')}
for family in -4 -6; do
  ip -o $family route show table all |
    grep -Ev '^(local|broadcast|anycast|multicast) |^::1 dev lo | metric 4294967295 ' |
    sed 's/\\\\//g; s/ error -[0-9]*//; s/ \\(linkdown\\|dead\\)//g' | while read -r route; do
    ip $family route delete $route
  done
done
`;
