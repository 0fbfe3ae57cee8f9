import { type Check, fail, pass } from './check.ts';

export const renumberingUnderWay: Check = {
  code: 'RENUMBERING_UNDER_WAY',
  title: 'The address of this node is being changed',
  severity: 'info',
  about:
    'Meanwhile the unit is stopped, the node is DOWN and the address comes and goes; all that is not said then. What goes wrong on the way is.',
  remedy: 'rlnet renumber follow shows how far it is.',
  judge({ renumbering }) {
    if (renumbering?.is !== 'open') return pass('no renumbering is open');
    const { planId, from, to, step } = renumbering;
    return fail(`${planId}: ${from.address} to ${to.address}${step === undefined ? '' : `, at ${step}`}`);
  },
};
