import { type Check, failIfAny } from './check.ts';
import { meshCauses } from './mesh-causes.ts';

/** Of the last sixty pings, half a minute; TCP sends again what was lost, so one that is missed is a delay of a quarter of a second or more. */
const tolerated = 0.05;

export const pingsLost: Check = {
  code: 'MESH_PINGS_LATE',
  title: 'Pings to another host come back late, or not at all',
  severity: 'warning',
  about:
    'Of the pings of the last half minute more than one in twenty had an echo that was late by a quarter of a second or more: packets are lost on the way, or the other host is overloaded. One outage counts for half a minute, so it is shown when it has lasted longer than that.',
  remedy:
    'rlnet mesh shows which hosts it is about; look at the counters of the interfaces (ip -s link) and at the load.',
  showAfterMs: 35_000,
  clearAfterMs: 10_000,
  behind: [...meshCauses, 'MESH_PEER_UNREACHABLE', 'MESH_PATH_BROKEN'],
  judge({ peers }) {
    return failIfAny(
      peers.flatMap(({ host, linked, loss = 0, reachability, renumbering }) =>
        linked && loss > tolerated && reachability.status === 'reachable' && renumbering === undefined
          ? [`${host}: ${(loss * 100).toFixed(0)} %`]
          : [],
      ),
      'echoes come in time',
    );
  },
};
