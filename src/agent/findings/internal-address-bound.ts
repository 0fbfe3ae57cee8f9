import { holdersOf, isActive, isUsable } from '../../protocol/interfaces.ts';
import { known, whyUnknown } from '../observations.ts';
import type { Check } from './check.ts';

/** "Verify the address is valid and bound to an active interface on the node" (RS/networking/multi-ip-ipv6). */
export const internalAddressBound: Check = {
  code: 'INTERNAL_ADDRESS_NOT_BOUND',
  title: "The node's internal address is not on an active interface",
  severity: 'error',
  about:
    'The address that RS has for this node is on no interface, or on one that is not up with carrier, or duplicate address detection has not ended or found a duplicate. RS cannot come up without it. `ip addr` shows where it is.',
  remedy:
    'Bring the address back on an interface that is up with carrier; RS cannot run on this node without it.',
  behind: ['RENUMBERING_UNDER_WAY', 'IPV6_DISABLED'],
  judge({ observations, internalAddress }) {
    const links = known(observations.interfaces);
    if (links === undefined) return { outcome: 'unknown', evidence: whyUnknown(observations.interfaces) };
    if (internalAddress === undefined) {
      const isNoNode =
        observations.nodeUid !== undefined &&
        'value' in observations.nodeUid &&
        observations.nodeUid.value === undefined;
      return isNoNode
        ? { outcome: 'not_applicable', evidence: 'this host is not a node' }
        : {
            outcome: 'unknown',
            evidence: `the internal address is not known: ${whyUnknown(observations.nodeTable)}`,
          };
    }
    const holders = holdersOf(links, internalAddress);
    if (holders.length === 0) return { outcome: 'fail', evidence: `${internalAddress} is on no interface` };
    const good = holders.find(({ link, bound }) => isActive(link) && isUsable(bound));
    if (good !== undefined)
      return { outcome: 'pass', evidence: `${internalAddress} is on ${good.link.name}` };
    const described = holders.map(({ link, bound }) =>
      isActive(link)
        ? `${link.name}, where it is ${bound.flags.filter((flag) => flag === 'tentative' || flag === 'dadfailed').join(' ')}`
        : `${link.name}, which is not active (${link.operState}, flags ${link.flags.join(',')})`,
    );
    return { outcome: 'fail', evidence: `${internalAddress} is on ${described.join('; ')}` };
  },
};
