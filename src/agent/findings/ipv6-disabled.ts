import { known, whyUnknown } from '../observations.ts';
import { type Check, fail, pass, unknown } from './check.ts';

const words = {
  absent: 'the kernel has no IPv6 (ipv6.disable=1)',
  disabled: 'net.ipv6.conf.all.disable_ipv6 is not 0',
  disabled_on_loopback: 'net.ipv6.conf.lo.disable_ipv6 is not 0',
} as const;

export const ipv6Disabled: Check = {
  code: 'IPV6_DISABLED',
  title: 'IPv6 is switched off on this host',
  severity: 'error',
  about:
    'RS talks to itself over `::1`, on IPv4 clusters too, and a cluster whose internal family is IPv6 cannot run without it at all.',
  remedy:
    'sysctl -w net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.lo.disable_ipv6=0, and take what switched it off out of /etc/sysctl.d or the kernel command line.',
  judge({ observations: { vitals } }) {
    const read = known(vitals);
    if (read === undefined) return unknown(whyUnknown(vitals));
    return read.ipv6 === 'enabled' ? pass('IPv6 is on') : fail(words[read.ipv6]);
  },
};
