import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseAddress } from '../../../src/protocol/address.ts';
import { bootstrapChecks, runBootstrapChecks } from '../../../src/protocol/bootstrap/checks.ts';
import type { BootstrapFacts, Wish } from '../../../src/protocol/bootstrap/facts.ts';
import { bodyOf, planBootstrap } from '../../../src/protocol/bootstrap/plan.ts';
import {
  agent,
  create,
  dropped,
  facts,
  ipv6Cluster,
  join,
  links,
  member,
  notYet,
  pathTo,
} from '../../support/bootstrap-facts.ts';
import { linkWith } from '../../support/renumbering/facts.ts';

/** The rules of the vendor's page (RS/networking/multi-ip-ipv6), and what else fails a bootstrap: each is broken once. */

function failing(wish: Wish, change: Partial<BootstrapFacts> = {}): string[] {
  return runBootstrapChecks(wish, facts(change))
    .filter(({ outcome }) => outcome === 'fail')
    .map(({ code }) => code);
}

test('nothing stands in the way of a sound host, to create and to join', () => {
  for (const wish of [create(), join()]) {
    const said = runBootstrapChecks(wish, facts());
    expect(said.filter(({ outcome }) => outcome !== 'pass')).toEqual([]);
  }
});

/** What breaks which rule: in words, the code, the wish, and the facts that are other than sound. */
const broken: [string, string, Wish, Partial<BootstrapFacts>?][] = [
  ['a name with an underscore', 'NAME_INVALID', create({ name: 'my_cluster.example' })],
  ['a name of 65 characters', 'NAME_INVALID', create({ name: `${'a'.repeat(32)}.${'b'.repeat(32)}` })],
  ['a user name with a character that RS refuses', 'USERNAME_INVALID', create({ username: 'a&b' })],
  ["the vendor's own example, a prefix, as address", 'ADDRESS_NOT_HOST', create({ addr: '2001:DB8::/32' })],
  ['an external address that is none', 'ADDRESS_NOT_HOST', create({ external: ['10.0.0.300'] })],
  ['a member by its name', 'ADDRESS_NOT_HOST', join({ members: ['node1.example.com'] })],
  ['a link-local external address', 'EXTERNAL_ADDRESS_UNUSABLE', create({ external: ['fe80::1'] })],
  [
    'IPv6 inside on a host without IPv6',
    'FAMILY_MISSING',
    create({ useInternalIpv6: true }),
    links('10.0.0.9/24'),
  ],
  [
    'a host with IPv4 alone that joins over IPv6',
    'FAMILY_MISSING',
    join({ members: ['2001:db8::21'] }),
    { ...links('10.0.0.9/24'), ...ipv6Cluster },
  ],
  ['a host with IPv6 alone that joins over IPv4', 'FAMILY_MISSING', join(), links('2001:db8::29/64')],
  [
    'an IPv6 address on a host with both, unasked',
    'ADDRESS_FAMILY_DIFFERS',
    create({ addr: '2001:db8::29' }),
  ],
  [
    'an IPv4 address in a cluster over IPv6',
    'ADDRESS_FAMILY_DIFFERS',
    join({ addr: '10.0.0.9' }),
    ipv6Cluster,
  ],
  ['an internal address that is on no interface', 'ADDRESS_NOT_BOUND', create({ addr: '10.0.0.77' })],
  [
    'an internal address on an interface that is down',
    'ADDRESS_UNFIT',
    create({ addr: '10.0.0.9' }),
    { interfaces: { value: [linkWith('eth0', ['10.0.0.9/24'], { flags: ['UP'], operState: 'down' })] } },
  ],
  [
    'two addresses that are equally good',
    'ADDRESS_AMBIGUOUS',
    create(),
    links('10.0.0.9/24', '10.0.0.10/24'),
  ],
  [
    'three addresses and one that is given',
    'ADDRESS_AMBIGUOUS',
    create({ addr: '10.0.0.9' }),
    links('10.0.0.9/24', '10.0.0.10/24', '10.0.0.11/24'),
  ],
  [
    'IPv6 inside with RS 7.4.0',
    'VERSION_TOO_OLD',
    create({ useInternalIpv6: true }),
    { version: { value: '7.4.0-100' } },
  ],
  [
    'another version of RS than the other nodes',
    'VERSION_DIFFERS',
    join(),
    { version: { value: '8.0.20-19' } },
  ],
  [
    'an IPv6 address with ::1 in it and a build with RS188659',
    'RS188659',
    create({ useInternalIpv6: true }),
    { ...links('10.0.0.9/24', '2001:db8::10/64'), version: { value: '7.22.0-95' } },
  ],
  [
    'no ::1 localhost',
    'HOSTS_LOCALHOST_IPV6_MISSING',
    create(),
    { hostsFile: { value: { localhostIpv6: 'missing', evidence: 'no line for ::1' } } },
  ],
  ['a clock that nobody keeps', 'CLOCK_NOT_SYNCHRONISED', create(), { clockSynchronised: { value: false } }],
  [
    'a clock that is a minute behind the others',
    'CLOCK_DIFFERS',
    join(),
    { mesh: { value: { hosts: [agent('n1', {}, 60_000)] } } },
  ],
  [
    'a stub resolver on port 53',
    'PORT_TAKEN',
    create(),
    {
      listeners: { value: [{ protocol: 'udp', port: 53, process: 'systemd-resolve', pid: 7, ofRs: false }] },
    },
  ],
  [
    'addresses in the offer of RS that are gone (RS125412)',
    'OFFER_STALE',
    create(),
    { offer: { value: [{ address: parseAddress('10.0.0.8') }] } },
  ],
  [
    'the bridge of virtual machines in the offer of RS (RS134742)',
    'OFFER_BRIDGE',
    create(),
    {
      interfaces: {
        value: [
          linkWith('eth0', ['10.0.0.9/24']),
          linkWith('virbr0', ['192.168.122.1/24'], { index: 3, kind: 'bridge' }),
        ],
      },
      offer: { value: [{ address: parseAddress('192.168.122.1'), interface: 'virbr0' }] },
    },
  ],
  [
    'the external address of a member',
    'MEMBER_NOT_INTERNAL',
    join({ members: ['203.0.113.1'] }),
    { cluster: { value: [member(1, '10.0.0.1', { external: [parseAddress('203.0.113.1')] })] } },
  ],
  ['a member that is of no node', 'MEMBER_NOT_INTERNAL', join({ members: ['10.0.0.3'] })],
  [
    'the address of another node',
    'ADDRESS_OF_NODE',
    join(),
    { cluster: { value: [member(1, '10.0.0.1'), member(2, '10.0.0.9')] } },
  ],
  ['an external address of another node', 'ADDRESS_OF_NODE', join({ external: ['10.0.0.2'] })],
  [
    'a node that is down, which the join would replace',
    'NODE_DOWN',
    join(),
    { cluster: { value: [member(1, '10.0.0.1'), member(2, '10.0.0.2', { status: 'down' })] } },
  ],
  [
    'a firewall before the member',
    'MEMBER_UNREACHABLE',
    join(),
    { reach: { value: [pathTo({ port: 9443, outcome: 'unreachable', why: 'no answer' })] } },
  ],
  [
    'a member on which RS does not run',
    'MEMBER_UNREACHABLE',
    join(),
    { reach: { value: [pathTo({ port: 9443, outcome: 'refused' })] } },
  ],
  [
    "a firewall before a member's internal ports",
    'MEMBER_UNREACHABLE',
    join(),
    { reach: { value: [pathTo({ port: 9443, outcome: 'connected' }, [dropped])] } },
  ],
  [
    "a firewall before this host's ports",
    'UNREACHABLE_FROM_NODE',
    join(),
    { reachedFrom: { value: [{ host: 'n1', ports: [...notYet, dropped] }] } },
  ],
  [
    'a renumbering that is under way',
    'RENUMBERING_OPEN',
    join(),
    { mesh: { value: { hosts: [agent('n1', { openRenumberings: ['0123456789ab'] })] } } },
  ],
  [
    'agents that are of a cluster already',
    'CLUSTER_EXISTS',
    create(),
    { mesh: { value: { hosts: [agent('n1', { nodes: [{ uid: 1 }] })] } } },
  ],
];

