import { holdersOf } from '../../protocol/interfaces.ts';
import { known, whyUnknown } from '../observations.ts';
import { type Check, fail, notApplicable, pass, unknown } from './check.ts';

export const internalAddressDeprecated: Check = {
  code: 'INTERNAL_ADDRESS_DEPRECATED',
  title: "The kernel avoids the node's internal address, or will change it",
  severity: 'warning',
  about:
    'The address has the flag `deprecated` (its preferred lifetime is over, so the kernel chooses another source for new connections) or `temporary` (a privacy address, which is replaced every day).',
  remedy: 'Give the interface the address without a preferred lifetime; ip -6 addr shows the flags.',
  behind: ['RENUMBERING_UNDER_WAY'],
  judge({ observations: { interfaces }, internalAddress }) {
    const links = known(interfaces);
    if (links === undefined) return unknown(whyUnknown(interfaces));
    if (internalAddress === undefined) return notApplicable('the internal address is not known');
    for (const { link, bound } of holdersOf(links, internalAddress)) {
      const flags = bound.flags.filter((flag) => flag === 'deprecated' || flag === 'temporary');
      if (flags.length > 0) return fail(`${internalAddress} on ${link.name} is ${flags.join(' and ')}`);
    }
    return pass(`${internalAddress} is preferred`);
  },
};
