import { holdersOf } from '../../protocol/interfaces.ts';
import { known, whyUnknown } from '../observations.ts';
import { type Check, fail, notApplicable, pass, unknown } from './check.ts';

export const internalAddressHeldTwice: Check = {
  code: 'INTERNAL_ADDRESS_HELD_TWICE',
  title: "The node's internal address is on more than one interface",
  severity: 'warning',
  about:
    'The kernel answers for the address on both, and which of them packets leave by is chance: it can change at a boot. An address that is to float between links belongs on a bond.',
  remedy: 'Take the address off all interfaces but one, in the configuration too.',
  behind: ['RENUMBERING_UNDER_WAY'],
  judge({ observations: { interfaces }, internalAddress }) {
    const links = known(interfaces);
    if (links === undefined) return unknown(whyUnknown(interfaces));
    if (internalAddress === undefined) return notApplicable('the internal address is not known');
    const names = [...new Set(holdersOf(links, internalAddress).map(({ link }) => link.name))];
    return names.length > 1
      ? fail(`${internalAddress} is on ${names.join(' and ')}`)
      : pass(`${internalAddress} is on ${names[0] ?? 'no interface'}`);
  },
};
