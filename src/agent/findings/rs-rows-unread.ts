import { known, whyUnknown } from '../observations.ts';
import { type Check, failIfAny, unknown } from './check.ts';
import { rsCauses } from './rs-table.ts';

export const rsRowsUnread: Check = {
  code: 'RS_ROWS_UNREAD',
  title: 'Rows of the node table could not be read',
  severity: 'warning',
  about:
    '`rladmin status nodes` printed rows in a form that this version of rlnet does not know. Those nodes count as unknown, and no address is changed.',
  remedy: 'Report the evidence with the version of RS; a newer rlnet may know it.',
  behind: rsCauses,
  judge({ observations: { nodeTable } }) {
    const table = known(nodeTable);
    if (table === undefined) return unknown(whyUnknown(nodeTable));
    return failIfAny(
      table.unread.map(({ line, reason }) => `${reason}: ${line.trim()}`),
      'every row was read',
    );
  },
};