describe('before RS is asked', () => {
  test.for(broken)('%s is caught: %s', ([, code, wish, change]) => {
    expect(failing(wish, change)).toContain(code);
    const said = runBootstrapChecks(wish, facts(change)).find((each) => each.code === code);
    expect(said?.message).toMatch(/\.$/);
    expect(said?.remedy).toMatch(/\.$/);
  });

  test('every check is broken by one of these', () => {
    const codes = new Set(broken.map(([, code]) => code));
    expect(bootstrapChecks.map(({ code }) => code).filter((code) => !codes.has(code))).toEqual([]);
  });

  test('an external address that clients cannot reach says nothing against the internal one', () => {
    expect(failing(create({ addr: '10.0.0.9', external: ['203.0.113.9', 'fe80::1'] }))).toEqual([
      'EXTERNAL_ADDRESS_UNUSABLE',
    ]);
  });

  test("the vendor's example is explained", () => {
    const [said] = runBootstrapChecks(create({ addr: '2001:DB8::/32' }), facts()).filter(
      ({ code }) => code === 'ADDRESS_NOT_HOST',
    );
    expect(said?.message).toContain("The example of the vendor's documentation");
  });

  test('what could not be read is no pass: neither of the host, nor of the cluster, nor of the mesh', () => {
    const unknown = { unknown: 'it could not be read' };
    const refused = (wish: Wish, change: Partial<BootstrapFacts>) =>
      runBootstrapChecks(wish, facts(change))
        .filter(({ severity, outcome }) => severity === 'refuses' && outcome === 'unknown')
        .map(({ code }) => code);
    expect(refused(create(), { interfaces: unknown })).toEqual(
      expect.arrayContaining(['FAMILY_MISSING', 'ADDRESS_NOT_BOUND', 'ADDRESS_AMBIGUOUS']),
    );
    expect(refused(create({ useInternalIpv6: true }), { version: unknown })).toEqual(['VERSION_TOO_OLD']);
    // Over IPv4 it does not matter.
    expect(refused(create(), { version: unknown })).toEqual([]);
    expect(refused(join(), { mesh: unknown })).toEqual(['CLOCK_DIFFERS', 'RENUMBERING_OPEN']);
    expect(refused(join(), { mesh: { value: { hosts: [{ host: 'n1', unknown: 'no link' }] } } })).toEqual([
      'CLOCK_DIFFERS',
      'RENUMBERING_OPEN',
    ]);
    expect(refused(join(), { mesh: { value: 'none' } })).toEqual([]);
    for (const reachedFrom of [
      unknown,
      { value: [] },
      { value: [{ host: 'n1', unknown: 'no link' }] },
      { value: [{ host: 'n1', ports: [{ port: 3333, outcome: 'unknown' as const, why: 'no address' }] }] },
    ])
      expect(refused(join(), { reachedFrom })).toEqual(['UNREACHABLE_FROM_NODE']);
    expect(refused(join(), { reachedFrom: { value: 'none' } })).toEqual([]);
    expect(refused(join(), { cluster: unknown })).toEqual(
      expect.arrayContaining(['FAMILY_MISSING', 'MEMBER_NOT_INTERNAL', 'ADDRESS_OF_NODE', 'NODE_DOWN']),
    );
  });
});

