import { type Address, type Family, familyOf } from '../../../src/protocol/address.ts';

/*
 * The stand-in for Redis Enterprise Software (RS), which cannot be installed here: a pure model of a cluster.
 *
 * The seam. `ClusterConfig` is what a cluster agrees on: replicated, versioned, plain JSON. `Liveness` is what one
 * viewer has heard, and never agreed on. Every function takes both, with the time, inside a `View`, and gives back a
 * new configuration or a refusal. A simulation keeps one configuration for the whole cluster; each daemon of the lab
 * keeps a replica (replica.ts) and a liveness of its own. Neither has rules of its own.
 *
 * Invariants: one slot range of a database has exactly one master shard, and no two shards of it share a node;
 * `masterUid` names a node of `nodes`; `version` grows by one with every write; the internal family never changes.
 */

/**
 * Marks text that the vendor has not published: error wording, codes, words in columns. No code of rlnet may depend on
 * text that carries this mark.
 */
export function madeUp(text: string): string {
  return `${text} [stand-in text]`;
}

/** Whether a replica holds what its master holds. Times are those of the cluster master's clock, in ms. */
export type Sync = { state: 'ok' } | { state: 'stale' } | { state: 'syncing'; since: number };

export interface ShardRecord {
  /** The number in `redis:14`. */
  id: number;
  databaseUid: number;
  nodeUid: number;
  role: 'master' | 'slave';
  /** `0-4095`, as the table prints it. */
  slots: string;
  usedMemoryMb: number;
  ramFragMb: number;
  sync: Sync;
}

export interface DatabaseRecord {
  uid: number;
  name: string;
  port: number;
  replication: boolean;
}

export interface NodeRecord {
  /** RS's id: positive, never used again, so ids have gaps. */
  uid: number;
  /** The internal address. */
  addr: Address;
  externalAddr: Address[];
  hostname: string;
  /** As `8.2.0-25`. */
  softwareVersion: string;
  versionSha: string;
  cores: number;
  /** How many shards the node takes when it is not in maintenance (`max redis servers`). */
  maxShards: number;
  /** In GB, as the tables print them. */
  ram: { free: number; total: number; provisionalFree: number; provisionalTotal: number };
  /** How often `maintenance_mode on` was given without its `off`: activations stack. */
  maintenanceActivations: number;
}

export interface NodeSnapshot {
  name: string;
  nodeUid: number;
  takenAt: number;
  shards: { id: number; role: 'master' | 'slave' }[];
}

/** What `enslave` and `maintenance_mode` do once they are through. */
export type Action =
  | { name: 'enslave_node'; nodeUid: number; demoteNode: boolean; shards: boolean }
  | { name: 'maintenance_on'; nodeUid: number; demoteNode: boolean; keepSlaves: boolean }
  | { name: 'maintenance_off'; nodeUid: number; restore: boolean };

export interface RunningAction {
  taskId: string;
  startedAt: number;
  action: Action;
}

export interface ClusterConfig {
  name: string;
  internalFamily: Family;
  /** As given on create; RS reports it on every node. */
  useInternalIpv6: boolean;
  credentials: { username: string; password: string };
  /** Who wrote this: the term of the cluster master, then the number of the write. */
  term: number;
  version: number;
  masterUid: number;
  nodes: NodeRecord[];
  databases: DatabaseRecord[];
  shards: ShardRecord[];
  snapshots: NodeSnapshot[];
  actions: RunningAction[];
  /** Seconds. */
  slaveHaGracePeriod: number;
  /** Per minute, over 1, 15 and 60 minutes. */
  failures: [number, number, number];
}

/** Last accepted heartbeat of each node (uid to ms), from one viewer's side. */
export type Liveness = ReadonlyMap<number, number>;

export interface ModelTimings {
  /** A node is DOWN when nothing was heard of it for this long. RS: about 30 s. */
  downAfterMs: number;
  /** How long a returned replica copies from its master. */
  resyncMs: number;
  /** How long `enslave` and `maintenance_mode` take; 0 ends them at once. */
  actionMs: number;
}

