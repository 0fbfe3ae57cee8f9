import { type Check, fail, pass } from './check.ts';

export const lockStale: Check = {
  code: 'LOCK_HOLDER_GONE',
  title: "The host that has the cluster's lock does not answer",
  severity: 'warning',
  about:
    'No other renumbering can begin, and the lock does not end by time. A host that is being renumbered restarts, which takes minutes: so it is shown after fifteen.',
  remedy: 'rlnet lock show says who has it. If that host is off for good: rlnet lock release --host-is-off.',
  showAfterMs: 15 * 60_000,
  behind: ['INTERNAL_ADDRESS_NOT_BOUND', 'INTERNAL_FAMILY_MISSING'],
  judge({ lock, host, peers }) {
    const holder = lock === 'none' ? undefined : lock.granted;
    if (holder === undefined) return pass('nobody has it');
    if (holder.host === host) return pass('this host has it');
    const peer = peers.find((each) => each.host === holder.host);
    return peer?.linked === true
      ? pass(`${holder.host} has it and is linked`)
      : fail(`${holder.host} has it for ${holder.planId}, and is not linked`);
  },
};
