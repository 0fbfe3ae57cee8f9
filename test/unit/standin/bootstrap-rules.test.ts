import { describe, expect, test } from 'vitest';
import { parseAddress } from '../../../src/protocol/address.ts';
import {
  type BootstrapRequest,
  createCluster,
  type HostFacts,
  hasLoopbackEntry,
  joinCluster,
  startRefusal,
  versionAtLeast,
} from '../../support/standin/bootstrap-rules.ts';
import { type ClusterConfig, isRefusal } from '../../support/standin/model.ts';
import { cluster, node, view } from './fixture.ts';

const ipv4 = '192.0.2.50';
const ipv6 = '2001:db8::50';

function facts(addresses: string[], change: Partial<HostFacts> = {}): HostFacts {
  return {
    addresses: addresses.map(parseAddress),
    hostsFile: '127.0.0.1 localhost\n::1 localhost\n',
    hostname: 'new',
    softwareVersion: '8.2.0-25',
    ...change,
  };
}

function request(
  action: BootstrapRequest['action'],
  identity: BootstrapRequest['identity'] = {},
): BootstrapRequest {
  return {
    action,
    cluster: { name: 'cluster.local', nodes: ['192.0.2.2'] },
    credentials: { username: 'admin', password: 'secret' },
    identity,
  };
}

const create = (host: HostFacts, identity: BootstrapRequest['identity'] = {}) =>
  createCluster(host, request('create_cluster', identity));

const join = (
  host: HostFacts,
  identity: BootstrapRequest['identity'] = {},
  config: ClusterConfig = cluster(),
  silentMs: Record<number, number> = {},
) => joinCluster(view(config, { silentMs }), host, request('join_cluster', identity));

function codeOf(outcome: object): string {
  return isRefusal(outcome) ? outcome.refused : 'accepted';
}

const ipv6Cluster = cluster({
  internalFamily: 'ipv6',
  useInternalIpv6: true,
  nodes: [node(1, { addr: parseAddress('2001:db8::21') })],
});

describe('the hosts file', () => {
  test.each([
    ['::1 localhost', true],
    ['::1\tip6-localhost localhost # loopback', true],
    ['0:0:0:0:0:0:0:1   localhost', true],
    ['127.0.0.1 localhost', false],
    ['# ::1 localhost', false],
    ['::1 ip6-localhost', false],
    ['::1', false],
    ['', false],
  ])('%j has the entry: %s', (text, expected) => {
    expect(hasLoopbackEntry(`${text}\n`)).toBe(expected);
  });

  test('without the entry no node is bootstrapped or started', () => {
    const without = facts([ipv4], { hostsFile: '127.0.0.1 localhost\n' });
    expect(codeOf(create(without))).toContain('NodeBootstrapError');
    expect(codeOf(join(without))).toContain('NodeBootstrapError');
    const own = { ownAddress: parseAddress(ipv4), ownAddressBound: true };
    expect(startRefusal({ hostsFile: without.hostsFile, ...own })).toContain('::1 localhost');
    expect(startRefusal({ hostsFile: facts([]).hostsFile, ...own })).toBeUndefined();
  });
});

test('a node does not start unless its own address is bound', () => {
  const { hostsFile } = facts([]);
  expect(startRefusal({ hostsFile, ownAddress: parseAddress(ipv4), ownAddressBound: false })).toContain(
    `${ipv4} is not bound`,
  );
});

describe('create_cluster', () => {
  test.each([
    {
      what: 'a dual-stack host uses IPv4',
      addresses: [ipv6, ipv4],
      flag: undefined,
      family: 'ipv4',
      addr: ipv4,
    },
    {
      what: 'use_internal_ipv6 makes it IPv6',
      addresses: [ipv4, ipv6],
      flag: true,
      family: 'ipv6',
      addr: ipv6,
    },
    { what: 'IPv6 alone needs no flag', addresses: [ipv6], flag: undefined, family: 'ipv6', addr: ipv6 },
  ])('$what', ({ addresses, flag, family, addr }) => {
    const made = create(facts(addresses), flag === undefined ? {} : { use_internal_ipv6: flag });
    expect(made).toMatchObject({
      internalFamily: family,
      useInternalIpv6: family === 'ipv6',
      nodes: [{ uid: 1, addr }],
    });
  });

  test.each([
    { what: 'an IPv6 address without the flag', host: facts([ipv4, ipv6]), identity: { addr: ipv6 } },
    {
      what: 'an IPv4 address with it',
      host: facts([ipv4, ipv6]),
      identity: { addr: ipv4, use_internal_ipv6: true },
    },
    { what: 'the flag on a host of IPv4 alone', host: facts([ipv4]), identity: { use_internal_ipv6: true } },
    {
      what: 'the flag before 7.4.2',
      host: facts([ipv6], { softwareVersion: '7.2.4-92' }),
      identity: { use_internal_ipv6: true },
    },
    { what: 'IPv6 alone before 7.4.2', host: facts([ipv6], { softwareVersion: '7.2.4-92' }), identity: {} },
  ])('$what is a NodeBootstrapError', ({ host, identity }) => {
    expect(codeOf(create(host, identity))).toContain('NodeBootstrapError');
  });

  test('IPv6 inside is possible from 7.4.2 on', () => {
    const host = facts([ipv6], { softwareVersion: '7.4.2-54' });
    expect(codeOf(create(host, { use_internal_ipv6: true }))).toBe('accepted');
  });

  test.each([
    { what: 'a prefix, as in the vendor’s own example', identity: { addr: '2001:DB8::/32' } },
    { what: 'an address that is not bound', identity: { addr: '192.0.2.51' } },
    { what: 'an external address that is none', identity: { external_addr: ['example.com'] } },
  ])('$what is a config_error', ({ identity }) => {
    expect(codeOf(create(facts([ipv4]), identity))).toBe('config_error');
  });

  test('external addresses may be of both families and on no interface', () => {
    const external_addr = ['198.51.100.7', '2001:db8:1::7'];
    expect(create(facts([ipv4]), { external_addr })).toMatchObject({
      nodes: [{ externalAddr: external_addr }],
    });
  });

  test.each(['', 'a b', '-a.example', `${'a'.repeat(65)}`])('the name %j is a config_error', (name) => {
    const asked = { ...request('create_cluster'), cluster: { name } };
    expect(codeOf(createCluster(facts([ipv4]), asked))).toBe('config_error');
  });
});

