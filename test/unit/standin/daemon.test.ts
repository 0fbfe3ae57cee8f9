import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { call } from '../../support/standin/lines.ts';
import type { RladminResult } from '../../support/standin/rladmin.ts';
import type { SettingsInput } from '../../support/standin/settings.ts';

/*
 * Three daemons as the lab runs them, each a process with folders and a loopback address of its own.
 */

const daemon = fileURLToPath(new URL('../../support/standin/daemon.ts', import.meta.url));
const credentials = { username: 'admin@example.com', password: 'secret' };
const patienceMs = 20_000;

/** Addresses that other runs of this test on the machine do not use. */
const subnet = `127.${(process.pid >> 8) & 255}.${process.pid & 255}`;

let folder: string;
const running = new Set<ChildProcess>();

class Host {
  readonly name: string;
  address: string;
  process: ChildProcess | undefined;
  stderr = '';

  constructor(index: number) {
    this.name = `n${index}`;
    this.address = `${subnet}.${10 + index}`;
    writeFileSync(this.hostsFile, '127.0.0.1 localhost\n::1 localhost\n');
  }

  get hostsFile(): string {
    return join(folder, `${this.name}-hosts`);
  }

  path(...parts: string[]): string {
    return join(folder, this.name, ...parts);
  }

  start(settings: SettingsInput = {}): void {
    const argument: SettingsInput = {
      etcDir: this.path('etc'),
      varDir: this.path('var'),
      hostsFile: this.hostsFile,
      hostname: this.name,
      addresses: [this.address],
      restAddress: this.address,
      heartbeatMs: 100,
      bindWaitMs: 300,
      bootstrapStepMs: 20,
      downAfterMs: 2_000,
      resyncMs: 200,
      actionMs: 50,
      ...settings,
    };
    const child = spawn(process.execPath, [daemon, JSON.stringify(argument)], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    child.stderr.on('data', (chunk: Buffer) => {
      this.stderr += chunk.toString();
    });
    running.add(child);
    this.process = child;
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    if (this.process === undefined) return;
    const ended = once(this.process, 'exit');
    this.process.kill(signal);
    await ended;
    running.delete(this.process);
  }

  async rladmin(...argv: string[]): Promise<RladminResult> {
    return (await call({ path: this.path('var/run/standin.sock') }, { argv }, patienceMs)) as RladminResult;
  }

  async rest(method: string, path: string, body?: object, signedIn = true) {
    const { promise, resolve, reject } = Promise.withResolvers<{
      status: number;
      headers: NodeJS.Dict<string | string[]>;
      body: string;
    }>();
    const auth = signedIn ? { auth: `${credentials.username}:${credentials.password}` } : {};
    const sent = request(
      { host: this.address, port: 9443, path, method, rejectUnauthorized: false, agent: false, ...auth },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }),
        );
      },
    );
    sent.on('error', reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
    return promise;
  }

  async bootstrap(action: 'create_cluster' | 'join_cluster', cluster: object): Promise<void> {
    await eventually(async () => (await this.rest('GET', '/v1/bootstrap', undefined, false)).status === 200);
    const node = { identity: { addr: this.address } };
    const accepted = await this.rest('POST', `/v1/bootstrap/${action}`, {
      action,
      cluster,
      credentials,
      node,
    });
    expect(accepted.status).toBe(200);
    await eventually(async () =>
      (await this.rest('GET', '/v1/bootstrap')).body.includes('"state":"completed"'),
    );
  }
}

/** Polls until it holds; a probe that throws does not hold yet. */
async function eventually(holds: () => Promise<boolean>): Promise<void> {
  let last: unknown = 'it never held';
  for (const deadline = Date.now() + patienceMs; Date.now() < deadline; await sleep(50)) {
    try {
      if (await holds()) return;
      last = 'it never held';
    } catch (thrown) {
      last = thrown;
    }
  }
  throw new Error(`not within ${patienceMs} ms: ${String(last)}`);
}

async function allOk(host: Host, nodes: number): Promise<void> {
  await eventually(async () => {
    const { stdout } = await host.rladmin('status', 'nodes');
    return stdout.match(/ OK *$/gm)?.length === nodes;
  });
}

async function threeNodes(): Promise<[Host, Host, Host]> {
  const hosts = [new Host(1), new Host(2), new Host(3)] as [Host, Host, Host];
  for (const host of hosts) host.start();
  const [first, second, third] = hosts;
  await first.bootstrap('create_cluster', { name: 'cluster.local' });
  await second.bootstrap('join_cluster', { nodes: [first.address] });
  // Through a member that is not the master: it passes the request on.
  await third.bootstrap('join_cluster', { nodes: [second.address] });
  for (const host of hosts) await allOk(host, 3);
  return hosts;
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'standin-'));
});

afterEach(async () => {
  for (const child of running) {
    const ended = once(child, 'exit');
    if (child.exitCode === null && child.signalCode === null && child.kill('SIGKILL')) await ended;
  }
  running.clear();
  rmSync(folder, { recursive: true, force: true });
});

