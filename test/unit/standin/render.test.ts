import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Address, parseAddress } from '../../../src/protocol/address.ts';
import type { ClusterConfig, NodeRecord } from '../../support/standin/model.ts';
import * as render from '../../support/standin/render.ts';
import { runRladmin } from '../../support/standin/rladmin.ts';
import { cluster, node, shard, view } from './fixture.ts';

/*
 * Against the vendor's own samples. Its pages were edited after capture: some columns are wider than their content and
 * trailing spaces come and go, so samples with untouched widths are compared line by line without trailing spaces, and
 * the others with every run of spaces as one.
 */

const untrailed = (text: string) => text.trim().replace(/ +$/gm, '');
const squeezed = (text: string) => untrailed(text).replace(/ +/g, ' ');
const addresses = (...texts: string[]): Address[] => texts.map(parseAddress);

const dockerNames: Record<number, string> = { 1: '3d99db1fdf4b', 2: 'fc7a3d332458', 3: 'b87cc06c830f' };

function docNode(uid: number, addr: string, change: Partial<NodeRecord> = {}): NodeRecord {
  return node(uid, {
    addr: parseAddress(addr),
    hostname: dockerNames[uid] ?? '',
    softwareVersion: '6.2.12-37',
    ...change,
  });
}

/** So many master shards of one database on a node. */
function masters(count: number, nodeUid: number, firstId: number) {
  return Array.from({ length: count }, (_, index) =>
    shard(firstId + index, nodeUid, 'master', { slots: `${firstId + index}` }),
  );
}

describe('status nodes', () => {
  const ram = (free: number, provisionalFree: number) => ({
    free,
    total: 19.54,
    provisionalFree,
    provisionalTotal: 16.02,
  });

  test('prints the sample with several external addresses, widths and all', () => {
    const config = cluster({
      nodes: [
        docNode(1, '192.0.2.2', { externalAddr: addresses('198.51.100.1'), ram: ram(14.75, 11.15) }),
        docNode(2, '192.0.2.3', {
          externalAddr: addresses('198.51.100.2', '198.51.100.3'),
          ram: ram(14.75, 11.23),
        }),
        docNode(3, '192.0.2.4', { maxShards: 120, ram: ram(14.75, 11.15) }),
      ],
      shards: [...masters(5, 1, 1), ...masters(5, 3, 6)],
    });
    expect(untrailed(render.nodesTable(view(config), { extra: false }))).toBe(
      untrailed(`
CLUSTER NODES:
NODE:ID ROLE   ADDRESS   EXTERNAL_ADDRESS          HOSTNAME     SHARDS CORES FREE_RAM        PROVISIONAL_RAM VERSION   STATUS
*node:1 master 192.0.2.2 198.51.100.1              3d99db1fdf4b 5/100  6     14.75GB/19.54GB 11.15GB/16.02GB 6.2.12-37 OK
node:2  slave  192.0.2.3 198.51.100.2,198.51.100.3 fc7a3d332458 0/100  6     14.75GB/19.54GB 11.23GB/16.02GB 6.2.12-37 OK
node:3  slave  192.0.2.4                           b87cc06c830f 5/120  6     14.75GB/19.54GB 11.15GB/16.02GB 6.2.12-37 OK
`),
    );
  });

  test('prints the sample of a node that is DOWN', () => {
    const config = cluster({
      nodes: [
        docNode(1, '192.0.2.2', { ram: ram(16.06, 12.46) }),
        docNode(2, '192.0.2.3', { ram: ram(16.06, 12.46) }),
        docNode(3, '192.0.2.4', { maxShards: 120, ram: ram(16.06, 12.46) }),
      ],
      shards: [...masters(5, 1, 1), ...masters(5, 3, 6)],
    });
    const seen = view(config, { silentMs: { 2: 33_400 } });
    expect(squeezed(render.nodesTable(seen, { extra: false }))).toBe(
      squeezed(`
CLUSTER NODES:
NODE:ID ROLE   ADDRESS    EXTERNAL_ADDRESS HOSTNAME     SHARDS CORES FREE_RAM        PROVISIONAL_RAM VERSION   STATUS
*node:1 master 192.0.2.2                   3d99db1fdf4b 5/100  6     16.06GB/19.54GB 12.46GB/16.02GB 6.2.12-37 OK
node:2  slave  192.0.2.3                   fc7a3d332458 0/100  6     -/19.54GB       -/16.02GB       6.2.12-37 DOWN, last seen 33s ago
node:3  slave  192.0.2.4                   b87cc06c830f 5/120  6     16.06GB/19.54GB 12.46GB/16.02GB 6.2.12-37 OK
`),
    );
  });

  test('shows a node in maintenance with 0/0 and 0KB/0KB, and OK', () => {
    const config = cluster({ nodes: [node(1), node(2, { maintenanceActivations: 1 })] });
    const row = render.nodesTable(view(config), { extra: false }).split('\n')[3];
    expect(row).toMatch(/^node:2 .* 0\/0 .* 0KB\/0KB .* OK *$/);
  });
});

