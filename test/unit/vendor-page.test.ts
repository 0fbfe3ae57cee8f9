import { describe, expect, test } from 'vitest';
import { runChecks } from '../../src/agent/findings/findings.ts';
import { dialTargets } from '../../src/agent/mesh/rules.ts';
import { type RegistrarDependencies, registerAddress } from '../../src/agent/renumbering/registrar.ts';
import { parseAddress } from '../../src/protocol/address.ts';
import { runBootstrapChecks } from '../../src/protocol/bootstrap/checks.ts';
import type { BootstrapFacts, Wish } from '../../src/protocol/bootstrap/facts.ts';
import { bodyOf, planBootstrap } from '../../src/protocol/bootstrap/plan.ts';
import { externalChangeOf } from '../../src/protocol/external.ts';
import type { FactValues, Move } from '../../src/protocol/renumbering/guard.ts';
import { guards, judge } from '../../src/protocol/renumbering/guards.ts';
import { noLockState } from '../../src/protocol/renumbering/lock.ts';
import { forwardRules, forwardSteps } from '../../src/protocol/renumbering/steps.ts';
import { nextOf, type Rollout } from '../../src/protocol/rollout/record.ts';
import { create, facts, ipv6Cluster, join, links, member } from '../support/bootstrap-facts.ts';
import { healthy, inOrder, nodes } from '../support/facts.ts';
import { createManualClock } from '../support/manual-clock.ts';
import { drawnFacts, linkWith, moveTo, rsNode, soundFacts } from '../support/renumbering/facts.ts';

/**
 * The vendor's page "Multi-IP and IPv6" (RS/networking/multi-ip-ipv6), rule by rule and in its order. Each fails when rlnet breaks the rule.
 * What the code in question does otherwise has its tests beside it.
 */

const addresses = (...texts: string[]) => texts.map((text) => parseAddress(text));
const planOf = (wish: Wish, change: Partial<BootstrapFacts> = {}) => planBootstrap(wish, facts(change));
const refusedBy = (wish: Wish, change: Partial<BootstrapFacts> = {}): string[] =>
  runBootstrapChecks(wish, facts(change))
    .filter(({ severity, outcome }) => severity === 'refuses' && outcome === 'fail')
    .map(({ code }) => code);
const guardedBy = (move: Move, change: Partial<FactValues> = {}): string[] =>
  judge(guards, move, drawnFacts(move, change))
    .filter(({ severity, outcome }) => severity === 'refuses' && outcome === 'fail')
    .map(({ code }) => code);
const found = (observations: object): string[] =>
  runChecks({ ...inOrder, observations: { ...healthy, ...observations } })
    .filter(({ outcome }) => outcome === 'fail')
    .map(({ code }) => code);
const read = <T>(value: T) => ({ at: 1_000, value });

describe('traffic', () => {
  test('where a machine has one address, it is used inside and outside', () => {
    for (const text of ['10.0.0.9/24', '2001:db8::29/64']) {
      const [address] = text.split('/');
      expect(bodyOf(planOf(create(), links(text)))).toMatchObject({
        node: { identity: { addr: address, external_addr: [address] } },
      });
    }
  });

  test('where a machine has several, one is given for inside and one or more others for outside', () => {
    const several = links('10.0.0.9/24', '10.0.0.10/24', '10.0.0.11/24');
    expect(refusedBy(create(), several)).toEqual(['ADDRESS_AMBIGUOUS']);
    const wish = create({ addr: '10.0.0.10', external: ['10.0.0.9', '10.0.0.11'] });
    expect(bodyOf(planOf(wish, several))).toMatchObject({
      node: { identity: { addr: '10.0.0.10', external_addr: ['10.0.0.9', '10.0.0.11'] } },
    });
  });

  test.for([
    ['ipv4', '192.0.2.2', '2001:db8::2'],
    ['ipv6', '2001:db8::2', '192.0.2.2'],
  ] as const)('in a cluster over %s nodes talk over that alone', ([family, same, other]) => {
    const own = parseAddress(family === 'ipv4' ? '192.0.2.1' : '2001:db8::1');
    expect(dialTargets(own, family, addresses(same, other))).toEqual({
      dialled: [same],
      passedOver: [other],
    });
  });
});

