import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { createServer } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { followBootstrap } from '../../../src/cli/bootstrap/follow.ts';
import {
  begin,
  readCluster,
  readLocalBootstrap,
  type SessionDependencies,
  validate,
} from '../../../src/cli/bootstrap/session.ts';
import { createClock } from '../../../src/host/clock.ts';
import { createFiles } from '../../../src/host/files.ts';
import type { Rs } from '../../../src/host/ports/rs.ts';
import { parseNodeId, rladminCommands } from '../../../src/host/rs.ts';
import { createRsRest } from '../../../src/host/rs-rest.ts';
import { type Address, parseAddress } from '../../../src/protocol/address.ts';
import { call } from '../../support/standin/lines.ts';
import type { RladminResult } from '../../support/standin/rladmin.ts';
import { readSettings, type SettingsInput } from '../../support/standin/settings.ts';
import { restCertificate } from '../../support/standin/tls.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

/** A bootstrap over real TLS, against daemons of the stand-in, each a process with a loopback address of its own. */

const daemon = fileURLToPath(new URL('../../support/standin/daemon.ts', import.meta.url));
const subnet = `127.${100 + ((process.pid >> 8) & 127)}.${process.pid & 255}`;
const credentials = { username: 'admin@example.com', password: 'open-sesame' };
const clock = createClock();
const files = createFiles();
const rest = createRsRest(clock);
const never = new AbortController().signal;
const port = 9443;

interface Node {
  address: Address;
  session: SessionDependencies;
  rs: Pick<Rs, 'localUid' | 'nodeTable'>;
  start: (settings?: SettingsInput) => Promise<void>;
  kill: () => Promise<void>;
  /** Of the certificate that it shows now. */
  pins: () => Promise<{ pins: Set<string> }>;
}

async function nodeAt(index: number, hostsFile = '127.0.0.1 localhost\n::1 localhost\n'): Promise<Node> {
  const folder = await temporaryDirectory();
  const address = parseAddress(`${subnet}.${10 + index}`);
  await mkdir(`${folder}/etc`);
  await writeFile(`${folder}/hosts`, hostsFile);
  const session = { rest, port, own: address };
  let child: ChildProcess | undefined;
  const kill = async (): Promise<void> => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  };
  onTestFinished(kill);
  return {
    address,
    session,
    kill,
    rs: {
      localUid: async () => {
        const path = `${folder}/etc/node.id`;
        const text = await files.readIfExists(path);
        return text === undefined ? undefined : parseNodeId(text, path);
      },
      nodeTable: rladminCommands(
        async (argv) =>
          (await call({ path: `${folder}/var/run/standin.sock` }, { argv }, 20_000)) as RladminResult,
      ).nodeTable,
    },
    start: async (settings = {}) => {
      const argument: SettingsInput = {
        etcDir: `${folder}/etc`,
        varDir: `${folder}/var`,
        hostsFile: `${folder}/hosts`,
        hostname: `n${index}`,
        addresses: [address],
        restAddress: address,
        heartbeatMs: 100,
        bindWaitMs: 300,
        bootstrapStepMs: 50,
        downAfterMs: 2_000,
        ...settings,
      };
      child = spawn(process.execPath, [daemon, JSON.stringify(argument)], { stdio: 'ignore' });
      await vi.waitFor(() => readLocalBootstrap(session), { timeout: 20_000, interval: 50 });
    },
    pins: async () => ({ pins: new Set([(await readLocalBootstrap(session)).fingerprint]) }),
  };
}

const createBody = (node: Node) => ({
  action: 'create_cluster',
  cluster: { name: 'cluster.example' },
  credentials,
  node: { identity: { addr: node.address } },
});
const joinBody = (node: Node, member: Address, change: object = {}) => ({
  action: 'join_cluster',
  cluster: { nodes: [member] },
  credentials,
  node: { identity: { addr: node.address, ...change } },
});

const follow = async (node: Node, states: string[] = []) =>
  await followBootstrap({ ...node.session, rs: node.rs, clock }, (state) => states.push(state), never);