export const defaultModelTimings: ModelTimings = { downAfterMs: 30_000, resyncMs: 2_000, actionMs: 0 };

/** Everything a decision may rest on: what was agreed, what this viewer heard, and when. */
export interface View {
  config: ClusterConfig;
  liveness: Liveness;
  /** The uid of the node that looks; a node never sees itself as down. */
  self: number;
  now: number;
  timings: ModelTimings;
}

/** `code` is a documented REST code, or made up and marked so; `message` is always made up. */
export interface Refusal {
  refused: string;
  message: string;
}

export interface Accepted {
  config: ClusterConfig;
  /** What rladmin prints. */
  output: string;
  /** Set while an action runs: the output is due when the configuration no longer lists this task. */
  pendingTask?: string;
}

export type Outcome = Accepted | Refusal;

export type Command =
  | { kind: 'addr_set'; nodeUid: number; addr: Address }
  | { kind: 'external_add'; nodeUid: number; addr: Address }
  | { kind: 'external_set'; nodeUid: number; addrs: Address[] }
  | { kind: 'external_remove'; nodeUid: number; addr: Address }
  | { kind: 'enslave'; nodeUid: number; demoteNode: boolean; shards: boolean }
  | {
      kind: 'maintenance_on';
      nodeUid: number;
      demoteNode: boolean;
      keepSlaves: boolean;
      overwriteSnapshot: boolean;
    }
  | { kind: 'maintenance_off'; nodeUid: number; restore: boolean }
  | { kind: 'set_master'; nodeUid: number }
  | { kind: 'tune_slave_ha_grace_period'; seconds: number }
  | { kind: 'seed_database'; name: string; masters: number; replication: boolean; onNodes: number[] };

export function isRefusal(outcome: object): outcome is Refusal {
  return 'refused' in outcome;
}

export function refuse(code: string, message: string): Refusal {
  return { refused: code, message: madeUp(message) };
}

/** One write: every change of a configuration goes through here, so that no two share a version. */
function written(config: ClusterConfig, change: Partial<ClusterConfig>): ClusterConfig {
  return { ...config, ...change, version: config.version + 1 };
}

export function nodeOf(config: ClusterConfig, uid: number): NodeRecord | undefined {
  return config.nodes.find((node) => node.uid === uid);
}

/** What the STATUS column tells. `lastSeen` is in ms; without one the viewer never heard the node. */
export type NodeStatus = { state: 'ok' } | { state: 'down'; lastSeen: number | undefined };

export function nodeStatus(view: View, uid: number): NodeStatus {
  if (uid === view.self) return { state: 'ok' };
  const lastSeen = view.liveness.get(uid);
  if (lastSeen !== undefined && view.now - lastSeen < view.timings.downAfterMs) return { state: 'ok' };
  return { state: 'down', lastSeen };
}

export function isUp(view: View, uid: number): boolean {
  return nodeStatus(view, uid).state === 'ok';
}

/** More than half of `nodes`: what a vote and a write need. */
export function isMajority(count: number, nodes: number): boolean {
  return count * 2 > nodes;
}

/** Whether this viewer sees more than half of the nodes up. */
export function hasQuorum(view: View): boolean {
  const up = view.config.nodes.filter((node) => isUp(view, node.uid));
  return isMajority(up.length, view.config.nodes.length);
}

/**
 * Takes a heartbeat in. One that does not come from the node's registered address counts for nothing: a node whose
 * address changed in the OS alone stays DOWN.
 */
export function heard(
  config: ClusterConfig,
  liveness: Liveness,
  heartbeat: { uid: number; from: Address },
  now: number,
): Liveness {
  if (nodeOf(config, heartbeat.uid)?.addr !== heartbeat.from) return liveness;
  return new Map(liveness).set(heartbeat.uid, now);
}

/** Who becomes cluster master when the present one is gone: the lowest uid that is up. */
function successor(view: View, leaving: number): number | undefined {
  return view.config.nodes
    .map((node) => node.uid)
    .filter((uid) => uid !== leaving && isUp(view, uid))
    .sort((a, b) => a - b)[0];
}

