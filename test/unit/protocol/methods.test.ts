import { expect, test } from 'vitest';
import { callMethod, type Handlers } from '../../../src/agent/call.ts';
import { type Caller, type MethodName, methods } from '../../../src/protocol/methods.ts';

/** docs/security.md, "Who may ask for what", row by row: each method with everybody who may ask for it. */
const table: Record<MethodName, readonly Caller[]> = {
  about: ['candidate', 'member'],
  reach_ports: ['candidate', 'member'],
  mesh_reach: ['act'],
  status: ['read', 'act'],
  watch: ['read', 'act'],
  interfaces: ['member', 'read', 'act'],
  check: ['member', 'read', 'act'],
  reaches: ['member'],
  links: ['member'],
  mesh: ['read', 'act'],
  forget: ['act'],
  unpin: ['act'],
  wire: ['member'],
  neighbours: ['member'],
  claim: ['member'],
  held: ['member'],
  lock: ['member', 'read', 'act'],
  close_claim: ['member'],
  register: ['member'],
  register_external: ['member'],
  still_current: ['member'],
  node_table: ['member', 'read', 'act'],
  reach: ['member'],
  fix: ['act'],
  renumber_plan: ['member', 'act'],
  renumber_start: ['member', 'act'],
  renumber_abort: ['member', 'act'],
  renumber_resume: ['member', 'act'],
  renumberings: ['member', 'read', 'act'],
  renumber_journal: ['member', 'read', 'act'],
  lock_show: ['read', 'act'],
  lock_release: ['act'],
  mesh_about: ['read', 'act'],
  declaration: ['read', 'act'],
  rollout_plan: ['act'],
  rollout_start: ['act'],
  rollout_pause: ['member', 'act'],
  rollout_end: ['member', 'act'],
  rollout: ['member', 'read', 'act'],
  external_list: ['read', 'act'],
  external_change: ['member', 'act'],
};
const operation = { planId: '0123456789ab', by: 'root' };
const claim = { epoch: 1, host: 'n2', planId: 'a', members: [1, 2, 3] };
const registration = { claim, nodeUid: 2, act: 'forward register 1', downSeconds: 120, rladminSeconds: 30 };
const callers = ['candidate', 'member', 'read', 'act'] as const;
const params: Partial<Record<MethodName, object>> = {
  reaches: { host: 'n2' },
  forget: { host: 'n2' },
  unpin: { host: 'n2' },
  wire: { address: '192.0.2.9' },
  neighbours: { address: '192.0.2.9' },
  claim,
  held: claim,
  reach: { address: '192.0.2.9', bytes: 1500 },
  reach_ports: { address: '192.0.2.9', ports: [9443] },
  mesh_reach: { address: '192.0.2.9', ports: [9443] },
  close_claim: { host: 'n2', epoch: 1 },
  register: { ...registration, address: '192.0.2.9' },
  register_external: { ...registration, externalAddresses: ['192.0.2.9'] },
  still_current: { planId: 'a', act: 'forward register 1' },
  renumber_plan: {
    by: 'root',
    request: {
      to: { address: '192.0.2.9', prefixLength: 24 },
      options: { reboot: true, cutOver: false, proveByReboot: false, acceptOutage: false, acceptShards: [] },
    },
  },
  renumber_start: operation,
  renumber_abort: { ...operation, reason: 'too slow' },
  renumber_resume: operation,
  renumber_journal: { planId: operation.planId },
  rollout_plan: { by: 'root', declaration: { nodes: [], windows: [] } },
  rollout_start: { by: 'root', declaration: { nodes: [], windows: [] } },
  rollout_pause: { by: 'root', paused: true, reason: 'lunch' },
  rollout_end: { by: 'root', reason: 'enough' },
  external_change: {
    node: '2',
    by: 'root',
    request: { action: 'add', addresses: ['192.0.2.9'], allowNone: false },
  },
  lock_release: { by: 'root', reason: 'the host is gone', hostIsOff: true },
};

/** Handlers that say that they were reached. */
const reached = new Proxy({} as Handlers, { get: () => async () => 'reached' });

const names = Object.keys(methods) as MethodName[];

test.for(names.flatMap((method) => callers.map((caller) => [method, caller] as const)))(
  '%s, asked by a %s',
  async ([method, caller]) => {
    const answer = callMethod(reached, { caller, host: 'n1' }, method, params[method] ?? {});
    if (table[method].includes(caller)) await expect(answer).resolves.toBe('reached');
    else await expect(answer).rejects.toMatchObject({ code: 'NOT_PERMITTED' });
  },
);

test('a method that is not in the table is refused, whoever asks, also one that every object has', async () => {
  for (const name of ['restart', 'toString', '__proto__', '']) {
    await expect(callMethod(reached, { caller: 'act', host: 'n1' }, name, {})).rejects.toMatchObject({
      code: 'METHOD_UNKNOWN',
    });
  }
});

test('parameters of the wrong kind are refused before the method sees them', async () => {
  await expect(
    callMethod(reached, { caller: 'act', host: 'n1' }, 'forget', { host: 'n 2' }),
  ).rejects.toMatchObject({
    code: 'MESSAGE_INVALID',
    message: expect.stringContaining('forget at host'),
  });
  await expect(callMethod(reached, { caller: 'member', host: 'n1' }, 'reaches', [])).rejects.toMatchObject({
    code: 'MESSAGE_INVALID',
  });
});