describe('IPv6 inside', () => {
  test.for([
    ['7.2.4-92', ['VERSION_TOO_OLD']],
    ['7.4.0-100', ['VERSION_TOO_OLD']],
    ['7.4.2-54', []],
    ['8.2.0-25', []],
  ] as const)('needs RS 7.4.2: with %s %j', ([version, codes]) => {
    expect(refusedBy(create({ useInternalIpv6: true }), { version: { value: version } })).toEqual(codes);
    expect(refusedBy(create(), { ...links('2001:db8::29/64'), version: { value: version } })).toEqual(codes);
    expect(refusedBy(create(), { version: { value: version } })).toEqual([]);
  });

  test('is used of its own accord by a server with IPv6 alone, inside and outside', () => {
    expect(planOf(create(), links('2001:db8::29/64')).node).toMatchObject({
      family: 'ipv6',
      external: ['2001:db8::29'],
      useInternalIpv6: false,
    });
  });

  test('is IPv4 on every other server, unless it is asked for', () => {
    expect(planOf(create()).node).toMatchObject({ family: 'ipv4', address: '10.0.0.9' });
    const asked = planOf(create({ useInternalIpv6: true }));
    expect(asked.node).toMatchObject({ family: 'ipv6', address: '2001:db8::29' });
  });

  test('is asked for with use_internal_ipv6 on create, and with nothing else', () => {
    expect(bodyOf(planOf(create({ useInternalIpv6: true })))).toMatchObject({
      node: { identity: { use_internal_ipv6: true } },
    });
    expect(JSON.stringify(bodyOf(planOf(create())))).not.toContain('use_internal_ipv6');
  });

  test("takes the address of one host: the page's own 2001:DB8::/32 is refused and explained", () => {
    const wish = create({ useInternalIpv6: true, addr: '2001:DB8::/32' });
    expect(refusedBy(wish)).toContain('ADDRESS_NOT_HOST');
    expect(
      runBootstrapChecks(wish, facts())
        .map(({ message }) => message)
        .join(),
    ).toContain("The example of the vendor's documentation");
    expect(guardedBy(moveTo('2001:db8::/32'))).toContain('ADDRESS_IS_NETWORK');
  });

  test('is taken by a node that joins without being told, and use_internal_ipv6 is never sent then', () => {
    for (const useInternalIpv6 of [false, true]) {
      const plan = planOf(join({ members: ['2001:db8::21'], useInternalIpv6 }), ipv6Cluster);
      expect(plan.node).toMatchObject({ family: 'ipv6', address: '2001:db8::29' });
      expect(JSON.stringify(bodyOf(plan))).not.toContain('use_internal_ipv6');
    }
  });

  test('fails for a node without an IPv6 interface that joins', () => {
    const wish = join({ members: ['2001:db8::21'] });
    expect(refusedBy(wish, { ...ipv6Cluster, ...links('10.0.0.9/24') })).toEqual(['FAMILY_MISSING']);
  });

  test('wants ::1 localhost in /etc/hosts on each node, before the bootstrap, before a change and at any time', () => {
    const missing = { localhostIpv6: 'missing', evidence: 'no line for ::1' } as const;
    for (const wish of [create(), join()])
      expect(refusedBy(wish, { hostsFile: { value: missing } })).toEqual(['HOSTS_LOCALHOST_IPV6_MISSING']);
    expect(guardedBy(moveTo('192.0.2.52/24'), { hostsFile: missing })).toEqual([
      'HOSTS_LOCALHOST_IPV6_MISSING',
    ]);
    expect(found({ hostsFile: read(missing) })).toEqual(['HOSTS_LOCALHOST_IPV6_MISSING']);
  });
});

