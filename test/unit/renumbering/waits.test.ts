import { expect, test } from 'vitest';
import type { Peers } from '../../../src/agent/renumbering/peers.ts';
import { waitsForOwner, waitsForRs } from '../../../src/agent/renumbering/waits.ts';
import { sleep } from '../../../src/host/ports/clock.ts';
import type { NetworkOwner } from '../../../src/host/ports/network-owner.ts';
import { rladminCommands } from '../../../src/host/rs.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { examplePlan } from '../../support/renumbering/plan.ts';

const never = new AbortController().signal;

function stage() {
  const clock = createManualClock();
  const takes = async (ms: number, exitCode = 0) => {
    await sleep(clock, ms, never);
    return { exitCode, stdout: 'No active tasks\n', stderr: '' };
  };
  const rladmin = rladminCommands(([command]) =>
    takes(command === 'cluster' ? 500 : 300, command === 'node' ? 1 : 0),
  );
  const peers: Peers = {
    hostOf: () => 'n1',
    call: async (_host, _method, _params, timeoutMs) => {
      await sleep(clock, timeoutMs, never);
      throw new Error('not of interest');
    },
  };
  return { clock, waits: waitsForRs(clock, { rs: { ...rladmin, localUid: async () => 2 }, peers }) };
}

test('what rladmin takes is counted once where several are asked at the same time, and while it lasts', async () => {
  const { clock, waits } = stage();
  const both = Promise.all([waits.rs.runningActions(), waits.rs.replicaHaGraceSeconds()]);
  await clock.pass(400);
  expect(waits.total()).toBe(400);
  await clock.pass(1_000);
  await both;
  expect(waits.total()).toBe(500);
});

test('a refusal took its time as well, and what a file says takes none', async () => {
  const { clock, waits } = stage();
  const refused = expect(waits.rs.demote(2, 1_000)).rejects.toMatchObject({ code: 'COMMAND_FAILED' });
  await clock.pass(1_000);
  await refused;
  await waits.rs.localUid();
  expect(waits.total()).toBe(300);
});

test.each([
  ['node_table', 200],
  ['lock', 0],
] as const)('a peer that is asked for %s is waited for, for RS, %s ms', async (method, counted) => {
  const { clock, waits } = stage();
  const asked = expect(waits.peers.call('n1', method, {}, 200)).rejects.toThrow();
  await clock.pass(1_000);
  await asked;
  expect(waits.total()).toBe(counted);
  expect(waits.peers.hostOf(1)).toBe('n1');
});

test('an owner is waited for while it takes its files up, also where it does not succeed, and not while they are written', async () => {
  const clock = createManualClock();
  const takes = (ms: number) => sleep(clock, ms, never);
  const owner = {
    kind: 'ifupdown',
    persist: () => takes(100),
    activate: () => takes(700).then(() => Promise.reject(new Error('not of interest'))),
  } as unknown as NetworkOwner;
  const waits = waitsForOwner(clock, () => owner);
  const same = waits.ownerOf('ifupdown');
  const refused = expect(
    same.persist(examplePlan().change, '/backup').then(() => same.activate(examplePlan().change)),
  ).rejects.toThrow();
  await clock.pass(500);
  expect(waits.total()).toBe(400);
  await clock.pass(1_000);
  await refused;
  expect(waits.total()).toBe(700);
});
