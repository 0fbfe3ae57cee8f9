import { whyUnknown } from '../observations.ts';
import { type Check, failIfAny, unknown } from './check.ts';
import { rsCauses, tableOf } from './rs-table.ts';

export const rsMaintenance: Check = {
  code: 'RS_NODE_TAKES_NO_SHARDS',
  title: 'A node takes no shards: maintenance mode may have been left on',
  severity: 'info',
  about:
    'The node table has 0/0 shards for a node, which is so in maintenance mode and on a quorum-only node; rladmin does not say which of the two. No address is changed while a node is in maintenance.',
  remedy: 'Unless it is quorum-only, or somebody is at work there: rladmin node ID maintenance_mode off.',
  behind: rsCauses,
  judge({ observations }) {
    const nodes = tableOf(observations);
    if (nodes === undefined) return unknown(whyUnknown(observations.nodeTable));
    const idle = nodes.filter(({ shards }) => shards?.limit === 0);
    return failIfAny(
      idle.map(({ uid }) => `node ${uid} has 0/0 shards`),
      'every node takes shards',
    );
  },
};
