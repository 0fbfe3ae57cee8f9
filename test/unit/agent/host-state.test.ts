import { expect, test } from 'vitest';
import { runChecks } from '../../../src/agent/findings/findings.ts';
import { hostStateOf } from '../../../src/agent/host-state.ts';
import type { Observations } from '../../../src/agent/observations.ts';
import { parseAddress } from '../../../src/protocol/address.ts';
import { RlnetError } from '../../../src/protocol/errors.ts';
import type { Finding } from '../../../src/protocol/finding.ts';
import type { NetworkInterface } from '../../../src/protocol/interfaces.ts';
import { decodeMessage, encodeMessage } from '../../../src/protocol/messages.ts';
import { merged, noLockState, withClosed } from '../../../src/protocol/renumbering/lock.ts';
import { type HostState, maxAddressesInState, maxKnownInState } from '../../../src/protocol/state.ts';
import { inOrder } from '../../support/facts.ts';

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

function stateOf(observations: Observations, before?: HostState, findings: Finding[] = []): HostState {
  const identity = { cluster: 'demo', host: 'n2', version: '0.1.0', mode: 'manage' } as const;
  return hostStateOf(identity, { ...inOrder, observations }, findings, [], before);
}

test('the revision starts at 1 and grows with each change, and only then', () => {
  const first = stateOf(healthy());
  expect(first.revision).toBe(1);
  // Read again, at another time, with the same outcome.
  const same = stateOf(healthy(2_000), first);
  expect(same).toEqual(first);
  const changed = stateOf({ ...healthy(), interfaces: { at: 3_000, value: [] } }, same);
  expect(changed.revision).toBe(2);
  expect(stateOf(healthy(), changed).revision).toBe(3);
});

test('has a mark of the table that was read, which is another one when the table is, and none without a table', () => {
  const first = stateOf(healthy());
  expect(first.rsTable).toMatch(/^[0-9a-f]{8}$/);
  const failed = { at: 2_000, error: new RlnetError('COMMAND_FAILED', 'no quorum', 'Wait.') };
  expect(stateOf({ ...healthy(), nodeTable: failed }, first)).not.toHaveProperty('rsTable');
  const empty = { at: 2_000, value: { nodes: [], unread: [] } };
  const changed = stateOf({ ...healthy(), nodeTable: empty }, first);
  expect(changed.rsTable).not.toBe(first.rsTable);
  expect(changed.revision).toBe(2);
});

test('a finding that is there still is no change, and one that is there anew is', () => {
  const [result] = runChecks(inOrder);
  if (result === undefined) throw new RangeError('no checks');
  const finding = { ...result, since: 1_000 };
  const first = stateOf(healthy(), undefined, [finding]);
  expect(stateOf(healthy(9_000), first, [{ ...finding }])).toEqual(first);
  expect(stateOf(healthy(9_000), first, [{ ...finding, since: 2_000 }]).revision).toBe(2);
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

test('fits a message, however much there is to say, and the other side takes it', () => {
  // JSON writes each of these as six bytes.
  const noise = '\u0001'.repeat(2_000);
  const name = (index: number): string => `h${index}`.padEnd(64, 'x');
  const failed = { at: 1_000, error: new RlnetError('COMMAND_FAILED', noise, 'Wait.') };
  const addresses = Array.from(
    { length: 400 },
    (_, index) => `2001:db8:1111:2222:3333:4444:5555:${(index + 4096).toString(16)}`,
  );
  const told = Object.fromEntries(
    Array.from({ length: 900 }, (_, index) => [name(index), Number.MAX_SAFE_INTEGER]),
  );
  let lock = merged(noLockState, { highestEpoch: Number.MAX_SAFE_INTEGER, closed: told });
  for (let index = 1_000; index < 1_128; index += 1)
    lock = withClosed(lock, { host: name(index), epoch: Number.MAX_SAFE_INTEGER });
  const members = Array.from({ length: 128 }, (_, index) => 1_000_000 + index);
  lock = { ...lock, granted: { epoch: 1, host: name(0), planId: noise.slice(0, 64), members } };
  const state = hostStateOf(
    { cluster: 'demo', host: name(0), version: '0.1.0', mode: 'manage' },
    {
      ...inOrder,
      observations: {
        interfaces: { at: 1_000, value: [{ ...link(addresses), name: noise.slice(0, 15) }] },
        hostsFile: { at: 1_000, value: { localhostIpv6: 'missing', evidence: noise } },
        unit: failed,
        nodeUid: { at: 1_000, value: 2 },
        nodeTable: failed,
        persistence: { at: 1_000, value: { outcome: 'missing', evidence: noise } },
      },
      internalAddress: own,
      lock,
      renumbering: {
        planId: '0123456789ab',
        nodeUid: 2,
        from: { address: own, prefixLength: 64 },
        to: { address: own, prefixLength: 64 },
        direction: 'forward',
        since: 1_000,
        trouble: { code: 'COMMAND_FAILED', message: noise, remedy: noise },
        is: 'open',
      },
    },
    runChecks(inOrder).map((result) => ({ ...result, evidence: noise.slice(0, 500), since: 1_000 })),
    Array.from({ length: maxKnownInState }, (_, index) => ({
      host: name(index),
      address: parseAddress(addresses[index] ?? ''),
    })),
    undefined,
  );
  const text = encodeMessage({ type: 'state', state });
  expect(decodeMessage(text)).toEqual({ type: 'state', state });
  expect(state.findings.length).toBeGreaterThan(4);
  expect(state.addresses.listed.length + state.addresses.more).toBe(addresses.length);
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
