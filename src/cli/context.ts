import type { Clock } from '../host/ports/clock.ts';
import type { Files } from '../host/ports/files.ts';
import type { LocalSockets } from '../host/ports/local-sockets.ts';
import type { Random } from '../host/ports/random.ts';

/** What the commands get from the composition root instead of reaching for it. */
export interface Context {
  clock: Clock;
  random: Random;
  files: Files;
  sockets: LocalSockets;
  version: string;
  /** What systemd and the journal say to this process. */
  env: { NOTIFY_SOCKET?: string; WATCHDOG_USEC?: string; JOURNAL_STREAM?: string };
  /** Who runs this command, for the record of what was asked: also behind sudo. */
  user: string;
  print: (text: string) => void;
  /** Whether standard output is a terminal: only then colour and live progress. */
  terminal: boolean;
  /** Asks on the terminal, with what is typed shown or not; undefined where nobody is there to answer. */
  ask: ((question: string, hidden: boolean) => Promise<string>) | undefined;
  /** Aborted when this process is asked to end (SIGTERM, SIGINT); the reason is the signal's name. */
  ended: AbortSignal;
}

/** What every command ends with: the exit status, unless it throws an RlnetError. */
export type Outcome = Promise<number>;

/** JSON for `--json`: one document, readable by people too. */
export function json(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
