import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseAddress } from '../../../src/protocol/address.ts';
import type { FactName, Facts, FactValues, Move } from '../../../src/protocol/renumbering/guard.ts';
import { guards, guardsOf, judge, refusalsOf } from '../../../src/protocol/renumbering/guards.ts';
import { noLockState } from '../../../src/protocol/renumbering/lock.ts';
import type { RsNode } from '../../../src/protocol/rs.ts';
import {
  defaultRoute,
  drawnFacts,
  factsOf,
  linkWith,
  moveTo,
  noOptions,
  rsNode,
  rsShard,
  soundFacts,
} from '../../support/renumbering/facts.ts';
import { enabledUnit } from '../../support/unit-record.ts';

const good = moveTo('192.0.2.52/24');

const nodesWith = (uid: number, change: Partial<RsNode>): FactValues['nodes'] => ({
  nodes: [1, 2, 3].map((each) => rsNode(each, each === uid ? change : {})),
  unread: [],
});
const sixth = (uid: number, version?: string): RsNode => {
  const { version: fixed, ...row } = rsNode(uid, { address: parseAddress(`2001:db8::a${uid}`) });
  return {
    ...row,
    ...(version === undefined ? {} : { version }),
    ...(version === 'fixed' ? { version: fixed ?? '' } : {}),
  };
};
const onIpv6 = (version?: string): Partial<FactValues> => ({
  nodes: { nodes: [1, 2, 3].map((uid) => sixth(uid, version)), unread: [] },
  interfaces: [linkWith('eth0', ['2001:db8::a2/64'])],
  routes: [],
});
/** As a plan holds it that was made while RS had these. */
const movesExternal = (from: string[]): Partial<FactValues> => ({
  external: {
    from: from.map((text) => parseAddress(text)),
    to: from.map((text) => parseAddress(text === '192.0.2.2' ? '192.0.2.52' : text)),
  },
});
const externalNow = (addresses: string[]): Partial<FactValues> => ({
  nodes: nodesWith(2, { externalAddresses: addresses.map((text) => parseAddress(text)) }),
});
const agentsWith = (uid: number, change: Partial<FactValues['agents'][number]>): FactValues['agents'] =>
  soundFacts().agents.map((agent) => (agent.uid === uid ? { ...agent, ...change } : agent));
const claim = { epoch: 7, host: 'n3', planId: 'aaaaaaaaaaaa', members: [1, 2, 3] };
const gatewayOf = (gateway: string): Partial<Move> => ({ gateway: parseAddress(gateway) });
const unread = [{ line: 'node:x', reason: 'no uid' }];

type Case = [
  code: string,
  what: string,
  outcome: 'fail' | 'unknown',
  facts: Partial<FactValues>,
  move?: Move,
];

