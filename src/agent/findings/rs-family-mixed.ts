import { familyOf } from '../../protocol/address.ts';
import { whyUnknown } from '../observations.ts';
import { type Check, fail, pass, unknown } from './check.ts';
import { rsCauses, tableOf } from './rs-table.ts';

/** "All nodes must use the same protocol for internal traffic" (RS/networking/multi-ip-ipv6). */
export const rsFamilyMixed: Check = {
  code: 'RS_FAMILY_MIXED',
  title: 'The internal addresses of the nodes are of both families',
  severity: 'error',
  about:
    'All nodes of a cluster must use one family inside; nodes of the other one cannot be reached by the rest.',
  remedy: 'Bring the nodes of the rarer family back to an address of the other one.',
  behind: rsCauses,
  judge({ observations }) {
    const nodes = tableOf(observations);
    if (nodes === undefined) return unknown(whyUnknown(observations.nodeTable));
    const of = (family: string) =>
      nodes.flatMap(({ uid, address }) =>
        address !== undefined && familyOf(address) === family ? [`node ${uid} at ${address}`] : [],
      );
    const [four, six] = [of('ipv4'), of('ipv6')];
    if (four.length === 0 || six.length === 0) return pass('one family');
    return fail(`IPv4: ${four.join(', ')}; IPv6: ${six.join(', ')}`);
  },
};
