import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { connect as connectTcp, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import type { RefusalCode } from '../../src/agent/mesh/channel.ts';
import type { TlsMaterial } from '../../src/agent/mesh/transport.ts';
import { type Address, hostPort } from '../../src/protocol/address.ts';
import { maxMessageBytes, subprotocol } from '../../src/protocol/messages.ts';
import { stateOf } from './member.ts';

/**
 * A client that keeps to no rule, for tests and benchmarks of what the mesh does with one. Its sockets are its own: no client
 * library that would refuse to send what is wrong. They are half-open at the end too: they never answer a FIN with their own.
 */

/** Where an attack comes from and where it goes. */
export interface Origin {
  from: string;
  to: { address: Address; port: number };
  /** The certificate of the attacker, and the CA; those without one show none. */
  tls: TlsMaterial;
}

export interface Attack {
  name: string;
  /** What it is to be counted as. */
  refusal: RefusalCode;
  /** Resolves once the other side has ended the connection. */
  run: (origin: Origin) => Promise<void>;
}

/** A connection, in whichever state of its handshakes. */
export interface Wire {
  socket: Socket;
  /** Settles once the other side has ended it. */
  ended: Promise<void>;
  /** Everything that arrived; small, and for the handshake only. */
  head: () => string;
}

function wireOf(socket: Socket): Wire {
  let head = '';
  const ended = new Promise<void>((resolve) => {
    socket.once('end', resolve);
    socket.once('close', () => resolve());
  });
  // A reset is one of the ways to be ended.
  socket.on('error', () => {});
  socket.on('data', (chunk: Buffer) => {
    if (head.length < 1_000) head += chunk.toString('latin1');
  });
  return { socket, ended, head: () => head };
}

/** Resolves when the connection is there, or has failed: a flood does not care. */
export async function tcp({ from, to }: Origin): Promise<Wire> {
  const socket = connectTcp({
    host: to.address,
    port: to.port,
    localAddress: from,
    allowHalfOpen: true,
    noDelay: true,
  });
  const wire = wireOf(socket);
  await Promise.race([new Promise<void>((resolve) => socket.once('connect', resolve)), wire.ended]);
  return wire;
}

/** @param certificate whether to show one */
export async function tls(origin: Origin, certificate: boolean, maxVersion?: 'TLSv1.2'): Promise<Wire> {
  const { socket: raw } = await tcp(origin);
  const { ca, certificate: cert, key } = origin.tls;
  const socket = connectTls({
    socket: raw,
    ca,
    ...(certificate ? { cert, key } : {}),
    ...(maxVersion === undefined ? {} : { maxVersion }),
    rejectUnauthorized: false,
  });
  const wire = wireOf(socket);
  await Promise.race([new Promise<void>((resolve) => socket.once('secureConnect', resolve)), wire.ended]);
  return wire;
}

/** The lines of an upgrade as a browser would send them. */
export function upgradeLines({ to }: Origin): string[] {
  return [
    'GET / HTTP/1.1',
    `Host: ${hostPort(to.address, to.port)}`,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
    `Sec-WebSocket-Protocol: ${subprotocol}`,
  ];
}

const request = (lines: readonly string[]): string => `${lines.join('\r\n')}\r\n\r\n`;

/** A WebSocket for raw frames. Resolves when the other side has agreed to it, or has ended it. */
export async function webSocket(origin: Origin): Promise<Wire> {
  const wire = await tls(origin, true);
  wire.socket.write(request(upgradeLines(origin)));
  const agreed = new Promise<void>((resolve) => {
    const look = (): void => {
      if (!wire.head().includes('\r\n\r\n')) return;
      wire.socket.off('data', look);
      resolve();
    };
    wire.socket.on('data', look);
  });
  await Promise.race([agreed, wire.ended]);
  return wire;
}

/** RFC 6455's opcodes. */
export const opcode = { continuation: 0, text: 1, binary: 2, reserved: 3, close: 8, ping: 9 } as const;

/** One frame of a client (RFC 6455, section 5.2), right or wrong. `claimed`: the length that its header says, where it lies. */
export function frame(
  payload: Buffer | string,
  {
    code = opcode.text,
    fin = true,
    masked = true,
    rsv = 0,
    claimed,
  }: { code?: number; fin?: boolean; masked?: boolean; rsv?: number; claimed?: number } = {},
): Buffer {
  const data = Buffer.from(payload);
  const length = claimed ?? data.length;
  const extended = length < 126 ? 0 : length < 65_536 ? 2 : 8;
  const head = Buffer.alloc(2 + extended);
  head[0] = (fin ? 0x80 : 0) | (rsv << 4) | code;
  head[1] = (masked ? 0x80 : 0) | (extended === 0 ? length : extended === 2 ? 126 : 127);
  if (extended === 2) head.writeUInt16BE(length, 2);
  if (extended === 8) head.writeBigUInt64BE(BigInt(length), 2);
  // A mask of zeros is one too, and leaves the payload as it is.
  return Buffer.concat(masked ? [head, Buffer.alloc(4), data] : [head, data]);
}

/** A good hello of the attacker. */
export function helloOf({ tls: { identity } }: Origin, changes: object = {}): string {
  return JSON.stringify({
    type: 'hello',
    protocol: { min: 1, max: 1 },
    ...identity,
    version: '0.1.0',
    machineId: `machine-${identity.host}`,
    bootId: 'boot',
    instance: randomBytes(8).toString('hex'),
    ...changes,
  });
}

/** A WebSocket that has said hello. */
export async function introduced(origin: Origin): Promise<Wire> {
  const wire = await webSocket(origin);
  wire.socket.write(frame(helloOf(origin)));
  return wire;
}

/** Does the rest once the connection is there, and waits for the other side to end it. */
function attack(
  name: string,
  refusal: RefusalCode,
  open: (origin: Origin) => Promise<Wire>,
  act: (wire: Wire, origin: Origin) => void | Promise<void>,
): Attack {
  return {
    name,
    refusal,
    run: async (origin) => {
      const wire = await open(origin);
      await act(wire, origin);
      await wire.ended;
    },
  };
}

const secured = (origin: Origin): Promise<Wire> => tls(origin, true);
const nothing = (): void => {};

/** One frame, from a peer that has said hello. */
function badFrame(name: string, ...frames: Buffer[]): Attack {
  return attack(name, 'message', introduced, ({ socket }) => {
    socket.write(Buffer.concat(frames));
  });
}

/** One text in a good frame, from a peer that has said hello. */
const badText = (name: string, text: string): Attack => badFrame(name, frame(text));

const longText = (prefix: string, suffix: string): string =>
  `${prefix}${'x'.repeat(maxMessageBytes - prefix.length - suffix.length)}${suffix}`;

/** Without a certificate of the cluster. */
export const outsideAttacks: readonly Attack[] = [
  attack('a TCP connection that says nothing', 'handshake', tcp, nothing),
  attack('bytes that are not TLS', 'handshake', tcp, ({ socket }) => {
    socket.write(randomBytes(512));
  }),
  attack('HTTP without TLS', 'handshake', tcp, ({ socket }, origin) => {
    socket.write(request(upgradeLines(origin)));
  }),
  // A record of type handshake that says 512 bytes, of which 100 come.
  attack('half of a ClientHello', 'handshake', tcp, ({ socket }) => {
    socket.write(Buffer.concat([Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]), randomBytes(91)]));
  }),
  attack('a connection that is reset in the midst of TLS', 'handshake', tcp, async ({ socket }) => {
    socket.write(Buffer.from([22, 3, 1, 2, 0]));
    await pause(100);
    socket.resetAndDestroy();
  }),
  attack('TLS 1.2', 'handshake', (origin) => tls(origin, true, 'TLSv1.2'), nothing),
  attack('no certificate', 'no_certificate', (origin) => tls(origin, false), nothing),
];

