import { parseAddress } from '../../src/protocol/address.ts';
import type {
  BootstrapFacts,
  MemberReach,
  PortReach,
  RsMember,
  Wish,
} from '../../src/protocol/bootstrap/facts.ts';
import type { MeshAbout } from '../../src/protocol/state.ts';
import { linkWith } from './renumbering/facts.ts';

/** Bootstraps in which nothing stands in the way, but for what is given. */

export const create = (change: Partial<Wish> = {}): Wish => ({
  action: 'create',
  name: 'cluster.example.com',
  members: [],
  external: [],
  useInternalIpv6: false,
  username: 'admin@example.com',
  ...change,
});
export const join = (change: Partial<Wish> = {}): Wish => {
  const { name: _, ...wish } = create();
  return { ...wish, action: 'join', members: ['10.0.0.1'], ...change };
};

export const member = (uid: number, address: string, change: Partial<RsMember> = {}): RsMember => ({
  uid,
  address: parseAddress(address),
  external: [],
  status: 'active',
  version: '8.2.0-25',
  ...change,
});

export const agent = (host: string, change: object = {}, clockAheadMs = 20): MeshAbout['hosts'][number] => ({
  host,
  about: {
    internalFamily: 'ipv4',
    version: '0.1.0',
    clock: 0,
    openRenumberings: [],
    ...change,
  },
  clockAheadMs,
});

/** Nobody listens there yet, and nothing is in between. */
export const notYet: PortReach[] = [3333, 20_000].map((port) => ({ port, outcome: 'refused' }));
export const dropped: PortReach = { port: 3333, outcome: 'unreachable', why: 'no answer within 3 s' };
export const pathTo = (rest: PortReach, ports = notYet): MemberReach => ({
  member: parseAddress('10.0.0.1'),
  from: parseAddress('10.0.0.9'),
  rest,
  ports,
});

/** A host with one address of each family on one interface, next to a sound IPv4 cluster of two. */
export function facts(change: Partial<BootstrapFacts> = {}): BootstrapFacts {
  return {
    interfaces: { value: [linkWith('eth0', ['10.0.0.9/24', '2001:db8::29/64'])] },
    hostsFile: { value: { localhostIpv6: 'present', evidence: 'line 2: ::1 localhost' } },
    version: { value: '8.2.0-25' },
    offer: { value: [{ address: parseAddress('10.0.0.9'), interface: 'eth0' }] },
    clockSynchronised: { value: true },
    listeners: {
      value: [
        { protocol: 'tcp', port: 22, process: 'sshd', pid: 1, ofRs: false },
        { protocol: 'tcp', port: 9443, process: 'envoy', pid: 2, ofRs: true },
      ],
    },
    cluster: { value: [member(1, '10.0.0.1'), member(2, '10.0.0.2')] },
    reach: { value: [pathTo({ port: 9443, outcome: 'connected' })] },
    reachedFrom: { value: [{ host: 'n1', ports: notYet }] },
    mesh: { value: { hosts: [agent('n1'), agent('n2')] } },
    ...change,
  };
}

export const links = (...addresses: string[]) => ({ interfaces: { value: [linkWith('eth0', addresses)] } });
export const ipv6Cluster = { cluster: { value: [member(1, '2001:db8::21'), member(2, '2001:db8::22')] } };
