import { known, whyUnknown } from '../observations.ts';
import { type Check, fail, pass, unknown } from './check.ts';

export const rebootPending: Check = {
  code: 'REBOOT_PENDING',
  title: 'Packages of the system ask for a restart of the host',
  severity: 'info',
  about:
    'There is a file `/run/reboot-required` (Debian, Ubuntu). A renumbering restarts the host anyway: what was installed since takes effect then, too, and had better not be a surprise.',
  remedy: 'Restart the host when its node can be spared, before its address is changed.',
  judge({ observations: { vitals } }) {
    const read = known(vitals);
    if (read === undefined) return unknown(whyUnknown(vitals));
    return read.rebootRequired ? fail('/run/reboot-required is there') : pass('no package asks for one');
  },
};