/** What trips each guard. */
const cases: Case[] = [
  ['NODE_NOT_HERE', 'another node', 'fail', { localUid: 3 }],
  ['NODE_NOT_HERE', 'a host that is no node', 'fail', { localUid: undefined }],
  ['NODE_NOT_HERE', 'a node that RS does not have', 'fail', { nodes: { nodes: [rsNode(1)], unread: [] } }],
  ...[
    '127.0.0.9/8',
    '169.254.3.4/16',
    '224.0.0.5/24',
    '0.0.0.0/8',
    '::1/128',
    'fe80::5/64',
    'ff02::5/64',
    '64:ff9b::102:304/96',
  ].map((to): Case => ['ADDRESS_UNUSABLE', to, 'fail', {}, moveTo(to)]),
  // The vendor's own example of an address.
  ['ADDRESS_IS_NETWORK', '2001:db8::/32', 'fail', {}, moveTo('2001:db8::/32')],
  ['ADDRESS_IS_NETWORK', 'the network', 'fail', {}, moveTo('192.0.2.0/24')],
  ['ADDRESS_IS_NETWORK', 'its broadcast address', 'fail', {}, moveTo('192.0.2.255/24')],
  ['PREFIX_LENGTH_UNUSABLE', 'a network of one', 'fail', {}, moveTo('192.0.2.52/32')],
  ['PREFIX_LENGTH_UNUSABLE', 'everything', 'fail', {}, moveTo('192.0.2.52/0')],
  ['PREFIX_LENGTH_DIFFERS', 'another length in one network', 'fail', {}, moveTo('192.0.2.52/25')],
  ['FAMILY_DIFFERS', 'IPv6 in a cluster of IPv4', 'fail', {}, moveTo('2001:db8::20/64')],
  [
    'FAMILY_DIFFERS',
    'nodes of two families',
    'unknown',
    { nodes: nodesWith(3, { address: parseAddress('2001:db8::3') }) },
  ],
  ['ADDRESS_IS_CURRENT', 'the address that it has', 'fail', {}, moveTo('192.0.2.2/24')],
  ['ADDRESS_OF_NODE', "another node's internal address", 'fail', {}, moveTo('192.0.2.3/24')],
  [
    'ADDRESS_OF_NODE',
    "another node's external address",
    'fail',
    { nodes: nodesWith(3, { externalAddresses: [parseAddress('192.0.2.52')] }) },
  ],
  [
    'ADDRESS_OF_NODE',
    'a row that cannot be read',
    'unknown',
    { nodes: { nodes: soundFacts().nodes.nodes, unread } },
  ],
  [
    'LINK_NOT_FOUND',
    'an address on no interface',
    'fail',
    { interfaces: [linkWith('eth0', ['192.0.2.9/24'])] },
  ],
  [
    'LINK_NOT_FOUND',
    'an address on two',
    'fail',
    { interfaces: [linkWith('eth0', ['192.0.2.2/24']), linkWith('eth1', ['192.0.2.2/24'])] },
  ],
  [
    'LINK_NOT_FOUND',
    'another interface than is named',
    'fail',
    {},
    moveTo('192.0.2.52/24', { interface: 'eth1' }),
  ],
  [
    'LINK_NOT_FOUND',
    'an interface without carrier',
    'fail',
    { interfaces: [linkWith('eth0', ['192.0.2.2/24'], { operState: 'down', flags: ['UP'] })] },
  ],
  [
    'NEW_ADDRESS_UNFIT',
    'a new address on an interface that is down',
    'fail',
    {
      interfaces: [
        linkWith('eth0', ['192.0.2.2/24']),
        linkWith('eth1', ['192.0.2.52/24'], { flags: [], operState: 'down' }),
      ],
    },
  ],
  [
    'NEW_ADDRESS_UNFIT',
    'a new address whose duplicate detection goes on',
    'unknown',
    { interfaces: [linkWith('eth0', ['192.0.2.2/24', '192.0.2.52/24 tentative'])] },
  ],
  ...['tentative dadfailed', 'temporary', 'deprecated', 'dynamic'].map(
    (flags): Case => [
      'NEW_ADDRESS_UNFIT',
      `a new address that is ${flags}`,
      'fail',
      { interfaces: [linkWith('eth0', ['192.0.2.2/24', `192.0.2.52/24 ${flags}`])] },
    ],
  ),
  [
    'NETWORK_ELSEWHERE',
    'a network that another interface is in',
    'fail',
    { interfaces: [linkWith('eth0', ['192.0.2.2/24']), linkWith('eth1', ['198.51.100.7/24'])] },
    moveTo('198.51.100.52/24'),
  ],
  ['GATEWAY_OUTSIDE', 'a gateway that stays behind', 'fail', {}, moveTo('198.51.100.52/24')],
  ['GATEWAY_OUTSIDE', 'a gateway elsewhere', 'fail', {}, moveTo('192.0.2.52/24', gatewayOf('198.51.100.1'))],
  ['GATEWAY_OUTSIDE', 'the host itself', 'fail', {}, moveTo('192.0.2.52/24', gatewayOf('192.0.2.52'))],
  [
    'GATEWAY_OUTSIDE',
    'a gateway where nothing is changed',
    'fail',
    { interfaces: [linkWith('eth0', ['192.0.2.2/24', '192.0.2.52/24'])] },
    moveTo('192.0.2.52/24', gatewayOf('192.0.2.1')),
  ],
  [
    'GATEWAY_UNCLEAR',
    'no default route',
    'fail',
    { routes: [] },
    moveTo('192.0.2.52/24', gatewayOf('192.0.2.1')),
  ],
  [
    'GATEWAY_UNCLEAR',
    'two default routes',
    'fail',
    { routes: [defaultRoute('192.0.2.254'), defaultRoute('192.0.2.253')] },
    moveTo('192.0.2.52/24', gatewayOf('192.0.2.1')),
  ],
  [
    'CUT_OVER_NOT_NEEDED',
    '--cut-over within the network',
    'fail',
    {},
    moveTo('192.0.2.52/24', { options: { ...noOptions, cutOver: true } }),
  ],
  ...['7.22.2-169', '7.8.6-36', '8.0.20-19', '8.2.0-24'].map(
    (version): Case => ['RS188659', version, 'fail', onIpv6(version), moveTo('2001:db8::10/64')],
  ),
  ['RS188659', 'a version that cannot be read', 'unknown', onIpv6(), moveTo('2001:db8::10/64')],
  ['ONE_NODE_CLUSTER', 'one node', 'fail', { nodes: { nodes: [rsNode(2)], unread: [] } }],
  ['MEMBERS_CHANGED', 'a node that has joined', 'fail', { members: soundFacts().members.slice(1) }],
  [
    'MEMBERS_CHANGED',
    'a row that cannot be read',
    'unknown',
    { nodes: { nodes: soundFacts().nodes.nodes, unread } },
  ],
  [
    'NODE_ADDRESSES_CHANGED',
    'an external address that was added since',
    'fail',
    { ...movesExternal(['192.0.2.2']), ...externalNow(['192.0.2.2', '203.0.113.9']) },
  ],
  [
    'NODE_ADDRESSES_CHANGED',
    'an external address that was removed since',
    'fail',
    { ...movesExternal(['192.0.2.2', '203.0.113.9']), ...externalNow(['192.0.2.2']) },
  ],
  [
    'NODE_ADDRESSES_CHANGED',
    'an internal address that is external by now',
    'fail',
    { external: undefined, ...externalNow(['192.0.2.2']) },
  ],
  [
    'NODE_ADDRESSES_CHANGED',
    'an internal address that is another one by now',
    'fail',
    {
      change: soundFacts().change,
      external: undefined,
      nodes: nodesWith(2, { address: parseAddress('192.0.2.9') }),
    },
  ],
  [
    'NODE_NOT_OK',
    'a node that is down',
    'fail',
    { nodes: nodesWith(3, { status: 'down', statusText: 'DOWN, last seen 33s ago' }) },
  ],
  [
    'NODE_NOT_OK',
    'a node in a state of another word',
    'fail',
    { nodes: nodesWith(3, { status: 'unknown', statusText: 'LIMP' }) },
  ],
  [
    'OWN_NODE_NOT_OK',
    'the node itself down',
    'fail',
    { nodes: nodesWith(2, { status: 'down', statusText: 'DOWN' }) },
  ],
  ['QUORUM_AT_RISK', 'two nodes', 'fail', { nodes: { nodes: [rsNode(1), rsNode(2)], unread: [] } }],
  [
    'NODE_IN_MAINTENANCE',
    '0/0 shards',
    'unknown',
    { nodes: nodesWith(3, { shards: { used: 0, limit: 0 } }) },
  ],
  [
    'ACTION_RUNNING',
    'an action',
    'fail',
    { running: { actions: ['migrate_shard (x): running'], unread: [] } },
  ],
  ['ACTION_RUNNING', 'a line that cannot be read', 'unknown', { running: { actions: [], unread } }],
  ['SHARD_WITHOUT_REPLICA', 'a shard alone', 'fail', { shards: { shards: [rsShard(1, 2)], unread: [] } }],
  [
    'SHARD_WITHOUT_REPLICA',
    'a copy that is not OK',
    'fail',
    { shards: { shards: [rsShard(1, 2), rsShard(2, 3, { status: 'down' })], unread: [] } },
  ],
  [
    'SHARD_WITHOUT_REPLICA',
    'a copy of other slots',
    'fail',
    { shards: { shards: [rsShard(1, 2), rsShard(2, 3, { slots: '0-8191' })], unread: [] } },
  ],
  ['SHARD_WITHOUT_REPLICA', 'a row that cannot be read', 'unknown', { shards: { shards: [], unread } }],
  [
    'SHARDS_NOT_IN_SYNC',
    'a shard that is not OK',
    'fail',
    { shards: { shards: [rsShard(1, 3, { status: 'unknown' })], unread: [] } },
  ],
  [
    'OTHER_RENUMBERING',
    'a claim of another',
    'fail',
    { agents: agentsWith(1, { lock: { ...noLockState, granted: claim } }) },
  ],
  [
    'OTHER_RENUMBERING',
    'one that an agent knows',
    'fail',
    { agents: agentsWith(3, { openRenumberings: ['aaaaaaaaaaaa'] }) },
  ],
  [
    'OTHER_RENUMBERING',
    'too few that know of the lock',
    'unknown',
    { agents: soundFacts().agents.map(({ lock: _lock, ...agent }) => agent) },
  ],
  [
    'AGENTS_NO_MAJORITY',
    'this agent alone',
    'fail',
    {
      agents: soundFacts().agents.map((agent) => (agent.uid === 2 ? agent : { ...agent, silent: 'no link' })),
    },
  ],
  [
    'AGENT_MISSING',
    'an agent that is silent',
    'fail',
    { agents: agentsWith(3, { silent: 'there is no link to it' }) },
  ],
  ['AGENT_MISSING', 'an agent that is too old', 'fail', { agents: agentsWith(3, { tooOld: true }) }],
  [
    'PEER_CLOCK_DIFFERS',
    'a clock a minute behind',
    'fail',
    { agents: agentsWith(3, { clockAheadMs: -60_000 }) },
  ],
  ['MODE_OBSERVE', 'an agent that observes', 'fail', { mode: 'observe' }],
  ['UNIT_UNFIT', 'a static unit', 'fail', { unit: enabledUnit({ unitFileState: 'static' }) }],
  [
    'AGENT_NOT_ENABLED',
    'an agent that is disabled',
    'fail',
    { agentUnit: enabledUnit({ unitFileState: 'disabled' }) },
  ],
  [
    'OWNER_UNFIT',
    'two owners',
    'fail',
    {
      owner: {
        is: 'refused',
        reason: { code: 'OWNER_AMBIGUOUS', message: 'Two own it.', remedy: 'Disable one.' },
      },
    },
  ],
  [
    'BOUND_FOR_NOW',
    'an address in no file',
    'fail',
    { interfaces: [linkWith('eth0', ['192.0.2.2/24', '192.0.2.52/24'])] },
  ],
  [
    'ADDRESS_LEASED',
    'a lease',
    'fail',
    {
      interfaces: [
        linkWith('eth0', [], {
          addresses: [
            { address: parseAddress('192.0.2.2'), prefixLength: 24, scope: 'global', flags: ['dynamic'] },
          ],
        }),
      ],
    },
  ],
  ['CLOUD_ADDRESS', 'a machine of a cloud', 'fail', { vendor: 'Amazon EC2' }],
  ['DISK_FULL', 'a full disk', 'fail', { freeBytes: [{ path: '/etc', bytes: 4096 }] }],
  [
    'HOSTS_LOCALHOST_IPV6_MISSING',
    'no such line',
    'fail',
    { hostsFile: { localhostIpv6: 'missing', evidence: 'no ::1' } },
  ],
  [
    'HOSTS_LOCALHOST_IPV6_MISSING',
    'an unreadable file',
    'unknown',
    { hostsFile: { localhostIpv6: 'unknown', evidence: 'EACCES' } },
  ],
  ['CLOCK_NOT_SYNCHRONISED', 'a clock of its own', 'fail', { clockSynchronised: false }],
  ['CERTIFICATE_ENDS', 'a certificate for an hour', 'fail', { certificate: { notAfter: 3_600_000, now: 0 } }],
  ['CERTIFICATE_ENDS', 'an unreadable date', 'unknown', { certificate: { notAfter: Number.NaN, now: 0 } }],
  ['REPLICA_HA_GRACE', 'a short grace period', 'fail', { replicaHaGraceSeconds: 120 }],
];

