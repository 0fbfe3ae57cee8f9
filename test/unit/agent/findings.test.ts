import { describe, expect, it, test } from 'vitest';
import { checks, findingsOf, runChecks } from '../../../src/agent/findings/findings.ts';
import type { Observations } from '../../../src/agent/observations.ts';
import { parseAddress } from '../../../src/protocol/address.ts';
import type { AddressPersistence } from '../../../src/protocol/address-persistence.ts';
import { RlnetError } from '../../../src/protocol/errors.ts';
import type { NetworkInterface } from '../../../src/protocol/interfaces.ts';

const own = parseAddress('2001:db8::21');
const peer = parseAddress('2001:db8::23');
const at = 1_000;
const eth0: NetworkInterface = {
  index: 2,
  name: 'eth0',
  mtu: 1500,
  operState: 'up',
  flags: ['UP', 'LOWER_UP'],
  addresses: [{ address: own, prefixLength: 64, scope: 'global', flags: [] }],
};
const unit = {
  unit: 'rlec_supervisor.service',
  loadState: 'loaded',
  activeState: 'active',
  subState: 'running',
  unitFileState: 'enabled',
  result: 'success',
};
const healthy: Observations = {
  interfaces: { at, value: [eth0] },
  hostsFile: { at, value: { localhostIpv6: 'present', evidence: 'line 2' } },
  unit: { at, value: unit },
  nodeUid: { at, value: 2 },
  persistence: { at, value: { outcome: 'persistent', evidence: 'a file has it' } },
  nodeTable: {
    at,
    value: {
      nodes: [
        { uid: 3, isLocal: false, address: peer, externalAddresses: [], status: 'ok', statusText: 'OK' },
      ],
      unread: [],
    },
  },
};
/** The rest of the facts, of a node that is alone and at peace. */
const others = { internalAddress: own, clusterFamily: 'ipv6', peers: [], troubles: [] } as const;
const failure = { at, error: new RlnetError('COMMAND_TIMEOUT', 'It took too long.', 'Try again.') };

function outcomes(observations: Observations, internalAddress = own): Record<string, string> {
  return Object.fromEntries(
    runChecks({ ...others, observations, internalAddress }).map(({ code, outcome }) => [code, outcome]),
  );
}

it('passes every check on a healthy node', () => {
  expect(new Set(Object.values(outcomes(healthy)))).toEqual(new Set(['pass']));
});

it('calls everything unknown before anything was read, and never a pass', () => {
  // Whom the mesh turned away is known from the start: nobody.
  const { MESH_PEER_REFUSED: _, ...read } = outcomes({});
  expect(new Set(Object.values(read))).toEqual(new Set(['unknown']));
});

it('calls what could not be read unknown, and says why', () => {
  const results = runChecks({
    ...others,
    observations: {
      interfaces: failure,
      hostsFile: failure,
      unit: failure,
      nodeUid: failure,
      nodeTable: failure,
      persistence: failure,
    },
  }).filter(({ code }) => code !== 'MESH_PEER_REFUSED');
  for (const { outcome, evidence } of results) {
    expect(outcome).toBe('unknown');
    expect(evidence).toBe('It took too long.');
  }
});

it('has a code, a title and a remedy for each check, and no code twice', () => {
  for (const { code, title, remedy } of checks) {
    expect(code).toMatch(/^[A-Z0-9_]+$/);
    expect(title.length).toBeGreaterThan(10);
    expect(remedy.length).toBeGreaterThan(10);
  }
  expect(new Set(checks.map(({ code }) => code)).size).toBe(checks.length);
});

describe('INTERNAL_ADDRESS_NOT_BOUND', () => {
  const boundTo = (link: Partial<NetworkInterface>, flags: string[] = []): string | undefined => {
    const [bound] = eth0.addresses;
    const addresses = link.addresses ?? (bound ? [{ ...bound, flags }] : []);
    const observations = { ...healthy, interfaces: { at, value: [{ ...eth0, ...link, addresses }] } };
    return outcomes(observations)['INTERNAL_ADDRESS_NOT_BOUND'];
  };

  test.for([
    ['an interface without carrier', { operState: 'down', flags: ['UP', 'NO-CARRIER'] }, []],
    ['no interface', { addresses: [] }, []],
    ['an active interface, while duplicates are looked for', {}, ['tentative']],
    ['an active interface, where a duplicate was found', {}, ['tentative', 'dadfailed']],
  ] as const)('fails when the address is on %s', ([, link, flags]) => {
    expect(
      boundTo(
        { ...link, ...('flags' in link ? { flags: [...link.flags] } : {}) } as Partial<NetworkInterface>,
        [...flags],
      ),
    ).toBe('fail');
  });

  it('passes when it is on a second interface that is active, though a first is not', () => {
    const down = { ...eth0, index: 3, name: 'eth1', operState: 'down', flags: [] };
    const observations = { ...healthy, interfaces: { at, value: [down, eth0] } };
    expect(outcomes(observations)['INTERNAL_ADDRESS_NOT_BOUND']).toBe('pass');
  });

  it('does not apply to a host that is not a node', () => {
    const observations = { ...healthy, nodeUid: { at, value: undefined } };
    const results = runChecks({ ...others, observations, internalAddress: undefined });
    expect(results.find(({ code }) => code === 'INTERNAL_ADDRESS_NOT_BOUND')?.outcome).toBe('not_applicable');
  });

  it('is unknown on a node whose address RS does not tell', () => {
    const results = runChecks({
      ...others,
      observations: { ...healthy, nodeTable: failure },
      internalAddress: undefined,
    });
    expect(results.find(({ code }) => code === 'INTERNAL_ADDRESS_NOT_BOUND')).toMatchObject({
      outcome: 'unknown',
      evidence: expect.stringContaining('It took too long.'),
    });
  });
});

