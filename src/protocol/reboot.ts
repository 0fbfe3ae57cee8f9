import { RlnetError } from './errors.ts';
import type { BootTime } from './renumbering/records.ts';

/**
 * Whether the host has booted since a moment. Only another boot id says so: the seconds of two boots do not compare, and those of a
 * container are its host's.
 */
export function hasRebooted(since: BootTime, now: BootTime): boolean {
  return now.bootId !== since.bootId;
}

/** The error for a host that was told to reboot, and runs the same boot when it should long have been down. */
export function rebootOverdue(asked: BootTime, now: BootTime): RlnetError {
  const seconds = Math.round(now.seconds - asked.seconds);
  return new RlnetError(
    'REBOOT_DID_NOT_HAPPEN',
    `The host was told to reboot ${seconds} s ago, and still runs the same boot (${now.bootId}).`,
    'systemctl list-jobs shows what holds the shutdown up; end that, or restart the host by hand.',
  );
}