describe('a change of the internal address', () => {
  const good = moveTo('192.0.2.52/24');

  test.for(['127.0.0.9/8', '169.254.3.4/16', '224.0.0.5/24', '192.0.2.0/24', '192.0.2.255/24'])(
    'wants a valid one: not %s',
    (text) => {
      expect(guardedBy(moveTo(text)).length).toBeGreaterThan(0);
      expect(guardedBy(good)).toEqual([]);
    },
  );

  test('wants one that is bound to an active interface: before it, to bootstrap, and at any time', () => {
    const down = { flags: ['UP'], operState: 'down' };
    const interfaces = [linkWith('eth0', ['192.0.2.2/24']), linkWith('eth1', ['192.0.2.52/24'], down)];
    expect(guardedBy(good, { interfaces })).toContain('NEW_ADDRESS_UNFIT');
    expect(refusedBy(create({ addr: '10.0.0.77' }))).toEqual(['ADDRESS_NOT_BOUND']);
    const off = { interfaces: { value: [linkWith('eth0', ['10.0.0.9/24'], down)] } };
    expect(refusedBy(create({ addr: '10.0.0.9' }), off)).toContain('ADDRESS_UNFIT');
    expect(found({ interfaces: read([linkWith('eth0', ['192.0.2.99/24'])]) })).toContain(
      'INTERNAL_ADDRESS_NOT_BOUND',
    );
  });

  test('joining with IPv4 alone to a master with IPv6, or with IPv6 alone to one without, is a NodeBootstrapError', () => {
    expect(refusedBy(join(), { ...ipv6Cluster, ...links('10.0.0.9/24') })).toContain('FAMILY_MISSING');
    expect(refusedBy(join(), links('2001:db8::29/64'))).toEqual(['FAMILY_MISSING']);
  });

  test('stays within the protocol of the cluster, in both directions', () => {
    expect(guardedBy(moveTo('2001:db8::20/64'))).toContain('FAMILY_DIFFERS');
    const sixth = [1, 2, 3].map((uid) => rsNode(uid, { address: parseAddress(`2001:db8::a${uid}`) }));
    const onIpv6 = {
      nodes: { nodes: sixth, unread: [] },
      interfaces: [linkWith('eth0', ['2001:db8::a2/64'])],
      routes: [],
    };
    expect(guardedBy(moveTo('192.0.2.52/24'), onIpv6)).toContain('FAMILY_DIFFERS');
    expect(guardedBy(moveTo('2001:db8::20/64'), onIpv6)).toEqual([]);
  });

  test("is done in the page's order: replica, unit disabled, restart, address, rladmin elsewhere, unit enabled, started, node seen OK", () => {
    const page = [
      'demote',
      'disable',
      'restart',
      'readdress',
      'register',
      'enable',
      'start',
      'rejoin',
    ] as const;
    expect(forwardSteps.filter((step) => page.some((each) => each === step))).toEqual(page);
  });

  const registrar = (localUid: number, status: 'ok' | 'down') => {
    const set: string[] = [];
    const clock = createManualClock();
    const row = rsNode(2, { status, statusText: status === 'ok' ? 'OK' : 'DOWN, last seen 33s ago' });
    const deps = {
      clock,
      bootClock: { now: async () => ({ bootId: 'one', seconds: clock.monotonic() / 1_000 }) },
      files: { append: async () => {} },
      recordPath: '/registrations',
      keeper: { answerHeld: () => 'granted' },
      peers: {
        hostOf: () => 'n2',
        call: async (_host: string, method: string) =>
          method === 'held' ? { held: 'granted' } : { current: true },
      },
      rs: {
        localUid: async () => localUid,
        nodeTable: async () => ({ nodes: [rsNode(1), row, rsNode(3)], unread: [] }),
        setAddress: async (uid: number, address: string) => {
          set.push(`node ${uid} addr set ${address}`);
        },
      },
    } as unknown as RegistrarDependencies;
    const params = {
      claim: { epoch: 1, host: 'n2', planId: '0123456789ab', members: [1, 2, 3] },
      nodeUid: 2,
      address: parseAddress('192.0.2.52'),
      act: 'forward register 1',
      downSeconds: 5,
      rladminSeconds: 20,
    };
    return { set, clock, told: registerAddress(deps, params, 'n2') };
  };

  test('is told to RS from a different cluster node', async () => {
    const own = registrar(2, 'down');
    await expect(own.told).rejects.toMatchObject({
      code: 'REGISTRATION_REFUSED',
      message: expect.stringContaining('another node than the one that moves'),
    });
    expect(own.set).toEqual([]);
    const other = registrar(1, 'down');
    await other.told;
    expect(other.set).toEqual(['node 2 addr set 192.0.2.52']);
  });

  test('is told to RS while the node is out of service, and not before', async () => {
    const { told, set, clock } = registrar(1, 'ok');
    const outcome = expect(told).rejects.toMatchObject({ code: 'NODE_NOT_DOWN' });
    for (let second = 0; second < 10; second += 1) {
      await clock.pass(1_000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await outcome;
    expect(set).toEqual([]);
  });

  test('is done to one node after another', () => {
    const granted = { epoch: 7, host: 'n3', planId: 'aaaaaaaaaaaa', members: [1, 2, 3] };
    const agents = soundFacts().agents.map((agent) => ({ ...agent, lock: { ...noLockState, granted } }));
    expect(guardedBy(good, { agents })).toEqual(['OTHER_RENUMBERING']);
    const change = (node: number) => ({ kind: 'internal' as const, node, to: good.to });
    const rollout: Rollout = {
      id: 'a',
      leader: 'n1',
      by: 'root',
      startedAt: 0,
      declaration: { nodes: [], windows: [] },
      steps: [
        { change: change(2), is: 'begun', planId: '000000000001' },
        { change: change(3), is: 'waiting' },
      ],
    };
    expect(nextOf(rollout, { now: 0, unfit: undefined, standing: 'open' })).toEqual({
      act: 'watch',
      index: 0,
    });
    for (const step of ['demote', 'disable', 'restart'] as const)
      expect(forwardRules[step]).toEqual({ guards: true, held: true });
  });
});

describe('external addresses', () => {
  const table = {
    nodes: [rsNode(1), rsNode(2, { externalAddresses: addresses('203.0.113.2') })],
    unread: [],
  };
  const change = (action: 'add' | 'set' | 'remove', ...texts: string[]) =>
    externalChangeOf({ action, addresses: addresses(...texts), allowNone: true }, 2, table, []).after;

  test('need not be bound to an interface, to bootstrap and afterwards', () => {
    const wish = create({ external: ['203.0.113.9', '2001:db8:ffff::9'] });
    expect(refusedBy(wish)).toEqual([]);
    expect(planOf(wish).node?.external).toEqual(['203.0.113.9', '2001:db8:ffff::9']);
    expect(change('add', '198.51.100.7')).toEqual(['203.0.113.2', '198.51.100.7']);
  });

  test('can be added, set as one or several, and removed', () => {
    expect(change('add', '203.0.113.3')).toEqual(['203.0.113.2', '203.0.113.3']);
    expect(change('set', '203.0.113.4')).toEqual(['203.0.113.4']);
    expect(change('set', '203.0.113.4', '2001:db8::4')).toEqual(['203.0.113.4', '2001:db8::4']);
    expect(change('remove', '203.0.113.2')).toEqual([]);
  });

  test('are not what a member is named by when a node joins: that is its internal address', () => {
    const cluster = { value: [member(1, '10.0.0.1', { external: addresses('203.0.113.1') })] };
    expect(refusedBy(join({ members: ['203.0.113.1'] }), { cluster })).toEqual(['MEMBER_NOT_INTERNAL']);
    expect(refusedBy(join({ members: ['10.0.0.1'] }), { cluster })).toEqual([]);
  });
});

describe('known limitations', () => {
  test('all nodes use the same protocol inside: two are found, and no node joins such a cluster', () => {
    const [first, second] = nodes;
    const mixed = [first, { ...second, address: parseAddress('192.0.2.9') }];
    expect(found({ nodeTable: read({ nodes: mixed, unread: [] }) })).toContain('RS_FAMILY_MIXED');
    const cluster = { value: [member(1, '10.0.0.1'), member(2, '2001:db8::22')] };
    const said = runBootstrapChecks(join(), facts({ cluster })).find(({ code }) => code === 'FAMILY_MISSING');
    expect(said).toMatchObject({ severity: 'refuses', outcome: 'unknown' });
  });

  // That nothing of rlnet goes by the family in which a node talks to itself until its bootstrap has ended is seen in test/lab/bootstrap.test.ts.
});
