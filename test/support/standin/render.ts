import {
  type ClusterConfig,
  isUp,
  madeUp,
  type NodeRecord,
  nodeOf,
  nodeStatus,
  type ShardRecord,
  type View,
} from './model.ts';

/*
 * The texts that rladmin prints, in the formats of public captures. Pure: a view in, text out.
 */

/** Cells below a header, columns as wide as their widest cell, one space between; the last column is padded too. */
function table(title: string, header: string[], rows: string[][]): string {
  const widths = header.map((name, column) =>
    Math.max(name.length, ...rows.map((row) => (row[column] ?? '').length)),
  );
  const line = (cells: string[]) => cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' ');
  return `${[`${title}:`, line(header), ...rows.map(line)].join('\n')}\n`;
}

/** Columns of a table as name and cell, so that header and rows cannot drift apart. */
function tableOf<T>(title: string, items: T[], columns: [string, (item: T) => string][]): string {
  return table(
    title,
    columns.map(([name]) => name),
    items.map((item) => columns.map(([, cell]) => cell(item))),
  );
}

/** `14.91GB`, `11.4GB`: two decimals at most, none that are zero. */
function amount(value: number, unit: 'GB' | 'MB'): string {
  return `${Number(value.toFixed(2))}${unit}`;
}

function shardsOf(config: ClusterConfig, uid: number, role?: ShardRecord['role']): ShardRecord[] {
  return config.shards.filter(
    (shard) => shard.nodeUid === uid && (role === undefined || shard.role === role),
  );
}

/** `OK`, or `DOWN, last seen 33s ago`. */
export function statusText(view: View, uid: number): string {
  const status = nodeStatus(view, uid);
  if (status.state === 'ok') return 'OK';
  if (status.lastSeen === undefined) return madeUp('DOWN, never seen');
  return `DOWN, last seen ${Math.floor((view.now - status.lastSeen) / 1000)}s ago`;
}

/** `status nodes`; `extra` adds the columns of `extra all`. `*` marks the node that answers. */
export function nodesTable(view: View, { extra }: { extra: boolean }): string {
  const { config } = view;
  const count = (uid: number, role?: ShardRecord['role']) => `${shardsOf(config, uid, role).length}`;
  const free = (node: NodeRecord, value: number) => (isUp(view, node.uid) ? amount(value, 'GB') : '-');
  const columns: [string, (node: NodeRecord) => string][] = [
    ['NODE:ID', ({ uid }) => `${uid === view.self ? '*' : ''}node:${uid}`],
    ['ROLE', ({ uid }) => (uid === config.masterUid ? 'master' : 'slave')],
    ['ADDRESS', ({ addr }) => addr],
    ['EXTERNAL_ADDRESS', ({ externalAddr }) => externalAddr.join(',')],
    ['HOSTNAME', ({ hostname }) => hostname],
  ];
  if (extra)
    columns.push(
      ['MASTERS', ({ uid }) => count(uid, 'master')],
      ['SLAVES', ({ uid }) => count(uid, 'slave')],
      ['OVERBOOKING_DEPTH', (node) => free(node, node.ram.provisionalFree)],
    );
  columns.push(
    ['SHARDS', (node) => `${count(node.uid)}/${node.maintenanceActivations > 0 ? 0 : node.maxShards}`],
    ['CORES', ({ cores }) => `${cores}`],
    ['FREE_RAM', (node) => `${free(node, node.ram.free)}/${amount(node.ram.total, 'GB')}`],
    [
      'PROVISIONAL_RAM',
      (node) =>
        node.maintenanceActivations > 0
          ? '0KB/0KB'
          : `${free(node, node.ram.provisionalFree)}/${amount(node.ram.provisionalTotal, 'GB')}`,
    ],
    ['VERSION', ({ softwareVersion }) => softwareVersion],
  );
  if (extra) columns.push(['SHA', ({ versionSha }) => versionSha], ['RACK-ID', () => '-']);
  columns.push(['STATUS', ({ uid }) => statusText(view, uid)]);
  return tableOf('CLUSTER NODES', config.nodes, columns);
}

export function databasesTable({ config }: View, { extra }: { extra: boolean }): string {
  return tableOf('DATABASES', config.databases, [
    ['DB:ID', ({ uid }) => `db:${uid}`],
    ['NAME', ({ name }) => name],
    ['TYPE', () => 'redis'],
    ['STATUS', () => 'active'],
    [
      'SHARDS',
      ({ uid }) =>
        `${config.shards.filter((shard) => shard.databaseUid === uid && shard.role === 'master').length}`,
    ],
    ['PLACEMENT', () => 'dense'],
    ['REPLICATION', ({ replication }) => (replication ? 'enabled' : 'disabled')],
    ['PERSISTENCE', () => 'disabled'],
    ['ENDPOINT', ({ port }) => `redis-${port}.${config.name}:${port}`],
    ...(extra
      ? ([
          ['EXEC_STATE', () => 'N/A'],
          ['EXEC_STATE_MACHINE', () => 'N/A'],
          ['BACKUP_PROGRESS', () => 'N/A'],
          ['MISSING_BACKUP_TIME', () => 'N/A'],
          ['REDIS_VERSION', () => '6.0.16'],
        ] satisfies [string, () => string][])
      : []),
  ]);
}

