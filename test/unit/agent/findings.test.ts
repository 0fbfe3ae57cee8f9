import { describe, expect, it, test } from 'vitest';
import type { Facts, PeerFacts } from '../../../src/agent/findings/check.ts';
import { checks, runChecks } from '../../../src/agent/findings/findings.ts';
import type { Observations, Reading } from '../../../src/agent/observations.ts';
import type { Vitals } from '../../../src/host/ports/vitals.ts';
import { parseAddress } from '../../../src/protocol/address.ts';
import type { AddressPersistence } from '../../../src/protocol/address-persistence.ts';
import { type ErrorCode, RlnetError } from '../../../src/protocol/errors.ts';
import type { CheckResult } from '../../../src/protocol/finding.ts';
import type { BoundAddress, NetworkInterface } from '../../../src/protocol/interfaces.ts';
import { encodeMessage } from '../../../src/protocol/messages.ts';
import type { OpenRenumbering } from '../../../src/protocol/renumbering/request.ts';
import type { RsNode } from '../../../src/protocol/rs.ts';
import { exampleView } from '../../support/example-view.ts';
import { eth0, healthy, inOrder, nodes, other, own, peer, rsUnit } from '../../support/facts.ts';
import { vitalsInOrder } from '../../support/vitals.ts';

const at = 1_000;
const dayMs = 86_400_000;
const failure = { at, error: new RlnetError('COMMAND_TIMEOUT', 'It took too long.', 'Try again.') };

/** The facts of a node in order, but for what is given. */
const but = (observations: Observations, more: Partial<Facts> = {}): Facts => ({
  ...inOrder,
  ...more,
  observations: { ...healthy, ...observations },
});
const resultOf = (facts: Facts, code: string): CheckResult => {
  const result = runChecks(facts).find((each) => each.code === code);
  if (result === undefined) throw new RangeError(`no check ${code}`);
  return result;
};

const read = <T>(value: T): Reading<T> => ({ at, value });
const refused = (code: ErrorCode): Reading<never> => ({
  at,
  error: new RlnetError(code, 'Two have it.', 'Look.'),
});
const links = (...given: NetworkInterface[]): Observations => ({ interfaces: read(given) });
const bound = (...flags: string[]): BoundAddress => ({
  address: own,
  prefixLength: 64,
  scope: 'global',
  flags,
});
const vitals = (some: Partial<Vitals>): Observations => ({ vitals: read({ ...vitalsInOrder, ...some }) });
const [first, second] = nodes as [RsNode, RsNode];
const table = (...rows: RsNode[]): Observations => ({ nodeTable: read({ nodes: rows, unread: [] }) });
const peers = (some: Partial<PeerFacts>): Partial<Facts> => ({ peers: [{ ...peer, ...some }] });
const four = parseAddress('192.0.2.9');
const moving: OpenRenumbering = {
  planId: '0123456789ab',
  nodeUid: 2,
  from: { address: own, prefixLength: 64 },
  to: { address: other, prefixLength: 64 },
  direction: 'forward',
  step: 'restart',
  since: 5,
  is: 'open',
};
const certificate = (notBefore: number, notAfter: number): Partial<Facts> => ({
  certificates: [{ name: 'the CA', notBefore, notAfter }],
});
const granted = { epoch: 1, host: 'n3', planId: '0123456789ab', members: [2, 3] };

