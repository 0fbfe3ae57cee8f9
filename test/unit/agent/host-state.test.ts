import { expect, test } from 'vitest';
import type { Facts } from '../../../src/agent/findings/check.ts';
import { hostStateOf } from '../../../src/agent/host-state.ts';
import type { Observations } from '../../../src/agent/observations.ts';
import { parseAddress } from '../../../src/protocol/address.ts';
import { RlnetError } from '../../../src/protocol/errors.ts';
import type { NetworkInterface } from '../../../src/protocol/interfaces.ts';
import { type HostState, maxAddressesInState } from '../../../src/protocol/state.ts';

const own = parseAddress('2001:db8::21');

function link(addresses: readonly string[], flags = ['UP', 'LOWER_UP']): NetworkInterface {
  return {
    index: 2,
    name: 'eth0',
    mtu: 1500,
    operState: 'up',
    flags,
    addresses: addresses.map((text) => ({
      address: parseAddress(text),
      prefixLength: 64,
      scope: 'global',
      flags: [],
    })),
  };
}

function healthy(at = 1_000): Observations {
  return {
    interfaces: { at, value: [link([own])] },
    hostsFile: { at, value: { localhostIpv6: 'present', evidence: 'line 2' } },
    unit: {
      at,
      value: {
        unit: 'rlec_supervisor.service',
        loadState: 'loaded',
        activeState: 'active',
        subState: 'running',
        unitFileState: 'enabled',
        result: 'success',
      },
    },
    nodeUid: { at, value: 2 },
    persistence: { at, value: { outcome: 'persistent', evidence: 'a file has it' } },
    nodeTable: {
      at,
      value: {
        nodes: [
          { uid: 2, isLocal: true, address: own, externalAddresses: [], status: 'ok', statusText: 'OK' },
        ],
        unread: [],
      },
    },
  };
}

function stateOf(observations: Observations, before?: HostState, now = 1_000): HostState {
  const identity = { cluster: 'demo', host: 'n2', version: '0.1.0', mode: 'manage' } as const;
  const facts: Facts = {
    observations,
    internalAddress: own,
    clusterFamily: 'ipv6',
    peers: [],
    troubles: [],
  };
  return hostStateOf(identity, facts, [], { lock: 'none', open: undefined }, before, now);
}

test('the revision starts at 1 and grows with each change, and only then', () => {
  const first = stateOf(healthy());
  expect(first.revision).toBe(1);
  // Read again, at another time, with the same outcome.
  const same = stateOf(healthy(2_000), first, 2_000);
  expect(same).toEqual(first);
  const changed = stateOf({ ...healthy(), interfaces: { at: 3_000, value: [] } }, same, 3_000);
  expect(changed.revision).toBe(2);
  expect(stateOf(healthy(), changed, 4_000).revision).toBe(3);
});

test('a finding keeps the time at which it was first seen, which is no change', () => {
  const missing = { localhostIpv6: 'missing', evidence: 'no line' } as const;
  const observations = { ...healthy(), hostsFile: { at: 1_000, value: missing } };
  const first = stateOf(observations, undefined, 1_000);
  expect(first.findings.map(({ code, since }) => [code, since])).toEqual([
    ['HOSTS_LOCALHOST_IPV6_MISSING', 1_000],
  ]);
  expect(stateOf(observations, first, 9_000)).toEqual(first);
});

test('lists the addresses that others can use, and says which of them work', () => {
  const observations = {
    ...healthy(),
    interfaces: {
      at: 1_000,
      value: [link([own, 'fe80::1', '::1']), link(['192.0.2.1'], ['UP', 'NO-CARRIER'])],
    },
  };
  expect(stateOf(observations).addresses).toEqual({
    listed: [
      { interface: 'eth0', address: own, prefixLength: 64, usable: true },
      { interface: 'eth0', address: '192.0.2.1', prefixLength: 64, usable: false },
    ],
    more: 0,
  });
});

test('counts the addresses that a state has no room for', () => {
  const many = Array.from({ length: maxAddressesInState + 7 }, (_, index) => `10.0.0.${index + 1}`);
  const { addresses } = stateOf({ ...healthy(), interfaces: { at: 1_000, value: [link(many)] } });
  expect(addresses.listed).toHaveLength(maxAddressesInState);
  expect(addresses.more).toBe(7);
});

test('says why something is not known, and never that it is well', () => {
  const failed = { at: 1_000, error: new RlnetError('COMMAND_TIMEOUT', 'systemd did not answer.', 'Wait.') };
  expect(stateOf({ ...healthy(), unit: failed }).unit).toEqual({ unknown: 'systemd did not answer.' });
  expect(stateOf({ ...healthy(), unit: { at: 1_000, value: undefined } }).unit).toEqual({
    unknown: 'no unit rlec_supervisor or rlec_supervisord',
  });
  expect(stateOf({})).toMatchObject({
    unit: { unknown: 'not read yet' },
    hostsFile: { localhostIpv6: 'unknown', evidence: 'not read yet' },
    addresses: { listed: [], more: 0 },
  });
});
