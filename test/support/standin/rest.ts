import * as v from 'valibot';
import { familyOf, hostPort, rangeOf, tryParseAddress } from '../../../src/protocol/address.ts';
import type { BootstrapFailure, BootstrapRequest } from './bootstrap-rules.ts';
import {
  applyCommand,
  type ClusterConfig,
  hasQuorum,
  isRefusal,
  isUp,
  madeUp,
  type NodeRecord,
  nodeOf,
  type Refusal,
  type View,
} from './model.ts';
import type { InterfaceEntry } from './settings.ts';

/*
 * The REST endpoints that rlnet uses, in the shapes that the vendor documents and a real node was seen to send. Pure: a
 * request and what the node knows in, an answer out; what needs effects comes back as data.
 */

/** As documented; times are ISO 8601. */
export interface BootstrapStatus {
  state: 'idle' | 'initiated' | 'creating_cluster' | 'joining_cluster' | 'error' | 'completed';
  start_time?: string;
  end_time?: string;
  error_code?: string;
  error_details?: object;
}

export interface RestRequest {
  method: string;
  /** Path and query, as sent. */
  url: string;
  authorization: string | undefined;
  body: string;
}

export interface RestState {
  bootstrap: BootstrapStatus;
  interfaces: InterfaceEntry[];
  hostname: string;
  /** Seconds that this process has been up. */
  uptime: number;
  /** Undefined while the node is in no cluster. */
  view: View | undefined;
  restPort: number;
}

export type RestAnswer =
  | { kind: 'reply'; status: number; body?: unknown; location?: string }
  /** Reply 200 once the cluster has carried this configuration. */
  | { kind: 'change'; config: ClusterConfig }
  | { kind: 'bootstrap'; request: BootstrapRequest }
  | { kind: 'validate'; request: BootstrapRequest };

const text = v.string();
const bodySchema = v.object({
  action: v.picklist(['create_cluster', 'join_cluster']),
  cluster: v.object({ name: v.optional(text), nodes: v.optional(v.array(text)) }),
  credentials: v.object({ username: text, password: text }),
  node: v.optional(
    v.object({
      identity: v.optional(
        v.object({
          addr: v.optional(text),
          external_addr: v.optional(v.array(text)),
          use_internal_ipv6: v.optional(v.boolean()),
          uid: v.optional(v.number()),
        }),
        {},
      ),
    }),
    {},
  ),
});

const nodeUpdateSchema = v.strictObject({
  addr: v.optional(v.string()),
  external_addr: v.optional(v.array(v.string())),
});

function reply(status: number, body?: unknown): RestAnswer {
  return { kind: 'reply', status, ...(body === undefined ? {} : { body }) };
}

function refused(status: number, refusal: Refusal): RestAnswer {
  return reply(status, { error_code: refusal.refused, description: refusal.message });
}

function badRequest(why: string): RestAnswer {
  return reply(400, { error_code: madeUp('bad_request'), description: madeUp(why) });
}

/** Undefined where the text is not JSON of that shape. */
function readBody<T extends v.GenericSchema>(schema: T, body: string): v.InferOutput<T> | undefined {
  try {
    return v.parse(schema, JSON.parse(body));
  } catch (thrown) {
    if (thrown instanceof SyntaxError || thrown instanceof v.ValiError) return undefined;
    throw thrown;
  }
}

export function answerRest(request: RestRequest, state: RestState): RestAnswer {
  const { pathname } = new URL(request.url, 'https://node');
  const { view } = state;
  // GET /v1/bootstrap needs no sign-in before the node is in a cluster, and needs it afterwards.
  if (view !== undefined && !isSignedIn(request.authorization, view.config)) return reply(401);
  if (pathname.startsWith('/v1/bootstrap')) return answerBootstrap(request, pathname, state);
  if (view === undefined) return reply(503);
  if (pathname === '/v1/local/node/master_healthcheck' && request.method === 'GET') {
    const active = hasQuorum(view) && isUp(view, view.config.masterUid);
    return reply(200, { status: active ? 'active' : 'inactive' });
  }
  return answerCluster(request, pathname, state, view);
}

