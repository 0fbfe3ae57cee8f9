import { holdersOf } from '../../protocol/interfaces.ts';
import { known, whyUnknown } from '../observations.ts';
import { type Check, fail, notApplicable, pass, unknown } from './check.ts';

export const internalAddressLeased: Check = {
  code: 'INTERNAL_ADDRESS_LEASED',
  title: "The node's internal address is leased by DHCP, or made from a router's advertisement",
  severity: 'warning',
  about:
    'RS knows its nodes by their addresses. A lease that ends, or is given to another host, takes the node out of the cluster. A lease that the server reserves for this host is safe as long as the server is.',
  remedy: 'Give the interface a static address, the same one or, by rlnet renumber, another.',
  judge({ observations: { interfaces }, internalAddress }) {
    const links = known(interfaces);
    if (links === undefined) return unknown(whyUnknown(interfaces));
    if (internalAddress === undefined) return notApplicable('the internal address is not known');
    const leased = holdersOf(links, internalAddress).find(({ bound }) => bound.flags.includes('dynamic'));
    return leased === undefined
      ? pass(`${internalAddress} is permanent`)
      : fail(`${internalAddress} on ${leased.link.name} is dynamic`);
  },
};