/** The node that should stand for cluster master now; undefined while there is one, or no quorum to elect it. */
export function candidate(view: View): number | undefined {
  if (isUp(view, view.config.masterUid) || !hasQuorum(view)) return undefined;
  return successor(view, view.config.masterUid);
}

/**
 * Makes slaves of a node's master shards where a replica in sync is on another node that is up. A shard without one
 * stays as it is: a database without replication keeps its master on the node.
 */
function handOverShards(view: View, shards: ShardRecord[], nodeUid: number): ShardRecord[] {
  let result = shards;
  for (const leaving of shards) {
    if (leaving.nodeUid !== nodeUid || leaving.role !== 'master') continue;
    const replica = result.find(
      (shard) =>
        isSameRange(shard, leaving) &&
        shard.role === 'slave' &&
        shard.sync.state === 'ok' &&
        isUp(view, shard.nodeUid),
    );
    if (replica !== undefined) result = withMaster(result, replica);
  }
  return result;
}

function isSameRange(a: ShardRecord, b: ShardRecord): boolean {
  return a.databaseUid === b.databaseUid && a.slots === b.slots;
}

/** Gives one shard the master role of its slot range; every other shard of the range becomes a slave. */
function withMaster(shards: ShardRecord[], master: ShardRecord): ShardRecord[] {
  return shards.map((shard) =>
    isSameRange(shard, master) ? { ...shard, role: shard.id === master.id ? 'master' : 'slave' } : shard,
  );
}

/** Moves a node's shards to other nodes that may hold them; undefined where one finds no place. */
function moveShardsAway(
  view: View,
  shards: ShardRecord[],
  nodeUid: number,
  keepSlaves: boolean,
): ShardRecord[] | undefined {
  let result = shards;
  for (const leaving of result) {
    if (leaving.nodeUid !== nodeUid || (keepSlaves && leaving.role === 'slave')) continue;
    const placed = result;
    const load = (uid: number) => placed.filter((shard) => shard.nodeUid === uid).length;
    const target = view.config.nodes
      .filter((node) => node.uid !== nodeUid && node.maintenanceActivations === 0 && isUp(view, node.uid))
      .filter((node) => load(node.uid) < node.maxShards)
      .filter((node) => !placed.some((shard) => isSameRange(shard, leaving) && shard.nodeUid === node.uid))
      .sort((a, b) => load(a.uid) - load(b.uid) || a.uid - b.uid)[0];
    if (target === undefined) return undefined;
    result = result.map((shard) => (shard.id === leaving.id ? { ...shard, nodeUid: target.uid } : shard));
  }
  return result;
}

/** What an action changes when it is through. The same facts decide at the start whether it may begin. */
function effectOf(view: View, action: Action): Partial<ClusterConfig> | Refusal {
  const { config } = view;
  const { nodeUid } = action;
  if (action.name === 'maintenance_off') {
    const snapshot = config.snapshots.find((each) => each.nodeUid === nodeUid);
    const left = (nodeOf(config, nodeUid)?.maintenanceActivations ?? 0) - 1;
    const nodes = withNode(config, nodeUid, { maintenanceActivations: left });
    if (left > 0 || !action.restore) return { nodes };
    if (snapshot === undefined)
      return refuse(madeUp('snapshot_not_found'), 'there is no snapshot to restore from');
    let { shards } = config;
    for (const kept of snapshot.shards) {
      const shard = shards.find((each) => each.id === kept.id);
      if (shard === undefined) continue;
      // An old snapshot may name a shard whose replica is on the node by now: two of one range never share a node.
      if (shards.some((each) => each.id !== shard.id && isSameRange(each, shard) && each.nodeUid === nodeUid))
        continue;
      shards = shards.map((each) => (each.id === shard.id ? { ...each, nodeUid } : each));
      if (kept.role === 'master') shards = withMaster(shards, shard);
    }
    return { nodes, shards };
  }
  let masterUid = config.masterUid;
  if (action.demoteNode && masterUid === nodeUid) {
    const next = successor(view, nodeUid);
    if (next === undefined) return refuse('insufficient_resources', 'no other node can be cluster master');
    masterUid = next;
  }
  if (action.name === 'enslave_node') {
    const shards = action.shards ? handOverShards(view, config.shards, nodeUid) : config.shards;
    return { masterUid, shards };
  }
  const activations = (nodeOf(config, nodeUid)?.maintenanceActivations ?? 0) + 1;
  const nodes = withNode(config, nodeUid, { maintenanceActivations: activations });
  const handedOver = handOverShards(view, config.shards, nodeUid);
  const shards = moveShardsAway(view, handedOver, nodeUid, action.keepSlaves);
  if (shards === undefined)
    return refuse('insufficient_resources', 'the shards of the node find no place elsewhere');
  return { masterUid, nodes, shards };
}

