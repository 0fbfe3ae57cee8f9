import { ownRow, whyUnknown } from '../observations.ts';
import { type Check, failIfAny, unknown } from './check.ts';
import { rsCauses, tableOf } from './rs-table.ts';

export const rsOtherNodeNotOk: Check = {
  code: 'RS_OTHER_NODE_NOT_OK',
  title: 'RS does not call another node OK',
  severity: 'warning',
  about:
    'A row of `rladmin status nodes` has another word than OK. One node that is down is what a cluster is made for; a second one can cost the quorum, and no address is changed meanwhile. A node that is being renumbered is left out.',
  remedy: 'See rlnet status for what its own host says, and rladmin status there.',
  behind: rsCauses,
  judge({ observations, peers }) {
    const nodes = tableOf(observations);
    if (nodes === undefined) return unknown(whyUnknown(observations.nodeTable));
    const own = ownRow(observations)?.uid;
    const moving = new Set(peers.flatMap(({ renumbering }) => renumbering?.nodeUid ?? []));
    const bad = nodes.filter(({ uid, status }) => uid !== own && status !== 'ok' && !moving.has(uid));
    return failIfAny(
      bad.map(({ uid, address, statusText }) => `node ${uid} (${address ?? 'no address'}) is ${statusText}`),
      'every other node is OK',
    );
  },
};