test('three hosts bootstrap, lose one node, renumber it from another, and take it back', async () => {
  const [first, second, third] = await threeNodes();
  expect(readFileSync(third.path('etc/node.id'), 'utf8').trim()).toBe('3');

  // A write through a node that is not the master is read at once where it was made.
  expect(await third.rladmin('node', '2', 'external_addr', 'set', '198.51.100.2', '198.51.100.3')).toEqual({
    exitCode: 0,
    stdout: 'Updated successfully.\n',
    stderr: '',
  });
  expect((await third.rladmin('status', 'nodes')).stdout).toContain('198.51.100.2,198.51.100.3');
  await first.rladmin('standin', 'seed-database', 'db', '2', 'replication', '2', '3');

  const demoted = await first.rladmin('node', '3', 'enslave', 'demote_node');
  expect(demoted.stdout).toBe('Performing enslave_node action on node:3: 100%\nOK\n');
  expect((await first.rladmin('status', 'shards', 'node', '3')).stdout).not.toContain('master');

  const newAddress = `${subnet}.43`;
  const early = await first.rladmin('node', '3', 'addr', 'set', newAddress);
  expect(early).toMatchObject({ exitCode: 1, stdout: '' });
  await third.kill('SIGKILL');
  await eventually(async () =>
    /^node:3 .*DOWN, last seen \d+s ago *$/m.test((await first.rladmin('status', 'nodes')).stdout),
  );
  expect(await first.rladmin('node', '3', 'addr', 'set', newAddress)).toMatchObject({
    exitCode: 0,
    stdout: 'Updated successfully.\n',
  });
  expect((await second.rest('GET', '/v1/nodes')).headers['location']).toBe(
    `https://${first.address}:9443/v1/nodes`,
  );

  // It learns its new address from its peers, and is OK everywhere from there.
  third.address = newAddress;
  third.start();
  for (const host of [first, second, third]) await allOk(host, 3);
  expect((await third.rladmin('info', 'node', '3')).stdout).toContain(`address: ${newAddress}`);
}, 90_000);

test('a new master is elected when the old one dies, and without quorum nothing is written', async () => {
  const [first, second, third] = await threeNodes();
  await first.kill('SIGKILL');
  await eventually(
    async () =>
      (await third.rladmin('cluster', 'master')).stdout === 'Node 2 is the cluster master node\n' &&
      (await third.rladmin('node', '3', 'external_addr', 'add', '198.51.100.9')).exitCode === 0,
  );
  await third.kill('SIGKILL');
  await eventually(
    async () => ((await second.rladmin('status', 'nodes')).stdout.match(/DOWN/g) ?? []).length === 2,
  );
  const refused = await second.rladmin('node', '3', 'addr', 'set', `${subnet}.44`);
  expect(refused).toMatchObject({ exitCode: 1, stdout: '' });
  expect((await second.rladmin('info', 'node', '3')).stdout).toContain(`address: ${third.address}`);

  // The first comes back, finds itself master no more, and there is quorum again.
  first.start();
  await eventually(
    async () => (await first.rladmin('node', '3', 'addr', 'set', `${subnet}.44`)).exitCode === 0,
  );
  expect((await second.rladmin('info', 'node', '3')).stdout).toContain(`address: ${subnet}.44`);
}, 90_000);

test('mastership moves on command, and the new master takes writes', async () => {
  const [first, second, third] = await threeNodes();
  expect(await first.rladmin('cluster', 'master', 'set', '3')).toMatchObject({
    stdout: 'Node 3 set to be the cluster master node\n',
  });
  expect(await second.rladmin('node', '1', 'external_addr', 'add', '198.51.100.1')).toMatchObject({
    exitCode: 0,
  });
  expect((await third.rladmin('status', 'nodes')).stdout).toMatch(
    /^\*node:3 master .*\nnode|^\*node:3 master/m,
  );
  await eventually(async () => (await third.rest('GET', '/v1/nodes')).status === 200);
}, 90_000);

test('a node refuses to start without "::1 localhost", and without its address', async () => {
  const host = new Host(1);
  host.start();
  await host.bootstrap('create_cluster', { name: 'cluster.local' });
  await host.kill('SIGTERM');

  writeFileSync(host.hostsFile, '127.0.0.1 localhost\n');
  host.start();
  expect((await once(host.process as ChildProcess, 'exit'))[0]).toBe(1);
  expect(host.stderr).toContain('::1 localhost');

  // Loopback addresses are all bound; the durable state is made to name one that is not.
  writeFileSync(host.hostsFile, '::1 localhost\n');
  const state = host.path('var/persist/standin-cluster.json');
  writeFileSync(state, readFileSync(state, 'utf8').replaceAll(host.address, '192.0.2.77'));
  host.start();
  expect((await once(host.process as ChildProcess, 'exit'))[0]).toBe(1);
  expect(host.stderr).toContain('192.0.2.77 is not bound');
}, 60_000);

test('a host in no cluster answers REST without sign-in and fails rladmin; as a node it wants a password', async () => {
  const host = new Host(1);
  host.start();
  await eventually(async () => (await host.rladmin('status')).exitCode !== 0);
  const idle = await host.rest('GET', '/v1/bootstrap', undefined, false);
  expect(JSON.parse(idle.body)).toMatchObject({ bootstrap_status: { state: 'idle' } });
  expect(idle.headers['server']).toContain('stand-in');
  expect((await host.rest('GET', '/v1/nodes', undefined, false)).status).toBe(503);
  const wrong = {
    action: 'create_cluster',
    cluster: { name: 'c' },
    credentials,
    node: { identity: { addr: '192.0.2.1' } },
  };
  expect((await host.rest('POST', '/v1/bootstrap/validate/create_cluster', wrong)).status).toBe(406);
  await host.bootstrap('create_cluster', { name: 'cluster.local' });
  expect((await host.rest('GET', '/v1/bootstrap', undefined, false)).status).toBe(401);
  expect((await host.rest('PUT', '/v1/nodes/1', { addr: `${subnet}.99` })).body).toContain(
    'node_not_offline',
  );
  expect((await host.rest('PUT', '/v1/nodes/1', { external_addr: ['198.51.100.1'] })).status).toBe(200);
  expect(JSON.parse((await host.rest('GET', '/v1/nodes/1')).body)).toMatchObject({
    uid: 1,
    addr: host.address,
    external_addr: ['198.51.100.1'],
    status: 'active',
  });
}, 60_000);
