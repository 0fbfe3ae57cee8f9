import { type Check, failIfAny } from './check.ts';
import { meshCauses } from './mesh-causes.ts';

export const peerUnreachable: Check = {
  code: 'MESH_PEER_UNREACHABLE',
  title: 'The agent of another host cannot be reached from here',
  severity: 'error',
  about:
    'It has not answered for two seconds. `confirmed`: another host does not reach it either. Each host speaks for its own direction. A host that is being renumbered is left out, as it restarts.',
  remedy:
    'See whether the host is up and TCP port 9470 is open both ways; rlnet mesh shows who reaches whom.',
  behind: meshCauses,
  judge({ peers }) {
    return failIfAny(
      peers.flatMap(({ host, reachability, renumbering }) =>
        reachability.status === 'unreachable' && renumbering === undefined
          ? [`${host}: ${reachability.why}${reachability.confirmed ? ' (confirmed)' : ''}`]
          : [],
      ),
      peers.length === 0 ? 'no other host is known' : 'every host that is known can be reached',
    );
  },
};