async function created(index = 1): Promise<Node> {
  const node = await nodeAt(index);
  await node.start();
  expect(await begin(node.session, await node.pins(), 'create_cluster', createBody(node))).toBe(true);
  await follow(node);
  return node;
}

async function joined(index: number, member: Address): Promise<Node> {
  const node = await nodeAt(index);
  await node.start();
  await begin(node.session, await node.pins(), 'join_cluster', joinBody(node, member));
  await follow(node);
  return node;
}

describe('the certificate of the other end', { timeout: 30_000 }, () => {
  let server: { port: number; received: () => string };
  beforeAll(async () => {
    const folder = await mkdtemp(`${tmpdir()}/rlnet-test-`);
    const pair = await restCertificate(readSettings(JSON.stringify({ etcDir: folder })), 'impostor');
    let received = '';
    const listening = createServer(pair, (socket) => {
      socket.on('data', (chunk: Buffer) => {
        received += chunk.toString();
        socket.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n');
      });
      socket.on('error', () => {});
    });
    await once(listening.listen(0, '127.0.0.1'), 'listening');
    const address = listening.address();
    server = {
      port: typeof address === 'object' && address !== null ? address.port : 0,
      received: () => received,
    };
    return async () => {
      listening.close();
      await rm(folder, { recursive: true });
    };
  });
  const question = (pins: Set<string>) => ({
    address: parseAddress('127.0.0.1'),
    port: server.port,
    method: 'GET' as const,
    path: '/v1/nodes',
    trust: { pins, credentials },
    timeoutMs: 5_000,
  });

  test('that was not given is named, and nothing is sent to it', async () => {
    const refused = rest.ask(question(new Set(['ab'.repeat(32)])));
    await expect(refused).rejects.toMatchObject({
      code: 'RS_CERTIFICATE_UNKNOWN',
      message: expect.stringMatching(/SHA-256 fingerprint [0-9a-f]{64}\. Nothing was sent/),
    });
    expect(server.received()).toBe('');
  });

  test('that was given lets the credentials through, over the same connection', async () => {
    const refused = await rest.ask(question(new Set())).then(
      () => 'not refused',
      (thrown: unknown) => String(thrown),
    );
    const [, pin = ''] = /fingerprint ([0-9a-f]{64})/.exec(refused) ?? [];
    expect(await rest.ask(question(new Set([pin])))).toMatchObject({ status: 401, fingerprint: pin });
    const expected = Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64');
    expect(server.received()).toContain(`Authorization: Basic ${expected}`);
  });

  test('is of no use where nobody answers', async () => {
    const nobody = { ...question(new Set()), port: 1 };
    await expect(rest.ask(nobody)).rejects.toMatchObject({
      code: 'RS_REST_UNREACHABLE',
      message: expect.stringContaining('ECONNREFUSED'),
    });
  });
});

async function refusedByRs(node: Node, code: string): Promise<void> {
  await expect(follow(node)).rejects.toMatchObject({
    code: 'BOOTSTRAP_FAILED',
    message: expect.stringContaining(code),
    remedy: expect.stringMatching(/^\S.{10,}/s),
  });
}

