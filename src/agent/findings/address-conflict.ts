import { known, whyUnknown } from '../observations.ts';
import type { Check } from './check.ts';
import { rsCauses } from './rs-table.ts';

/** A host's own word and RS's node table must name the same internal address. They differ while an address is being changed. */
export const addressConflict: Check = {
  code: 'MESH_ADDRESS_CONFLICT',
  title: 'A host and RS name different internal addresses for one node',
  severity: 'warning',
  about:
    'A linked host says another internal address than RS has for its node. It passes by itself while an address is being changed.',
  remedy: 'Compare rladmin status nodes on both hosts; one of the two may be cut off from the cluster.',
  behind: rsCauses,
  judge({ observations: { nodeTable }, peers }) {
    const nodes = known(nodeTable)?.nodes;
    if (nodes === undefined) return { outcome: 'unknown', evidence: whyUnknown(nodeTable) };
    const conflicts = peers.flatMap(({ host, nodeUid, internalAddress, renumbering }) => {
      const row = nodes.find(({ uid }) => uid === nodeUid);
      if (
        row?.address === undefined ||
        internalAddress === undefined ||
        renumbering !== undefined ||
        row.address === internalAddress
      )
        return [];
      return [`${host} says ${internalAddress}, RS has node ${row.uid} at ${row.address}`];
    });
    return conflicts.length === 0
      ? { outcome: 'pass', evidence: 'every host that is linked agrees with RS' }
      : { outcome: 'fail', evidence: conflicts.join('; ') };
  },
};
