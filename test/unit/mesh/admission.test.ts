import { describe, expect, test, vi } from 'vitest';
import type { RefusalCode } from '../../../src/agent/mesh/channel.ts';
import type { Pin } from '../../../src/agent/mesh/mesh.ts';
import type { TlsMaterial } from '../../../src/agent/mesh/transport.ts';
import { createClock } from '../../../src/host/clock.ts';
import { parseAddress } from '../../../src/protocol/address.ts';
import type { RsNode } from '../../../src/protocol/rs.ts';
import { createAuthority } from '../../support/agents.ts';
import { frame, helloOf, introduced, webSocket } from '../../support/flood.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { linked, startTestAgent, type TestAgent, type TestAgentOptions } from '../../support/test-agent.ts';

/**
 * Who is let in, on real sockets with real TLS: n1 judges, n2 is judged, and either of them dials. What a certificate alone decides is in
 * the contract of the transport, both ways too (`test/support/contracts/transport.ts`).
 */
const place = { network: '127.0.92', port: 19471 };
const demo = await createAuthority('demo', createClock().wall());
const patience = { timeout: 8_000, interval: 20 };
const start = (tls: TlsMaterial, last: number, options?: TestAgentOptions): TestAgent =>
  startTestAgent(place, tls, last, options);

const node = { isLocal: false, externalAddresses: [], status: 'ok' as const, statusText: 'OK' };
const nodes: readonly RsNode[] = [
  { ...node, uid: 2, address: parseAddress('127.0.92.2') },
  { ...node, uid: 3, address: parseAddress('127.0.92.3') },
];

/** Who dials: the peers of n1, and those of the other one. */
const ways = [
  { way: 'that dials', ours: [], theirs: [1] },
  { way: 'that is dialled', ours: [2], theirs: [] },
];

/** What a host says of itself, the code that it is counted under, and what both sides hear. */
const refused: {
  who: string;
  code: RefusalCode;
  says?: TestAgentOptions;
  as?: string;
  knows?: TestAgentOptions;
  pin?: Pin;
  words: RegExp;
}[] = [
  {
    who: 'says another name than its certificate',
    code: 'hello',
    says: { name: 'n3' },
    words: /its hello says demo\/n3, its certificate demo\/n2/,
  },
  {
    who: 'has no protocol in common',
    code: 'version',
    says: { protocol: { min: 2, max: 3 } },
    words: /it speaks protocol \d to \d, we \d to \d/,
  },
  {
    who: 'is of the other internal family',
    code: 'family',
    says: { internalFamily: 'ipv6' },
    knows: { internalFamily: 'ipv4' },
    words: /its internal family is ipv[46], ours is ipv[46]/,
  },
  {
    who: 'says that it is the node of another',
    code: 'uid',
    says: { nodeUid: 3 },
    knows: { nodes },
    words: /node 3, which RS has at 127\.0\.92\.3, not at 127\.0\.92\.2/,
  },
  {
    who: 'was another machine before',
    code: 'machine',
    pin: { machineId: 'the first machine' },
    words: /rlnet tls unpin n2/,
  },
  {
    who: 'shows the certificate of this very host',
    code: 'ourselves',
    as: 'n1',
    says: { machineId: 'another' },
    words: /certificate of this very host/,
  },
];

describe.each(ways)('a host $way', ({ ours, theirs }) => {
  test.each(refused)('and $who is refused under $code, and both sides say so', async (each) => {
    const n1 = start(await demo('n1'), 1, { ...each.knows, peers: ours });
    if (each.pin !== undefined) n1.pins.set('n2', each.pin);
    const n2 = start(await demo(each.as ?? 'n2'), 2, { ...each.says, peers: theirs });
    await vi.waitFor(() => {
      expect(n1.mesh.refusals()).toMatchObject({ [each.code]: expect.any(Number) });
      expect(saidBy(n1)).toMatch(each.words);
      expect(saidBy(n2)).toMatch(each.words);
    }, patience);
    expect(linked(n1)).toEqual([]);
  });

  test('and was another machine before is admitted once it is unpinned', async () => {
    const n1 = start(await demo('n1'), 1, { peers: ours });
    n1.pins.set('n2', { machineId: 'the first machine' });
    start(await demo('n2'), 2, { peers: theirs });
    await vi.waitFor(
      () => expect(n1.mesh.troubles()).toEqual([expect.objectContaining({ code: 'machine', host: 'n2' })]),
      patience,
    );
    n1.pins.delete('n2');
    n1.mesh.unpin('n2');
    expect(n1.mesh.troubles()).toEqual([]);
    await vi.waitFor(() => expect(linked(n1)).toEqual(['n2']), { ...patience, timeout: 12_000 });
  });

  test('and is the node that it says is admitted as a member, one that says nothing as a candidate', async () => {
    const n1 = start(await demo('n1'), 1, { nodes, peers: ours });
    const n2 = start(await demo('n2'), 2, { nodeUid: 2, peers: theirs });
    await vi.waitFor(() => expect([linked(n1), linked(n2)]).toEqual([['n2'], ['n1']]), patience);
    const n4 = start(await demo('n4'), 4, { peers: [1] });
    await vi.waitFor(() => expect(linked(n4)).toEqual(['n1']), patience);
    await n2.mesh.request('n1', 'echo', {}, 5_000);
    await n4.mesh.request('n1', 'echo', {}, 5_000);
    expect(n1.calls).toEqual(['echo from n2, a member', 'echo from n4, a candidate']);
  });

  test.each([
    ['another boot of the same machine id, as a clone has it', { bootId: 'a clone was booted' }],
    ['another machine', { machineId: 'stolen to', bootId: 'another' }],
  ])('with a certificate that lives on %s too is kept out with its twin', async (_, says) => {
    const n1 = start(await demo('n1'), 1, { peers: [] });
    const n2 = start(await demo('n2'), 5, { peers: [1] });
    await vi.waitFor(() => expect(linked(n1)).toEqual(['n2']), patience);
    const twin = start(await demo('n2'), 2, { ...says, peers: theirs });
    n1.mesh.reconcile(n1.own, true, 'ipv4', ours.length > 0 ? [twin.own] : []);
    for (const each of [n1, n2, twin]) {
      await vi.waitFor(
        () => expect(saidBy(each)).toMatch(/two machines|machines .* have this cert/),
        patience,
      );
    }
    expect(linked(n1)).toEqual([]);
    expect(n1.mesh.troubles()).toEqual([expect.objectContaining({ code: 'twin', host: 'n2' })]);
  });
});

