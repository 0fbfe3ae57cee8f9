import { X509Certificate } from 'node:crypto';
import { connect } from 'node:tls';
import { describe, expect, test, vi } from 'vitest';
import { Link } from '../../../src/agent/mesh/link.ts';
import { createTransport, type TlsMaterial } from '../../../src/agent/mesh/transport.ts';
import { createClock } from '../../../src/host/clock.ts';
import { parseAddress } from '../../../src/protocol/address.ts';
import type { Hello } from '../../../src/protocol/messages.ts';
import { createAuthority } from '../../support/agents.ts';
import {
  linked,
  startTestAgent,
  stateOf,
  type TestAgent,
  type TestAgentOptions,
} from '../../support/test-agent.ts';

/** Real sockets, real TLS, on loopback addresses of their own: 127.0.94.N. */
const clock = createClock();
const port = 19470;
const demo = await createAuthority('demo', clock.wall());
const other = await createAuthority('other', clock.wall());
const patience = { timeout: 5_000, interval: 20 };

const start = (tls: TlsMaterial, last: number, options?: TestAgentOptions): TestAgent =>
  startTestAgent({ network: '127.0.94', port }, tls, last, options);

describe('three agents', () => {
  test('find each other, have one link a pair, and hear each other', async () => {
    const agents = await Promise.all(
      ['n1', 'n2', 'n3'].map(async (host, index) => start(await demo(host), index + 1)),
    );
    const names = (agent: TestAgent): string[] =>
      ['n1', 'n2', 'n3'].filter((host) => host !== agent.state.host);
    for (const agent of agents) await vi.waitFor(() => expect(linked(agent)).toEqual(names(agent)), patience);

    const [n1, n2, n3] = agents as [TestAgent, TestAgent, TestAgent];
    n1.state = stateOf('n1', 2);
    n1.mesh.publish();
    for (const { mesh } of [n2, n3]) {
      await vi.waitFor(
        () => expect(mesh.peers().find(({ host }) => host === 'n1')?.state?.revision).toBe(2),
        patience,
      );
    }
    expect(await n2.mesh.request('n3', 'echo', { a: 1 }, 1_000)).toEqual({
      method: 'echo',
      params: { a: 1 },
    });
    expect(n3.calls).toEqual(['echo from n2, a candidate']);
    await expect(n2.mesh.request('n3', 'fail', {}, 1_000)).rejects.toMatchObject({
      code: 'PEER_UNKNOWN',
      message: 'No such thing.',
    });
    for (const { mesh } of agents) expect(mesh.unreached()).toEqual([]);
  });

  test('notice at once when one leaves, and find it again when it is back', async () => {
    const n1 = start(await demo('n1'), 1);
    const n2 = start(await demo('n2'), 2);
    await vi.waitFor(() => expect(linked(n1)).toEqual(['n2']), patience);
    await n2.mesh.close('stopped by its operator');
    await vi.waitFor(() => expect(linked(n1)).toEqual([]), patience);
    expect(n1.mesh.peers()[0]).toMatchObject({ linked: false, noLink: 'stopped by its operator' });
    await expect(n1.mesh.request('n2', 'echo', {}, 1_000)).rejects.toMatchObject({
      code: 'PEER_UNREACHABLE',
    });
    start(await demo('n2'), 2);
    await vi.waitFor(() => expect(linked(n1)).toEqual(['n2']), patience);
  });
});

