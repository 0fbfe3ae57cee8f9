import { known, whyUnknown } from '../observations.ts';
import { type Check, fail, notApplicable, pass, unknown } from './check.ts';
import { rsCauses, tableOf } from './rs-table.ts';

export const rsNodeId: Check = {
  code: 'RS_NODE_ID_DIFFERS',
  title: "The node.id file and rladmin name different nodes as this host's",
  severity: 'warning',
  about:
    "The file says who this host is, and the row with the star who rladmin ran on. They differ on a host that was made from a copy of another one's disk, or whose rladmin asks another node.",
  remedy: 'Compare /etc/opt/redislabs/node.id with rladmin status nodes.',
  behind: rsCauses,
  judge({ observations }) {
    const uid = known(observations.nodeUid);
    const nodes = tableOf(observations);
    if (nodes === undefined) return unknown(whyUnknown(observations.nodeTable));
    const starred = nodes.find(({ isLocal }) => isLocal)?.uid;
    if (uid === undefined || starred === undefined) return notApplicable('only one of the two says anything');
    return uid === starred ? pass(`both say ${uid}`) : fail(`node.id says ${uid}, rladmin ${starred}`);
  },
};
