import { parseAddress } from '../../../src/protocol/address.ts';
import {
  type ClusterConfig,
  defaultModelTimings,
  type NodeRecord,
  type ShardRecord,
  type View,
} from '../../support/standin/model.ts';

/*
 * Small clusters to state rules about. The time is 1,000,000 ms; everybody was heard at that very moment.
 */

export const now = 1_000_000;

export function node(uid: number, change: Partial<NodeRecord> = {}): NodeRecord {
  return {
    uid,
    addr: parseAddress(`192.0.2.${uid + 1}`),
    externalAddr: [],
    hostname: `host${uid}`,
    softwareVersion: '8.2.0-25',
    versionSha: '5c2106',
    cores: 6,
    maxShards: 100,
    ram: { free: 14.91, total: 19.54, provisionalFree: 10.91, provisionalTotal: 16.02 },
    maintenanceActivations: 0,
    ...change,
  };
}

export function shard(
  id: number,
  nodeUid: number,
  role: 'master' | 'slave',
  change: Partial<ShardRecord> = {},
): ShardRecord {
  return {
    id,
    databaseUid: 1,
    nodeUid,
    role,
    slots: '0-16383',
    usedMemoryMb: 2.08,
    ramFragMb: 4.73,
    sync: { state: 'ok' },
    ...change,
  };
}

/** Three nodes, of which 1 is cluster master, and no database. */
export function cluster(change: Partial<ClusterConfig> = {}): ClusterConfig {
  return {
    name: 'cluster.local',
    internalFamily: 'ipv4',
    useInternalIpv6: false,
    credentials: { username: 'admin', password: 'secret' },
    term: 1,
    version: 1,
    masterUid: 1,
    nodes: [node(1), node(2), node(3)],
    databases: [{ uid: 1, name: 'db', port: 10_001, replication: true }],
    shards: [],
    snapshots: [],
    actions: [],
    slaveHaGracePeriod: 600,
    failures: [0, 0, 0],
    ...change,
  };
}

/** What node `self` sees. `silentMs` says for how long each of the nodes named was not heard. */
export function view(
  config: ClusterConfig,
  { self = 1, silentMs = {} }: { self?: number; silentMs?: Record<number, number> } = {},
): View {
  const liveness = new Map(config.nodes.map(({ uid }) => [uid, now - (silentMs[uid] ?? 0)]));
  return { config, liveness, self, now, timings: defaultModelTimings };
}
