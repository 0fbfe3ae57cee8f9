import { parseAddress, parseInterfaceAddress } from '../../../src/protocol/address.ts';
import type { NetworkInterface } from '../../../src/protocol/interfaces.ts';
import { defaultBounds } from '../../../src/protocol/renumbering/bounds.ts';
import { draw } from '../../../src/protocol/renumbering/draw.ts';
import type { Facts, FactValues, Move } from '../../../src/protocol/renumbering/guard.ts';
import { noLockState } from '../../../src/protocol/renumbering/lock.ts';
import type { RsNode, RsShard } from '../../../src/protocol/rs.ts';
import { enabledUnit } from '../unit-record.ts';

export const noOptions: Move['options'] = {
  reboot: true,
  cutOver: false,
  proveByReboot: false,
  acceptOutage: false,
  acceptShards: [],
};

/** Node 2 of three is to move from 192.0.2.2/24. */
export function moveTo(to: string, change: Partial<Move> = {}): Move {
  return { host: 'n2', nodeUid: 2, to: parseInterfaceAddress(to), options: noOptions, ...change };
}

export function rsNode(uid: number, change: Partial<RsNode> = {}): RsNode {
  return {
    uid,
    isLocal: uid === 2,
    role: uid === 1 ? 'master' : 'slave',
    address: parseAddress(`192.0.2.${uid}`),
    externalAddresses: [],
    shards: { used: 1, limit: 100 },
    version: '7.22.2-170',
    status: 'ok',
    statusText: 'OK',
    ...change,
  };
}

export function rsShard(uid: number, nodeUid: number, change: Partial<RsShard> = {}): RsShard {
  return {
    uid,
    databaseUid: 1,
    databaseName: 'db',
    nodeUid,
    role: nodeUid === 2 ? 'master' : 'slave',
    status: 'ok',
    statusText: 'OK',
    slots: '0-16383',
    ...change,
  };
}

/** @param addresses each with its prefix length, and after spaces its flags */
export function linkWith(
  name: string,
  addresses: string[],
  change: Partial<NetworkInterface> = {},
): NetworkInterface {
  return {
    index: 2,
    name,
    mac: '02:00:00:00:00:02',
    mtu: 1500,
    operState: 'up',
    flags: ['UP', 'LOWER_UP'],
    addresses: addresses.map((text) => {
      const [address = '', ...flags] = text.split(' ');
      return { ...parseInterfaceAddress(address), scope: 'global', flags };
    }),
    ...change,
  };
}

export function defaultRoute(gateway: string, dev = 'eth0'): FactValues['routes'][number] {
  return {
    family: gateway.includes(':') ? 'ipv6' : 'ipv4',
    type: 'unicast',
    dst: 'default',
    table: 'main',
    protocol: 'static',
    scope: 'global',
    nexthops: [{ gateway: parseAddress(gateway), dev, flags: [] }],
  };
}

/** A cluster and a host in which nothing stands in the way of a move. */
export function soundFacts(): FactValues {
  return {
    localUid: 2,
    nodes: { nodes: [1, 2, 3].map((uid) => rsNode(uid)), unread: [] },
    shards: { shards: [rsShard(1, 2), rsShard(2, 3)], unread: [] },
    running: { actions: [], unread: [] },
    members: [1, 2, 3].map((uid) => ({ uid, host: `n${uid}`, address: parseAddress(`192.0.2.${uid}`) })),
    change: {
      link: { name: 'eth0', mac: '02:00:00:00:00:02' },
      from: parseInterfaceAddress('192.0.2.2/24'),
      to: parseInterfaceAddress('192.0.2.52/24'),
    },
    kind: 'same_subnet',
    external: undefined,
    estimate: { usual: 300, worst: 500 },
    interfaces: [linkWith('eth0', ['192.0.2.2/24'])],
    routes: [defaultRoute('192.0.2.254')],
    hostsFile: { localhostIpv6: 'present', evidence: '::1 localhost' },
    unit: enabledUnit(),
    agentUnit: enabledUnit({ unit: 'rlnet.service' }),
    mode: 'manage',
    owner: { is: 'found', kind: 'systemd-networkd', edit: { files: [], warnings: [] }, hasNew: false },
    clockSynchronised: true,
    freeBytes: [{ path: '/var/lib/rlnet', bytes: 2 ** 30 }],
    vendor: 'QEMU Standard PC',
    certificate: { notAfter: 365 * 86_400_000, now: 0 },
    agents: [1, 2, 3].map((uid) => ({
      uid,
      host: `n${uid}`,
      version: '0.1.0',
      clockAheadMs: 10,
      lock: noLockState,
      openRenumberings: [],
    })),
    replicaHaGraceSeconds: 600,
  };
}

/** Facts as they are read: known all of them. */
export function factsOf(values: FactValues): Facts {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, { value }]),
  ) as unknown as Facts;
}

/** As `factsOf`, with what follows from the move drawn afresh. */
export function drawnFacts(move: Move, change: Partial<FactValues> = {}): Facts {
  const facts = factsOf({ ...soundFacts(), ...change });
  return { ...facts, ...draw(move, facts, defaultBounds), estimate: facts.estimate };
}