describe('a bootstrap', { timeout: 60_000 }, () => {
  test('is validated, begun, and followed until rladmin shows the node, though its certificate changes', async () => {
    const node = await nodeAt(1);
    await node.start();
    const pins = await node.pins();
    expect(await readLocalBootstrap(node.session)).toMatchObject({
      is: 'outside',
      state: 'idle',
      offer: [{ address: node.address }],
    });
    expect(await validate(node.session, pins, 'create_cluster', createBody(node))).toBeUndefined();
    await begin(node.session, pins, 'create_cluster', createBody(node));
    expect(await begin(node.session, pins, 'create_cluster', createBody(node))).toBe(false);
    const states: string[] = [];
    expect(await follow(node, states)).toMatchObject({ uid: 1, address: node.address, status: 'ok' });
    expect(states.at(-1)).toBe('completed');
    expect(await readLocalBootstrap(node.session)).toMatchObject({ is: 'member' });
    expect(await node.pins()).not.toEqual(pins);
  });

  test('of a second node reads the cluster from a member, and from its master only where that is known', async () => {
    const first = await created();
    const second = await joined(2, first.address);
    const trust = { pins: (await second.pins()).pins.union((await first.pins()).pins), credentials };
    const nodes = [
      { uid: 1, address: first.address, status: 'active' },
      { uid: 2, address: second.address, status: 'active' },
    ];
    expect(await readCluster(second.session, trust, [second.address], [first.address])).toMatchObject(nodes);
    expect(await readCluster(second.session, trust, [first.address], [])).toMatchObject(nodes);
    await expect(readCluster(second.session, trust, [second.address], [])).rejects.toMatchObject({
      code: 'RS_REDIRECT_UNKNOWN',
      message: expect.stringContaining(`https://${first.address}:9443/v1/nodes`),
    });
    const stranger = { ...trust, credentials: { ...credentials, password: 'wrong' } };
    await expect(readCluster(second.session, stranger, [first.address], [])).rejects.toMatchObject({
      code: 'RS_SIGN_IN_REFUSED',
    });
  });

  test('that RS itself refuses is explained by what RS says, and can be begun anew', async () => {
    const first = await created();
    const node = await nodeAt(2);
    await node.start();
    const pins = await node.pins();
    for (const [wrong, identity, code] of [
      // A password that the cluster does not know, and four identities that cannot be.
      [{ password: 'wrong' }, {}, 'access_denied'],
      [{}, { use_internal_ipv6: false }, 'NodeBootstrapError'],
      [{}, { addr: '127.1.1.1' }, 'config_error'],
      [{}, { addr: '2001:DB8::/32' }, 'config_error'],
      [{}, { addr: '2001:db8::9' }, 'NodeBootstrapError'],
    ] as const) {
      const body = { ...joinBody(node, first.address, identity), credentials: { ...credentials, ...wrong } };
      const objection = await validate(node.session, pins, 'join_cluster', body);
      expect(objection?.errorCode).toContain(code);
      await begin(node.session, pins, 'join_cluster', body);
      await expect(follow(node)).rejects.toMatchObject({
        code: 'BOOTSTRAP_FAILED',
        message: expect.stringContaining(code),
      });
    }
    await begin(node.session, pins, 'join_cluster', joinBody(node, first.address));
    expect(await follow(node)).toMatchObject({ uid: 2 });
  });

  /** What our checks would have caught, had they been asked: RS's own word for it comes out in the end. */
  const creations: {
    what: string;
    code: string;
    cluster?: object;
    identity?: object;
    settings?: SettingsInput;
  }[] = [
    { what: 'a name with an underscore', code: 'config_error', cluster: { name: 'my_cluster.example' } },
    {
      what: 'IPv6 inside without an IPv6 address',
      code: 'NodeBootstrapError',
      identity: { use_internal_ipv6: true },
    },
    {
      what: 'IPv6 inside with RS 7.4.0',
      code: 'NodeBootstrapError',
      identity: { use_internal_ipv6: true, addr: '2001:db8::9' },
      settings: { addresses: ['2001:db8::9'], softwareVersion: '7.4.0-100' },
    },
    {
      what: "the vendor's example as address",
      code: 'config_error',
      identity: { addr: '2001:DB8::/32' },
    },
    { what: 'an address that is on no interface', code: 'config_error', identity: { addr: '192.0.2.77' } },
    {
      what: 'an external address that is none',
      code: 'config_error',
      identity: { external_addr: ['10.0.0.300'] },
    },
  ];
  test.for(creations)('to create with $what is refused by RS and explained: $code', async (way) => {
    const { code, cluster, identity, settings } = way;
    const node = await nodeAt(1);
    await node.start(settings);
    const pins = await node.pins();
    const usual = createBody(node);
    const body = {
      ...usual,
      cluster: { ...usual.cluster, ...cluster },
      node: { identity: { ...usual.node.identity, ...identity } },
    };
    const objection = await validate(node.session, pins, 'create_cluster', body);
    expect(objection?.errorCode).toContain(code);
    await begin(node.session, pins, 'create_cluster', body);
    await refusedByRs(node, code);
    expect(await node.rs.localUid()).toBeUndefined();
  });

  const joins: { what: string; code: string; member?: string; addr?: (first: Node) => string }[] = [
    { what: 'nobody at the address of the member', code: 'connect_error', member: `${subnet}.200` },
    { what: 'the address of another node', code: 'config_error', addr: (first) => first.address },
    {
      what: 'IPv6 alone, into a cluster over IPv4',
      code: 'NodeBootstrapError',
      addr: () => '2001:db8::9',
    },
  ];
  test.for(joins)('to join with $what is refused by RS and explained: $code', async (way) => {
    const first = await created();
    const node = await nodeAt(2);
    const addr = way.addr?.(first);
    await node.start(addr === undefined ? {} : { addresses: [addr] });
    const member = way.member === undefined ? first.address : parseAddress(way.member);
    const body = joinBody(node, member, addr === undefined ? {} : { addr });
    await begin(node.session, await node.pins(), 'join_cluster', body);
    await refusedByRs(node, way.code);
    expect((await first.rs.nodeTable()).nodes).toHaveLength(1);
  });

  test('that RS refuses for a missing ::1 localhost, or for a node that is down, is explained', async () => {
    const first = await created();
    const bare = await nodeAt(2, '127.0.0.1 localhost\n');
    await bare.start();
    await begin(bare.session, await bare.pins(), 'join_cluster', joinBody(bare, first.address));
    await expect(follow(bare)).rejects.toMatchObject({ message: expect.stringContaining('::1 localhost') });

    const second = await joined(3, first.address);
    const third = await joined(4, first.address);
    await third.kill();
    const seenDown = async (): Promise<void> => {
      const { nodes } = await second.rs.nodeTable();
      expect(nodes.map(({ status }) => status)).toContain('down');
    };
    await vi.waitFor(seenDown, { timeout: 20_000, interval: 100 });
    const late = await nodeAt(5);
    await late.start();
    await begin(late.session, await late.pins(), 'join_cluster', joinBody(late, first.address));
    await expect(follow(late)).rejects.toMatchObject({
      code: 'BOOTSTRAP_FAILED',
      message: expect.stringMatching(
        /would take its place \(repair_required\).*"failed_nodes":\[\{"uid":3\}\]/,
      ),
    });
  });

  test('that was interrupted in RS is said to be, and begins anew', async () => {
    const node = await nodeAt(1);
    await node.start({ bootstrapStepMs: 5_000 });
    await begin(node.session, await node.pins(), 'create_cluster', createBody(node));
    const states: string[] = [];
    const followed = follow(node, states);
    const outcome = expect(followed).rejects.toMatchObject({ code: 'BOOTSTRAP_INTERRUPTED' });
    await vi.waitFor(() => expect(states).toContain('initiated'), { timeout: 5_000 });
    await node.kill();
    await vi.waitFor(() => expect(states.at(-1)).toMatch(/does not answer/), { timeout: 5_000 });
    await node.start();
    await outcome;
    await begin(node.session, await node.pins(), 'create_cluster', createBody(node));
    expect(await follow(node)).toMatchObject({ uid: 1 });
  });

  test('whose following a person ends goes on, and that is said', async () => {
    const node = await nodeAt(1);
    await node.start({ bootstrapStepMs: 1_000 });
    await begin(node.session, await node.pins(), 'create_cluster', createBody(node));
    const ended = new AbortController();
    const followed = followBootstrap(
      { ...node.session, rs: node.rs, clock },
      () => ended.abort(),
      ended.signal,
    );
    await expect(followed).rejects.toMatchObject({ code: 'BOOTSTRAP_UNDER_WAY' });
    expect(await follow(node)).toMatchObject({ uid: 1, status: 'ok' });
  });
});
