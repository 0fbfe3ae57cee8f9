import { holdersOf } from '../../protocol/interfaces.ts';
import { known, whyUnknown } from '../observations.ts';
import { type Check, fail, notApplicable, pass, unknown } from './check.ts';

/** Of Ethernet; what is below it is a tunnel or a mistake. */
const usualMtu = 1500;

export const internalMtuSmall: Check = {
  code: 'INTERNAL_MTU_SMALL',
  title: "The interface of the node's internal address has an MTU below 1500",
  severity: 'warning',
  about:
    'Where the hosts of a segment differ in their MTU, large packets are lost between them while small ones pass: replication stands still, and pings are fine. In a network that is a tunnel throughout, where all hosts have the same smaller MTU, it does no harm.',
  remedy: 'Give the interface the MTU that the others have; ip link shows it.',
  judge({ observations: { interfaces }, internalAddress }) {
    const links = known(interfaces);
    if (links === undefined) return unknown(whyUnknown(interfaces));
    if (internalAddress === undefined) return notApplicable('the internal address is not known');
    const [holder] = holdersOf(links, internalAddress);
    if (holder === undefined) return notApplicable(`${internalAddress} is on no interface`);
    const { name, mtu } = holder.link;
    return mtu < usualMtu ? fail(`${name} has MTU ${mtu}`) : pass(`${name} has MTU ${mtu}`);
  },
};