test('status extra all prints its sample; the node table, widths and all', () => {
  const slots = ['0-4095', '4096-8191', '8192-12287', '12288-16383'];
  const frag = [4.73, 4.62, 4.59, 4.66];
  const config = cluster({
    nodes: [
      docNode(1, '198.51.100.2'),
      docNode(2, '198.51.100.3', { ram: { ...node(2).ram, provisionalFree: 11.4 } }),
      docNode(3, '198.51.100.4', { ram: { ...node(3).ram, provisionalFree: 11.4 } }),
    ],
    databases: [{ uid: 3, name: 'database3', port: 11_103, replication: false }],
    shards: slots.map((range, index) =>
      shard(4 + index, 1, 'master', { databaseUid: 3, slots: range, ramFragMb: frag[index] ?? 0 }),
    ),
    failures: [1, 0.13333333333333333, 0.03333333333333333],
  });
  const nodes = `
CLUSTER NODES:
NODE:ID ROLE   ADDRESS      EXTERNAL_ADDRESS HOSTNAME     MASTERS SLAVES OVERBOOKING_DEPTH SHARDS CORES FREE_RAM        PROVISIONAL_RAM VERSION   SHA    RACK-ID STATUS
node:1  master 198.51.100.2                  3d99db1fdf4b 4       0      10.91GB           4/100  6     14.91GB/19.54GB 10.91GB/16.02GB 6.2.12-37 5c2106 -       OK    
node:2  slave  198.51.100.3                  fc7a3d332458 0       0      11.4GB            0/100  6     14.91GB/19.54GB 11.4GB/16.02GB  6.2.12-37 5c2106 -       OK    
*node:3 slave  198.51.100.4                  b87cc06c830f 0       0      11.4GB            0/100  6     14.91GB/19.54GB 11.4GB/16.02GB  6.2.12-37 5c2106 -       OK    
`;
  const { stdout } = runRladmin(['status', 'extra', 'all'], view(config, { self: 3 }));
  expect(untrailed(stdout)).toContain(untrailed(nodes));
  expect(squeezed(stdout)).toBe(
    squeezed(`
CLUSTER:
OK. Cluster master: 1 (198.51.100.2)
Cluster health: OK, [1, 0.13333333333333333, 0.03333333333333333]
failures/minute - avg1 1.00, avg15 0.13, avg60 0.03.
${nodes}
DATABASES:
DB:ID NAME      TYPE  STATUS SHARDS PLACEMENT REPLICATION PERSISTENCE ENDPOINT                        EXEC_STATE EXEC_STATE_MACHINE BACKUP_PROGRESS MISSING_BACKUP_TIME REDIS_VERSION
db:3  database3 redis active 4      dense     disabled    disabled    redis-11103.cluster.local:11103 N/A        N/A                N/A             N/A                 6.0.16       

ENDPOINTS:
DB:ID     NAME             ID                    NODE       ROLE       SSL        WATCHDOG_STATUS          
db:3      database3        endpoint:3:1          node:1     single     No         OK                       

SHARDS:
DB:ID NAME      ID      NODE   ROLE   SLOTS       USED_MEMORY BACKUP_PROGRESS RAM_FRAG WATCHDOG_STATUS STATUS
db:3  database3 redis:4 node:1 master 0-4095      2.08MB      N/A             4.73MB   OK              OK    
db:3  database3 redis:5 node:1 master 4096-8191   2.08MB      N/A             4.62MB   OK              OK    
db:3  database3 redis:6 node:1 master 8192-12287  2.08MB      N/A             4.59MB   OK              OK    
db:3  database3 redis:7 node:1 master 12288-16383 2.08MB      N/A             4.66MB   OK              OK
`),
  );
});

