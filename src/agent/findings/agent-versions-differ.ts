import { type Check, failIfAny } from './check.ts';

export const agentVersionsDiffer: Check = {
  code: 'AGENT_VERSIONS_DIFFER',
  title: 'Agents of other hosts are of another version',
  severity: 'info',
  about:
    'Neighbouring versions work together, as during an upgrade. An older agent refuses what it cannot judge.',
  remedy: 'Bring all hosts to one version.',
  judge({ peers, version }) {
    return failIfAny(
      peers.flatMap((peer) =>
        peer.linked && peer.version !== undefined && peer.version !== version
          ? [`${peer.host} has ${peer.version}`]
          : [],
      ),
      `version ${version} wherever there is a link`,
    );
  },
};
