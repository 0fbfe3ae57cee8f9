import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createClock } from '../../src/host/clock.ts';
import { createFiles } from '../../src/host/files.ts';
import { createKernelAddresses } from '../../src/host/kernel-addresses.ts';
import type { Exec } from '../../src/host/ports/exec.ts';
import type { KernelAddresses } from '../../src/host/ports/kernel-addresses.ts';
import { describeAddress, type NetworkSnapshot } from '../../src/protocol/network-snapshot.ts';
import { describeRoute, describeRule } from '../../src/protocol/routing.ts';
import { type TimerKind, timers } from './detached-timer.ts';
import { type NetworkNamespace, openNetworkNamespace } from './netns.ts';

/** The names that `createKernelAddresses` gives its timers. */
const timerNames = ['rlnet-take-back-a', 'rlnet-take-back-b'];

export interface KernelAddressesUnderTest extends KernelAddresses, AsyncDisposable {
  /** Where the timer keeps its notes; the standing change is in `change` below it. */
  directory: string;
  timerKind: TimerKind;
  /** Has the time of the standing change be over. @returns what its script has to say of it */
  elapse(): Promise<string>;
  /** The same, where the script has nothing to do and nothing to say. */
  timerEnds(): Promise<void>;
}

/** The adapter where `exec` runs programs, with what it keeps in a directory of its own; a network namespace has no systemd. */
export async function kernelAddressesOf(
  exec: Exec,
  timerKind: TimerKind = 'sleeping',
): Promise<KernelAddressesUnderTest> {
  const directory = await mkdtemp(join(tmpdir(), 'rlnet-test-'));
  const timer = timers[timerKind](exec, directory);
  const parts = { exec, files: createFiles(), clock: createClock(), timer };
  const timerEnds = async (): Promise<void> => {
    for (const name of timerNames) {
      await timer.elapse(name);
      // Waits for a script that is at work.
      await timer.disarm(name);
    }
  };
  return {
    ...createKernelAddresses({ ...parts, directory: `${directory}/change` }),
    directory,
    timerKind,
    elapse: async () => {
      await timerEnds();
      return readFile(`${directory}/change/result`, 'utf8');
    },
    timerEnds,
    [Symbol.asyncDispose]: async () => {
      // A timer that a failed test leaves would outlive it.
      await timer.disarm(...timerNames);
      await rm(directory, { recursive: true });
    },
  };
}

export interface Death {
  kind: 'swap' | 'rehearse';
  change: string;
  /** As `kernel-owner.ts` names them. */
  phase: string;
}

/** Starts a process that changes an address, in the network namespace of that process, and kills it where it stops. */
export async function killOwner(
  pid: number | 'self',
  { directory, timerKind }: Pick<KernelAddressesUnderTest, 'directory' | 'timerKind'>,
  { kind, change, phase }: Death,
): Promise<void> {
  const program = fileURLToPath(new URL('kernel-owner.ts', import.meta.url));
  const owner = spawn(
    'nsenter',
    [`--net=/proc/${pid}/ns/net`, ...[process.execPath, program, directory, timerKind, kind, change, phase]],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const ended = once(owner, 'exit');
  const said = await Promise.race([once(owner.stdout, 'data'), ended]);
  owner.kill('SIGKILL');
  await ended;
  if (`${said[0]}` !== 'stopped\n') throw new Error(`the owner did not come to ${phase}: ${said.join(' ')}`);
}

/** A host with two NICs that are up, without addresses of their own making and without the wait for duplicate address detection. */
export async function openHost(
  host: string,
  { promote = 0 }: { promote?: 0 | 1 } = {},
): Promise<NetworkNamespace> {
  const namespace = await openNetworkNamespace();
  const settings = [
    // Of a link the default counts too, which a namespace has from the machine; systemd sets it to 1.
    `net.ipv4.conf.all.promote_secondaries=${promote}`,
    `net.ipv4.conf.default.promote_secondaries=${promote}`,
    'net.ipv6.conf.default.accept_dad=0',
    'net.ipv6.conf.default.addr_gen_mode=1',
  ];
  const links = ['far0', 'far1', 'eth0', 'eth1'];
  const script = [
    `sysctl -qw ${settings.join(' ')}`,
    ...['0', '1'].map((number) => `ip link add eth${number} type veth peer name far${number}`),
    ...links.map((link) => `ip link set ${link} up`),
    // The kernel makes these routes when carrier has been noticed, up to a second later on a busy machine.
    ...links.map((link) => {
      const route = `ip -6 route show table local type multicast dev ${link}`;
      return `until ${route} | grep -q .; do sleep 0.02; done`;
    }),
    scriptOf(host),
  ].join('\n');
  const { exitCode, stderr } = await namespace.exec.run('sh', ['-exc', script], { timeoutMs: 60_000 });
  if (exitCode !== 0) throw new Error(stderr);
  return namespace;
}

/** The `ip` commands of a host as a shell script. */
export function scriptOf(host: string): string {
  return (
    host
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '')
      // Also without duplicate address detection an IPv6 address is tentative for a moment, and no route can have it as its source.
      .map((line) => `ip ${line}${/\baddr\w* add\b/.test(line) ? `; ${settled}` : ''}`)
      .join('\n')
  );
}

const settled = 'while ip -6 address show tentative | grep -q inet6; do sleep 0.01; done';

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