/** With a certificate of the cluster. */
export const insideAttacks: readonly Attack[] = [
  attack('nothing after TLS', 'handshake', secured, nothing),
  attack('a request that is no upgrade', 'handshake', secured, ({ socket }) => {
    socket.write(request(['GET / HTTP/1.1', 'Host: a']));
  }),
  attack('a request whose body never ends', 'handshake', secured, ({ socket }) => {
    socket.write(request(['POST / HTTP/1.1', 'Host: a', 'Content-Length: 1000000000']));
    socket.write('x'.repeat(1_000));
  }),
  attack('bytes that are not HTTP', 'handshake', secured, ({ socket }) => {
    socket.write(randomBytes(512));
  }),
  attack('headers that are too long', 'handshake', secured, ({ socket }) => {
    socket.write(`GET / HTTP/1.1\r\nx: ${'x'.repeat(20_000)}`);
  }),
  attack('headers that come one each half second', 'handshake', secured, async (wire) => {
    wire.socket.write('GET / HTTP/1.1\r\n');
    let over = false;
    void wire.ended.then(() => {
      over = true;
    });
    while (!over) {
      wire.socket.write('x: x\r\n');
      await Promise.race([pause(500, undefined, { ref: false }), wire.ended]);
    }
  }),
  attack('an upgrade without the subprotocol', 'subprotocol', secured, ({ socket }, origin) => {
    socket.write(request(upgradeLines(origin).filter((line) => !line.includes('Protocol'))));
  }),
  attack('an upgrade without a key', 'handshake', secured, ({ socket }, origin) => {
    socket.write(request(upgradeLines(origin).filter((line) => !line.includes('Key'))));
  }),
  attack('an upgrade of another WebSocket version', 'handshake', secured, ({ socket }, origin) => {
    socket.write(request(upgradeLines(origin).map((line) => line.replace('13', '12'))));
  }),

  attack('no hello', 'hello', webSocket, nothing),
  attack('a frame that is cut off', 'hello', webSocket, ({ socket }, origin) => {
    socket.write(frame(helloOf(origin)).subarray(0, 40));
  }),
  attack('a ping before hello', 'hello', webSocket, ({ socket }) => {
    socket.write(frame('{"type":"ping","nonce":"a"}'));
  }),
  attack('a second hello', 'hello', introduced, ({ socket }, origin) => {
    socket.write(frame(helloOf(origin)));
  }),
  attack('a hello of somebody else', 'hello', webSocket, ({ socket }, origin) => {
    socket.write(frame(helloOf(origin, { host: 'n2' })));
  }),
  attack('a protocol of the future only', 'version', webSocket, ({ socket }, origin) => {
    socket.write(frame(helloOf(origin, { protocol: { min: 2, max: 3 } })));
  }),

  badText('a text that is not JSON', 'hello'),
  badText('JSON that is cut off', '{"type":"ping","nonce":"a'),
  badText('an empty text', ''),
  badText('a deeply nested text', '['.repeat(maxMessageBytes)),
  badText('deeply nested JSON', `${'['.repeat(30_000)}${']'.repeat(30_000)}`),
  badText('JSON without a type', '[]'),
  badText('a nonce that is no text', '{"type":"ping","nonce":{"a":1}}'),
  badText('a long text in place of a number', longText('{"type":"hello","protocol":{"min":"', '"}}')),
  attack('a long text in place of an address', 'message', introduced, ({ socket }, origin) => {
    const hello = helloOf(origin, { internalAddress: '' });
    socket.write(frame(longText(hello.slice(0, -2), '"}')));
  }),
  attack('a state of somebody else', 'message', introduced, ({ socket }, { to }) => {
    socket.write(frame(JSON.stringify({ type: 'state', state: stateOf('n2', to.address) })));
  }),
  badFrame(
    'two open requests with one id',
    ...Array.from({ length: 2 }, () => frame('{"type":"request","id":"a","method":"never"}')),
  ),
  badFrame('a message of one byte too many', frame('x'.repeat(maxMessageBytes + 1))),
  badFrame('a header that promises a terabyte', frame('x', { claimed: 2 ** 40 })),
  badFrame(
    'fragments that are too long together',
    frame('x'.repeat(maxMessageBytes), { fin: false }),
    frame('x', { code: opcode.continuation }),
  ),
  badFrame(
    'fragments that never end',
    frame('', { fin: false }),
    ...Array.from({ length: 20_000 }, () => frame('', { code: opcode.continuation, fin: false })),
  ),
  badFrame('a continuation of nothing', frame('x', { code: opcode.continuation })),
  badFrame('a binary frame', frame('{"type":"ping","nonce":"a"}', { code: opcode.binary })),
  badFrame('invalid UTF-8', frame(Buffer.from([0x22, 0xc3, 0x28, 0x22]))),
  badFrame('a frame without a mask', frame('{"type":"ping","nonce":"a"}', { masked: false })),
  badFrame('a compressed frame', frame('x', { rsv: 4 })),
  badFrame('a reserved opcode', frame('x', { code: opcode.reserved })),
  badFrame('a control frame that is too long', frame('x'.repeat(126), { code: opcode.ping })),
  badFrame('a control frame in fragments', frame('x', { code: opcode.ping, fin: false })),

  attack('a flood of messages', 'flood', introduced, ({ socket }) => {
    const unknown = frame('{"type":"later"}');
    socket.write(Buffer.concat(Array.from({ length: 1_000 }, () => unknown)));
  }),
  attack('a flood of control frames', 'flood', introduced, ({ socket }) => {
    const ping = frame('x'.repeat(125), { code: opcode.ping });
    socket.write(Buffer.concat(Array.from({ length: 1_000 }, () => ping)));
  }),
];

/**
 * The remote addresses of the sockets that programs of this machine hold with that local end, listening ones left out. The kernel's
 * own, such as those that wait for the other side's FIN after they were closed, belong to no program and are not among them.
 */
export async function remotesOf({ address, port }: Origin['to']): Promise<string[]> {
  const local =
    `${[...address.split('.')].reverse().map(hexByte).join('')}:${port.toString(16)}`.toUpperCase();
  const listening = '0A';
  const rows = (await readFile('/proc/net/tcp', 'utf8')).split('\n').map((line) => line.trim().split(/\s+/));
  return rows
    .filter(([, at, , state, , , , , , inode]) => at === local && state !== listening && inode !== '0')
    .map(([, , remote = '']) => [...Buffer.from(remote.slice(0, 8), 'hex')].reverse().join('.'));
}

function hexByte(decimal: string): string {
  return Number(decimal).toString(16).padStart(2, '0');
}
