import type { PortRange } from '../../host/ports/vitals.ts';
import { known, whyUnknown } from '../observations.ts';
import { type Check, fail, pass, unknown } from './check.ts';

/** RS asks for `net.ipv4.ip_local_port_range = 30000 65535`: below are its databases and its own services (RS/networking/port-configurations). */
const firstFree = 30_000;

export const localPortsOverlap: Check = {
  code: 'LOCAL_PORTS_OVERLAP',
  title: 'Connections of this host are given ports that RS listens on',
  severity: 'warning',
  about:
    'RS has its databases on ports from 10000 to 19999 and its own services on others up to 29999. Where `net.ipv4.ip_local_port_range` begins below 30000, any outgoing connection can sit on a port that RS wants, and a database or a node does not come up for no reason that can be seen. Ports in `net.ipv4.ip_local_reserved_ports` are not given away.',
  remedy: 'sysctl -w net.ipv4.ip_local_port_range="30000 65535", and the same in a file of /etc/sysctl.d.',
  judge({ observations: { vitals } }) {
    const read = known(vitals);
    if (read === undefined) return unknown(whyUnknown(vitals));
    const { first, last } = read.localPorts;
    const said = `ip_local_port_range is ${first} ${last}`;
    if (first >= firstFree) return pass(said);
    const open = firstOpen(first, read.reservedPorts);
    return open >= firstFree ? pass(`${said}, and what is below ${firstFree} is reserved`) : fail(said);
  },
};

/** The first port from `from` on that is not reserved. */
function firstOpen(from: number, reserved: readonly PortRange[]): number {
  const range = reserved.find(({ first, last }) => first <= from && from <= last);
  return range === undefined ? from : firstOpen(range.last + 1, reserved);
}
