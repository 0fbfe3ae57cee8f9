import { known, whyUnknown } from '../observations.ts';
import { type Check, fail, pass, unknown } from './check.ts';

export const port53Taken: Check = {
  code: 'PORT_53_TAKEN',
  title: 'systemd-resolved has port 53, which the DNS server of RS needs',
  severity: 'warning',
  about:
    "The stub resolver of systemd-resolved listens on 127.0.0.53 port 53. RS's installer refuses such a host; where the stub comes back after an upgrade or a change of the network, names of databases are not resolved on this node any more.",
  remedy:
    'Set DNSStubListener=no in /etc/systemd/resolved.conf, link /etc/resolv.conf to /run/systemd/resolve/resolv.conf, restart systemd-resolved.',
  judge({ observations: { vitals } }) {
    const read = known(vitals);
    if (read === undefined) return unknown(whyUnknown(vitals));
    return read.stubResolver
      ? fail('127.0.0.53 port 53 (UDP) is taken')
      : pass('nobody has port 53 of 127.0.0.53');
  },
};
