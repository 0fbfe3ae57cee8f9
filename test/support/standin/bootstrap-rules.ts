import { type Address, type Family, familyOf, tryParseAddress } from '../../../src/protocol/address.ts';
import {
  type ClusterConfig,
  hasQuorum,
  isRefusal,
  isUp,
  madeUp,
  type NodeRecord,
  type Refusal,
  refuse,
  type View,
} from './model.ts';

/** What a node finds on its own host: the model never looks itself. */
export interface HostFacts {
  /** Every address a node can use: on an interface that is up, neither loopback nor link-local. */
  addresses: Address[];
  /** The text of /etc/hosts. */
  hostsFile: string;
  hostname: string;
  softwareVersion: string;
}

/** The part of the documented body of `POST /v1/bootstrap/{action}` that the stand-in reads. */
export interface BootstrapRequest {
  action: 'create_cluster' | 'join_cluster';
  cluster: { name?: string; nodes?: string[] };
  credentials: { username: string; password: string };
  identity: { addr?: string; external_addr?: string[]; use_internal_ipv6?: boolean; uid?: number };
}

/** `bootstrap_status` of a bootstrap that failed: `details` is documented as an object with, usually, a message. */
export interface BootstrapFailure extends Refusal {
  details?: { failed_nodes: { uid: number }[]; replace_candidate: number };
}

/** The vendor names the error on one page and publishes neither its code nor its message. */
function nodeBootstrapError(message: string): Refusal {
  return refuse(madeUp('NodeBootstrapError'), `NodeBootstrapError: ${message}`);
}

/** Whether the hosts file has the entry that the vendor demands on every node: `::1 localhost`. */
export function hasLoopbackEntry(hostsFile: string): boolean {
  return hostsFile.split('\n').some((line) => {
    const [address = '', ...names] = (line.split('#')[0] ?? '').trim().split(/\s+/);
    return tryParseAddress(address) === '::1' && names.includes('localhost');
  });
}

/** Why a node that is part of a cluster cannot start on this host; undefined where it can. */
export function startRefusal(facts: {
  hostsFile: string;
  ownAddress: Address;
  ownAddressBound: boolean;
}): string | undefined {
  if (!hasLoopbackEntry(facts.hostsFile))
    return madeUp('refusing to start: /etc/hosts has no entry "::1 localhost"');
  if (!facts.ownAddressBound)
    return madeUp(`refusing to start: the internal address ${facts.ownAddress} is not bound on this host`);
  return undefined;
}

/** `8.2.0-25` against `7.4.2`, number by number; a missing build counts as 0. */
export function versionAtLeast(version: string, wanted: string): boolean {
  const numbers = (text: string) => text.split(/[.-]/).map(Number);
  const have = numbers(version);
  for (const [index, want] of numbers(wanted).entries()) {
    const got = have[index] ?? 0;
    if (got !== want) return got > want;
  }
  return true;
}

/** RS188659: builds before 7.22.2-170, and 8.x before 8.2.0-25, take `2001:db8::10` for loopback and fail to join. */
function mistakesForLoopback(version: string, addr: Address): boolean {
  const fixed =
    versionAtLeast(version, '8.2.0-25') ||
    (versionAtLeast(version, '7.22.2-170') && !versionAtLeast(version, '8.0'));
  return !fixed && addr.includes('::1');
}

function ofFamily(facts: HostFacts, family: Family): Address[] {
  return facts.addresses.filter((address) => familyOf(address) === family);
}

/** What creating and joining have in common: an address of the family that is bound here, and readable externals. */
function identity(
  facts: HostFacts,
  request: BootstrapRequest,
  family: Family,
): { addr: Address; externalAddr: Address[] } | Refusal {
  if (!hasLoopbackEntry(facts.hostsFile))
    return nodeBootstrapError('/etc/hosts has no entry "::1 localhost"');
  const candidates = ofFamily(facts, family);
  if (candidates.length === 0)
    return nodeBootstrapError(`the cluster uses ${family} internally and this node has no address of it`);
  const wanted = request.identity.addr;
  const addr = wanted === undefined ? candidates[0] : tryParseAddress(wanted);
  if (addr === undefined) return refuse('config_error', `identity.addr ${wanted} is not a host address`);
  if (familyOf(addr) !== family)
    return nodeBootstrapError(`the cluster uses ${family} internally and ${addr} is not of it`);
  if (!facts.addresses.includes(addr))
    return refuse('config_error', `identity.addr ${addr} is on no interface of this node`);
  const externals = request.identity.external_addr ?? [];
  const externalAddr = externals.map(tryParseAddress);
  if (!externalAddr.every((each) => each !== undefined))
    return refuse(
      'config_error',
      `identity.external_addr ${externals.join(', ')} holds what is not a host address`,
    );
  return { addr, externalAddr };
}

