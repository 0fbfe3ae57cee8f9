import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import type { RefusalCode } from '../../../src/agent/mesh/channel.ts';
import { createClock } from '../../../src/host/clock.ts';
import { parseAddress } from '../../../src/protocol/address.ts';
import { RlnetError } from '../../../src/protocol/errors.ts';
import { decodeMessage, encodeMessage, maxMessageBytes } from '../../../src/protocol/messages.ts';
import { createAuthority, type RecordedLog, recordLog } from '../../support/agents.ts';
import {
  type Attack,
  frame,
  insideAttacks,
  introduced,
  type Origin,
  outsideAttacks,
  remotesOf,
  tcp,
  tls,
  type Wire,
  webSocket,
} from '../../support/flood.ts';
import { type Member, type MemberOptions, startMember } from '../../support/member.ts';
import { full } from '../../support/sampling.ts';
import { fixtures } from '../../support/wire-fixtures.ts';

/**
 * Three members on real sockets with real TLS, 127.0.96.1 to .3, of which n1 is attacked from 127.0.97.0/24 and
 * 127.0.98.0/24. An error that nobody handles fails the run: vitest sees to that.
 */
const port = 19496;
const demo = await createAuthority('demo', createClock().wall());
const to = { address: parseAddress('127.0.96.1'), port };
const patience = { timeout: 10_000, interval: 20 };
const names = ['n1', 'n2', 'n3'];

const log: RecordedLog = recordLog();
let members: Member[];

async function start(
  host: string,
  last: number,
  peers: number[],
  options: Partial<MemberOptions> = {},
): Promise<Member> {
  return startMember({
    tls: await demo(host),
    address: parseAddress(`127.0.96.${last}`),
    port,
    peers: peers.map((each) => parseAddress(`127.0.96.${each}`)),
    log: recordLog(),
    watched: names,
    answer: async (method, params, signal) => {
      if (method === 'never') await new Promise((resolve) => signal.addEventListener('abort', resolve));
      return { method, params };
    },
    ...options,
  });
}

function attacked(): Member {
  const [n1] = members;
  if (n1 === undefined) throw new Error('the members were not started');
  return n1;
}

function linked({ mesh }: Member): string[] {
  return mesh
    .peers()
    .filter((peer) => peer.linked)
    .map(({ host }) => host)
    .sort();
}

/** Members see each other, and saw nothing else since the start: no link came or went, no verdict changed. */
function expectMembersUndisturbed(): void {
  for (const [index, { transitions }] of members.entries()) {
    const others = names.filter((_, each) => each !== index);
    expect(transitions.toSorted()).toEqual(
      others.flatMap((host) => [`${host} linked`, `${host} reachable`]).sort(),
    );
  }
}

async function origin(from: string, host = 'outsider'): Promise<Origin> {
  return { from, to, tls: await demo(host) };
}

/** Refusals of one address as the log has them: one line each for a code, however often. */
function refusalsOf(from: string): string[] {
  return log.entries.flatMap(({ fields }) =>
    'refusal' in fields && 'from' in fields && fields.from === from ? [String(fields.refusal)] : [],
  );
}

beforeAll(async () => {
  members = [
    await start('n1', 1, [2, 3], { log }),
    await start('n2', 2, [1, 3]),
    await start('n3', 3, [1, 2]),
  ];
  for (const [index, member] of members.entries()) {
    await vi.waitFor(
      () => expect(linked(member)).toEqual(names.filter((_, each) => each !== index)),
      patience,
    );
  }
});

afterAll(async () => {
  for (const { mesh } of members) await mesh.close('the test is over');
});