function isSignedIn(authorization: string | undefined, config: ClusterConfig): boolean {
  const { username, password } = config.credentials;
  return authorization === `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

function answerBootstrap({ method, body }: RestRequest, pathname: string, state: RestState): RestAnswer {
  if (method === 'GET' && pathname === '/v1/bootstrap') return reply(200, bootstrapStatus(state));
  const match = /^\/v1\/bootstrap\/(validate\/)?(create_cluster|join_cluster)$/.exec(pathname);
  if (method !== 'POST' || match === null) return reply(404);
  const read = readBody(bodySchema, body);
  if (read === undefined || read.action !== match[2])
    return badRequest('the body is not a bootstrap request of this action');
  const { action, cluster, credentials, node } = read;
  // The schema's optional keys may hold undefined, which JSON cannot: the round trip drops them.
  const request = JSON.parse(
    JSON.stringify({ action, cluster, credentials, identity: node.identity }),
  ) as BootstrapRequest;
  if (match[1] !== undefined) return { kind: 'validate', request };
  if (state.bootstrap.state !== 'idle' && state.bootstrap.state !== 'error') return reply(409);
  return { kind: 'bootstrap', request };
}

/** The answer to `GET /v1/bootstrap`. Real nodes send `available_addresses`, the documentation says `available_addrs`. */
export function bootstrapStatus({ bootstrap, interfaces, hostname }: RestState): object {
  return {
    bootstrap_status: bootstrap,
    local_node_info: {
      available_addresses: interfaces.map(({ name, address }) => ({
        address,
        format: familyOf(address),
        if_name: name,
        private: ['private', 'uniqueLocal'].includes(rangeOf(address)),
      })),
      bridge_interfaces: [],
      short_hostname: hostname.split('.')[0],
    },
  };
}

/** The state `error` as `GET /v1/bootstrap` and a refused validation show it. */
export function bootstrapError(
  failure: BootstrapFailure,
): Pick<BootstrapStatus, 'error_code' | 'error_details'> {
  return { error_code: failure.refused, error_details: { message: failure.message, ...failure.details } };
}

/** Calls about the cluster: a node that is not its master sends the caller to the master's internal address. */
function answerCluster(request: RestRequest, pathname: string, state: RestState, view: View): RestAnswer {
  const { config } = view;
  if (config.masterUid !== view.self) {
    const master = nodeOf(config, config.masterUid);
    if (master === undefined || !isUp(view, master.uid)) return reply(503);
    return {
      kind: 'reply',
      status: 307,
      location: `https://${hostPort(master.addr, state.restPort)}${request.url}`,
    };
  }
  const uid = /^\/v1\/nodes\/(\d+)$/.exec(pathname)?.[1];
  if (uid !== undefined) {
    const node = nodeOf(config, Number(uid));
    if (node === undefined) return reply(404, { error_code: 'node_not_found' });
    if (request.method === 'GET') return reply(200, nodeObject(view, node, state));
    if (request.method === 'PUT') return updateNode(view, node, request.body);
    return reply(405);
  }
  if (request.method !== 'GET') return reply(405);
  switch (pathname) {
    case '/v1/nodes':
      return reply(
        200,
        config.nodes.map((node) => nodeObject(view, node, state)),
      );
    case '/v1/nodes/status':
      return reply(
        200,
        Object.fromEntries(config.nodes.map((node) => [node.uid, nodeStatusObject(view, node)])),
      );
    case '/v1/cluster':
      return reply(200, {
        name: config.name,
        use_external_ipv6: true,
        handle_redirects: false,
        slave_ha_grace_period: config.slaveHaGracePeriod,
        system_reserved_ports: [],
      });
    case '/v4/cluster/health':
      return reply(200, clusterHealth(view));
    default:
      return reply(404);
  }
}

