import { spawn } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import type { Host } from './lab.ts';
import { run, systemPath, waitFor } from './run.ts';

/*
 * What processes of a host do to files, and which programs they start, by strace on this machine. Traced are a process and what comes of it, and
 * what the host's systemd starts meanwhile: programs that run outside of a unit's sandbox are children of systemd.
 */

/** Every system call by which a file can be made, changed or removed; and those that say who started whom. */
const calls = [
  ...[
    'open',
    'openat',
    'openat2',
    'creat',
    'truncate',
    'ftruncate',
    'fallocate',
    'rmdir',
    '/^(un)?link',
    '/^symlink',
  ],
  ...[
    '/^rename',
    '/^mkdir',
    '/^mknod',
    '/^f?l?chown',
    '/^f?chmod',
    '/^(l|f)?setxattr',
    '/^(l|f)?removexattr',
  ],
  ...[
    '/^utime',
    'futimesat',
    'mount',
    'umount2',
    'pivot_root',
    'chroot',
    'sethostname',
    'settimeofday',
    'reboot',
  ],
  ...['execve', 'clone', 'clone3', 'fork', 'vfork'],
];

/** One call, of a process that is judged. */
export interface Call {
  pid: number;
  name: string;
  /** As strace prints the call, without its result. */
  text: string;
}

export interface Trace {
  /** Ends the tracing and gives what was seen. */
  end(): Promise<Call[]>;
}

const traceOptions = ['-f', '-qq', '-y', '-s', '4096', '--pidns-translation', '-e', `trace=${calls.join()}`];

/** The command line that runs another one under strace, which writes to a file. */
export function traced(argv: readonly string[], file: string): string[] {
  return ['strace', ...traceOptions, '-o', file, ...argv];
}

/**
 * Traces the main process of a unit of a host, and what its systemd starts, from when this resolves. Each has a strace of its own: it serves one
 * call at a time, and a daemon that waits for the calls of others is late for its own work.
 * @param file of this machine; and another one beside it
 */
export async function traceUnit(host: Host, unit: string, file: string): Promise<Trace> {
  const main = Number(await host.execOk(['systemctl', 'show', '--property=MainPID', '--value', unit]));
  const [systemd = 0, daemon = 0] = await host.outerPids([1, main]);
  const own = new Set(await tasksOf(daemon));
  // Each call is two changes of process, to strace and back. On a busy machine each would wait for its turn, the daemon for seconds.
  const hurry = async (nice: number, tasks: Iterable<number>) =>
    await run(['renice', '-n', `${nice}`, '-p', ...[...tasks].map(String)]);
  await hurry(-15, [systemd, ...own]);
  const traces = await Promise.all([attach(daemon, file), attach(systemd, `${file}.systemd`)]);
  return {
    end: async () => {
      for (const task of await tasksOf(daemon)) own.add(task);
      await hurry(0, [systemd, ...own]);
      for (const end of traces) await end();
      const text = await Promise.all([file, `${file}.systemd`].map((each) => readFile(each, 'utf8')));
      return judgedCalls(text.join(''), own);
    },
  };
}

/** Resolves when strace has hold of all of the process's threads. @returns what lets go of them */
async function attach(pid: number, file: string): Promise<() => Promise<void>> {
  const argv = ['-n', '-15', 'strace', ...traceOptions, '-o', file, '-p', `${pid}`];
  const child = spawn('nice', argv, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { PATH: systemPath, LC_ALL: 'C' },
  });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const ended = new Promise<void>((resolve) => {
    child.once('error', () => resolve());
    child.once('close', () => resolve());
  });
  await waitFor('strace to be attached', { timeoutMs: 20_000 }, async () => {
    if (child.exitCode !== null) throw new Error(`strace ended: ${said}`);
    for (const task of await tasksOf(pid)) {
      const status = await readFile(`/proc/${task}/status`, 'utf8').catch(() => 'TracerPid:\t1');
      if (/^TracerPid:\t0$/m.test(status)) return undefined;
    }
    return true;
  });
  return async () => {
    child.kill('SIGINT');
    await ended;
  };
}

async function tasksOf(pid: number): Promise<number[]> {
  return (await readdir(`/proc/${pid}/task`)).map(Number);
}

/**
 * The calls in what strace wrote. Of the processes in `own`, and of what they started, all; of any other what comes after it has become
 * another program, as before that it is systemd that sets it up. Without `own`, all.
 */
export function judgedCalls(text: string, own?: ReadonlySet<number>): Call[] {
  const lines = text.split('\n').map((line) => {
    const [, pid, rest = ''] = /^(\d+) +(.*)$/.exec(line) ?? [];
    return { pid: Number(pid), rest };
  });
  const parents = new Map<number, number>();
  const became = new Map<number, number>();
  for (const [index, { pid, rest }] of lines.entries()) {
    const made =
      /^(?:<\.\.\. )?(?:clone3?|v?fork)\b.*= \d+(?:<[^>]*>)?(?: \/\* (\d+) in strace's PID NS \*\/)?$/.exec(
        rest,
      );
    const child = made?.[1] ?? (made === null ? undefined : /= (\d+)/.exec(rest)?.[1]);
    if (child !== undefined) parents.set(Number(child), pid);
    if (/^execve\(/.test(rest) && !became.has(pid)) became.set(pid, index);
  }
  const isJudged = (pid: number, index: number): boolean => {
    if (own === undefined || own.has(pid) || (became.get(pid) ?? Number.POSITIVE_INFINITY) <= index)
      return true;
    const parent = parents.get(pid);
    return parent !== undefined && isJudged(parent, index);
  };
  return lines.flatMap(({ pid, rest }, index) => {
    const [, name] = /^(\w+)\(/.exec(rest) ?? [];
    if (name === undefined || /^(clone3?|v?fork)$/.test(name) || !isJudged(pid, index)) return [];
    const call = rest.replace(/(?: <unfinished \.\.\.>|\) += .*)$/, '');
    return [{ pid, name, text: call }];
  });
}

/** The paths that a call changes, or would: none for an open that only reads. */
export function pathsChanged({ name, text }: Call): string[] {
  if (name === 'execve') return [];
  if (name.startsWith('open') && !/\bO_(?:WRONLY|RDWR|CREAT|TRUNC|APPEND|TMPFILE)\b/.test(text)) return [];
  const quoted = [...text.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, path = '']) => path);
  // By a descriptor: -y says of which file.
  const open = [...text.matchAll(/\d+<([^>]*)>/g)].map(([, path = '']) => path);
  const named =
    quoted.length > 0
      ? quoted.map((path) => (path.startsWith('/') ? path : `${open[0] ?? '?'}/${path}`))
      : open;
  return named.length > 0 ? named : [text];
}

/** The words of a program that was started. */
export function programOf({ name, text }: Call): string[] | undefined {
  if (name !== 'execve') return undefined;
  const list = /^execve\("(?:[^"\\]|\\.)*", \[(.*)\], 0x/s.exec(text)?.[1] ?? '';
  return [...list.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, word = '']) => word);
}
