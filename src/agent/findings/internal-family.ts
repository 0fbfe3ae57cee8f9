import { familyOf } from '../../protocol/address.ts';
import { isRoutable } from '../../protocol/interfaces.ts';
import { known, whyUnknown } from '../observations.ts';
import type { Check } from './check.ts';

/** "All nodes must use the same protocol for internal traffic" (RS/networking/multi-ip-ipv6). */
export const internalFamilyPresent: Check = {
  code: 'INTERNAL_FAMILY_MISSING',
  title: "The host has no address of the cluster's internal family",
  severity: 'error',
  about:
    "The cluster's nodes talk to each other over IPv4 or over IPv6, and this host has no address of that family. RS does not change the family of a cluster; the host needs an address of it. Which family that is says RS, or a peer; a host that knows neither goes by `mesh.seeds`, where they are all of one family.",
  remedy: 'Give the host an address of that family; RS does not change the family of a cluster.',
  behind: ['INTERNAL_ADDRESS_NOT_BOUND', 'IPV6_DISABLED', 'RENUMBERING_UNDER_WAY'],
  judge({ observations: { interfaces }, clusterFamily }) {
    const links = known(interfaces);
    if (links === undefined) return { outcome: 'unknown', evidence: whyUnknown(interfaces) };
    if (clusterFamily === undefined) {
      return { outcome: 'not_applicable', evidence: 'no node of the cluster is known yet' };
    }
    const held = links
      .flatMap(({ addresses }) => addresses)
      .find(({ address }) => familyOf(address) === clusterFamily && isRoutable(address));
    return held === undefined
      ? {
          outcome: 'fail',
          evidence: `the cluster uses ${clusterFamily} inside, and this host has no such address`,
        }
      : { outcome: 'pass', evidence: `${held.address} is ${clusterFamily}` };
  },
};