/** Each check with what breaks it, and what its evidence then says. */
const broken: readonly (readonly [code: string, what: string, facts: Facts, evidence: RegExp])[] = [
  [
    'INTERNAL_ADDRESS_NOT_BOUND',
    'no interface has it',
    but(links({ ...eth0, addresses: [] })),
    /^2001:db8::21 is on no interface$/,
  ],
  [
    'INTERNAL_ADDRESS_NOT_BOUND',
    'its interface has no carrier',
    but(links({ ...eth0, operState: 'down', flags: ['UP', 'NO-CARRIER'] })),
    /eth0, which is not active/,
  ],
  [
    'INTERNAL_ADDRESS_NOT_BOUND',
    'it is tentative',
    but(links({ ...eth0, addresses: [bound('tentative')] })),
    /where it is tentative/,
  ],
  [
    'INTERNAL_ADDRESS_NOT_BOUND',
    'a duplicate was found',
    but(links({ ...eth0, addresses: [bound('tentative', 'dadfailed')] })),
    /tentative dadfailed/,
  ],
  [
    'INTERNAL_FAMILY_MISSING',
    'the cluster has the other one',
    but({}, { clusterFamily: 'ipv4' }),
    /uses ipv4 inside/,
  ],
  [
    'INTERNAL_ADDRESS_IN_USE',
    'a foreign card answers',
    but({ wireAnswer: read({ outcome: 'answered', owners: ['02:00:00:00:00:99'] }) }),
    /^02:00:00:00:00:99 answered for 2001:db8::21$/,
  ],
  [
    'INTERNAL_ADDRESS_HELD_TWICE',
    'two interfaces have it',
    but(links(eth0, { ...eth0, index: 3, name: 'eth1' })),
    /eth0 and eth1/,
  ],
  [
    'INTERNAL_ADDRESS_LEASED',
    'it is dynamic',
    but(links({ ...eth0, addresses: [bound('dynamic')] })),
    /eth0 is dynamic/,
  ],
  [
    'INTERNAL_ADDRESS_DEPRECATED',
    'it is deprecated',
    but(links({ ...eth0, addresses: [bound('deprecated')] })),
    /is deprecated/,
  ],
  [
    'NETWORK_ADDRESS_NOT_PERSISTENT',
    'no file has it',
    but({ persistence: read<AddressPersistence>({ outcome: 'missing', evidence: 'no file' }) }),
    /^no file$/,
  ],
  [
    'NETWORK_OWNER_AMBIGUOUS',
    'two owners have it',
    but({ persistence: refused('OWNER_AMBIGUOUS') }),
    /^Two have it\.$/,
  ],
  ['INTERNAL_MTU_SMALL', 'its MTU is 1400', but(links({ ...eth0, mtu: 1400 })), /^eth0 has MTU 1400$/],
  [
    'HOSTS_LOCALHOST_IPV6_MISSING',
    'the line is not there',
    but({ hostsFile: read({ localhostIpv6: 'missing', evidence: 'line 1' } as const) }),
    /^line 1$/,
  ],
  ['IPV6_DISABLED', 'all interfaces are without', but(vitals({ ipv6: 'disabled' })), /conf\.all/],
  ['IPV6_DISABLED', 'the loopback is without', but(vitals({ ipv6: 'disabled_on_loopback' })), /conf\.lo/],
  ['IPV6_DISABLED', 'the kernel has none', but(vitals({ ipv6: 'absent' })), /the kernel has no IPv6/],
  [
    'LOCAL_PORTS_OVERLAP',
    'the range begins at 1024',
    but(vitals({ localPorts: { first: 1024, last: 65_535 } })),
    /1024 65535/,
  ],
  [
    'LOCAL_PORTS_OVERLAP',
    'a part of them is reserved',
    but(
      vitals({
        localPorts: { first: 10_000, last: 65_535 },
        reservedPorts: [
          { first: 10_000, last: 19_999 },
          { first: 20_001, last: 29_999 },
        ],
      }),
    ),
    /10000 65535/,
  ],
  ['PORT_53_TAKEN', 'the stub has it', but(vitals({ stubResolver: true })), /127\.0\.0\.53/],
  [
    'DISK_NEARLY_FULL',
    '20 MiB are left',
    but(vitals({ room: [{ path: '/etc', free: 20 * 2 ** 20, size: 2 ** 30 }] })),
    /^\/etc has 20 MiB left$/,
  ],
  [
    'CLOCK_NOT_SYNCHRONISED',
    'nobody keeps it',
    but({ clockSynchronised: read(false) }),
    /NTPSynchronized=no/,
  ],
  [
    'CLOCKS_DIFFER',
    'n3 is ahead',
    but({ peerClocks: read([{ host: 'n3', aheadMs: 61_000 }]) }),
    /^n3 is 61\.0 s ahead$/,
  ],
  [
    'CLOCKS_DIFFER',
    'n3 is behind',
    but({ peerClocks: read([{ host: 'n3', aheadMs: -2_500 }]) }),
    /^n3 is 2\.5 s behind$/,
  ],
  ['REBOOT_PENDING', 'the file is there', but(vitals({ rebootRequired: true })), /reboot-required/],
  [
    'RS_UNIT_NOT_RUNNING',
    'it is inactive',
    but({ unit: read({ ...rsUnit, activeState: 'inactive' }) }),
    /is inactive/,
  ],
  [
    'RS_UNIT_NOT_RUNNING',
    'it is activating',
    but({ unit: read({ ...rsUnit, activeState: 'activating' }) }),
    /is activating/,
  ],
  [
    'RS_UNIT_NOT_RUNNING',
    'it is masked',
    but({ unit: read({ ...rsUnit, loadState: 'masked', activeState: 'inactive' }) }),
    /is inactive/,
  ],
  [
    'RS_UNIT_NOT_RUNNING',
    'there is none of a known name',
    but({ unit: read(undefined) }),
    /knows no unit rlec_supervisor or/,
  ],
  [
    'RS_UNIT_NOT_RUNNING',
    'it is not found',
    but({ unit: read({ ...rsUnit, loadState: 'not-found' }) }),
    /knows no unit rlec_supervisor\.service/,
  ],
  [
    'RS_UNIT_NOT_ENABLED',
    'it is disabled',
    but({ unit: read({ ...rsUnit, unitFileState: 'disabled' }) }),
    /is disabled/,
  ],
  ['RS_NOT_ANSWERING', 'rladmin fails', but({ nodeTable: refused('COMMAND_FAILED') }), /^Two have it\.$/],
  ['RS_NOT_ANSWERING', 'its table is empty', but(table()), /is empty/],
  [
    'RS_NODE_NOT_OK',
    'its row says DOWN',
    but(table({ ...first, status: 'down', statusText: 'DOWN' }, second)),
    /^node 2 is DOWN$/,
  ],
  ['RS_NODE_NOT_OK', 'it has no row', but(table(second)), /no row/],
  [
    'RS_OTHER_NODE_NOT_OK',
    'node 3 is DOWN',
    but(table(first, { ...second, status: 'down', statusText: 'DOWN' })),
    /^node 3 \(2001:db8::23\) is DOWN$/,
  ],
  ['RS_MASTER_NOT_ONE', 'two are', but(table(first, { ...second, role: 'master' })), /^nodes 2 and 3 are$/],
  ['RS_MASTER_NOT_ONE', 'none is', but(table({ ...first, role: 'slave' }, second)), /^no node is$/],
  [
    'RS_ROWS_UNREAD',
    'a row is of an unknown form',
    but({ nodeTable: read({ nodes: [...nodes], unread: [{ line: ' node:9 what', reason: 'no address' }] }) }),
    /^no address: node:9 what$/,
  ],
  [
    'RS_NODE_ID_DIFFERS',
    'the star is at another node',
    but(table({ ...first, isLocal: false }, { ...second, isLocal: true })),
    /^node\.id says 2, rladmin 3$/,
  ],
  [
    'RS_FAMILY_MIXED',
    'node 3 is at an IPv4 address',
    but(table(first, { ...second, address: four })),
    /IPv4: node 3 at 192\.0\.2\.9; IPv6: node 2/,
  ],
  [
    'RS_EXTERNAL_ADDRESS_TWICE',
    'two nodes have it',
    but(table({ ...first, externalAddresses: [four] }, { ...second, externalAddresses: [four] })),
    /^nodes 2 and 3 have 192\.0\.2\.9$/,
  ],
  [
    'RS_EXTERNAL_ADDRESS_TWICE',
    "it is another node's internal one",
    but(table({ ...first, externalAddresses: [other] }, second)),
    /^node 2 has 2001:db8::23, the internal address of node 3$/,
  ],
  [
    'RS_EXTERNAL_ADDRESS_ELSEWHERE',
    'no interface has it',
    but(table({ ...first, externalAddresses: [four] }, second)),
    /^192\.0\.2\.9 is on no interface$/,
  ],
  [
    'EXTERNAL_ADDRESS_UNDECLARED',
    'somebody has added one past the file',
    but(table({ ...first, externalAddresses: [four] }, second), {
      declared: { nodes: [{ node: first.uid, external: [] }, { node: second.uid }], windows: [] },
    }),
    /^node \d has 192\.0\.2\.9$/,
  ],
  [
    'RS_NODE_TAKES_NO_SHARDS',
    'node 3 is in maintenance',
    but(table(first, { ...second, shards: { used: 0, limit: 0 } })),
    /^node 3 has 0\/0 shards$/,
  ],
  ['RS_HA_GRACE_SHORT', 'it is a minute', but({ replicaHaGrace: read(60) }), /^it waits 60 s$/],
  [
    'RS_LOOPBACK_BUG',
    'an old build and ::1 in the text',
    but(table({ ...first, version: '7.4.2-54' }, { ...second, address: parseAddress('2001:db8::10') })),
    /node 3 is at 2001:db8::10.*7\.4\.2-54/,
  ],
  [
    'RS_VERSIONS_DIFFER',
    'node 3 is behind',
    but(table(first, { ...second, version: '7.4.2-54' })),
    /7\.22\.2-170: node 2; 7\.4\.2-54: node 3/,
  ],
  [
    'MESH_PEER_REFUSED',
    'a twin was turned away',
    but({}, { troubles: [{ code: 'twin', host: 'n3', text: 'two machines', seenAt: 0 }] }),
    /^n3: twin: two machines$/,
  ],
  [
    'MESH_PEER_UNREACHABLE',
    'n3 is',
    but(
      {},
      peers({
        linked: false,
        reachability: { status: 'unreachable', since: 0, why: 'no echo', confirmed: true },
      }),
    ),
    /^n3: no echo \(confirmed\)$/,
  ],
  [
    'MESH_PATH_BROKEN',
    'n3 is suspect',
    but({}, peers({ reachability: { status: 'suspect', since: 0, why: 'n4 reaches it' } })),
    /^n3: n4 reaches it$/,
  ],
  ['MESH_PINGS_LATE', 'a fifth is lost', but({}, peers({ loss: 0.2 })), /^n3: 20 %$/],
  [
    'MESH_PATH_MTU_SMALL',
    'the path takes 1280',
    but({ paths: read({ mtus: new Map([[other, 1280]]), unanswered: new Set() }) }),
    /^n3: 1280, and eth0 has 1500$/,
  ],
  [
    'MESH_AGENT_MISSING',
    'nobody answers at the address of node 3',
    but({}, { peers: [], unreached: [{ address: other, since: 0, reason: 'connection refused' }] }),
    /^node 3 at 2001:db8::23: connection refused$/,
  ],
  [
    'MESH_ADDRESS_CONFLICT',
    'n3 says another address',
    but({}, peers({ internalAddress: own })),
    /^n3 says 2001:db8::21, RS has node 3 at 2001:db8::23$/,
  ],
  [
    'CERTIFICATE_ENDS_SOON',
    'the last tenth',
    but({}, certificate(0, 105 * dayMs)),
    /^the CA ends on 1970-04-16/,
  ],
  ['CERTIFICATE_OVER', 'it has ended', but({}, certificate(0, 99 * dayMs)), /ended on/],
  [
    'CERTIFICATE_OVER',
    'it does not hold yet',
    but({}, certificate(101 * dayMs, 900 * dayMs)),
    /from 1970-04-12/,
  ],
  ['AGENT_VERSIONS_DIFFER', 'n3 is older', but({}, peers({ version: '0.0.9' })), /^n3 has 0\.0\.9$/],
  ['RENUMBERING_UNDER_WAY', 'one is open', but({}, { renumbering: moving }), /^0123456789ab: .* at restart$/],
  [
    'RENUMBERING_STOPPED',
    'one has stopped',
    but({}, { renumbering: { ...moving, is: 'stopped' } }),
    /has stopped/,
  ],
  [
    'RENUMBERING_STOPPED',
    'one has raised an alarm',
    but({}, { renumbering: { ...moving, trouble: { code: 'X', message: 'Long.', remedy: '' } } }),
    /X: Long\./,
  ],
  [
    'LOCK_HOLDER_GONE',
    'its holder is not linked',
    but({}, { ...peers({ linked: false }), lock: { highestEpoch: 1, closed: {}, granted } }),
    /^n3 has it for 0123456789ab/,
  ],
  ['DEAD_MAN_ACTED', 'its mark is there', but({ deadMan: read('old' as const) }), /for the old address/],
  [
    'COLLECTOR_UNREACHABLE',
    'nobody listens',
    but({}, { report: { connected: false, since: 0, why: 'refused', bytes: 9, dropped: 0 } }),
    /^refused$/,
  ],
  [
    'SPOOL_DROPS_EVENTS',
    'it was full',
    but({}, { report: { connected: true, since: 0, why: '', bytes: 9, dropped: 7 } }),
    /^7 events were dropped$/,
  ],
  [
    'AGENT_NOT_ENABLED',
    'it is disabled',
    but({ agentUnit: read({ ...rsUnit, unit: 'rlnet.service', unitFileState: 'disabled' }) }),
    /^rlnet\.service is disabled$/,
  ],
];

