import { whyUnknown } from '../observations.ts';
import { type Check, failIfAny, unknown } from './check.ts';
import { meshCauses } from './mesh-causes.ts';
import { rsCauses, tableOf } from './rs-table.ts';

export const agentMissing: Check = {
  code: 'MESH_AGENT_MISSING',
  title: 'A node of the cluster has no agent that was ever reached from here',
  severity: 'warning',
  about:
    'RS has a node at an address where no agent answers, and no host is known that would be this node. It has no agent yet, or it is of another cluster by its certificate.',
  remedy:
    'Install rlnet on that host, with a certificate of this cluster; rlnet status has the reason for each address.',
  showAfterMs: 3_000,
  behind: [...new Set([...meshCauses, ...rsCauses])],
  judge({ observations, peers, unreached }) {
    const nodes = tableOf(observations);
    if (nodes === undefined) return unknown(whyUnknown(observations.nodeTable));
    const lost = peers.filter(({ linked }) => !linked);
    const found = nodes.flatMap(({ uid, address }) => {
      const missed = unreached.find((each) => each.address === address);
      const isKnown = lost.some((peer) => peer.nodeUid === uid || peer.internalAddress === address);
      return missed === undefined || isKnown ? [] : [`node ${uid} at ${missed.address}: ${missed.reason}`];
    });
    return failIfAny(found, 'every node has an agent that is known');
  },
};
