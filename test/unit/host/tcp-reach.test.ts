import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { expect, it } from 'vitest';
import { createClock } from '../../../src/host/clock.ts';
import { reachByTcp } from '../../../src/host/tcp-reach.ts';
import { parseAddress } from '../../../src/protocol/address.ts';
import { createManualClock } from '../../support/manual-clock.ts';

const loopback = parseAddress('127.0.0.1');

/** A listener that says where its callers come from. */
async function listen(): Promise<{ port: number; caller: Promise<string | undefined>; close: () => void }> {
  const caller = Promise.withResolvers<string | undefined>();
  const server = createServer((socket) => {
    caller.resolve(socket.remoteAddress);
    socket.resume();
  });
  await new Promise<void>((resolve) => server.listen(0, loopback, resolve));
  return {
    port: (server.address() as AddressInfo).port,
    caller: caller.promise,
    close: () => server.close(),
  };
}

it('connects from the address that is given', async () => {
  const { port, caller, close } = await listen();
  const path = { source: parseAddress('127.0.0.2'), target: loopback, port };
  await expect(reachByTcp(createClock(), path)).resolves.toEqual({ outcome: 'connected' });
  await expect(caller).resolves.toBe('127.0.0.2');
  close();
});

it('takes a refusal for an answer', async () => {
  const { port, close } = await listen();
  close();
  const path = { source: loopback, target: loopback, port };
  await expect(reachByTcp(createClock(), path)).resolves.toEqual({ outcome: 'refused' });
});

it('does not know where the source is no address of this host', async () => {
  const path = { source: parseAddress('192.0.2.77'), target: loopback, port: 9 };
  await expect(reachByTcp(createClock(), path)).resolves.toEqual({
    outcome: 'unknown',
    why: '192.0.2.77 is not an address that this host can use now.',
  });
});

it('gives up after three seconds of its clock, and at once when the answer is not wanted any more', async () => {
  const { port, close } = await listen();
  const path = { source: loopback, target: loopback, port };
  const clock = createManualClock();
  // The clock moves before the event loop gets to the connection.
  const [waiting] = [reachByTcp(clock, path), clock.pass(3_000)];
  await expect(waiting).resolves.toEqual({ outcome: 'unreachable', why: 'no answer within 3 s' });

  const controller = new AbortController();
  const unwanted = reachByTcp(clock, path, controller.signal);
  controller.abort(new Error('not wanted'));
  await expect(unwanted).rejects.toThrow('not wanted');
  await expect(reachByTcp(clock, path, controller.signal)).rejects.toThrow('not wanted');
  expect(clock.pending).toBe(0);
  close();
});