describe('RS_UNIT_NOT_RUNNING', () => {
  test.for([
    ['inactive', { ...unit, activeState: 'inactive' }, 'fail'],
    ['failed', { ...unit, activeState: 'failed' }, 'fail'],
    ['activating', { ...unit, activeState: 'activating' }, 'fail'],
    ['masked', { ...unit, loadState: 'masked', activeState: 'inactive' }, 'fail'],
    ['not found', { ...unit, loadState: 'not-found', activeState: 'inactive' }, 'fail'],
    ['of no known name', undefined, 'fail'],
    ['active', unit, 'pass'],
  ] as const)('for a unit that is %s: %s', ([, value, outcome]) => {
    expect(outcomes({ ...healthy, unit: { at, value } })['RS_UNIT_NOT_RUNNING']).toBe(outcome);
  });
});

describe('findings', () => {
  const results = runChecks({ ...others, observations: { ...healthy, unit: failure } });

  it('are the results that failed or are unknown', () => {
    expect(findingsOf(results, [], 5).map(({ code }) => code)).toEqual(['RS_UNIT_NOT_RUNNING']);
  });

  it('keep the time they were first seen, until the outcome is another one', () => {
    const first = findingsOf(results, [], 5);
    expect(findingsOf(results, first, 9)[0]?.since).toBe(5);
    const failed = runChecks({ ...others, observations: { ...healthy, unit: { at, value: undefined } } });
    expect(findingsOf(failed, first, 9)[0]?.since).toBe(9);
  });
});

describe('INTERNAL_FAMILY_MISSING', () => {
  const outcome = (clusterFamily: 'ipv4' | 'ipv6' | undefined): string | undefined =>
    runChecks({ ...others, observations: healthy, clusterFamily }).find(
      ({ code }) => code === 'INTERNAL_FAMILY_MISSING',
    )?.outcome;

  test.for([
    ['ipv6', 'pass'],
    ['ipv4', 'fail'],
    [undefined, 'not_applicable'],
  ] as const)('on a host with IPv6 alone, of a cluster that uses %s inside: %s', ([family, expected]) => {
    expect(outcome(family)).toBe(expected);
  });
});

describe('the mesh', () => {
  const outcome = (code: string, facts: Partial<Parameters<typeof runChecks>[0]>): unknown =>
    runChecks({ ...others, observations: healthy, ...facts }).find((result) => result.code === code);

  it('is at fault when somebody with a certificate of the cluster was turned away', () => {
    const troubles = [
      { code: 'twin', host: 'n3', text: 'two machines have this certificate', seenAt: 0 },
    ] as const;
    expect(outcome('MESH_PEER_REFUSED', { troubles })).toMatchObject({
      outcome: 'fail',
      evidence: 'n3: twin: two machines have this certificate',
    });
  });

  it('and RS conflict when a host says another address than RS has for its node', () => {
    const says = (internalAddress: typeof peer) => ({ peers: [{ host: 'n3', nodeUid: 3, internalAddress }] });
    expect(outcome('MESH_ADDRESS_CONFLICT', says(peer))).toMatchObject({ outcome: 'pass' });
    expect(outcome('MESH_ADDRESS_CONFLICT', says(own))).toMatchObject({
      outcome: 'fail',
      evidence: `n3 says ${own}, RS has node 3 at ${peer}`,
    });
  });
});

it('says that an address would not survive a boot only where a file was read and has it not', () => {
  const outcomeOf = (outcome: AddressPersistence['outcome'], more: Observations = {}) =>
    outcomes({ ...healthy, ...more, persistence: { at, value: { outcome, evidence: 'seen' } } })[
      'NETWORK_ADDRESS_NOT_PERSISTENT'
    ];
  expect(outcomeOf('persistent')).toBe('pass');
  expect(outcomeOf('missing')).toBe('fail');
  expect(outcomeOf('unknown')).toBe('unknown');
  expect(outcomeOf('not_applicable')).toBe('not_applicable');
  expect(outcomeOf('missing', { nodeUid: { at, value: undefined } })).toBe('not_applicable');
  expect(outcomes({ ...healthy, persistence: failure })['NETWORK_ADDRESS_NOT_PERSISTENT']).toBe('unknown');
});
