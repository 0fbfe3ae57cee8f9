import { commandFailed, type Exec } from './ports/exec.ts';
import type { ServiceManager } from './ports/service-manager.ts';

const timeoutMs = 10_000;

/** The longest STATUS line; systemd shows it on one line of `systemctl status`. */
const longestStatus = 256;

/**
 * systemd, told through `systemd-notify`: Node has no datagram sockets of the Unix kind. The program, when it has the privilege (root),
 * sends in the name of the process that started it, which is the unit's main process: so `NotifyAccess=main` is enough,
 * and so it need not wait until systemd has taken the message (`--no-block`). Costs 7 to 13 ms of another process.
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

  const notify = async (...variables: string[]): Promise<void> => {
    if (socket === '') return;
    try {
      const result = await exec.run('systemd-notify', ['--no-block', ...variables], {
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
    ready: (status) => notify('READY=1', statusVariable(status)),
    status: (text) => notify(statusVariable(text)),
    stopping: () => notify('STOPPING=1'),
    keepAlive: () => notify('WATCHDOG=1'),
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