function withNode(config: ClusterConfig, uid: number, change: Partial<NodeRecord>): NodeRecord[] {
  return config.nodes.map((node) => (node.uid === uid ? { ...node, ...change } : node));
}

/** Begins an action; with `actionMs` 0 it is through at once. */
function begin(view: View, config: ClusterConfig, action: Action, output: string): Outcome {
  if (!isUp(view, action.nodeUid))
    return refuse(madeUp('node_not_online'), `node:${action.nodeUid} does not answer`);
  if (
    config.actions.some(({ action: { name, nodeUid } }) => name === action.name && nodeUid === action.nodeUid)
  )
    return refuse(madeUp('action_already_running'), `${action.name} already runs on node:${action.nodeUid}`);
  const effect = effectOf({ ...view, config }, action);
  if (isRefusal(effect)) return effect;
  if (view.timings.actionMs === 0) return { config: written(config, effect), output };
  const taskId = `00000000-0000-4000-8000-${(config.version + 1).toString(16).padStart(12, '0')}`;
  const actions = [...config.actions, { taskId, startedAt: view.now, action }];
  return { config: written(config, { actions }), output, pendingTask: taskId };
}

const updated = 'Updated successfully.\n';

/**
 * Carries out one command that changes the cluster. The view must be the cluster master's (in a simulation: anybody's
 * who sees what the master sees). Everything here is refused without quorum.
 */
export function applyCommand(view: View, command: Command): Outcome {
  const { config } = view;
  if (!hasQuorum(view))
    return refuse(
      madeUp('no_quorum'),
      'less than half plus one of the nodes are up: the cluster takes no writes',
    );
  if (command.kind === 'tune_slave_ha_grace_period')
    return {
      config: written(config, { slaveHaGracePeriod: command.seconds }),
      output: `${madeUp('Finished successfully')}\n`,
    };
  if (command.kind === 'seed_database') return seedDatabase(view, command);
  const uid = command.nodeUid;
  const node = nodeOf(config, uid);
  if (node === undefined) return refuse('node_not_found', `there is no node:${uid}`);
  switch (command.kind) {
    case 'addr_set':
      return setAddr(view, node, command.addr);
    case 'external_add':
      if (node.externalAddr.includes(command.addr))
        return refuse(madeUp('external_addr_exists'), `node:${uid} already has ${command.addr}`);
      return setExternal(config, uid, [...node.externalAddr, command.addr]);
    case 'external_set':
      return setExternal(config, uid, command.addrs);
    case 'external_remove':
      if (!node.externalAddr.includes(command.addr))
        return refuse(madeUp('external_addr_missing'), `node:${uid} does not have ${command.addr}`);
      return setExternal(
        config,
        uid,
        node.externalAddr.filter((addr) => addr !== command.addr),
      );
    case 'enslave': {
      const { nodeUid, demoteNode, shards } = command;
      const output = `Performing enslave_node action on node:${uid}: 100%\nOK\n`;
      return begin(view, config, { name: 'enslave_node', nodeUid, demoteNode, shards }, output);
    }
    case 'maintenance_on':
      return enterMaintenance(view, command);
    case 'maintenance_off': {
      if (node.maintenanceActivations === 0)
        return refuse(madeUp('not_in_maintenance'), `node:${uid} is not in maintenance mode`);
      const { nodeUid, restore } = command;
      const output = `Performing maintenance_off action on node:${uid}: 0%\nPerforming maintenance_off action on node:${uid}: 100%\nOK\n`;
      return begin(view, config, { name: 'maintenance_off', nodeUid, restore }, output);
    }
    case 'set_master':
      if (!isUp(view, uid)) return refuse(madeUp('node_not_online'), `node:${uid} does not answer`);
      return {
        config: written(config, { masterUid: uid }),
        output: `Node ${uid} set to be the cluster master node\n`,
      };
  }
}

