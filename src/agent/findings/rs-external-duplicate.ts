import { whyUnknown } from '../observations.ts';
import { type Check, failIfAny, unknown } from './check.ts';
import { rsCauses, tableOf } from './rs-table.ts';

export const rsExternalDuplicate: Check = {
  code: 'RS_EXTERNAL_ADDRESS_TWICE',
  title: "Two nodes have one external address, or one has another one's internal address as external",
  severity: 'error',
  about:
    'Names of databases resolve to external addresses. Clients of one node end up at the other, and the one that answers is not the one that was meant.',
  remedy: 'Correct it with rladmin node ID external_addr; rladmin status nodes shows all of them.',
  behind: rsCauses,
  judge({ observations }) {
    const nodes = tableOf(observations);
    if (nodes === undefined) return unknown(whyUnknown(observations.nodeTable));
    const found = nodes.flatMap(({ uid, externalAddresses }) =>
      [...new Set(externalAddresses)].flatMap((external) =>
        nodes.flatMap((other) => {
          if (other.uid > uid && other.externalAddresses.includes(external))
            return [`nodes ${uid} and ${other.uid} have ${external}`];
          return other.uid !== uid && other.address === external
            ? [`node ${uid} has ${external}, the internal address of node ${other.uid}`]
            : [];
        }),
      ),
    );
    return failIfAny(found, 'no external address is there twice');
  },
};
