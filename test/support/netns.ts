import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { onTestFinished } from 'vitest';
import { createExec } from '../../src/host/exec.ts';
import type { Exec } from '../../src/host/ports/exec.ts';

export interface NetworkNamespace {
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
 * A network namespace without a name. It lives as long as a process that reads from us, so it is gone, with all that is
 * in it, however we end. Close it with `close`, or let `networkNamespace` do it at the end of a test.
 */
export async function openNetworkNamespace(): Promise<NetworkNamespace & { close(): Promise<void> }> {
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
      for (const line of commands.split('\n').map((command) => command.trim())) {
        if (line === '') continue;
        const { exitCode, stderr } = await exec.run('ip', line.split(/ +/), { timeoutMs: 10_000 });
        if (exitCode !== 0) throw new Error(`ip ${line}: ${stderr}`);
      }
    },
    close: async () => {
      holder.stdin.end();
      if (holder.exitCode === null) await once(holder, 'exit');
    },
  };
}

/** A network namespace that goes with the running test. */
export async function networkNamespace(): Promise<NetworkNamespace> {
  const namespace = await openNetworkNamespace();
  onTestFinished(() => namespace.close());
  return namespace;
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
