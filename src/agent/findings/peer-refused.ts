import type { Check } from './check.ts';

/** Somebody shows a certificate of the cluster and may not be let in: a cloned disk, a stolen key, a wrong family. */
export const peerRefused: Check = {
  code: 'MESH_PEER_REFUSED',
  title: 'The agent of a host of this cluster was turned away',
  severity: 'error',
  remedy: 'Find out which machine it is; docs/troubleshooting.md has each reason and what to do.',
  judge({ troubles }) {
    if (troubles.length === 0) return { outcome: 'pass', evidence: 'nobody was turned away' };
    return {
      outcome: 'fail',
      evidence: troubles.map(({ host, code, text }) => `${host}: ${code}: ${text}`).join('; '),
    };
  },
};