describe('join_cluster', () => {
  test('gives the next uid above the highest, whatever gaps there are', () => {
    const config = cluster({ nodes: [node(1), node(5)] });
    expect(join(facts([ipv4]), {}, config)).toMatchObject({ uid: 6 });
  });

  test('takes the family from the cluster', () => {
    expect(join(facts([ipv4, ipv6]), {}, ipv6Cluster)).toMatchObject({
      config: { nodes: [{ uid: 1 }, { addr: ipv6 }] },
    });
  });

  test.each([
    {
      what: 'use_internal_ipv6, even where it matches',
      outcome: join(facts([ipv6]), { use_internal_ipv6: true }, ipv6Cluster),
    },
    { what: 'a host of IPv4 alone in an IPv6 cluster', outcome: join(facts([ipv4]), {}, ipv6Cluster) },
    { what: 'a host of IPv6 alone in an IPv4 cluster', outcome: join(facts([ipv6])) },
    { what: 'an address of the other family', outcome: join(facts([ipv4, ipv6]), { addr: ipv6 }) },
  ])('$what is a NodeBootstrapError', ({ outcome }) => {
    expect(codeOf(outcome)).toContain('NodeBootstrapError');
  });

  test('with a wrong password it is access_denied', () => {
    const asked = { ...request('join_cluster'), credentials: { username: 'admin', password: 'wrong' } };
    expect(codeOf(joinCluster(view(cluster()), facts([ipv4]), asked))).toBe('access_denied');
  });

  test('while a node is down it is repair_required and names a candidate; to replace that one is allowed', () => {
    const silent = { 2: 30_000 };
    expect(join(facts([ipv4]), {}, cluster(), silent)).toMatchObject({
      refused: 'repair_required',
      details: { failed_nodes: [{ uid: 2 }], replace_candidate: 2 },
    });
    expect(join(facts([ipv4]), { uid: 2 }, cluster(), silent)).toMatchObject({
      uid: 2,
      config: { nodes: [{ uid: 1 }, { uid: 2, addr: ipv4 }, { uid: 3 }] },
    });
    expect(codeOf(join(facts(['192.0.2.3']), { uid: 2 }, cluster(), silent))).toBe('accepted');
    expect(codeOf(join(facts([ipv4]), { uid: 2 }))).toBe('config_error');
  });

  test('without quorum it is a connect_error', () => {
    expect(codeOf(join(facts([ipv4]), {}, cluster(), { 2: 30_000, 3: 30_000 }))).toBe('connect_error');
  });

  test('with the address of another node it is a config_error', () => {
    expect(codeOf(join(facts(['192.0.2.3'])))).toBe('config_error');
  });

  test.each([
    ['7.22.2-169', 'connect_error'],
    ['7.22.2-170', 'accepted'],
    ['8.0.20-19', 'connect_error'],
    ['8.2.0-24', 'connect_error'],
    ['8.2.0-25', 'accepted'],
  ])('%s with ::1 inside its address (RS188659): %s', (softwareVersion, expected) => {
    const host = facts(['2001:db8::10'], { softwareVersion });
    expect(codeOf(join(host, {}, ipv6Cluster))).toBe(expected);
  });
});

test.each([
  ['8.2.0-25', '8.2.0-25', true],
  ['7.10.0-1', '7.4.2', true],
  ['7.4.1-999', '7.4.2', false],
  ['8.0.0-1', '7.22.2-170', true],
])('%s is at least %s: %s', (version, wanted, expected) => {
  expect(versionAtLeast(version, wanted)).toBe(expected);
});
