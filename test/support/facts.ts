import type { Facts, PeerFacts } from '../../src/agent/findings/check.ts';
import type { Observations } from '../../src/agent/observations.ts';
import { parseAddress } from '../../src/protocol/address.ts';
import type { NetworkInterface } from '../../src/protocol/interfaces.ts';
import type { RsNode } from '../../src/protocol/rs.ts';
import type { UnitState } from '../../src/protocol/unit.ts';
import { vitalsInOrder } from './vitals.ts';

const at = 1_000;
const dayMs = 86_400_000;
export const own = parseAddress('2001:db8::21');
export const other = parseAddress('2001:db8::23');

export const eth0: NetworkInterface = {
  index: 2,
  name: 'eth0',
  mac: '02:00:00:00:00:21',
  mtu: 1500,
  operState: 'up',
  flags: ['UP', 'LOWER_UP'],
  addresses: [{ address: own, prefixLength: 64, scope: 'global', flags: [] }],
};

export const rsUnit: UnitState = {
  unit: 'rlec_supervisor.service',
  loadState: 'loaded',
  activeState: 'active',
  subState: 'running',
  unitFileState: 'enabled',
  result: 'success',
};

const node = { externalAddresses: [], version: '7.22.2-170', status: 'ok', statusText: 'OK' } as const;
export const nodes: readonly RsNode[] = [
  { ...node, uid: 2, isLocal: true, role: 'master', address: own, externalAddresses: [] },
  { ...node, uid: 3, isLocal: false, role: 'slave', address: other, externalAddresses: [] },
];

/** Everything was read, a moment ago, and all is well. */
export const healthy: Observations = {
  interfaces: { at, value: [eth0] },
  hostsFile: { at, value: { localhostIpv6: 'present', evidence: 'line 2' } },
  unit: { at, value: rsUnit },
  nodeUid: { at, value: 2 },
  persistence: { at, value: { outcome: 'persistent', evidence: 'a file has it' } },
  nodeTable: { at, value: { nodes: [...nodes], unread: [] } },
  vitals: { at, value: vitalsInOrder },
  deadMan: { at, value: undefined },
  clockSynchronised: { at, value: true },
  peerClocks: { at, value: [{ host: 'n3', aheadMs: 3 }] },
  replicaHaGrace: { at, value: 600 },
  agentUnit: { at, value: { ...rsUnit, unit: 'rlnet.service' } },
  paths: { at, value: { mtus: new Map([[other, 1500]]), unanswered: new Set() } },
  wireAnswer: { at, value: { outcome: 'silent', probes: 7 } },
};

export const peer: PeerFacts = {
  host: 'n3',
  linked: true,
  address: other,
  internalAddress: other,
  nodeUid: 3,
  reachability: { status: 'reachable', since: 0 },
  loss: 0,
  version: '0.1.0',
  renumbering: undefined,
};

/** Node 2 of two, at peace. */
export const inOrder: Facts = {
  now: 100 * dayMs,
  host: 'n2',
  version: '0.1.0',
  observations: healthy,
  internalAddress: own,
  clusterFamily: 'ipv6',
  peers: [peer],
  unreached: [],
  troubles: [],
  lock: { highestEpoch: 0, closed: {} },
  renumbering: undefined,
  rollout: undefined,
  declared: {
    nodes: nodes.map(({ uid, externalAddresses }) => ({ node: uid, external: externalAddresses })),
    windows: [],
  },
  report: { connected: true, since: 0, why: '', bytes: 0, dropped: 0 },
  certificates: [{ name: "the host's certificate", notBefore: 90 * dayMs, notAfter: 900 * dayMs }],
};
