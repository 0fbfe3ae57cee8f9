import { describe, expect, it, onTestFinished, test, vi } from 'vitest';
import { callMethod, type Handlers } from '../../../src/agent/call.ts';
import { createClock } from '../../../src/host/clock.ts';
import { parseAddress } from '../../../src/protocol/address.ts';
import { decodeMessage, encodeMessage } from '../../../src/protocol/messages.ts';
import { createAuthority, recordLog } from '../../support/agents.ts';
import { frame, helloOf, type Origin, webSocket } from '../../support/flood.ts';
import { type Member, startMember } from '../../support/member.ts';
import { fixtures } from '../../support/wire-fixtures.ts';

const port = 19497;
const demo = await createAuthority('demo', createClock().wall());
const patience = { timeout: 10_000, interval: 20 };

describe('what an agent of protocol version 1 sends', () => {
  test.for(fixtures.map((fixture) => [fixture.name, fixture] as const))('is read: %s', ([, fixture]) => {
    const message = decodeMessage(fixture.text);
    expect(message).toEqual(fixture.message);
    if (message !== undefined) expect(JSON.parse(encodeMessage(message))).toEqual(fixture.message);
  });

  it('is of every type of that version', () => {
    expect(new Set(fixtures.map(({ message }) => message.type))).toEqual(
      new Set(['hello', 'ping', 'pong', 'state', 'request', 'response', 'cancel', 'event', 'bye']),
    );
  });

  test.for(fixtures.map((fixture) => [fixture.name, fixture] as const))(
    'is read when it has fields that came later: %s',
    ([, { message }]) => {
      expect(decodeMessage(JSON.stringify({ ...message, later: { a: [1] } }))).toEqual(message);
    },
  );

  it('is read when what it holds has fields that came later', () => {
    const full = fixtures.find(({ name }) => name === 'state-node')?.message;
    const state = full?.['state'] as { addresses: object; findings: object[] };
    const newer = {
      ...state,
      later: 1,
      addresses: { ...state.addresses, later: 2 },
      findings: state.findings.map((finding) => ({ ...finding, later: 3 })),
    };
    expect(decodeMessage(JSON.stringify({ type: 'state', state: newer }))).toEqual(full);
  });
});

