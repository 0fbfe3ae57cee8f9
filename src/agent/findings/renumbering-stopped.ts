import { type Check, fail, pass } from './check.ts';

export const renumberingStopped: Check = {
  code: 'RENUMBERING_STOPPED',
  title: 'A renumbering of this host waits for a person',
  severity: 'error',
  about:
    "It has stopped and keeps the cluster's lock, or it goes on and something has raised an alarm. The evidence says what.",
  remedy:
    'See rlnet renumber show with the id of the plan; resume it, or free its lock (rlnet lock release).',
  judge({ renumbering }) {
    if (renumbering === undefined) return pass('none does');
    const { planId, trouble, is } = renumbering;
    if (trouble !== undefined) return fail(`${planId}: ${trouble.code}: ${trouble.message}`);
    return is === 'stopped' ? fail(`${planId} has stopped`) : pass(`${planId} goes on`);
  },
};