describe('a check', () => {
  test.for(broken)('%s fails where %s, and says so', ([code, , facts, evidence]) => {
    const result = resultOf(facts, code);
    expect(result.outcome).toBe('fail');
    expect(result.evidence).toMatch(evidence);
  });

  it('is broken above at least once, each of them', () => {
    expect([...new Set(broken.map(([code]) => code))].sort()).toEqual(checks.map(({ code }) => code).sort());
    expect(checks.length).toBeGreaterThanOrEqual(25);
  });

  it('passes on a node in order, or does not apply', () => {
    for (const { code, outcome, evidence } of runChecks(inOrder))
      expect(`${code} ${outcome}: ${evidence}`).toMatch(/ (pass|not_applicable): ./);
    expect(runChecks(inOrder).filter(({ outcome }) => outcome === 'not_applicable')).toEqual([]);
  });

  it('is unknown before anything was read, unless it reads nothing', () => {
    const facts: Facts = { ...inOrder, observations: {}, clusterFamily: undefined };
    const known = runChecks(facts).filter(({ outcome }) => outcome !== 'unknown');
    expect(known.map(({ code }) => code)).toEqual([
      'MESH_PEER_REFUSED',
      'MESH_PEER_UNREACHABLE',
      'MESH_PATH_BROKEN',
      'MESH_PINGS_LATE',
      'CERTIFICATE_ENDS_SOON',
      'CERTIFICATE_OVER',
      'AGENT_VERSIONS_DIFFER',
      'RENUMBERING_UNDER_WAY',
      'RENUMBERING_STOPPED',
      'LOCK_HOLDER_GONE',
      'COLLECTOR_UNREACHABLE',
      'SPOOL_DROPS_EVENTS',
    ]);
  });

  it('never passes on what could not be read, and says why', () => {
    const unread = Object.fromEntries(Object.keys(healthy).map((key) => [key, failure])) as Observations;
    const dependent = runChecks({ ...inOrder, observations: {} }).filter(
      ({ outcome }) => outcome === 'unknown',
    );
    for (const { code } of dependent) {
      const result = resultOf({ ...inOrder, observations: unread }, code);
      expect(['unknown', 'fail']).toContain(result.outcome);
      expect(result.evidence).toBe('It took too long.');
      // That RS does not answer is what that check is for.
      expect(result.outcome === 'fail').toBe(code === 'RS_NOT_ANSWERING');
    }
  });

  it('has a code, a title, a remedy and a page of its own, and no code is there twice', () => {
    for (const { code, title, remedy, about, behind = [] } of checks) {
      expect(code).toMatch(/^[A-Z0-9_]+$/);
      for (const text of [title, remedy, about]) expect(text.length).toBeGreaterThan(10);
      for (const cause of behind) expect(checks.map((check) => check.code)).toContain(cause);
    }
    expect(new Set(checks.map(({ code }) => code)).size).toBe(checks.length);
  });

  it('has so little evidence that all of them at once fit a message to a peer', () => {
    const [state] = exampleView().hosts.flatMap((host) => host.state ?? []);
    if (state === undefined) throw new RangeError('no state');
    const findings = runChecks(inOrder).map((result) => ({ ...result, evidence: 'e'.repeat(500), since: 1 }));
    expect(() => encodeMessage({ type: 'state', state: { ...state, findings } })).not.toThrow();
  });
});

