import { known, whyUnknown } from '../observations.ts';
import { type Check, failIfAny, unknown } from './check.ts';

/** A renumbering wants 32 MiB; before it is refused, somebody should have looked. */
const wantedBytes = 128 * 2 ** 20;

export const diskNearlyFull: Check = {
  code: 'DISK_NEARLY_FULL',
  title: 'There is hardly any room where rlnet writes',
  severity: 'warning',
  about:
    'Less than 128 MiB are left where the state of the agent is, or the configuration of the network. What cannot be written down is not done: `rlnet renumber` refuses below 32 MiB.',
  remedy: 'Make room there.',
  judge({ observations: { vitals } }) {
    const read = known(vitals);
    if (read === undefined) return unknown(whyUnknown(vitals));
    return failIfAny(
      read.room
        .filter(({ free }) => free < wantedBytes)
        .map(({ path, free }) => `${path} has ${Math.floor(free / 2 ** 20)} MiB left`),
      `${read.room.map(({ path }) => path).join(' and ')} have room`,
    );
  },
};
