import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { createClock } from '../../src/host/clock.ts';
import { createFiles } from '../../src/host/files.ts';
import { createKernelAddresses } from '../../src/host/kernel-addresses.ts';
import type { Exec } from '../../src/host/ports/exec.ts';
import type { KernelAddresses } from '../../src/host/ports/kernel-addresses.ts';
import { describeAddress, type NetworkSnapshot } from '../../src/protocol/network-snapshot.ts';
import { describeRoute, describeRule } from '../../src/protocol/routing.ts';
import { createSleepingTimer } from './detached-timer.ts';
import { type NetworkNamespace, openNetworkNamespace } from './netns.ts';
import { temporaryDirectory } from './temporary-directory.ts';

/** The adapter on a namespace, with a timer that needs no systemd, and what it keeps in a directory of its own. */
export async function kernelAddressesOf(exec: Exec): Promise<KernelAddresses & { directory: string }> {
  const directory = await temporaryDirectory();
  const timer = createSleepingTimer(exec, directory);
  // A timer that a failed test leaves would outlive it.
  onTestFinished(async () => {
    for (const name of ['rlnet-take-back-a', 'rlnet-take-back-b']) await timer.disarm(name);
  });
  const parts = { exec, files: createFiles(), clock: createClock(), timer };
  return { ...createKernelAddresses({ ...parts, directory: `${directory}/change` }), directory };
}

/** Starts a process that changes an address in the namespace, and kills it where it stops (`kernel-owner.ts`). */
export async function killOwner(
  { pid }: NetworkNamespace,
  args: { directory: string; kind: 'swap' | 'rehearse'; change: string; phase: string },
): Promise<void> {
  const program = fileURLToPath(new URL('kernel-owner.ts', import.meta.url));
  const owner = spawn(
    'nsenter',
    [
      ...[`--net=/proc/${pid}/ns/net`, process.execPath, program],
      ...[args.directory, args.kind, args.change, args.phase],
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const ended = once(owner, 'exit');
  const said = await Promise.race([once(owner.stdout, 'data'), ended]);
  owner.kill('SIGKILL');
  await ended;
  if (`${said[0]}` !== 'stopped\n')
    throw new Error(`the owner did not come to ${args.phase}: ${said.join(' ')}`);
}

/** A host with two NICs that are up, without addresses of their own making and without the wait for duplicate address detection. */
export async function openHost(
  host: string,
  { promote = 0 }: { promote?: 0 | 1 } = {},
): Promise<NetworkNamespace> {
  const namespace = await openNetworkNamespace();
  const settings = [
    `net.ipv4.conf.all.promote_secondaries=${promote}`,
    'net.ipv6.conf.default.accept_dad=0',
    'net.ipv6.conf.default.addr_gen_mode=1',
  ];
  await namespace.exec.run('sysctl', ['-qw', ...settings], { timeoutMs: 10_000 });
  await namespace.ip(`
    link add eth0 type veth peer name far0
    link add eth1 type veth peer name far1
    link set far0 up
    link set far1 up
    link set eth0 up
    link set eth1 up`);
  // The kernel makes these routes when carrier has been noticed, up to a second later on a busy machine.
  for (const link of ['far0', 'far1', 'eth0', 'eth1']) {
    const args = ['-6', 'route', 'show', 'table', 'local', 'type', 'multicast', 'dev', link];
    while ((await namespace.exec.run('ip', args, { timeoutMs: 10_000 })).stdout === '') await setTimeout(20);
  }
  await namespace.ip(host);
  return namespace;
}

/** All of a snapshot as text, sorted; routes of one place keep their order. */
export function textOf({ addresses, routes, rules }: NetworkSnapshot): string[] {
  return [
    ...addresses.map(describeAddress).toSorted(),
    ...routes.map(describeRoute).toSorted(),
    ...rules.map((rule) => `${rule.family} rule ${describeRule(rule)}`).toSorted(),
  ];
}

/** What went and what came, a line each: `- …` and `+ …`. */
export function changesBetween(before: NetworkSnapshot, after: NetworkSnapshot): string[] {
  const old = textOf(before);
  const now = textOf(after);
  return [
    ...old.filter((line) => !now.includes(line)).map((line) => `- ${line}`),
    ...now.filter((line) => !old.includes(line)).map((line) => `+ ${line}`),
  ];
}
