import { known, whyUnknown } from '../observations.ts';
import { type Check, fail, pass, unknown } from './check.ts';

export const deadManActed: Check = {
  code: 'DEAD_MAN_ACTED',
  title: 'The dead man has brought this node back without the agent',
  severity: 'error',
  about:
    'During a renumbering the agent gave no sign of life for five minutes, and the script that waits for that has acted: it bound the address (or both) that the evidence names, enabled the unit and started it.',
  remedy:
    'See rlnet renumber show, and compare rladmin status nodes with ip addr before anything else is changed.',
  judge({ observations: { deadMan } }) {
    if (deadMan === undefined || 'error' in deadMan) return unknown(whyUnknown(deadMan));
    const word = known(deadMan);
    return word === undefined ? pass('it has not') : fail(`it acted for the ${word} address`);
  },
};