describe('over a link, a peer of another version', () => {
  async function start(last: number, host: string, peers: number[] = []): Promise<Member> {
    const member = startMember({
      tls: await demo(host),
      address: parseAddress(`127.0.96.${last}`),
      port,
      peers: peers.map((each) => parseAddress(`127.0.96.${each}`)),
      log: recordLog(),
      // The table of methods as the agent asks it; what stands behind a method is of no interest here.
      answer: (method, params) =>
        callMethod({} as Handlers, { caller: 'member', host: 'n2' }, method, params),
    });
    onTestFinished(() => member.mesh.close('the test is over'));
    return member;
  }

  const linked = ({ mesh }: Member): string[] =>
    mesh.peers().flatMap(({ linked: isLinked, host }) => (isLinked ? [host] : []));

  async function visitor(last: number): Promise<Origin> {
    return {
      from: '127.0.97.250',
      to: { address: parseAddress(`127.0.96.${last}`), port },
      tls: await demo('visitor'),
    };
  }

  test('asks for a method that came later, and is refused by name', async () => {
    const n1 = await start(30, 'n1');
    const n2 = await start(31, 'n2', [30]);
    await vi.waitFor(() => expect(linked(n2)).toEqual(['n1']), patience);
    await expect(n2.mesh.request('n1', 'renumber', {}, 5_000)).rejects.toMatchObject({
      code: 'METHOD_UNKNOWN',
      message: expect.stringContaining('renumber'),
    });
    expect(linked(n1)).toEqual(['n2']);
  });

  test('sends a type that came later, which is ignored', async () => {
    const n1 = await start(32, 'n1');
    const origin = await visitor(32);
    await vi.waitFor(async () => {
      const { socket } = await webSocket(origin);
      const heard: string[] = [];
      socket.on('data', (chunk: Buffer) => heard.push(chunk.toString('latin1')));
      socket.write(
        Buffer.concat(
          [helloOf(origin), '{"type":"gossip","data":[1]}', '{"type":"ping","nonce":"still-here"}'].map(
            (text) => frame(text),
          ),
        ),
      );
      await vi.waitFor(() => expect(heard.join('')).toContain('{"type":"pong","nonce":"still-here"}'), {
        timeout: 1_000,
      });
      socket.destroy();
    }, patience);
    expect(n1.mesh.refusals()).toEqual({});
  });

  /** A peer that knows what docs/wire-protocol.md says and no code of ours. */
  async function peerOnWire(last: number) {
    const origin = await visitor(last);
    const { socket, head } = await vi.waitFor(async () => {
      const wire = await webSocket(origin);
      expect(wire.head()).toContain('101 Switching Protocols');
      return wire;
    }, patience);
    onTestFinished(() => {
      socket.destroy();
    });
    const heard: Record<string, unknown>[] = [];
    const answers = new Map<string, (message: Record<string, unknown>) => void>();
    const send = (message: object): boolean => socket.write(frame(JSON.stringify(message)));
    let waiting = Buffer.from(head(), 'latin1').subarray(head().indexOf('\r\n\r\n') + 4);
    const read = (): void => {
      // RFC 6455, section 5.2: what a server sends is not masked.
      for (;;) {
        const short = (waiting[1] ?? 0) & 0x7f;
        const start = short < 126 ? 2 : 4;
        const end = start + (short < 126 ? short : waiting.length > 4 ? waiting.readUInt16BE(2) : 0);
        if (waiting.length < 2 || waiting.length < end) return;
        const message = JSON.parse(waiting.toString('utf8', start, end)) as Record<string, unknown>;
        waiting = waiting.subarray(end);
        heard.push(message);
        answers.get(String(message['type']))?.(message);
      }
    };
    socket.on('data', (chunk: Buffer) => {
      waiting = Buffer.concat([waiting, chunk]);
      read();
    });
    send(JSON.parse(helloOf(origin)) as object);
    setImmediate(read);
    return { heard, send, answer: answers.set.bind(answers) };
  }

  test('knows what docs/wire-protocol.md says and no code of ours, and is a peer like any other', async () => {
    const n1 = await start(35, 'n1');
    const wire = await peerOnWire(35);
    wire.answer('ping', ({ nonce }) => wire.send({ type: 'pong', nonce }));
    wire.answer('request', ({ id }) => {
      const error = { code: 'METHOD_UNKNOWN', message: 'None is known here.', remedy: 'Ask another.' };
      wire.send({ type: 'response', id, error });
    });
    await vi.waitFor(() => {
      const [peer] = n1.mesh.peers();
      expect(peer).toMatchObject({ host: 'visitor', linked: true, loss: 0 });
      expect(peer?.roundTripMs).toBeGreaterThan(0);
    }, patience);
    await expect(n1.mesh.request('visitor', 'links', {}, 5_000)).rejects.toMatchObject({
      code: 'METHOD_UNKNOWN',
    });
    expect(wire.heard.slice(0, 2).map(({ type }) => type)).toEqual(['hello', 'state']);
  });

  test('holds echoes for its own pings and lets them be held, which each side may and none has to', async () => {
    const n1 = await start(36, 'n1');
    const wire = await peerOnWire(36);
    wire.answer('ping', ({ nonce }) => {
      setTimeout(
        () => wire.send({ type: 'ping', nonce: `after ${String(nonce)}`, echo: { nonce, heldMs: 200 } }),
        200,
      );
    });
    const heard = (type: string, nonce: string): Promise<Record<string, unknown>> =>
      vi.waitFor(() => {
        const found = wire.heard.find(
          (message) =>
            message['type'] === type &&
            (type === 'pong' ? message['nonce'] : (message['echo'] as { nonce?: string })?.nonce) === nonce,
        );
        if (found === undefined) throw new Error(`no ${type} for ${nonce}`);
        return found;
      }, patience);
    await vi.waitFor(() => {
      const [peer] = n1.mesh.peers();
      expect(peer).toMatchObject({ host: 'visitor', linked: true, loss: 0 });
      // Held there for 200 ms, which is no part of the way.
      expect(peer?.roundTripMs).toBeLessThan(150);
    }, patience);
    wire.send({ type: 'ping', nonce: 'at-once' });
    await heard('pong', 'at-once');
    wire.send({ type: 'ping', nonce: 'when-it-suits', withinMs: 2_000 });
    wire.send({ type: 'ping', nonce: 'no-room', withinMs: 2_000 });
    await heard('pong', 'no-room');
    const { echo } = await heard('ping', 'when-it-suits');
    expect((echo as { heldMs: number }).heldMs).toBeGreaterThan(0);
    wire.send({ type: 'ping', nonce: 'cannot-wait', withinMs: 0 });
    await heard('pong', 'cannot-wait');
  });

  test('with the lower name, has its pings answered with pings, but not each of a flood of them', async () => {
    const n1 = await start(37, 'z1');
    const wire = await peerOnWire(37);
    await vi.waitFor(() => expect(linked(n1)).toEqual(['visitor']), patience);
    wire.answer('ping', ({ nonce }) => wire.send({ type: 'pong', nonce }));
    for (const nonce of ['first', 'second', 'third']) wire.send({ type: 'ping', nonce, withinMs: 600 });
    await vi.waitFor(() => {
      const echoes = wire.heard.flatMap((message) => {
        const echoed = (message['echo'] as { nonce: string } | undefined)?.nonce;
        return echoed === undefined ? (message['type'] === 'pong' ? message['nonce'] : []) : echoed;
      });
      expect(echoes).toEqual(['first', 'second', 'third']);
    }, patience);
    // The link's own first ping was a moment ago, too.
    expect(wire.heard.filter(({ echo }) => echo !== undefined).length).toBeLessThanOrEqual(1);
    let tried = 0;
    await vi.waitFor(
      () => {
        tried += 1;
        wire.send({ type: 'ping', nonce: `later ${tried}`, withinMs: 600 });
        const echoed = wire.heard.flatMap(({ type, withinMs, echo }) =>
          type === 'ping' && withinMs === 600 ? String((echo as { nonce?: string } | undefined)?.nonce) : [],
        );
        expect(echoed.filter((nonce) => nonce.startsWith('later'))).not.toEqual([]);
      },
      { ...patience, interval: 300 },
    );
  });

  test('speaks versions 1 to 9, and is linked', async () => {
    const n1 = await start(33, 'n1');
    const origin = await visitor(33);
    await vi.waitFor(async () => {
      const { socket } = await webSocket(origin);
      onTestFinished(() => {
        socket.destroy();
      });
      socket.write(frame(helloOf(origin, { protocol: { min: 1, max: 9 } })));
      await vi.waitFor(() => expect(linked(n1)).toEqual(['visitor']), { timeout: 1_000 });
    }, patience);
  });

  test('speaks versions 2 to 3, and is told that there is none in common', async () => {
    await start(34, 'n1');
    const origin = await visitor(34);
    await vi.waitFor(async () => {
      const { socket, ended } = await webSocket(origin);
      const heard: string[] = [];
      socket.on('data', (chunk: Buffer) => heard.push(chunk.toString('latin1')));
      socket.write(frame(helloOf(origin, { protocol: { min: 2, max: 3 } })));
      await ended;
      expect(heard.join('')).toContain('it speaks protocol 2 to 3, we 1 to 1');
    }, patience);
  });
});