describe('a cause', () => {
  const behindOf = (facts: Facts, code: string): string | undefined => resultOf(facts, code).behind;

  it.each([
    [
      'MESH_PEER_UNREACHABLE',
      'INTERNAL_ADDRESS_NOT_BOUND',
      but(
        links({ ...eth0, addresses: [] }),
        peers({ reachability: { status: 'unreachable', since: 0, why: 'no echo', confirmed: false } }),
      ),
    ],
    [
      'RS_NODE_NOT_OK',
      'RS_UNIT_NOT_RUNNING',
      but({ unit: read(undefined), ...table({ ...first, status: 'down' }, second) }),
    ],
    ['RS_FAMILY_MIXED', 'RS_NOT_ANSWERING', but({ nodeTable: failure })],
    ['RS_UNIT_NOT_RUNNING', 'RENUMBERING_UNDER_WAY', but({ unit: read(undefined) }, { renumbering: moving })],
    ['CERTIFICATE_ENDS_SOON', 'CERTIFICATE_OVER', but({}, certificate(0, 99 * dayMs))],
  ])('hides %s behind %s', (code, cause, facts) => {
    expect(behindOf(facts, code)).toBe(cause);
  });

  it('that is not known hides nothing', () => {
    expect(behindOf(but({ unit: failure, nodeTable: failure }), 'RS_NOT_ANSWERING')).toBeUndefined();
  });
});

