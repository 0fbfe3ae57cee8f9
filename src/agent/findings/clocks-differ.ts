import { known, whyUnknown } from '../observations.ts';
import { type Check, failIfAny, unknown } from './check.ts';

/** What a link is slow by is far less. */
const toleratedMs = 2_000;

export const clocksDiffer: Check = {
  code: 'CLOCKS_DIFFER',
  title: 'The clock of another host is more than two seconds from this one',
  severity: 'warning',
  about:
    'One of the two is wrong; which one, the same finding on the other hosts tells. Asked over the mesh every five minutes. Times of journals and findings cannot be compared meanwhile, and a certificate can be refused for a date that has not come.',
  remedy: 'Run timedatectl on both hosts.',
  judge({ observations: { peerClocks } }) {
    const clocks = known(peerClocks);
    if (clocks === undefined) return unknown(whyUnknown(peerClocks));
    const far = clocks.filter(({ aheadMs }) => Math.abs(aheadMs) > toleratedMs);
    return failIfAny(
      far.map(
        ({ host, aheadMs }) =>
          `${host} is ${Math.abs(aheadMs / 1000).toFixed(1)} s ${aheadMs > 0 ? 'ahead' : 'behind'}`,
      ),
      clocks.length === 0 ? 'no other host is linked' : `the clocks of ${clocks.length} hosts agree`,
    );
  },
};