describe('one attacker', () => {
  const cases: [string, RefusalCode, Attack, string][] = [...outsideAttacks, ...insideAttacks].map(
    (attack, index) => [attack.name, attack.refusal, attack, `127.0.97.${index + 1}`],
  );

  const onLinks: ReadonlySet<RefusalCode> = new Set(['hello', 'version', 'message', 'flood']);
  const turnedAway = async (attack: Attack, from: string): Promise<void> => {
    await attack.run(await origin(from, `attacker-${from.split('.')[3]}`));
    await vi.waitFor(() => expect(refusalsOf(from)).toEqual([attack.refusal]), patience);
  };

  test.concurrent.for(cases.filter(([, refusal]) => !onLinks.has(refusal)))(
    'with %s is turned away and counted under %s',
    async ([, , attack, from]) => await turnedAway(attack, from),
  );

  test.concurrent.for(cases.filter(([, refusal]) => onLinks.has(refusal)))(
    'with %s loses its link and is counted under %s',
    async ([, , attack, from]) => await turnedAway(attack, from),
  );

  test('after another is counted once for each', () => {
    const tally: Record<string, number> = {};
    for (const [, refusal] of cases) tally[refusal] = (tally[refusal] ?? 0) + 1;
    expect(attacked().mesh.refusals()).toEqual(tally);
  });

  test('after another leaves no socket behind, and members as they were', async () => {
    await vi.waitFor(async () => expect(await attackersConnections()).toEqual([]), patience);
    expectMembersUndisturbed();
  });
});

/** Connections to n1 that are not of members. */
async function attackersConnections(): Promise<string[]> {
  return (await remotesOf(to)).filter((remote) => !remote.startsWith('127.0.96.'));
}

describe('mutated messages', () => {
  const anything = fc.oneof(
    fc.jsonValue({ maxDepth: 3 }),
    fc.constantFrom<unknown>(
      1e308,
      -1,
      0.5,
      '',
      'x'.repeat(maxMessageBytes),
      '::ffff:1.2.3.4',
      '\ud800',
      null,
    ),
  );

  /** A valid message with one value anywhere in it replaced or taken out, as JSON text. */
  const mutated = fc
    .tuple(fc.constantFrom(...fixtures.map(({ message }) => message)), fc.nat(), fc.option(anything))
    .map(([message, position, value]) => {
      const copy: unknown = structuredClone(message);
      const places: [Record<string, unknown>, string][] = [];
      const visit = (node: unknown): void => {
        if (typeof node !== 'object' || node === null) return;
        const record = node as Record<string, unknown>;
        for (const key of Object.keys(record)) {
          places.push([record, key]);
          visit(record[key]);
        }
      };
      visit(copy);
      const place = places[position % places.length];
      if (place !== undefined) place[0][place[1]] = value ?? undefined;
      return JSON.stringify(copy);
    });

  test('are refused in a short sentence, or read as something that can be sent on', () => {
    fc.assert(
      fc.property(mutated, (text) => {
        try {
          const message = decodeMessage(text);
          if (message !== undefined) expect(decodeMessage(encodeMessage(message))).toEqual(message);
        } catch (thrown) {
          if (!(thrown instanceof RlnetError)) throw thrown;
          expect(thrown.code).toBe('MESSAGE_INVALID');
          expect(thrown.message.length).toBeLessThan(2_000);
        }
      }),
      { numRuns: full ? 20_000 : 2_000 },
    );
  });

  test('cost their sender its link at most', async () => {
    const texts = fc.sample(mutated, { numRuns: full ? 2_000 : 160, seed: 1 });
    const sender = await origin('127.0.97.200', 'mutant');
    while (texts.length > 0) {
      await Promise.all(
        texts.splice(0, 8).map(async (text) => {
          const { socket, ended } = await introduced(sender);
          socket.end(frame(text));
          await ended;
        }),
      );
    }
    expectMembersUndisturbed();
  });
});

test('a number that JSON cannot give back is refused', () => {
  expect(() =>
    decodeMessage('{"type":"hello","protocol":{"min":1,"max":1e999},"cluster":"demo","host":"n1"}'),
  ).toThrow('protocol.max');
});

