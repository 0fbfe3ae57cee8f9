import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createExec } from '../../src/host/exec.ts';
import type { Exec } from '../../src/host/ports/exec.ts';
import { type Address, parseAddress } from '../../src/protocol/address.ts';

export interface NetworkNamespace extends AsyncDisposable {
  /** Runs programs inside the namespace. */
  exec: Exec;
  /** The process that holds it: what `ip link set … netns` takes. */
  pid: number;
  /** `ip` inside the namespace, one command a line; anything but success is an error. */
  ip: (commands: string) => Promise<void>;
}

/** Whether network namespaces can be made here. */
export const isRoot = process.getuid?.() === 0;

/**
 * A network namespace without a name: `await using here = await openNetworkNamespace()`. It lives as long as a process
 * that reads from us, so it is gone, with all that is in it, however we end.
 */
export async function openNetworkNamespace(): Promise<NetworkNamespace> {
  const holder = spawn('unshare', ['--net', 'sh', '-c', 'ip link set lo up && echo ready && exec cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ready = await Promise.race([once(holder.stdout, 'data'), once(holder, 'close')]);
  const { pid } = holder;
  if (pid === undefined || `${ready[0]}`.trim() !== 'ready')
    throw new Error('no network namespace: needs root');

  const exec = inNamespaceOf(pid, createExec());
  return {
    exec,
    pid,
    ip: async (commands) => {
      const lines = commands.split('\n').map((command) => command.trim());
      // One shell for all: to start a program takes longer than most of them do.
      const script = lines
        .filter((line) => line !== '')
        .map((line) => `ip ${line} || { echo 'ip ${line}' >&2; exit 1; }`);
      const { exitCode, stderr } = await exec.run('sh', ['-c', script.join('\n')], { timeoutMs: 60_000 });
      if (exitCode !== 0) throw new Error(stderr);
    },
    [Symbol.asyncDispose]: async () => {
      holder.stdin.end();
      if (holder.exitCode === null) await once(holder, 'exit');
    },
  };
}

/** Runs every program in the network namespace of the process. nsenter execs it: no process stands between. */
function inNamespaceOf(pid: number, exec: Exec): Exec {
  const enter = (file: string, args: readonly string[]): string[] => [
    `--net=/proc/${pid}/ns/net`,
    file,
    ...args,
  ];
  return {
    run: (file, args, options) => exec.run('nsenter', enter(file, args), options),
    lines: (file, args, onLine) => exec.lines('nsenter', enter(file, args), onLine),
  };
}

/**
 * Fills a namespace with veth pairs that are up and together have this many addresses, of both families on each link, beside
 * the link-local ones that the kernel gives them.
 * @returns the addresses, in no order that matters
 */
export async function crowd(
  namespace: NetworkNamespace,
  links: number,
  addresses: number,
): Promise<Address[]> {
  const names = Array.from({ length: links / 2 }, (_, pair) => [`v${pair}`, `w${pair}`]).flat();
  const commands: string[] = [];
  for (let pair = 0; pair < links / 2; pair++)
    commands.push(`link add v${pair} type veth peer name w${pair}`);
  const bound = Array.from({ length: addresses }, (_, index) => {
    const link = index % links;
    const host = 1 + Math.floor(index / links);
    const isIpv4 = host % 2 === 0;
    const text = isIpv4 ? `10.${host}.${link}.1` : `2001:db8:${host}:${link}::1`;
    commands.push(`addr add ${text}/${isIpv4 ? 24 : 64} dev ${names[link]}`);
    return parseAddress(text);
  });
  for (const name of names) commands.push(`link set ${name} up`);
  await namespace.ip(commands.join('\n'));
  return bound;
}
