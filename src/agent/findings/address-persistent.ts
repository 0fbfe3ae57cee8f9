import { known, whyUnknown } from '../observations.ts';
import type { Check } from './check.ts';

/** An address that was added by hand works until the next boot, and then the node does not come up. */
export const addressPersistent: Check = {
  code: 'NETWORK_ADDRESS_NOT_PERSISTENT',
  title: "The node's internal address would not survive a boot",
  severity: 'warning',
  remedy:
    "Write the address into the configuration of the link's owner; docs/network-owners.md says who that can be.",
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