describe('a peer', () => {
  test('has 16 requests open at most, and more are answered with an error', async () => {
    const member = await start('busy', 9, [1]);
    onTestFinished(() => member.mesh.close('the test is over'));
    await vi.waitFor(() => expect(linked(member)).toContain('n1'), patience);
    const controller = new AbortController();
    const open = Array.from({ length: 16 }, () =>
      member.mesh.request('n1', 'never', {}, 10_000, controller.signal),
    );
    const refused = Promise.allSettled(open);
    await expect(member.mesh.request('n1', 'echo', {}, 5_000)).rejects.toMatchObject({
      message: expect.stringContaining('16 requests'),
    });
    controller.abort(new Error('enough'));
    for (const { status } of await refused) expect(status).toBe('rejected');
    // A place is free when its work has ended, which is a moment after it was told to.
    await vi.waitFor(
      async () =>
        expect(await member.mesh.request('n1', 'echo', { a: 1 }, 5_000)).toEqual({
          method: 'echo',
          params: { a: 1 },
        }),
      patience,
    );
  });

  test('that asks for something with a very long name, or deeply nested, gets an error and harms nobody', async () => {
    const wire = await introduced(await origin('127.0.97.201', 'asker'));
    const deep = `${'['.repeat(30_000)}${']'.repeat(30_000)}`;
    wire.socket.write(
      Buffer.concat([
        frame(JSON.stringify({ type: 'request', id: '1', method: '\u0001'.repeat(10_000) })),
        frame(`{"type":"request","id":"2","method":"echo","params":${deep}}`),
      ]),
    );
    const heard: string[] = [];
    wire.socket.on('data', (chunk: Buffer) => heard.push(chunk.toString('latin1')));
    await vi.waitFor(() => {
      expect(heard.join('')).toContain('"id":"1"');
      expect(heard.join('')).toContain('"id":"2"');
    }, patience);
    wire.socket.destroy();
    expectMembersUndisturbed();
  });

  test('that never reads is dropped when too much waits for it', async () => {
    const wire = await introduced(await origin('127.0.97.202', 'deaf'));
    wire.socket.pause();
    const n1 = attacked();
    await vi.waitFor(() => expect(linked(n1)).toContain('deaf'), patience);
    const { state } = n1;
    state.unit = { unknown: 'x'.repeat(60_000) };
    // The kernel takes some megabytes before anything waits here. Members read all of it, in the pauses.
    for (let sent = 0; sent < 300 && linked(n1).includes('deaf'); sent += 1) {
      n1.mesh.publish();
      await new Promise((resolve) => setTimeout(resolve, 4));
    }
    state.unit = { unknown: 'not read yet' };
    n1.mesh.publish();
    expect(n1.mesh.peers().find(({ host }) => host === 'deaf')?.noLink).toContain('reads too slowly');
    wire.socket.destroy();
    expectMembersUndisturbed();
  });

  test('that never reads is counted under slow', () => {
    expect(refusalsOf('127.0.97.202')).toEqual(['slow']);
  });
});