/** `PUT /v1/nodes/{uid}`: both keys together count as one change or none. */
function updateNode(view: View, node: NodeRecord, body: string): RestAnswer {
  const update = readBody(nodeUpdateSchema, body);
  if (update === undefined) return badRequest('the body holds what the stand-in does not know');
  let { config } = view;
  if (update.addr !== undefined) {
    const addr = tryParseAddress(update.addr);
    if (addr === undefined) return badRequest('addr is not a host address');
    const outcome = applyCommand({ ...view, config }, { kind: 'addr_set', nodeUid: node.uid, addr });
    if (isRefusal(outcome)) return refused(406, outcome);
    config = outcome.config;
  }
  if (update.external_addr !== undefined) {
    const addrs = update.external_addr.map(tryParseAddress);
    if (!addrs.every((addr) => addr !== undefined))
      return badRequest('external_addr holds what is not a host address');
    const outcome = applyCommand({ ...view, config }, { kind: 'external_set', nodeUid: node.uid, addrs });
    if (isRefusal(outcome)) return refused(406, outcome);
    config = outcome.config;
  }
  return { kind: 'change', config };
}

function shardIds({ config }: View, uid: number, role?: 'master' | 'slave'): number[] {
  return config.shards
    .filter((shard) => shard.nodeUid === uid && (role === undefined || shard.role === role))
    .map((shard) => shard.id);
}

function nodeObject(view: View, node: NodeRecord, state: RestState): object {
  const shards = shardIds(view, node.uid);
  return {
    uid: node.uid,
    addr: node.addr,
    external_addr: node.externalAddr,
    use_internal_ipv6: view.config.useInternalIpv6,
    status: isUp(view, node.uid) ? 'active' : 'down',
    software_version: node.softwareVersion,
    accept_servers: node.maintenanceActivations === 0,
    shard_count: shards.length,
    shard_list: shards,
    max_listeners: 100,
    max_redis_servers: node.maxShards,
    cores: node.cores,
    total_memory: node.ram.total * 1024 ** 3,
    // Of other nodes this one does not know.
    uptime: node.uid === view.self ? state.uptime : 0,
    system_time: new Date(view.now).toISOString(),
  };
}

function nodeStatusObject(view: View, node: NodeRecord): object {
  const snapshot = view.config.snapshots.find((each) => each.nodeUid === node.uid);
  const inMaintenance = node.maintenanceActivations > 0;
  const gb = 1024 ** 3;
  return {
    cores: node.cores,
    free_provisional_ram: node.ram.provisionalFree * gb,
    free_ram: node.ram.free * gb,
    hostname: node.hostname,
    ...(inMaintenance && snapshot !== undefined ? { maintenance_snapshot: snapshot.name } : {}),
    master_shards: shardIds(view, node.uid, 'master'),
    node_overbooking_depth: node.ram.provisionalFree * gb,
    node_status: isUp(view, node.uid) ? 'OK' : 'DOWN',
    role: node.uid === view.config.masterUid ? 'master' : 'slave',
    slave_shards: shardIds(view, node.uid, 'slave'),
    software_version: node.softwareVersion,
    software_version_sha: node.versionSha,
    total_memory: node.ram.total * gb,
    total_provisional_ram: node.ram.provisionalTotal * gb,
  };
}

/** Says leader and follower where everything else says master and slave. */
function clusterHealth(view: View): object {
  const { nodes, masterUid } = view.config;
  const allUp = nodes.every((node) => isUp(view, node.uid));
  return {
    status: allUp ? 'ok' : hasQuorum(view) ? 'warning' : 'error',
    nodes: nodes.map((node) => ({
      id: node.uid,
      status: isUp(view, node.uid) ? 'active' : 'down',
      detailed_status: madeUp(isUp(view, node.uid) ? 'active' : 'down'),
      role: node.uid === masterUid ? 'leader' : 'follower',
      in_maintenance: node.maintenanceActivations > 0,
      quorum_only: false,
      observed_at: new Date(view.now).toISOString(),
      services: [],
    })),
  };
}
