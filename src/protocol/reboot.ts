import { RlnetError } from './errors.ts';
import type { BootTime } from './renumbering/records.ts';

/**
 * Whether a reboot that was asked for has happened. Only another boot id says so: the seconds of two boots do not compare, and
 * those of a container are its host's.
 *
 * @param asked        the moment right before it was asked for
 * @param boundSeconds how long the host may take until it is down
 */
export function judgeReboot(
  asked: BootTime,
  now: BootTime,
  boundSeconds: number,
): 'happened' | 'pending' | 'overdue' {
  if (now.bootId !== asked.bootId) return 'happened';
  return now.seconds - asked.seconds < boundSeconds ? 'pending' : 'overdue';
}

/** The error for a reboot that is overdue. */
export function rebootOverdue(asked: BootTime, now: BootTime): RlnetError {
  const seconds = Math.round(now.seconds - asked.seconds);
  return new RlnetError(
    'REBOOT_DID_NOT_HAPPEN',
    `The host was told to reboot ${seconds} s ago, and still runs the same boot (${now.bootId}).`,
    'systemctl list-jobs shows what holds the shutdown up; end that, or restart the host by hand.',
  );
}
