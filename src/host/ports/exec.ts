import { RlnetError } from '../../protocol/errors.ts';

/** How a command ended, when it ended by itself. A non-zero status is data, not an error. */
export interface ExecResult {
  exitCode: number;
  stdout: string;
  stderr: string;
}

export interface ExecOptions {
  /** The command is killed (SIGTERM, then SIGKILL after a second) when it runs longer. Milliseconds. */
  timeoutMs: number;
  /** Bytes of each output stream that are kept; a command that prints more is an error. 1 MiB unless said. */
  maxBytes?: number;
  /** Variables beside the three that every command gets, such as `NOTIFY_SOCKET`. */
  env?: Readonly<Record<string, string>>;
  signal?: AbortSignal;
}

/**
 * Runs programs of the host. Arguments never meet a shell; the environment is `PATH`, `LC_ALL=C` and `LANG=C` and
 * nothing of ours; standard input is empty. Costs a fork and exec: several milliseconds, off the event loop.
 */
export interface Exec {
  /**
   * @throws RlnetError COMMAND_NOT_FOUND (no such program or not executable), COMMAND_TIMEOUT, COMMAND_FAILED (killed by
   *   a signal, or printed too much). When `signal` aborts: rejects with its reason, the child is gone.
   */
  run(file: string, args: readonly string[], options: ExecOptions): Promise<ExecResult>;

  /**
   * Starts a long-lived program and calls `onLine` for each line that it prints; `onLine` must not throw. `ended` resolves when it has ended, for
   * whatever reason (also when it could not be started), and never rejects. `stop` ends it and is idempotent; no line is told after it.
   */
  lines(file: string, args: readonly string[], onLine: (line: string) => void): RunningProgram;
}

export interface RunningProgram {
  readonly ended: Promise<{ exitCode: number | undefined; reason: string }>;
  stop(): void;
}

/** The most that an error repeats of what a command said, in characters. */
const longestComplaint = 300;

/** The error for a command whose exit status says that it failed, with what it said about it. */
export function commandFailed(command: string, result: ExecResult, remedy: string): RlnetError {
  const said = (result.stderr.trim() || result.stdout.trim()).replaceAll(/\s+/g, ' ');
  const complaint = said.length <= longestComplaint ? said : `${said.slice(0, longestComplaint)}…`;
  return new RlnetError(
    'COMMAND_FAILED',
    `${command} ended with exit status ${result.exitCode}${complaint === '' ? '' : `: ${complaint}`}`,
    remedy,
  );
}
