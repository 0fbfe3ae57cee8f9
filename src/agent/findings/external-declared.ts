import { undeclaredExternal } from '../../protocol/rollout/difference.ts';
import { known, whyUnknown } from '../observations.ts';
import { type Check, failIfAny, notApplicable, unknown } from './check.ts';
import { rsCauses } from './rs-table.ts';

export const externalDeclared: Check = {
  code: 'EXTERNAL_ADDRESS_UNDECLARED',
  title: 'RS has an external address that the applied file does not declare',
  severity: 'warning',
  about:
    'The addresses of the cluster were brought to what a file says (`rlnet apply -f`), and since then somebody has added an external address past it. The host from which the file was applied says so, for all nodes whose external addresses the file declares.',
  remedy:
    'Put it into the file and apply it (rlnet export shows what is), or take it away: rlnet external remove.',
  behind: rsCauses,
  // What was applied a moment ago shows in the next reading of the node table.
  showAfterMs: 20_000,
  judge({ observations: { nodeTable }, declared, rollout }) {
    if (declared === undefined) return notApplicable('no file was applied from this host');
    if (rollout?.is === 'open' || rollout?.is === 'paused') return notApplicable('the file is being applied');
    const table = known(nodeTable);
    if (table === undefined) return unknown(whyUnknown(nodeTable));
    return failIfAny(
      undeclaredExternal(declared, table).map(
        ({ node, addresses }) => `node ${node} has ${addresses.join(', ')}`,
      ),
      'every external address is declared',
    );
  },
};