it('leaves out a node that is being renumbered where others see it go', () => {
  const renumbered = { ...moving, nodeUid: 3 };
  const gone = but(
    table(first, { ...second, status: 'down', statusText: 'DOWN' }),
    peers({
      linked: false,
      renumbering: renumbered,
      reachability: { status: 'unreachable', since: 0, why: 'x', confirmed: true },
    }),
  );
  expect(resultOf(gone, 'MESH_PEER_UNREACHABLE').outcome).toBe('pass');
  expect(resultOf(gone, 'RS_OTHER_NODE_NOT_OK').outcome).toBe('pass');
});

it('passes an internal address on a second interface that is active, though a first is not', () => {
  const down = { ...eth0, index: 3, name: 'eth1', operState: 'down', flags: [] };
  expect(resultOf(but(links(down, eth0)), 'INTERNAL_ADDRESS_NOT_BOUND').outcome).toBe('pass');
});

it('asks a host that is not a node nothing about a node', () => {
  const stranger = but({ nodeUid: read(undefined), nodeTable: failure }, { internalAddress: undefined });
  for (const code of ['INTERNAL_ADDRESS_NOT_BOUND', 'RS_NOT_ANSWERING', 'NETWORK_ADDRESS_NOT_PERSISTENT'])
    expect(resultOf(stranger, code).outcome).toBe('not_applicable');
});

it('passes ports below 30000 that are reserved throughout', () => {
  const reserved = {
    localPorts: { first: 10_000, last: 65_535 },
    reservedPorts: [
      { first: 20_000, last: 29_999 },
      { first: 9_000, last: 19_999 },
    ],
  };
  expect(resultOf(but(vitals(reserved)), 'LOCAL_PORTS_OVERLAP').outcome).toBe('pass');
});

it('takes an answer of this very host for none', () => {
  const answer = read({ outcome: 'answered', owners: [eth0.mac ?? ''] } as const);
  expect(
    resultOf(
      but({ wireAnswer: { ...answer, value: { outcome: 'answered', owners: [eth0.mac ?? ''] } } }),
      'INTERNAL_ADDRESS_IN_USE',
    ).outcome,
  ).toBe('pass');
});
