import type { Check } from './check.ts';

/** Somebody shows a certificate of the cluster and may not be let in: a cloned disk, a stolen key, a wrong family. */
export const peerRefused: Check = {
  code: 'MESH_PEER_REFUSED',
  title: 'The agent of a host of this cluster was turned away',
  severity: 'error',
  about: `The agent of a host with a certificate of this cluster was turned away, and the evidence says which and why:

| reason | what it means, and what to do |
|---|---|
| \`twin\` | Two living machines show one certificate: a cloned disk, or a stolen key. Both are kept out. Find the second one and take its certificate away; then \`rlnet tls unpin HOST\` |
| \`machine\` | The host was another machine before. If it was reinstalled: \`rlnet tls unpin HOST\`, on each host. If not, somebody has its key: deny the certificate ([security.md](security.md)) |
| \`uid\` | It says that it is a node which RS has at another address. Compare \`/etc/opt/redislabs/node.id\` there with \`rladmin status nodes\` |
| \`family\` | Its internal family is not this host's, and each says so of the other. Where it is no node yet, \`mesh.seeds\` there name an address of its own of the wrong family first |
| \`denied\` | Its certificate is on the deny-list |
| \`ourselves\` | It shows the certificate of this very host |`,
  remedy: 'Find out which machine it is; docs/troubleshooting.md has each reason and what to do.',
  judge({ troubles }) {
    if (troubles.length === 0) return { outcome: 'pass', evidence: 'nobody was turned away' };
    return {
      outcome: 'fail',
      evidence: troubles.map(({ host, code, text }) => `${host}: ${code}: ${text}`).join('; '),
    };
  },
};
