import { whyUnknown } from '../observations.ts';
import { type Check, fail, notApplicable, pass, unknown } from './check.ts';
import { rsCauses, tableOf } from './rs-table.ts';

export const rsMaster: Check = {
  code: 'RS_MASTER_NOT_ONE',
  title: 'Not exactly one node is the master of the cluster',
  severity: 'error',
  about:
    'Right after the master went away none may be for some seconds. Where it lasts, or two say they are, the cluster has no quorum or is in two parts.',
  remedy:
    'Compare rladmin status nodes on several hosts, and see whether they reach each other (rlnet mesh).',
  showAfterMs: 20_000,
  behind: rsCauses,
  judge({ observations }) {
    const nodes = tableOf(observations);
    if (nodes === undefined) return unknown(whyUnknown(observations.nodeTable));
    if (nodes.every(({ role }) => role === undefined)) return notApplicable('the table has no roles');
    const masters = nodes.filter(({ role }) => role === 'master').map(({ uid }) => uid);
    if (masters.length === 1) return pass(`node ${masters[0]} is`);
    return fail(masters.length === 0 ? 'no node is' : `nodes ${masters.join(' and ')} are`);
  },
};
