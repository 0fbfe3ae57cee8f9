import { known, whyUnknown } from '../observations.ts';
import type { Check } from './check.ts';

/** An address that was added by hand works until the next boot, and then the node does not come up. */
export const addressPersistent: Check = {
  code: 'NETWORK_ADDRESS_NOT_PERSISTENT',
  title: "The node's internal address would not survive a boot",
  severity: 'warning',
  about:
    "The node's internal address is on its interface, and no file of the [owner](network-owners.md) of that interface puts it there at boot: it was added by hand, say, or its profile of NetworkManager has `autoconnect=false`. The evidence names the owner. `unknown` where who owns the address cannot be told, or where its owner is one whose files say nothing (a lease, cloud-init, `network.owner: manual` with no file that names it); it does not apply to a host that is no node, and where a hook makes the changes. Looked at every five minutes, when the interfaces change, and when a file changes in the folders of the owners.",
  remedy:
    "Write the address into the configuration of the link's owner; docs/network-owners.md says who that can be.",
  behind: ['INTERNAL_ADDRESS_NOT_BOUND', 'NETWORK_OWNER_AMBIGUOUS', 'RENUMBERING_UNDER_WAY'],
  judge({ observations: { nodeUid, persistence } }) {
    if (nodeUid !== undefined && 'value' in nodeUid && nodeUid.value === undefined) {
      return { outcome: 'not_applicable', evidence: 'this host is not a node' };
    }
    const reading = known(persistence);
    if (reading === undefined) return { outcome: 'unknown', evidence: whyUnknown(persistence) };
    switch (reading.outcome) {
      case 'persistent':
        return { outcome: 'pass', evidence: reading.evidence };
      case 'missing':
        return { outcome: 'fail', evidence: reading.evidence };
      case 'unknown':
      case 'not_applicable':
        return { outcome: reading.outcome, evidence: reading.evidence };
    }
  },
};
