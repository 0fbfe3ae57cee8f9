import { type Check, fail, isNoNode, notApplicable, pass, unknown } from './check.ts';

export const networkOwnerAmbiguous: Check = {
  code: 'NETWORK_OWNER_AMBIGUOUS',
  title: "More than one program configures the interface of the node's internal address",
  severity: 'warning',
  about:
    'Two [owners](network-owners.md) undo each other, at the next boot at the latest, and `rlnet renumber` refuses to choose between them.',
  remedy: 'Take the interface from all owners but one; the evidence names them.',
  behind: ['INTERNAL_ADDRESS_NOT_BOUND', 'RENUMBERING_UNDER_WAY'],
  judge({ observations }) {
    if (isNoNode(observations)) return notApplicable('this host is not a node');
    const { persistence } = observations;
    if (persistence === undefined) return unknown('not read yet');
    if ('value' in persistence) return pass('one owner at most');
    const { code, message } = persistence.error;
    return code === 'OWNER_AMBIGUOUS' ? fail(message) : unknown(message);
  },
};