test('docs/bootstrap.md has every check with its severity and the commands that ask it', () => {
  const page = readFileSync(new URL('../../../docs/bootstrap.md', import.meta.url), 'utf8');
  const rows = page.split('\n').flatMap((line) => {
    const [, codes = '', of = '', severity = ''] =
      /^\| ((?:`[A-Z0-9_]+` ?)+)\| (\w+) \| (\w+) \|/.exec(line) ?? [];
    return [...codes.matchAll(/`([A-Z0-9_]+)`/g)].map(([, code]) => [code, of, severity].join(' '));
  });
  expect(rows.toSorted()).toEqual(
    bootstrapChecks
      .map(({ code, actions, severity }) =>
        [code, actions.length === 2 ? 'both' : actions[0], severity].join(' '),
      )
      .toSorted(),
  );
});

describe('a plan', () => {
  const planOf = (wish: Wish, change: Partial<BootstrapFacts> = {}) => planBootstrap(wish, facts(change));

  test('takes IPv4 on a host that has both, and one address for both uses', () => {
    const plan = planOf(create());
    expect(plan.node).toMatchObject({ family: 'ipv4', address: '10.0.0.9', external: ['10.0.0.9'] });
    expect(bodyOf(plan)).toEqual({
      action: 'create_cluster',
      cluster: { name: 'cluster.example.com' },
      node: { identity: { addr: '10.0.0.9', external_addr: ['10.0.0.9'] } },
    });
  });

  test('sends use_internal_ipv6 where it was asked for, to create', () => {
    const plan = planOf(create({ useInternalIpv6: true, external: ['10.0.0.9', '203.0.113.9'] }));
    expect(bodyOf(plan)).toMatchObject({
      node: {
        identity: {
          addr: '2001:db8::29',
          external_addr: ['10.0.0.9', '203.0.113.9'],
          use_internal_ipv6: true,
        },
      },
    });
  });

  test('takes IPv6 on a host that has nothing else, without telling RS', () => {
    const plan = planOf(create(), links('2001:db8::29/64'));
    expect(plan.node).toMatchObject({ family: 'ipv6', address: '2001:db8::29' });
    expect(bodyOf(plan)).toEqual(
      expect.objectContaining({
        node: { identity: { addr: '2001:db8::29', external_addr: ['2001:db8::29'] } },
      }),
    );
  });

  test('joins over the family of the cluster, says why, and never sends use_internal_ipv6', () => {
    const plan = planOf(join({ members: ['2001:db8::21'], useInternalIpv6: true }), ipv6Cluster);
    expect(plan.node).toMatchObject({
      family: 'ipv6',
      address: '2001:db8::29',
      why: expect.stringMatching(/^All 2 nodes of the cluster use ipv6 inside\. /),
    });
    expect(bodyOf(plan)).toEqual({
      action: 'join_cluster',
      cluster: { nodes: ['2001:db8::21'] },
      node: { identity: { addr: '2001:db8::29', external_addr: ['2001:db8::29'] } },
    });
  });

  test('keeps to what is given on a host with several addresses', () => {
    const plan = planOf(
      create({ addr: '10.0.0.10', external: ['10.0.0.9'] }),
      links('10.0.0.9/24', '10.0.0.10/24'),
    );
    expect(plan.node).toMatchObject({ address: '10.0.0.10', external: ['10.0.0.9'] });
  });
});
