import { commandFailed, type Exec } from './ports/exec.ts';
import type { ServiceManager } from './ports/service-manager.ts';

const timeoutMs = 10_000;

/** The longest STATUS line; systemd shows it on one line of `systemctl status`. */
const longestStatus = 256;

/**
 * systemd, told through `systemd-notify`: Node has no datagram sockets of the Unix kind. systemd asks the kernel to which unit the sender
 * belongs, so the program waits until its message was taken (from systemd 246 on). Where it does not, a message of one that
 * has ended already can be lost: so once ready, each message says so anew. Costs 7 to 13 ms of another process.
 *
 * @param env       what systemd told this process (sd_notify(3), sd_watchdog_enabled(3))
 * @param onFailure is told of every notification that could not be sent
 */
export function createServiceManager(
  exec: Exec,
  env: { NOTIFY_SOCKET?: string; WATCHDOG_USEC?: string },
  onFailure: (error: unknown) => void,
): ServiceManager {
  const socket = env.NOTIFY_SOCKET ?? '';
  let isReady: string[] = [];

  const notify = async (...variables: string[]): Promise<void> => {
    if (socket === '') return;
    try {
      const result = await exec.run('systemd-notify', variables, {
        timeoutMs,
        env: { NOTIFY_SOCKET: socket },
      });
      if (result.exitCode !== 0) {
        throw commandFailed(
          'systemd-notify',
          result,
          'Check NotifyAccess= of the unit, and that it runs as root.',
        );
      }
    } catch (thrown) {
      onFailure(thrown);
    }
  };

  return {
    ready: (status) => {
      isReady = ['READY=1'];
      return notify(...isReady, statusVariable(status));
    },
    status: (text) => notify(...isReady, statusVariable(text)),
    stopping: () => {
      isReady = [];
      return notify('STOPPING=1');
    },
    keepAlive: () => notify(...isReady, 'WATCHDOG=1'),
    watchdogMs: parseWatchdog(env.WATCHDOG_USEC),
  };
}

/** A line feed would begin another variable. */
function statusVariable(text: string): string {
  return `STATUS=${text.replaceAll(/\s+/g, ' ').slice(0, longestStatus)}`;
}

/** Microseconds in decimal; systemd leaves the variable out when there is no watchdog. */
function parseWatchdog(microseconds: string | undefined): number | undefined {
  if (microseconds === undefined || !/^[1-9]\d*$/.test(microseconds)) return undefined;
  return Number(microseconds) / 1000;
}
