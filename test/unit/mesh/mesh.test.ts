import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { Mesh } from '../../../src/agent/mesh/mesh.ts';
import { createTransport, type TlsMaterial } from '../../../src/agent/mesh/transport.ts';
import { createClock } from '../../../src/host/clock.ts';
import { createRandom } from '../../../src/host/random.ts';
import { type Address, parseAddress } from '../../../src/protocol/address.ts';
import { RlnetError } from '../../../src/protocol/errors.ts';
import type { Hello } from '../../../src/protocol/messages.ts';
import type { HostState } from '../../../src/protocol/state.ts';
import { createAuthority, type RecordedLog, recordLog } from '../../support/agents.ts';

/** Real sockets, real TLS, on loopback addresses of their own: 127.0.94.N. */
const clock = createClock();
const random = createRandom();
const port = 19470;
const demo = await createAuthority('demo', clock.wall());
const other = await createAuthority('other', clock.wall());
const patience = { timeout: 5_000, interval: 20 };

interface TestAgent {
  mesh: Mesh;
  log: RecordedLog;
  own: Address;
  state: HostState;
  calls: string[];
}

function stateOf(host: string, revision: number): HostState {
  return {
    host,
    version: '0.1.0',
    mode: 'manage',
    revision,
    addresses: { listed: [], more: 0 },
    unit: { unknown: 'not read yet' },
    hostsFile: { localhostIpv6: 'unknown', evidence: 'not read yet' },
    findings: [],
  };
}

function start(
  tls: TlsMaterial,
  last: number,
  options: { peers?: number[]; machineId?: string; protocol?: Hello['protocol']; name?: string } = {},
): TestAgent {
  const { host, cluster } = tls.identity;
  const own = parseAddress(`127.0.94.${last}`);
  const log = recordLog();
  const instance = random.id();
  const agent: TestAgent = { log, own, state: stateOf(host, 1), calls: [], mesh: undefined as never };
  agent.mesh = new Mesh({
    transport: createTransport(tls),
    clock,
    random,
    log,
    port,
    hello: () => ({
      type: 'hello',
      protocol: options.protocol ?? { min: 1, max: 1 },
      cluster,
      host: options.name ?? host,
      version: '0.1.0',
      machineId: options.machineId ?? `machine-${host}`,
      bootId: 'boot',
      instance,
      internalAddress: own,
    }),
    state: () => agent.state,
    request: async (from, method, params) => {
      agent.calls.push(`${method} from ${from}`);
      if (method === 'fail') throw new RlnetError('PEER_UNKNOWN', 'No such thing.', 'Ask another.');
      return { method, params };
    },
    changed: () => {},
  });
  agent.mesh.reconcile(
    own,
    true,
    (options.peers ?? [1, 2, 3]).map((each) => parseAddress(`127.0.94.${each}`)),
  );
  onTestFinished(() => agent.mesh.close('the test is over'));
  return agent;
}

function linked({ mesh }: TestAgent): string[] {
  return mesh
    .peers()
    .filter(({ link }) => link.status === 'connected')
    .map(({ host }) => host)
    .sort();
}

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
    expect(n3.calls).toEqual(['echo from n2']);
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
    expect(n1.mesh.peers()[0]?.link).toMatchObject({
      status: 'disconnected',
      reason: 'stopped by its operator',
    });
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

  test('a hello that says another name than the certificate', async () => {
    const n1 = start(await demo('n1'), 1, { peers: [] });
    const liar = start(await demo('n2'), 2, { peers: [1], name: 'n3' });
    await vi.waitFor(
      () => expect(liar.mesh.unreached()[0]?.reason).toContain('its hello says demo/n3'),
      patience,
    );
    expect(linked(n1)).toEqual([]);
  });

  test('a peer with no protocol in common', async () => {
    const n1 = start(await demo('n1'), 1, { peers: [] });
    const future = start(await demo('n2'), 2, { peers: [1], protocol: { min: 2, max: 3 } });
    await vi.waitFor(
      () => expect(future.mesh.unreached()[0]?.reason).toContain('speaks protocol 2 to 3'),
      patience,
    );
    expect(linked(n1)).toEqual([]);
  });

  test('a second machine with the certificate of a peer', async () => {
    const n1 = start(await demo('n1'), 1, { peers: [] });
    start(await demo('n2'), 2, { peers: [1] });
    await vi.waitFor(() => expect(linked(n1)).toEqual(['n2']), patience);
    const twin = start(await demo('n2'), 3, { peers: [1], machineId: 'a clone' });
    await vi.waitFor(() => expect(twin.mesh.unreached()[0]?.reason).toContain('another machine'), patience);
    expect(linked(n1)).toEqual(['n2']);
    expect(n1.mesh.peers()[0]?.link).toMatchObject({ address: '127.0.94.2' });
  });
});

test('an address that is not bound yet is waited for', async () => {
  const n1 = start(await demo('n1'), 1, { peers: [2] });
  const n2 = start(await demo('n2'), 2, { peers: [] });
  await vi.waitFor(() => expect(linked(n1)).toEqual(['n2']), patience);
  n2.mesh.reconcile(n2.own, false, []);
  await vi.waitFor(() => expect(linked(n1)).toEqual([]), patience);
  n2.mesh.reconcile(n2.own, true, []);
  await vi.waitFor(() => expect(linked(n1)).toEqual(['n2']), patience);
});
