import { mistakesForLoopback } from '../../protocol/rs-builds.ts';
import { whyUnknown } from '../observations.ts';
import { type Check, failIfAny, unknown } from './check.ts';
import { rsCauses, tableOf } from './rs-table.ts';

export const rsLoopbackBug: Check = {
  code: 'RS_LOOPBACK_BUG',
  title: 'This build of RS takes an address of the cluster for loopback',
  severity: 'warning',
  about:
    'RS before 7.22.2-170, and 8.x before 8.2.0-25, can take any IPv6 address with `::1` in its text, such as 2001:db8::10, for loopback (RS188659): joining fails, and so may more.',
  remedy: 'Upgrade RS, or give the node an address without ::1 in its shortest text (rlnet renumber).',
  behind: rsCauses,
  judge({ observations }) {
    const nodes = tableOf(observations);
    if (nodes === undefined) return unknown(whyUnknown(observations.nodeTable));
    const builds = [
      ...new Set(
        nodes.flatMap(({ version }) =>
          version !== undefined && mistakesForLoopback(version) ? version : [],
        ),
      ),
    ];
    if (builds.length === 0) return failIfAny([], 'no build with that fault is known here');
    return failIfAny(
      nodes
        .filter(({ address }) => address?.includes('::1'))
        .map(
          ({ uid, address }) => `node ${uid} is at ${address}, and the cluster runs RS ${builds.join(', ')}`,
        ),
      'no address has ::1 in its text',
    );
  },
};