test('a host that was rebooted is no twin: its old link, which is silent, has a second to prove that it lives', async () => {
  const clock = createManualClock();
  const n1 = start(await demo('n1'), 1, { peers: [], clock });
  const tls = await demo('n2');
  await clock.pass(0);
  const old = await vi.waitFor(async () => {
    const wire = await introduced({ from: '127.0.92.5', to: { address: n1.own, port: place.port }, tls });
    await vi.waitFor(() => expect(linked(n1)).toEqual(['n2']), { timeout: 1_000 });
    return wire;
  }, patience);
  const n2 = start(tls, 2, { peers: [1], bootId: 'the next boot' });
  await vi.waitFor(() => expect(linked(n2)).toEqual(['n1']), patience);
  await clock.pass(999);
  expect(n1.mesh.peers()).toMatchObject([{ host: 'n2', address: '127.0.92.5' }]);
  await clock.pass(1);
  await vi.waitFor(
    () => expect(n1.mesh.peers()).toMatchObject([{ host: 'n2', address: '127.0.92.2', linked: true }]),
    patience,
  );
  expect(n1.mesh.troubles()).toEqual([]);
  await old.ended;
});

test('an agent whose address has moved takes its own old link’s place at once', async () => {
  const clock = createManualClock();
  const n1 = start(await demo('n1'), 1, { peers: [], clock });
  const tls = await demo('n2');
  await clock.pass(0);
  const linkFrom = async (address: string) => {
    const origin = { from: address, to: { address: n1.own, port: place.port }, tls };
    const wire = await webSocket(origin);
    wire.socket.write(frame(helloOf(origin, { instance: 'one', internalAddress: address })));
    await vi.waitFor(() => {
      expect(n1.mesh.peers()).toMatchObject([{ host: 'n2', address, linked: true }]);
    }, patience);
    return wire;
  };
  const old = await linkFrom('127.0.92.5');
  // No time passes on the clock of n1.
  await linkFrom('127.0.92.2');
  await old.ended;
  expect(n1.mesh.troubles()).toEqual([]);
});

test('an agent whose address has moved dials those whom it dialled before from there at once', async () => {
  const clock = createManualClock();
  const n1 = start(await demo('n1'), 1, { peers: [] });
  const n2 = start(await demo('n2'), 2, { peers: [1], clock });
  const addressAtN1 = async (address: string) =>
    vi.waitFor(
      () => expect(n1.mesh.peers()).toMatchObject([{ host: 'n2', address, linked: true }]),
      patience,
    );
  await addressAtN1('127.0.92.2');
  await vi.waitFor(() => expect(linked(n2)).toEqual(['n1']), patience);
  n2.own = parseAddress('127.0.92.5');
  n2.mesh.reconcile(n2.own, true, 'ipv4', [n1.own]);
  // No time passes on the clock of n2.
  await addressAtN1('127.0.92.5');
  await vi.waitFor(() => expect(linked(n2)).toEqual(['n1']), patience);
  expect(n1.mesh.troubles()).toEqual([]);
});

/** All that an agent says of those that it is not linked to, why its last link ended, and its log. */
function saidBy({ mesh, log }: TestAgent): string {
  return [
    ...mesh.unreached().map(({ reason }) => reason),
    ...mesh.peers().map(({ noLink }) => noLink ?? ''),
    ...mesh.troubles().map(({ text }) => text),
    ...log.entries.map(({ text }) => text),
  ].join('\n');
}
