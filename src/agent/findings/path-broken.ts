import { type Check, failIfAny } from './check.ts';
import { meshCauses } from './mesh-causes.ts';

export const pathBroken: Check = {
  code: 'MESH_PATH_BROKEN',
  title: 'Another host answers to others, and not to this one',
  severity: 'warning',
  about:
    'Pings to it find no echo here for ten seconds while it is not unreachable: the path between the two is broken, in one direction or both. The finding on the other host tells which.',
  remedy: 'Look for what is between these two hosts alone: firewall rules, routes, a port of the switch.',
  showAfterMs: 10_000,
  behind: meshCauses,
  judge({ peers }) {
    return failIfAny(
      peers.flatMap(({ host, reachability, renumbering }) =>
        reachability.status === 'suspect' && renumbering === undefined
          ? [`${host}: ${reachability.why}`]
          : [],
      ),
      'no path is in doubt',
    );
  },
};