test('status shards node prints its sample', () => {
  const used = [3.2, 3.12, 3.16, 3.12];
  const slots = ['0-4095', '4096-8191', '8192-12287', '12288-16383'];
  const config = cluster({
    databases: [{ uid: 6, name: 'tr02', port: 10_006, replication: true }],
    shards: slots.flatMap((range, index) => [
      shard(14 + 2 * index, 2, 'master', { databaseUid: 6, slots: range, usedMemoryMb: used[index] ?? 0 }),
      shard(15 + 2 * index, 3, 'slave', { databaseUid: 6, slots: range }),
    ]),
  });
  expect(squeezed(runRladmin(['status', 'shards', 'node', '2'], view(config)).stdout)).toBe(
    squeezed(`
SHARDS:
DB:ID      NAME           ID               NODE         ROLE         SLOTS                  USED_MEMORY            STATUS
db:6       tr02           redis:14         node:2       master       0-4095                 3.2MB                  OK
db:6       tr02           redis:16         node:2       master       4096-8191              3.12MB                 OK
db:6       tr02           redis:18         node:2       master       8192-12287             3.16MB                 OK
db:6       tr02           redis:20         node:2       master       12288-16383            3.12MB                 OK
`),
  );
  expect(runRladmin(['status', 'shards', 'node', '1'], view(config)).stdout.trim().split('\n')).toHaveLength(
    2,
  );
});

test('info node prints its samples: N/A without external addresses, else a list with comma and space', () => {
  const two = addresses('34.195.100.46', '172.31.50.67');
  expect(render.nodeInfo(node(3, { addr: parseAddress('198.51.100.17') }))).toBe(
    `node:3
    address: 198.51.100.17
    external addresses: N/A
    recovery path: N/A
    quorum only: disabled
    max redis servers: 100
    max listeners: 100
`,
  );
  expect(render.nodeInfo(node(3, { externalAddr: two }))).toContain(
    '\n    external addresses: 34.195.100.46, 172.31.50.67\n',
  );
});

test('running actions print their samples', () => {
  expect(render.runningActions(cluster())).toBe('No active tasks\n');
  const config = cluster({
    actions: [
      {
        taskId: 'ce391d81-8d51-4ce2-8f63-729c7ac2589e',
        startedAt: 0,
        action: { name: 'maintenance_on', nodeUid: 1, demoteNode: false, keepSlaves: false },
      },
    ],
  });
  expect(render.runningActions(config)).toBe(
    'Got 1 tasks:\n1) Task: maintenance_on (ce391d81-8d51-4ce2-8f63-729c7ac2589e) Node: 1 Status: running\n',
  );
});

test('a shard that is out of sync never shows as OK', () => {
  const config = cluster({
    shards: [
      shard(1, 1, 'slave', { sync: { state: 'syncing', since: 0 } }),
      shard(2, 2, 'slave', { sync: { state: 'stale' } }),
    ],
  });
  expect(render.shardsTable(view(config), { extra: false })).not.toMatch(/OK *$/m);
});

test('any state has one row a node, each cut at the offsets of the header', () => {
  const anyAddress = fc.oneof(fc.ipV4(), fc.ipV6()).map((text) => {
    try {
      return parseAddress(text);
    } catch {
      // IPv4-mapped: no address of a node.
      return parseAddress('2001:db8::9');
    }
  });
  const anyNode = fc.record({
    addr: anyAddress,
    externalAddr: fc.array(anyAddress, { maxLength: 4 }),
    hostname: fc.stringMatching(/^[a-z][a-z0-9-]{0,30}$/),
    maxShards: fc.nat(500),
    maintenanceActivations: fc.nat(2),
    silentMs: fc.nat(200_000),
  });
  const anyCluster = fc.record({
    nodes: fc.dictionary(fc.integer({ min: 1, max: 99 }).map(String), anyNode, { minKeys: 1, maxKeys: 30 }),
    extra: fc.boolean(),
  });
  fc.assert(
    fc.property(anyCluster, ({ nodes, extra }) => {
      const entries = Object.entries(nodes).map(([uid, each]) => ({ uid: Number(uid), ...each }));
      const records = entries.map(
        ({ uid, addr, externalAddr, hostname, maxShards, maintenanceActivations }) =>
          node(uid, { addr, externalAddr, hostname, maxShards, maintenanceActivations }),
      );
      const self = records[0]?.uid ?? 0;
      const config: ClusterConfig = cluster({ nodes: records, masterUid: self });
      const silentMs = Object.fromEntries(entries.map((each) => [each.uid, each.silentMs]));
      const seen = view(config, { self, silentMs });
      const [title, header = '', ...rows] = render.nodesTable(seen, { extra }).trimEnd().split('\n');
      expect(title).toBe('CLUSTER NODES:');
      expect(rows).toHaveLength(records.length);
      const at = (name: string) => header.indexOf(name);
      for (const [index, row] of rows.entries()) {
        const record = records[index];
        expect(row.slice(at('ADDRESS'), at('EXTERNAL_ADDRESS')).trim()).toBe(record?.addr);
        expect(row.slice(at('EXTERNAL_ADDRESS'), at('HOSTNAME')).trim()).toBe(record?.externalAddr.join(','));
        expect(row.slice(at('STATUS')).trim()).toBe(render.statusText(seen, record?.uid ?? 0));
      }
    }),
  );
});
