import { whyUnknown } from '../observations.ts';
import { type Check, fail, pass, unknown } from './check.ts';
import { rsCauses, tableOf } from './rs-table.ts';

export const rsVersionsDiffer: Check = {
  code: 'RS_VERSIONS_DIFFER',
  title: 'The nodes run different builds of RS',
  severity: 'info',
  about: 'As during an upgrade, which is to be ended before an address is changed.',
  remedy: 'Upgrade the nodes that are behind.',
  behind: rsCauses,
  judge({ observations }) {
    const nodes = tableOf(observations);
    if (nodes === undefined) return unknown(whyUnknown(observations.nodeTable));
    const builds = Map.groupBy(nodes, ({ version }) => version ?? 'unknown');
    if (builds.size <= 1) return pass(`RS ${[...builds.keys()][0] ?? 'unknown'} everywhere`);
    return fail(
      [...builds]
        .map(([version, of]) => `${version}: node ${of.map(({ uid }) => uid).join(', ')}`)
        .join('; '),
    );
  },
};