function setAddr(view: View, node: NodeRecord, addr: Address): Outcome {
  const { config } = view;
  if (isUp(view, node.uid))
    return refuse('node_not_offline', `node:${node.uid} is up; its address can be set only while it is down`);
  if (familyOf(addr) !== config.internalFamily)
    return refuse(
      madeUp('addr_family'),
      `the cluster uses ${config.internalFamily} internally and keeps it for life; ${addr} is not of it`,
    );
  const holder = config.nodes.find((other) => other.uid !== node.uid && other.addr === addr);
  if (holder !== undefined)
    return refuse(madeUp('addr_in_use'), `${addr} is the address of node:${holder.uid}`);
  return { config: written(config, { nodes: withNode(config, node.uid, { addr }) }), output: updated };
}

function setExternal(config: ClusterConfig, uid: number, addrs: Address[]): Outcome {
  const externalAddr = [...new Set(addrs)];
  return { config: written(config, { nodes: withNode(config, uid, { externalAddr }) }), output: updated };
}

function enterMaintenance(view: View, command: Command & { kind: 'maintenance_on' }): Outcome {
  const { config, now } = view;
  const { nodeUid } = command;
  const left = config.nodes.filter((node) => node.uid !== nodeUid && isUp(view, node.uid));
  if (!isMajority(left.length, config.nodes.length))
    return refuse(madeUp('no_quorum'), `without node:${nodeUid} the cluster would have no quorum`);
  const earlier = config.snapshots.find((snapshot) => snapshot.nodeUid === nodeUid);
  const lines: string[] = [];
  const progress = (percent: number) => `Performing maintenance_on action on node:${nodeUid}: ${percent}%`;
  let snapshots = config.snapshots;
  if (earlier !== undefined && command.overwriteSnapshot)
    lines.push(`Found snapshot from ${isoSeconds(earlier.takenAt)}Z, overwriting the snapshot`);
  lines.push(progress(0));
  if (earlier === undefined || command.overwriteSnapshot) {
    const name = `maintenance_mode_${isoSeconds(now).replace('T', '_').replaceAll(':', '-')}`;
    const shards = config.shards
      .filter((shard) => shard.nodeUid === nodeUid)
      .map(({ id, role }) => ({ id, role }));
    snapshots = [
      ...snapshots.filter((snapshot) => snapshot.nodeUid !== nodeUid),
      { name, nodeUid, takenAt: now, shards },
    ];
    lines.push(`created snapshot NodeSnapshot<name=${name},time=None,node_uid=${nodeUid}>`, '');
  }
  lines.push(`node:${nodeUid} will not accept any more shards`, progress(100), 'OK', '');
  const { demoteNode, keepSlaves } = command;
  return begin(
    view,
    { ...config, snapshots },
    { name: 'maintenance_on', nodeUid, demoteNode, keepSlaves },
    lines.join('\n'),
  );
}

/** `2024-01-11T20:25:37`, from ms since the epoch: a computation, not a look at the clock. */
function isoSeconds(ms: number): string {
  return new Date(ms).toISOString().slice(0, 19);
}