describe('a flood of connections', () => {
  const kinds: readonly ((origin: Origin) => Promise<Wire>)[] = [
    tcp,
    tcp,
    tcp,
    (from) => tls(from, false),
    webSocket,
  ];

  test(`of ${full ? '10 000' : '1 000'} from many addresses leaves members as they were, and nothing behind`, async () => {
    const attacker = await origin('', 'flooder');
    const total = full ? 10_000 : 1_000;
    const batch = 100;
    for (let count = 0; count < total; count += batch) {
      const wires = await Promise.all(
        Array.from({ length: batch }, async (_, index) => {
          const open = kinds[index % kinds.length] ?? tcp;
          return await open({ ...attacker, from: `127.0.98.${1 + (index % 8)}` });
        }),
      );
      for (const { socket } of wires) socket.destroy();
    }
    const [, n2, n3] = members;
    expect(await n2?.mesh.request('n1', 'echo', {}, 5_000)).toEqual({ method: 'echo', params: {} });
    expect(await n3?.mesh.request('n2', 'echo', {}, 5_000)).toEqual({ method: 'echo', params: {} });
    await vi.waitFor(async () => expect(await attackersConnections()).toEqual([]), patience);
    expectMembersUndisturbed();
  }, 300_000);

  /** Holds connections open, new ones in the place of those that end, until it is stopped. */
  function siege(attacker: Origin, addresses: readonly string[], each: number): () => Promise<void> {
    let over = false;
    const sockets = new Set<Wire['socket']>();
    const workers = addresses.flatMap((from) =>
      Array.from({ length: each }, async () => {
        while (!over) {
          const { socket, ended } = await tcp({ ...attacker, from });
          sockets.add(socket);
          await ended;
          socket.destroy();
          sockets.delete(socket);
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
      }),
    );
    return async () => {
      over = true;
      for (const socket of sockets) socket.destroy();
      await Promise.all(workers);
    };
  }

  test('from one address, one after the other, is turned away before TLS, and keeps no member out, on that very address for no longer than it lasts', async () => {
    const attacker = await origin('127.0.96.6', 'flooder');
    const turnedAway = (): number => attacked().mesh.refusals()['connections'] ?? 0;
    const before = turnedAway();
    const began = performance.now();
    for (let count = 0; count < 100; count += 1) {
      const { socket, ended } = await tcp(attacker);
      await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 20))]);
      socket.destroy();
    }
    // 16 saved up, and 4 a second.
    const allowed = 16 + Math.ceil((performance.now() - began) / 250);
    await vi.waitFor(() => expect(turnedAway() - before).toBeGreaterThanOrEqual(100 - allowed), patience);
    expect(turnedAway() - before).toBeLessThanOrEqual(100 - 16);
    const newcomer = await start('n6', 6, [1]);
    onTestFinished(() => newcomer.mesh.close('the test is over'));
    await vi.waitFor(() => expect(linked(newcomer)).toEqual(['n1']), patience);
    expectMembersUndisturbed();
  });

  test('from one address keeps no member on another from coming in', async () => {
    const stop = siege(await origin('', 'flooder'), ['127.0.98.9'], 100);
    onTestFinished(stop);
    await vi.waitFor(() => expect(refusalsOf('127.0.98.9')).toContain('connections'), patience);
    const newcomer = await start('n4', 4, [1]);
    onTestFinished(() => newcomer.mesh.close('the test is over'));
    await vi.waitFor(() => expect(linked(newcomer)).toEqual(['n1']), patience);
    expectMembersUndisturbed();
  });

  test('from so many addresses that every place is taken keeps no member from coming in', async () => {
    // So many that the places of those whose time was over are taken again within their rates, on a busy machine too.
    const addresses = Array.from({ length: 80 }, (_, index) => `127.0.98.${100 + index}`);
    const stop = siege(await origin('', 'flooder'), addresses, 8);
    onTestFinished(stop);
    await vi.waitFor(
      async () => expect((await attackersConnections()).length).toBeGreaterThanOrEqual(500),
      patience,
    );
    const newcomer = await start('n5', 5, [1]);
    onTestFinished(() => newcomer.mesh.close('the test is over'));
    await vi.waitFor(() => expect(linked(newcomer)).toEqual(['n1']), patience);
    expectMembersUndisturbed();
  }, 60_000);
});

test('a listener that is attacked can still be closed at once', async () => {
  const own = parseAddress('127.0.96.20');
  const member = await start('n20', 20, []);
  onTestFinished(() => member.mesh.close('the test is over'));
  const silent: Origin = { ...(await origin('127.0.97.203')), to: { address: own, port } };
  const wires: Wire[] = [];
  await vi.waitFor(async () => {
    const wire = await tcp(silent);
    wires.push(wire);
    expect(wire.socket.readyState).toBe('open');
  }, patience);
  wires.push(await tls(silent, true), await webSocket(silent));
  onTestFinished(() => {
    for (const { socket } of wires) socket.destroy();
  });
  const before = performance.now();
  await member.mesh.close('it moves');
  // Handshakes would end by themselves after five seconds.
  expect(performance.now() - before).toBeLessThan(3_000);
  expect(await remotesOf(silent.to)).toEqual([]);
});