describe('the guards', () => {
  it('all pass where nothing stands in the way', () => {
    expect(judge(guards, good, drawnFacts(good)).filter(({ outcome }) => outcome !== 'pass')).toEqual([]);
  });

  it.each(cases)('%s is tripped by %s', (code, _what, outcome, change, move = good) => {
    const facts = drawnFacts(move, change);
    // What a plan holds is not drawn afresh.
    const planned = (['members', 'external', 'change'] as const).filter((name) => name in change);
    const held = Object.fromEntries(planned.map((name) => [name, { value: change[name] }]));
    const given = { ...facts, ...held } as Facts;
    const result = judge(guards, move, given).find((each) => each.code === code);
    expect(result).toMatchObject({ code, outcome });
    expect(result?.why).toMatch(/^\S.{20,}/s);
    expect(result?.message).toMatch(/^\S.+\S$/s);
    expect(result?.remedy).toMatch(/^\S.{5,}/s);
  });

  it('each have a case that trips them, and a code of their own', () => {
    const codes = guards.map(({ code }) => code);
    expect(new Set(codes).size).toBe(codes.length);
    const failing = cases.filter(([, , outcome]) => outcome === 'fail').map(([code]) => code);
    // Whether a node is in maintenance is nothing that RS shows.
    expect(new Set([...failing, 'NODE_IN_MAINTENANCE'])).toEqual(new Set(codes));
  });

  it('are asked all of them, whatever one says', () => {
    const move = moveTo('192.0.2.0/24');
    const facts = drawnFacts(move, { mode: 'observe', clockSynchronised: false, localUid: 3 });
    const failed = judge(guards, move, facts).filter(({ outcome }) => outcome === 'fail');
    expect(failed.map(({ code }) => code)).toEqual(
      expect.arrayContaining([
        'NODE_NOT_HERE',
        'ADDRESS_IS_NETWORK',
        'MODE_OBSERVE',
        'CLOCK_NOT_SYNCHRONISED',
      ]),
    );
  });

  it('take what a person accepts: an outage, and shards by their ids', () => {
    const options = { ...noOptions, acceptOutage: true, acceptShards: [1] };
    const move = moveTo('192.0.2.52/24', { options });
    const facts = drawnFacts(move, {
      nodes: { nodes: [rsNode(1), rsNode(2)], unread: [] },
      shards: { shards: [rsShard(1, 2)], unread: [] },
    });
    expect(refusalsOf(judge(guards, move, facts))).toEqual([]);
  });

  it('do not mind in which order RS has the external addresses of the plan', () => {
    const change = {
      ...movesExternal(['203.0.113.9', '192.0.2.2']),
      ...externalNow(['192.0.2.2', '203.0.113.9']),
    };
    const facts = { ...drawnFacts(good, change), external: { value: change.external } };
    expect(refusalsOf(judge(guards, good, facts))).toEqual([]);
  });

  it('do not mind the claim of this very plan, nor one that somebody knows to be closed', () => {
    const held = agentsWith(1, { lock: { ...noLockState, granted: claim } });
    const closed = held.map((agent) =>
      agent.uid === 3 ? { ...agent, lock: { highestEpoch: 7, closed: { n3: 7 } } } : agent,
    );
    const asked = guards.filter(({ code }) => code === 'OTHER_RENUMBERING');
    const outcomes = [
      judge(asked, { ...good, planId: claim.planId }, drawnFacts(good, { agents: held })),
      judge(asked, good, drawnFacts(good, { agents: closed })),
    ].flat();
    expect(outcomes.map(({ outcome }) => outcome)).toEqual(['pass', 'pass']);
  });

  it.each(['7.22.2-170', '7.22.4-10', '8.2.0-25'])('let %s have ::1 in an address', (version) => {
    const move = moveTo('2001:db8::10/64');
    const codes = refusalsOf(judge(guards, move, drawnFacts(move, onIpv6(version)))).map(({ code }) => code);
    expect(codes).toEqual([]);
  });

  it('never pass on what is not known: any fact that is missing makes each guard that needs it unknown', () => {
    const names = Object.keys(soundFacts()) as FactName[];
    fc.assert(
      fc.property(fc.subarray(names), (missing) => {
        const facts: Facts = {
          ...factsOf(soundFacts()),
          ...Object.fromEntries(missing.map((name) => [name, { unknown: `${name} was not read` }])),
        };
        for (const [index, { code, outcome, message }] of judge(guards, good, facts).entries()) {
          const needed = guards[index]?.needs.filter((name) => missing.includes(name)) ?? [];
          expect([code, outcome]).toEqual([code, needed.length > 0 ? 'unknown' : 'pass']);
          for (const name of needed) expect(message).toContain(`${name} was not read`);
        }
      }),
    );
  });

  it('pass without any fact only where they are about the address as it was given', () => {
    const facts = Object.fromEntries(
      Object.keys(soundFacts()).map((name) => [name, { unknown: 'nothing was read' }]),
    ) as unknown as Facts;
    const passed = judge(guards, good, facts).filter(({ outcome }) => outcome === 'pass');
    expect(passed.map(({ code }) => code)).toEqual(['ADDRESS_UNUSABLE', 'ADDRESS_IS_NETWORK']);
  });

  it('are about RS alone before the node is taken out, and before the lock is given back', () => {
    for (const step of ['demote', 'disable', 'restart'] as const) {
      expect(guardsOf(step).map(({ code }) => code)).toEqual([
        'MEMBERS_CHANGED',
        'NODE_ADDRESSES_CHANGED',
        'NODE_NOT_OK',
        'QUORUM_AT_RISK',
        'ACTION_RUNNING',
        'SHARD_WITHOUT_REPLICA',
      ]);
    }
    expect(guardsOf('release').map(({ code }) => code)).toEqual(['ACTION_RUNNING', 'SHARDS_NOT_IN_SYNC']);
  });
});
