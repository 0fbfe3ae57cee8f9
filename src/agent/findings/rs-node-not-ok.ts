import { ownRow, whyUnknown } from '../observations.ts';
import { type Check, fail, isNoNode, notApplicable, pass, unknown } from './check.ts';
import { rsCauses, tableOf } from './rs-table.ts';

export const rsNodeNotOk: Check = {
  code: 'RS_NODE_NOT_OK',
  title: 'RS does not call the node of this host OK',
  severity: 'error',
  about: 'The row of this node in `rladmin status nodes` has another word than OK, or is not there.',
  remedy: 'See rladmin status extra all, and /opt/redislabs/bin/supervisorctl status on this host.',
  behind: rsCauses,
  judge({ observations }) {
    if (isNoNode(observations)) return notApplicable('this host is not a node');
    const nodes = tableOf(observations);
    if (nodes === undefined) return unknown(whyUnknown(observations.nodeTable));
    const row = ownRow(observations);
    if (row === undefined) return fail('RS has no row for this node');
    return row.status === 'ok'
      ? pass(`node ${row.uid} is ${row.statusText}`)
      : fail(`node ${row.uid} is ${row.statusText}`);
  },
};
