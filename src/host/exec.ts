import { createInterface } from 'node:readline';
import { execa } from 'execa';
import { RlnetError } from '../protocol/errors.ts';
import type { Exec, ExecOptions, ExecResult, RunningProgram } from './ports/exec.ts';

/** Where the host's own tools are. Fixed, because the PATH that we were started with may be anybody's. */
const searchPath = '/usr/sbin:/usr/bin:/sbin:/bin';

/** Between SIGTERM and SIGKILL. */
const killAfterMs = 1000;

/** How long a killed command's output may stay open before it is closed from our side. */
const drainMs = 200;

const defaultMaxBytes = 1024 * 1024;

/** Longer commands are cut in messages: a sentence, not a page. */
const longestCommandText = 160;

const fixedOptions = {
  extendEnv: false,
  stdin: 'ignore',
  reject: false,
  forceKillAfterDelay: killAfterMs,
  // A process group of its own, so that a shell script's children go with it. They are ended when we exit; after a SIGKILL of
  // ours they are left to systemd, which ends the whole control group of the service.
  killDescendants: true,
  cleanup: true,
} as const;

/** What every program gets. */
export const fixedEnv = { PATH: searchPath, LC_ALL: 'C', LANG: 'C' };

/** Runs real programs. */
export function createExec(): Exec {
  return { run, lines };
}

async function run(file: string, args: readonly string[], options: ExecOptions): Promise<ExecResult> {
  const { timeoutMs, maxBytes = defaultMaxBytes, env = {}, signal } = options;
  signal?.throwIfAborted();

  // Timeout and abort are one thing with two reasons: the command is over, and this is why.
  const over = new AbortController();
  const deadline = setTimeout(() => over.abort(timedOut(file, args, timeoutMs)), timeoutMs);
  const onAbort = (): void => over.abort(signal?.reason);
  signal?.addEventListener('abort', onAbort, { once: true });

  let drain: NodeJS.Timeout | undefined;
  try {
    const child = execa(file, args, {
      ...fixedOptions,
      env: { ...fixedEnv, ...env },
      // As bytes, because execa would count `maxBuffer` in characters otherwise.
      encoding: 'buffer',
      stripFinalNewline: false,
      maxBuffer: maxBytes,
      cancelSignal: over.signal,
    });
    // A descendant in a session of its own survives the kill and can hold the pipes open for as long as it likes.
    over.signal.addEventListener('abort', () => {
      drain = setTimeout(() => {
        child.stdout.destroy();
        child.stderr.destroy();
      }, killAfterMs + drainMs);
    });
    const result = await child;
    over.signal.throwIfAborted();
    if (result.exitCode === undefined || result.isMaxBuffer) throw notRun(file, args, maxBytes, result);
    return { exitCode: result.exitCode, stdout: text(result.stdout), stderr: text(result.stderr) };
  } finally {
    clearTimeout(deadline);
    clearTimeout(drain);
    signal?.removeEventListener('abort', onAbort);
  }
}

function lines(file: string, args: readonly string[], onLine: (line: string) => void): RunningProgram {
  const child = execa(file, args, { ...fixedOptions, env: fixedEnv, buffer: false, stderr: 'ignore' });
  const reader = createInterface({ input: child.stdout }).on('line', onLine);
  let state: 'running' | 'stopped' | 'ended' = 'running';
  const ended = child.then(({ exitCode, signal, code }) => {
    const reason = state === 'stopped' ? 'stopped' : describeEnd(exitCode, signal, code);
    state = 'ended';
    return { exitCode, reason };
  });
  return {
    ended,
    stop: () => {
      // Some lines are on their way, and whoever listened counts on silence.
      reader.off('line', onLine);
      // Never after it ended: its process id may be somebody else's by then.
      if (state !== 'running') return;
      state = 'stopped';
      child.kill();
    },
  };
}

function describeEnd(exitCode?: number, signal?: string, code?: string): string {
  if (code !== undefined) return `could not be started (${code})`;
  if (signal !== undefined) return `was killed by ${signal}`;
  return exitCode === undefined ? 'ended for an unknown reason' : `ended with exit status ${exitCode}`;
}

/** The error for a command that was killed as its time was over. */
export function timedOut(file: string, args: readonly string[], timeoutMs: number): RlnetError {
  return new RlnetError(
    'COMMAND_TIMEOUT',
    `${command(file, args)} did not end within ${timeoutMs / 1000} s and was killed.`,
    'Run it by hand to see what it waits for.',
  );
}

/** The error for a command that gave no exit status, or more output than anybody asked for. */
function notRun(
  file: string,
  args: readonly string[],
  maxBytes: number,
  result: { isMaxBuffer: boolean; code?: string | undefined; signal?: string | undefined; cause?: unknown },
): RlnetError {
  const { cause, code } = result;
  if (result.isMaxBuffer) {
    return new RlnetError(
      'COMMAND_FAILED',
      `${command(file, args)} printed more than ${maxBytes} bytes.`,
      'Run it by hand to see what it prints.',
      { cause },
    );
  }
  if (code === 'ENOENT' || code === 'EACCES') {
    return new RlnetError(
      'COMMAND_NOT_FOUND',
      `${file} is not there or is not executable (${code}).`,
      file.includes('/')
        ? `Check that ${file} is the right path.`
        : `Install the package that has ${file}; it is looked for in ${searchPath}.`,
      { cause },
    );
  }
  return new RlnetError(
    'COMMAND_FAILED',
    result.signal === undefined
      ? `${command(file, args)} could not be run (${code ?? 'for an unknown reason'}).`
      : `${command(file, args)} was killed by ${result.signal}.`,
    'Run it by hand to see what is wrong with it.',
    { cause },
  );
}

function command(file: string, args: readonly string[]): string {
  const whole = [file, ...args].join(' ');
  return whole.length <= longestCommandText ? whole : `${whole.slice(0, longestCommandText)}…`;
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('utf8');
}