/** Lays a database out over the nodes, so that tables have rows. RS has no such command: it is the stand-in's own. */
function seedDatabase(view: View, command: Command & { kind: 'seed_database' }): Outcome {
  const { config } = view;
  const nodeUids =
    command.onNodes.length > 0 ? [...new Set(command.onNodes)] : config.nodes.map((node) => node.uid);
  const missing = nodeUids.find((uid) => nodeOf(config, uid) === undefined);
  if (missing !== undefined) return refuse('node_not_found', `there is no node:${missing}`);
  if (command.masters < 1 || command.masters > 16_384)
    return refuse(madeUp('bad_shard_count'), 'a database has 1 to 16384 master shards');
  if (command.replication && nodeUids.length < 2)
    return refuse('insufficient_resources', 'a replica must be on another node than its master');
  const databaseUid = 1 + Math.max(0, ...config.databases.map((database) => database.uid));
  let id = 1 + Math.max(0, ...config.shards.map((shard) => shard.id));
  const shards = [...config.shards];
  for (let index = 0; index < command.masters; index += 1) {
    const first = Math.floor((16_384 * index) / command.masters);
    const last = Math.floor((16_384 * (index + 1)) / command.masters) - 1;
    for (const role of command.replication ? (['master', 'slave'] as const) : (['master'] as const)) {
      const nodeUid = nodeUids[(index + (role === 'slave' ? 1 : 0)) % nodeUids.length] ?? config.masterUid;
      const slots = `${first}-${last}`;
      shards.push({
        id,
        databaseUid,
        nodeUid,
        role,
        slots,
        usedMemoryMb: 2.08,
        ramFragMb: 4.73,
        sync: { state: 'ok' },
      });
      id += 1;
    }
  }
  const { name, replication } = command;
  const databases = [
    ...config.databases,
    { uid: databaseUid, name, port: 10_000 + databaseUid, replication },
  ];
  return {
    config: written(config, { databases, shards }),
    output: `${madeUp(`db:${databaseUid} seeded`)}\n`,
  };
}

/**
 * What a cluster does by itself, run by its master (in a simulation: once an instant): elects a master when the present
 * one is down and there is quorum, fails shards over from nodes that are down, resynchronises those of nodes that came
 * back, ends actions that are due. Gives back the same object when there is nothing to do.
 */
export function housekeeping(view: View): ClusterConfig {
  if (!hasQuorum(view)) return view.config;
  let { config } = view;
  const elected = candidate(view);
  if (elected !== undefined) config = { ...written(config, { masterUid: elected }), term: config.term + 1 };
  const shards = keepShards(view, config.shards);
  if (shards !== config.shards) config = written(config, { shards });
  for (const due of config.actions) {
    if (view.now - due.startedAt < view.timings.actionMs) continue;
    // What has become impossible since it began ends without effect, as an aborted action does.
    const effect = effectOf({ ...view, config }, due.action);
    const actions = config.actions.filter((running) => running.taskId !== due.taskId);
    config = written(config, { ...(isRefusal(effect) ? {} : effect), actions });
  }
  return config;
}

function keepShards(view: View, before: ShardRecord[]): ShardRecord[] {
  let shards = before;
  for (const { uid } of view.config.nodes) {
    if (!isUp(view, uid)) shards = handOverShards(view, shards, uid);
  }
  const kept = shards.map((shard) => {
    const sync = nextSync(view, shard);
    return sync === shard.sync ? shard : { ...shard, sync };
  });
  return kept.every((shard, index) => shard === before[index]) ? before : kept;
}

function nextSync(view: View, { sync, nodeUid, role }: ShardRecord): Sync {
  if (!isUp(view, nodeUid)) return sync.state === 'stale' ? sync : { state: 'stale' };
  switch (sync.state) {
    case 'ok':
      return sync;
    case 'stale':
      // A master has nobody to copy from: it serves again what it has.
      return role === 'master' ? { state: 'ok' } : { state: 'syncing', since: view.now };
    case 'syncing':
      return view.now - sync.since >= view.timings.resyncMs ? { state: 'ok' } : sync;
  }
}
