import { pino, stdTimeFunctions, symbols } from 'pino';

/** What the rest of the agent needs of a log. Never put a secret into it: redaction is a seat belt, not a rule. */
export interface Log {
  debug(fields: object, text: string): void;
  info(fields: object, text: string): void;
  warn(fields: object, text: string): void;
  error(fields: object, text: string): void;
  child(fields: object): Log;
}

/** pino's levels as syslog priorities (sd-daemon(3)): `journalctl -p warning -u rlnet` then filters. */
const priorities: Readonly<Record<number, number>> = { 10: 7, 20: 7, 30: 6, 40: 4, 50: 3, 60: 2 };

/**
 * One JSON line an entry. For journald each has the `<N>` prefix that it reads as priority; time, host and pid are journald's own. Synchronous,
 * on the main thread: lines handed to a worker are lost just when the node reboots.
 *
 * @param journald whether standard output goes to journald (JOURNAL_STREAM is set); elsewhere a time is added and no prefix
 */
export function createLog(
  level: 'debug' | 'info' | 'warn' | 'error',
  journald: boolean,
  write: (line: string) => void,
): Log {
  const destination = {
    lastLevel: 30,
    [symbols.needsMetadataGsym]: true,
    write(line: string) {
      write(journald ? `<${priorities[this.lastLevel] ?? 6}>${line}` : line);
    },
  };
  return pino(
    {
      level,
      base: null,
      timestamp: journald ? false : stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  );
}

/** Writes to standard output at once, however full it is. */
export function standardOutput(): (line: string) => void {
  const destination = pino.destination({ dest: 1, sync: true });
  return (line) => {
    destination.write(line);
  };
}