/** One endpoint a database, on the node of its first master shard, as `single` proxies have it. */
export function endpointsTable({ config }: View, { extra }: { extra: boolean }): string {
  return tableOf('ENDPOINTS', config.databases, [
    ['DB:ID', ({ uid }) => `db:${uid}`],
    ['NAME', ({ name }) => name],
    ['ID', ({ uid }) => `endpoint:${uid}:1`],
    [
      'NODE',
      ({ uid }) =>
        `node:${config.shards.find((shard) => shard.databaseUid === uid && shard.role === 'master')?.nodeUid ?? '-'}`,
    ],
    ['ROLE', () => 'single'],
    ['SSL', () => 'No'],
    ...(extra ? ([['WATCHDOG_STATUS', () => 'OK']] satisfies [string, () => string][]) : []),
  ]);
}

/** What a shard out of sync shows is not public. */
function shardStatus(shard: ShardRecord): string {
  switch (shard.sync.state) {
    case 'ok':
      return 'OK';
    case 'syncing':
      return madeUp('SYNCING');
    case 'stale':
      return madeUp('DOWN');
  }
}

/** `status shards [node N]`: without a match the header alone. */
export function shardsTable(
  { config }: View,
  { extra, nodeUid }: { extra: boolean; nodeUid?: number },
): string {
  const shards = config.shards.filter((shard) => nodeUid === undefined || shard.nodeUid === nodeUid);
  return tableOf('SHARDS', shards, [
    ['DB:ID', ({ databaseUid }) => `db:${databaseUid}`],
    ['NAME', ({ databaseUid }) => config.databases.find(({ uid }) => uid === databaseUid)?.name ?? ''],
    ['ID', ({ id }) => `redis:${id}`],
    ['NODE', (shard) => `node:${shard.nodeUid}`],
    ['ROLE', ({ role }) => role],
    ['SLOTS', ({ slots }) => slots],
    ['USED_MEMORY', ({ usedMemoryMb }) => amount(usedMemoryMb, 'MB')],
    ...(extra
      ? ([
          ['BACKUP_PROGRESS', () => 'N/A'],
          ['RAM_FRAG', ({ ramFragMb }) => amount(ramFragMb, 'MB')],
          ['WATCHDOG_STATUS', () => 'OK'],
        ] satisfies [string, (shard: ShardRecord) => string][])
      : []),
    ['STATUS', shardStatus],
  ]);
}

/** The preamble of `status extra all`. What it says without a cluster master is not public. */
export function clusterPreamble(view: View): string {
  const { masterUid, failures } = view.config;
  const addr = nodeOf(view.config, masterUid)?.addr ?? '';
  const state = isUp(view, masterUid) ? 'OK' : madeUp('ERROR');
  const [avg1, avg15, avg60] = failures.map((value) => value.toFixed(2));
  return [
    'CLUSTER:',
    `${state}. Cluster master: ${masterUid} (${addr})`,
    `Cluster health: OK, [${failures.join(', ')}]`,
    `failures/minute - avg1 ${avg1}, avg15 ${avg15}, avg60 ${avg60}.`,
    '',
  ].join('\n');
}

/** `status` and `status extra all`: every table, a blank line between. */
export function statusAll(view: View, { extra }: { extra: boolean }): string {
  const tables = [
    nodesTable(view, { extra }),
    databasesTable(view, { extra }),
    endpointsTable(view, { extra }),
    shardsTable(view, { extra }),
  ];
  return (extra ? [clusterPreamble(view), ...tables] : tables).join('\n');
}

/** `info node`, starting as the real capture does (the vendor's page puts `Command Output: ` before it). */
export function nodeInfo(node: NodeRecord): string {
  const inMaintenance = node.maintenanceActivations > 0;
  const fields: [string, string][] = [
    ['address', node.addr],
    ['external addresses', node.externalAddr.length === 0 ? 'N/A' : node.externalAddr.join(', ')],
    ['recovery path', 'N/A'],
    ['quorum only', inMaintenance ? 'enabled' : 'disabled'],
    ['max redis servers', `${inMaintenance ? 0 : node.maxShards}`],
    ['max listeners', '100'],
  ];
  return `node:${node.uid}\n${fields.map(([name, value]) => `    ${name}: ${value}\n`).join('')}`;
}

/** The `key: value` lines of `info cluster` that are public. */
export function clusterInfo(config: ClusterConfig): string {
  const fields: [string, string][] = [
    ['slave_ha', 'enabled'],
    ['slave_ha_grace_period', `${config.slaveHaGracePeriod}`],
    ['http support', 'enabled'],
    ['cnm_http_port', '8080'],
    ['cnm_https_port', '9443'],
    ['cm_port', '8443'],
    ['watchdog profile', 'local-network'],
  ];
  return fields.map(([name, value]) => `${name}: ${value}\n`).join('');
}

export function runningActions(config: ClusterConfig): string {
  if (config.actions.length === 0) return 'No active tasks\n';
  const tasks = config.actions.map(
    ({ taskId, action }, index) =>
      `${index + 1}) Task: ${action.name} (${taskId}) Node: ${action.nodeUid} Status: running\n`,
  );
  return `Got ${tasks.length} tasks:\n${tasks.join('')}`;
}
