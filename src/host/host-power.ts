import { RlnetError } from '../protocol/errors.ts';
import { commandFailed, type Exec } from './ports/exec.ts';
import type { HostPower } from './ports/host-power.ts';
import { Properties } from './systemctl.ts';

const timeoutMs = 10_000;

/** The real host, by way of systemd and logind. */
export function createHostPower(exec: Exec): HostPower {
  /** Who holds a lock against shutdown, in logind's words. */
  const inhibitors = async (): Promise<string | undefined> => {
    // Asked by ourselves: systemctl does not ask for root, and older ones have no option for it (--check-inhibitors, systemd 248).
    const shown = await exec.run('loginctl', ['show-session', '--property=BlockInhibited'], { timeoutMs });
    if (shown.exitCode !== 0) {
      // Locks are logind's: without it there are none.
      const logind = await exec.run('systemctl', ['is-active', '--quiet', 'systemd-logind'], { timeoutMs });
      if (logind.exitCode !== 0) return undefined;
      throw commandFailed('loginctl show-session', shown, 'systemctl status systemd-logind may say more.');
    }
    const blocked = new Properties(shown.stdout.trim()).present('BlockInhibited');
    if (!blocked.split(':').includes('shutdown')) return undefined;
    const list = await exec.run('systemd-inhibit', ['--list', '--no-pager', '--no-legend'], { timeoutMs });
    const holders = list.stdout.split('\n').filter((line) => /\bshutdown\b.*\bblock\b/.test(line));
    return holders.length === 0
      ? blocked
      : holders.map((line) => line.trim().replaceAll(/\s+/g, ' ')).join('; ');
  };

  return {
    reboot: async (reason) => {
      const holders = await inhibitors();
      if (holders !== undefined) {
        throw new RlnetError(
          'REBOOT_INHIBITED',
          `Something on this host holds a lock against its shutdown: ${holders}.`,
          'systemd-inhibit --list shows who and why; wait until it has ended, or end it.',
        );
      }
      const args = ['--no-ask-password', `--message=${reason}`, 'reboot'];
      const result = await exec.run('systemctl', args, { timeoutMs });
      if (result.exitCode === 0) return;
      const { message } = commandFailed('systemctl reboot', result, '');
      throw new RlnetError(
        'REBOOT_REFUSED',
        message,
        'Another shutdown may be under way; systemctl list-jobs and journalctl -b -e say more.',
      );
    },
  };
}
