import { describe, expect, test } from 'vitest';
import { readBootstrapAnswer, readMembers } from '../../../src/protocol/bootstrap/answers.ts';
import { explainBootstrapError } from '../../../src/protocol/bootstrap/explain.ts';

describe('what RS says of a bootstrap', () => {
  const entry = { address: '10.0.0.9', format: 'ipv4', if_name: 'eth0', private: true };
  test.for([
    ['available_addrs', 'as documented'],
    ['available_addresses', 'as a real node sends it'],
  ])('is read with %s, %s', ([name = '']) => {
    const answer = readBootstrapAnswer({
      bootstrap_status: { state: 'idle', start_time: null },
      local_node_info: { [name]: [entry, { address: 'nonsense' }], bridge_interfaces: [] },
    });
    expect(answer).toEqual({ state: 'idle', offer: [{ address: '10.0.0.9', interface: 'eth0' }] });
  });

  test('is kept where this version knows no such state', () => {
    expect(readBootstrapAnswer({ bootstrap_status: { state: 'reticulating' } })).toEqual({
      state: 'reticulating',
    });
  });

  test('is no answer where there is no state', () => {
    expect(() => readBootstrapAnswer({ status: 'completed' })).toThrow(/bootstrap_status/);
    expect(() => readBootstrapAnswer(undefined)).toThrow();
  });
});

describe('what RS says of its nodes', () => {
  test('is read with uids as numbers and as text', () => {
    const nodes = [
      {
        uid: '1',
        addr: '10.0.0.1',
        external_addr: ['203.0.113.1'],
        status: 'active',
        software_version: '8.2.0-25',
      },
      { uid: 2, addr: '2001:DB8:0::2', status: 'down' },
    ];
    expect(readMembers(nodes)).toEqual([
      { uid: 1, address: '10.0.0.1', external: ['203.0.113.1'], status: 'active', version: '8.2.0-25' },
      { uid: 2, address: '2001:db8::2', external: [], status: 'down' },
    ]);
  });

  test('is refused where a node has no address that can be read', () => {
    expect(() => readMembers([{ uid: 1, addr: 'none', status: 'active' }])).toThrow(/node 1 has "none"/);
  });
});

describe('an error of RS', () => {
  test.for([
    'config_error',
    'connect_error',
    'access_denied',
    'invalid_license',
    'repair_required',
    'insufficient_node_memory',
    'insufficient_node_flash',
    'time_not_sync',
    'rack_id_required',
    'socket_directory_mismatch',
    'node_config_mismatch',
    'path_error',
    'internal_error',
  ])('%s is explained, with the details whole', (errorCode) => {
    const details = { message: 'what RS says', required_memory: 4096 };
    const reason = explainBootstrapError({ errorCode, errorDetails: details });
    expect(reason.code).toBe(errorCode);
    expect(reason.message).toContain(JSON.stringify(details));
    expect(reason.message).not.toContain('documentation does not have');
  });

  test('that nobody has published is shown whole', () => {
    const reason = explainBootstrapError({
      errorCode: 'NodeBootstrapError',
      errorDetails: ['as', 'it', 'is'],
    });
    expect(reason.message).toBe(
      'RS says NodeBootstrapError, which its documentation does not have: ["as","it","is"]',
    );
    // A word that every object has is no code that is known.
    expect(explainBootstrapError({ errorCode: 'constructor' }).message).toContain('does not have');
  });
});