describe('an agent does not let in', () => {
  test('a host of another cluster, and both sides say so', async () => {
    const n1 = start(await demo('n1'), 1, { peers: [] });
    const stranger = start(await other('n2'), 2, { peers: [1] });
    await vi.waitFor(
      () => expect(stranger.mesh.unreached()[0]?.reason).toMatch(/certificate|self|signature|issuer/i),
      patience,
    );
    await vi.waitFor(
      () => expect(n1.log.entries).toContainEqual(expect.objectContaining({ level: 'warn' })),
      patience,
    );
    expect(linked(n1)).toEqual([]);
  });

  test('a certificate of its own CA that names another cluster', async () => {
    const ca = await createAuthority('other', clock.wall());
    const theirs = await ca('n2');
    const n1 = start({ ...(await ca('n1')), identity: { cluster: 'demo', host: 'n1' } }, 1, { peers: [] });
    const n2 = start(theirs, 2, { peers: [1] });
    await vi.waitFor(
      () =>
        expect(n1.log.entries).toContainEqual(
          expect.objectContaining({ fields: { refusal: 'cluster', from: '127.0.94.2' } }),
        ),
      patience,
    );
    expect(linked(n1)).toEqual([]);
    expect(linked(n2)).toEqual([]);
  });

  test('an address of the other family is passed over, once counted and always shown', async () => {
    const n1 = start(await demo('n1'), 1, { peers: [] });
    const other = parseAddress('fd00::94:2');
    for (let time = 0; time < 3; time += 1) n1.mesh.reconcile(n1.own, true, 'ipv4', [other]);
    expect(n1.mesh.unreached()).toMatchObject([
      {
        address: other,
        reason: "not dialled: the address is ipv6, this cluster's internal family is ipv4",
      },
    ]);
    expect(n1.mesh.refusals()).toEqual({ family: 1 });
  });

  test('a certificate that has expired, and one of its own that has', async () => {
    const n1 = start(await demo('n1'), 1, { peers: [] });
    const longAgo = await demo('n2', -1);
    const n2 = start(longAgo, 2, { peers: [1] });
    await vi.waitFor(
      () => expect(n1.mesh.refusals()).toMatchObject({ expired: expect.any(Number) }),
      patience,
    );
    expect(linked(n1)).toEqual([]);
    const n3 = start(await demo('n3'), 3, { peers: [2] });
    await vi.waitFor(() => expect(n3.mesh.unreached()[0]?.reason).toContain('expired'), patience);
    expect(linked(n2)).toEqual([]);
  });

  test('anybody without a certificate', async () => {
    const n1 = start(await demo('n1'), 1, { peers: [] });
    const alone = await demo('n1');
    await vi.waitFor(async () => {
      const ended = new Promise<string>((resolve) => {
        const socket = connect({
          host: '127.0.94.1',
          port,
          ca: alone.ca,
          checkServerIdentity: () => undefined,
        });
        socket.on('error', (error) => resolve(String(error)));
        socket.on('close', () => resolve('closed'));
      });
      expect(await ended).toMatch(/certificate required|closed/);
      expect(n1.mesh.refusals()).toMatchObject({ no_certificate: expect.any(Number) });
    }, patience);
  });

  test('a certificate that is denied, from the moment that it is', async () => {
    const n1 = start(await demo('n1'), 1, { peers: [] });
    const n2 = start(await demo('n2'), 2, { peers: [1] });
    const n3 = start(await demo('n3'), 3, { peers: [1] });
    await vi.waitFor(() => expect(linked(n1)).toEqual(['n2', 'n3']), patience);
    const { serialNumber } = new X509Certificate(n2.tls.certificate);
    n1.tls = { ...n1.tls, deniedSerials: new Set([serialNumber]) };
    n1.mesh.renew(n1.tls.deniedSerials);
    await vi.waitFor(() => expect(n2.mesh.unreached()[0]?.reason).toContain('denied'), patience);
    expect(linked(n1)).toEqual(['n3']);
    expect(linked(n3)).toEqual(['n1']);
  });
});