function newNode(
  uid: number,
  facts: Pick<HostFacts, 'hostname' | 'softwareVersion'>,
  addresses: { addr: Address; externalAddr: Address[] },
): NodeRecord {
  return {
    uid,
    ...addresses,
    hostname: facts.hostname,
    softwareVersion: facts.softwareVersion,
    versionSha: '5c2106',
    cores: 6,
    maxShards: 100,
    ram: { free: 14.91, total: 19.54, provisionalFree: 10.91, provisionalTotal: 16.02 },
    maintenanceActivations: 0,
  };
}

/**
 * `create_cluster`: the only time the internal family is chosen. A host with IPv6 alone uses it without being told, a
 * dual-stack host uses IPv4 unless `use_internal_ipv6`; IPv6 inside needs 7.4.2.
 */
export function createCluster(facts: HostFacts, request: BootstrapRequest): ClusterConfig | BootstrapFailure {
  const name = request.cluster.name ?? '';
  if (!/^(?=.{1,64}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/i.test(name))
    return refuse(
      'config_error',
      `cluster.name ${JSON.stringify(name)} is not a host name of at most 64 characters`,
    );
  const onlyIpv6 = ofFamily(facts, 'ipv4').length === 0 && ofFamily(facts, 'ipv6').length > 0;
  const useInternalIpv6 = request.identity.use_internal_ipv6 ?? onlyIpv6;
  if (useInternalIpv6 && !versionAtLeast(facts.softwareVersion, '7.4.2'))
    return nodeBootstrapError(`${facts.softwareVersion} cannot use IPv6 internally; 7.4.2 can`);
  const internalFamily = useInternalIpv6 ? 'ipv6' : 'ipv4';
  const addresses = identity(facts, request, internalFamily);
  if (isRefusal(addresses)) return addresses;
  return {
    name,
    internalFamily,
    useInternalIpv6,
    credentials: request.credentials,
    term: 1,
    version: 1,
    masterUid: 1,
    nodes: [newNode(1, facts, addresses)],
    databases: [],
    shards: [],
    snapshots: [],
    actions: [],
    slaveHaGracePeriod: 600,
    failures: [0, 0, 0],
  };
}

/**
 * `join_cluster`, judged where both sides are known. Stricter than the vendor in one point: `use_internal_ipv6` in a
 * join is refused whatever its value, so that nobody comes to send it ("can occur if the values do not match").
 */
export function joinCluster(
  view: View,
  facts: HostFacts,
  request: BootstrapRequest,
): { config: ClusterConfig; uid: number } | BootstrapFailure {
  const { config } = view;
  const { username, password } = config.credentials;
  if (request.credentials.username !== username || request.credentials.password !== password)
    return refuse('access_denied', 'the cluster does not know this user and password');
  if (request.identity.use_internal_ipv6 !== undefined)
    return nodeBootstrapError('use_internal_ipv6 is for create_cluster alone');
  const addresses = identity(facts, request, config.internalFamily);
  if (isRefusal(addresses)) return addresses;
  if (mistakesForLoopback(facts.softwareVersion, addresses.addr))
    return refuse(
      'connect_error',
      `${facts.softwareVersion} takes ${addresses.addr} for loopback (RS188659)`,
    );
  if (!hasQuorum(view)) return refuse('connect_error', 'the cluster has no quorum');
  const down = config.nodes.filter((node) => !isUp(view, node.uid)).map((node) => node.uid);
  const replaces = request.identity.uid;
  if (replaces !== undefined && !down.includes(replaces))
    return refuse('config_error', `node:${replaces} is not a node that is down, and cannot be replaced`);
  const [replaceCandidate] = down;
  if (replaceCandidate !== undefined && replaces === undefined)
    return {
      ...refuse('repair_required', `node:${replaceCandidate} is down; replace it or wait for it`),
      details: { failed_nodes: down.map((uid) => ({ uid })), replace_candidate: replaceCandidate },
    };
  const holder = config.nodes.find((node) => node.uid !== replaces && node.addr === addresses.addr);
  if (holder !== undefined)
    return refuse('config_error', `${addresses.addr} is the address of node:${holder.uid}`);
  const uid = replaces ?? 1 + Math.max(...config.nodes.map((node) => node.uid));
  const node = newNode(uid, facts, addresses);
  const nodes = [...config.nodes.filter((other) => other.uid !== uid), node].sort((a, b) => a.uid - b.uid);
  return { config: { ...config, nodes, version: config.version + 1 }, uid };
}
