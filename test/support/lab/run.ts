import { type ChildProcess, spawn } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { errnoOf, RlnetError } from '../../../src/protocol/errors.ts';

/** What the machine's own tools are found by, whatever the caller's environment is like. */
export const systemPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export interface ExecResult {
  /** As a shell counts: 128 + the signal's number for a command that a signal ended. */
  exitCode: number;
  stdout: string;
  stderr: string;
}

export interface ExecOptions {
  /** How long the command may take, in milliseconds; 30 s unless told. */
  timeoutMs?: number;
  /** Written to standard input, which is empty otherwise. */
  input?: string;
  /** Aborting it kills the command. */
  signal?: AbortSignal;
}

/**
 * Runs a command to its end. Its exit code is an answer, not an error. The command gets a process group of its own,
 * so that a kill reaches its children too, those in other PID namespaces included.
 *
 * @throws RlnetError COMMAND_TIMEOUT after it was killed, COMMAND_NOT_FOUND; the signal's reason when aborted.
 */
export async function run(argv: readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
  const { timeoutMs = 30_000, input = '', signal } = options;
  signal?.throwIfAborted();
  const [command = '', ...args] = argv;
  const child = spawn(command, args, {
    detached: true,
    stdio: 'pipe',
    env: { PATH: systemPath, LC_ALL: 'C', HOME: '/root' },
  });
  const kill = () => {
    killGroup(child).catch(() => {});
  };
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    kill();
  }, timeoutMs);
  signal?.addEventListener('abort', kill, { once: true });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
  // A command that does not read its input closes it: no error of ours.
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  try {
    const exitCode = await new Promise<number>((resolve, reject) => {
      child.once('error', (cause) => {
        reject(
          new RlnetError(
            'COMMAND_NOT_FOUND',
            `${command} cannot be started: ${cause.message}.`,
            `Install ${command}.`,
            {
              cause,
            },
          ),
        );
      });
      child.once('close', (code, ended) =>
        resolve(code ?? 128 + (ended === null ? 0 : constants.signals[ended])),
      );
    });
    signal?.throwIfAborted();
    if (timedOut) {
      throw new RlnetError(
        'COMMAND_TIMEOUT',
        `${argv.join(' ')} did not end within ${timeoutMs} ms.`,
        'See what the command waits for.',
      );
    }
    return { exitCode, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() };
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', kill);
  }
}

/**
 * Runs a command that has to succeed and gives what it printed.
 * @throws RlnetError COMMAND_FAILED with what it wrote to standard error.
 */
export async function runOk(argv: readonly string[], options: ExecOptions = {}): Promise<string> {
  const { exitCode, stdout, stderr } = await run(argv, options);
  if (exitCode !== 0) {
    throw new RlnetError(
      'COMMAND_FAILED',
      `${argv.join(' ')} ended with status ${exitCode}: ${stderr.trim() || stdout.trim() || 'it said nothing'}.`,
      'The text above is what the command itself said.',
    );
  }
  return stdout;
}

/** A process by its PID and the time it started (clock ticks since boot): PIDs are used again, the pair is not. */
export interface ProcessId {
  pid: number;
  startTime: number;
}

/** The process with that PID, or undefined where there is none or it only waits to be reaped. proc_pid_stat(5). */
export async function processById(pid: number): Promise<ProcessId | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  if (stat === undefined) return undefined;
  // The second field is the command's name in parentheses and may hold anything; the third is the state.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? undefined : { pid, startTime: Number(fields[19]) };
}

export async function isAlive(process: ProcessId): Promise<boolean> {
  return (await processById(process.pid))?.startTime === process.startTime;
}

/** Sends a signal to a process, or with a negative number to a group, that may have ended already. */
export function killIfThere(pid: number, signal: NodeJS.Signals = 'SIGKILL'): void {
  try {
    process.kill(pid, signal);
  } catch (thrown) {
    if (errnoOf(thrown) !== 'ESRCH') throw thrown;
  }
}

/**
 * Kills a command that leads a process group, and the group with it: the others first, so that the leader can reap
 * its child. Left to the machine's PID 1 a child on a host would be a zombie there for seconds, and hold up a reboot.
 */
export async function killGroup({ pid: leader }: ChildProcess): Promise<void> {
  if (leader === undefined) return;
  // Stopped, it starts no other while we look.
  killIfThere(leader, 'SIGSTOP');
  const others = (await readdir('/proc')).map(Number).filter((pid) => pid > 0 && pid !== leader);
  const groups = await Promise.all(others.map(groupOf));
  const members = others.filter((_, index) => groups[index] === leader);
  for (const pid of members) killIfThere(pid);
  if (members.length > 0) killIfThere(leader, 'SIGCONT');
  for (let tries = 0; members.length > 0 && tries < 100; tries += 1) {
    if ((await processById(leader)) === undefined) break;
    await sleep(10);
  }
  killIfThere(-leader);
}

/** The process group of a process, or undefined where there is none. proc_pid_stat(5). */
async function groupOf(pid: number): Promise<number | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  return stat === undefined ? undefined : Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2]);
}

/**
 * Asks until the answer is not undefined.
 * @throws RlnetError COMMAND_TIMEOUT, saying what was waited for; the signal's reason when aborted.
 */
export async function waitFor<T>(
  what: string,
  { timeoutMs, signal }: { timeoutMs: number; signal?: AbortSignal },
  ask: () => Promise<T | undefined>,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    signal?.throwIfAborted();
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (Date.now() > deadline) {
      throw new RlnetError(
        'COMMAND_TIMEOUT',
        `Waited ${timeoutMs} ms for ${what}.`,
        'See the console log of the host.',
      );
    }
    await sleep(50);
  }
}