test('a CA is replaced without losing a link: both are trusted, then hosts change over one by one', async () => {
  const next = await createAuthority('demo', clock.wall());
  const n1 = start(await demo('n1'), 1, { peers: [2] });
  const n2 = start(await demo('n2'), 2, { peers: [1] });
  await vi.waitFor(() => expect(linked(n1)).toEqual(['n2']), patience);
  const fresh = await next('n2');
  const both = `${n1.tls.ca}${fresh.ca}`;
  for (const agent of [n1, n2]) {
    agent.tls = { ...agent.tls, ca: both };
    agent.mesh.renew(agent.tls.deniedSerials);
  }
  n2.tls = { ...fresh, ca: both };
  n2.mesh.renew(n2.tls.deniedSerials);
  expect(linked(n1)).toEqual(['n2']);
  // A new connection in either direction goes with the new certificate.
  await n2.mesh.close('restarted');
  const again = start(n2.tls, 2, { peers: [1] });
  await vi.waitFor(() => expect(linked(n1)).toEqual(['n2']), patience);
  await vi.waitFor(() => expect(linked(again)).toEqual(['n1']), patience);
});

test('a request that is cancelled, or not waited for any more, is cancelled at the other side', async () => {
  const n1 = start(await demo('n1'), 1);
  const n2 = start(await demo('n2'), 2);
  await vi.waitFor(() => expect(linked(n1)).toEqual(['n2']), patience);
  const controller = new AbortController();
  const cancelled = n1.mesh.request('n2', 'slow', {}, 5_000, controller.signal);
  await vi.waitFor(() => expect(n2.calls).toContain('slow from n1, a candidate'), patience);
  controller.abort(new Error('not wanted'));
  await expect(cancelled).rejects.toThrow('not wanted');
  await vi.waitFor(() => expect(n2.calls).toContain('slow was cancelled'), patience);
  await expect(n1.mesh.request('n2', 'slow', {}, 50)).rejects.toMatchObject({ code: 'REQUEST_TIMEOUT' });
  await vi.waitFor(
    () => expect(n2.calls.filter((call) => call === 'slow was cancelled')).toHaveLength(2),
    patience,
  );
});

test('a request that comes again under its id, over another link, is carried out once and answered alike', async () => {
  const n1 = start(await demo('n1'), 1, { peers: [] });
  const tls = await demo('n2');
  await vi.waitFor(
    () => expect(n1.log.entries).toContainEqual(expect.objectContaining({ text: 'listening for peers' })),
    patience,
  );
  const ask = async (attempt: string): Promise<unknown> => {
    const channel = await createTransport(() => tls, clock).dial(
      { address: n1.own, port },
      parseAddress('127.0.94.2'),
    );
    const hello: Hello = {
      type: 'hello',
      protocol: { min: 1, max: 1 },
      cluster: 'demo',
      host: 'n2',
      version: '0.1.0',
      machineId: 'machine-n2',
      bootId: 'boot',
      instance: 'instance',
    };
    let up = (): void => {};
    const ready = new Promise<void>((resolve) => {
      up = resolve;
    });
    // Every id that this side chooses is the same one.
    const once = { fraction: () => 0.5, id: () => 'the only id' };
    const ignore = async (): Promise<unknown> => ({});
    const link = new Link(channel, hello, clock, once, {
      up,
      state: () => {},
      request: ignore,
      echoBy: () => 'pong',
      closed: () => {},
    });
    await ready;
    const answer = await link.request('echo', { attempt }, 2_000);
    link.end('goingAway', 'that was all');
    return answer;
  };
  const first = await ask('first');
  await vi.waitFor(() => expect(linked(n1)).toEqual([]), patience);
  expect(await ask('second')).toEqual(first);
  expect(n1.calls.filter((call) => call.startsWith('echo'))).toHaveLength(1);
});

test('an address that is not bound yet is waited for', async () => {
  const n1 = start(await demo('n1'), 1, { peers: [2] });
  const n2 = start(await demo('n2'), 2, { peers: [] });
  await vi.waitFor(() => expect(linked(n1)).toEqual(['n2']), patience);
  n2.mesh.reconcile(n2.own, false, 'ipv4', []);
  await vi.waitFor(() => expect(linked(n1)).toEqual([]), patience);
  n2.mesh.reconcile(n2.own, true, 'ipv4', []);
  await vi.waitFor(() => expect(linked(n1)).toEqual(['n2']), patience);
});
