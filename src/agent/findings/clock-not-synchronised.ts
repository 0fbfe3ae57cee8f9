import { known, whyUnknown } from '../observations.ts';
import { type Check, fail, pass, unknown } from './check.ts';

export const clockNotSynchronised: Check = {
  code: 'CLOCK_NOT_SYNCHRONISED',
  title: 'No time source keeps the clock of this host',
  severity: 'warning',
  about:
    'systemd says `NTPSynchronized=no`. RS wants the clocks of its nodes together, and certificates hold by the clock. Looked at every five minutes.',
  remedy: 'timedatectl shows the time source; chronyd or systemd-timesyncd should run.',
  judge({ observations: { clockSynchronised } }) {
    const synchronised = known(clockSynchronised);
    if (synchronised === undefined) return unknown(whyUnknown(clockSynchronised));
    return synchronised ? pass('NTPSynchronized=yes') : fail('timedatectl says NTPSynchronized=no');
  },
};
