import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server as TlsServer } from 'node:https';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { tryParseAddress } from '../../../src/protocol/address.ts';
import { errnoOf } from '../../../src/protocol/errors.ts';
import {
  type BootstrapFailure,
  type BootstrapRequest,
  createCluster,
  type HostFacts,
  hasLoopbackEntry,
  startRefusal,
} from './bootstrap-rules.ts';
import { loadState, writeNodeId } from './durable.ts';
import { serve } from './lines.ts';
import { askToJoin, catchUp, type Member, type Origin, startMember } from './member.ts';
import { isRefusal, nodeOf, refuse } from './model.ts';
import {
  answerRest,
  type BootstrapStatus,
  bootstrapError,
  bootstrapStatus,
  type RestAnswer,
  type RestState,
} from './rest.ts';
import { runRladmin } from './rladmin.ts';
import { readSettings, type Settings, usableAddresses } from './settings.ts';
import { restCertificate } from './tls.ts';

/*
 * The stand-in's service on a host: what `rlec_supervisor` starts. On a host in no cluster it waits to be bootstrapped;
 * on a node it refuses to start, with the reason on stderr and exit status 1, unless `::1 localhost` is in /etc/hosts
 * and its internal address is bound.
 *
 *     node daemon.ts ['{"etcDir": …}']    the argument: see settings.ts
 */

function log(line: string): void {
  process.stdout.write(`stand-in for Redis Enterprise Software: ${line}\n`);
}

function refuseToStart(reason: string): never {
  process.stderr.write(`stand-in for Redis Enterprise Software: ${reason}\n`);
  process.exit(1);
}

/** Where `rladmin` finds the daemon of its host. */
export function socketPath(settings: Pick<Settings, 'varDir'>): string {
  return join(settings.varDir, 'run', 'standin.sock');
}

const settings = readSettings(process.argv[2] ?? '{}');
const startedAt = Date.now();
let member: Member | undefined;
let bootstrap: BootstrapStatus = { state: 'idle' };

function hostFacts(): HostFacts {
  const { hostname, softwareVersion } = settings;
  const hostsFile = readFileSync(settings.hostsFile, 'utf8');
  return {
    addresses: usableAddresses(settings).map(({ address }) => address),
    hostsFile,
    hostname,
    softwareVersion,
  };
}

/** Starts the node this host was before; ends the process where it cannot. */
async function resume(): Promise<void> {
  const known = loadState(settings);
  if (known === undefined) return;
  const { hostsFile } = hostFacts();
  const deadline = Date.now() + settings.bindWaitMs;
  for (;;) {
    const replica = hasLoopbackEntry(hostsFile)
      ? await catchUp(settings, known.uid, known.replica)
      : known.replica;
    const ownAddress =
      replica.committed === undefined ? undefined : nodeOf(replica.committed, known.uid)?.addr;
    if (ownAddress === undefined) refuseToStart(`node:${known.uid} is not in the configuration`);
    try {
      const reason = startRefusal({ hostsFile, ownAddress, ownAddressBound: true });
      if (reason !== undefined) refuseToStart(reason);
      const started = await startMember(settings, { kind: 'known', uid: known.uid, replica }, log);
      if (isRefusal(started)) refuseToStart(started.message);
      member = started;
      bootstrap = { state: 'completed' };
      return;
    } catch (thrown) {
      // The kernel is the judge of "bound": an address that is tentative, or of a link that is down, is not.
      if (errnoOf(thrown) !== 'EADDRNOTAVAIL') throw thrown;
      if (Date.now() >= deadline) {
        const reason = startRefusal({ hostsFile, ownAddress, ownAddressBound: false });
        if (reason !== undefined) refuseToStart(reason);
      }
    }
    await sleep(200);
  }
}

/** What a bootstrap request comes to on this host; for a join the members decide. */
async function judge(request: BootstrapRequest): Promise<Origin | BootstrapFailure> {
  const facts = hostFacts();
  if (request.action === 'create_cluster') {
    const config = createCluster(facts, request);
    return isRefusal(config) ? config : { kind: 'create', config };
  }
  const via = (request.cluster.nodes ?? []).map(tryParseAddress).filter((each) => each !== undefined);
  if (via.length === 0) return refuse('config_error', 'cluster.nodes names no member');
  const answer = await askToJoin(settings, undefined, via, { facts, request, dryRun: true });
  if (isRefusal(answer)) return answer;
  const addr = nodeOf(answer.config, answer.uid)?.addr;
  if (addr === undefined) return refuse('internal_error', 'the members gave this node no address');
  const settled = { ...request, identity: { ...request.identity, addr } };
  return { kind: 'join', addr, via, facts, request: settled };
}

async function runBootstrap(request: BootstrapRequest): Promise<void> {
  const start_time = new Date().toISOString();
  const ended = () => ({ start_time, end_time: new Date().toISOString() });
  bootstrap = { state: 'initiated', start_time };
  try {
    await sleep(settings.bootstrapStepMs);
    bootstrap = {
      state: request.action === 'create_cluster' ? 'creating_cluster' : 'joining_cluster',
      start_time,
    };
    const origin = await judge(request);
    const started = isRefusal(origin) ? origin : await startMember(settings, origin, log);
    if (isRefusal(started)) {
      bootstrap = { state: 'error', ...ended(), ...bootstrapError(started) };
      log(`bootstrap: ${started.message}`);
      return;
    }
    writeNodeId(settings, started.uid);
    rest.setSecureContext(await restCertificate(settings, started.view().config.name));
    await sleep(settings.bootstrapStepMs);
    member = started;
    bootstrap = { state: 'completed', ...ended() };
    log(`node:${started.uid} of ${started.view().config.name}`);
  } catch (thrown) {
    bootstrap = { state: 'error', ...ended(), ...bootstrapError(refuse('internal_error', String(thrown))) };
    log(`bootstrap: ${String(thrown)}`);
  }
}

function restState(): RestState {
  return {
    bootstrap,
    interfaces: usableAddresses(settings),
    hostname: settings.hostname,
    uptime: Math.floor((Date.now() - startedAt) / 1000),
    view: member?.view(),
    restPort: settings.restPort,
  };
}

type Reply = RestAnswer & { kind: 'reply' };

/** Carries out what the pure answer asks for. */
async function carryOut(answer: RestAnswer): Promise<Reply> {
  switch (answer.kind) {
    case 'reply':
      return answer;
    case 'change': {
      const trouble = await member?.change(answer.config);
      return { kind: 'reply', status: trouble === undefined ? 200 : 503 };
    }
    case 'bootstrap':
      void runBootstrap(answer.request);
      return { kind: 'reply', status: 200, body: bootstrapStatus(restState()) };
    case 'validate': {
      const origin = await judge(answer.request);
      if (!isRefusal(origin)) return { kind: 'reply', status: 200 };
      return {
        kind: 'reply',
        status: 406,
        body: { bootstrap_status: { state: 'error', ...bootstrapError(origin) } },
      };
    }
  }
}

async function onRequest(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  // Tests look here for what was asked of RS. Nothing of a body: credentials are in it.
  if (request.method !== 'GET') log(`REST: ${request.method} ${request.url}`);
  const { status, body, location } = await carryOut(
    answerRest(
      {
        method: request.method ?? '',
        url: request.url ?? '/',
        authorization: request.headers.authorization,
        body: Buffer.concat(chunks).toString(),
      },
      restState(),
    ),
  );
  response.statusCode = status;
  response.setHeader('Server', 'stand-in for Redis Enterprise Software');
  if (location !== undefined) response.setHeader('Location', location);
  if (body !== undefined) response.setHeader('Content-Type', 'application/json');
  response.end(body === undefined ? undefined : JSON.stringify(body));
}

/** Listens on both families, or on IPv4 alone where the kernel has no IPv6. */
async function listen(server: TlsServer, address: string | undefined): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen({ port: settings.restPort, host: address ?? '::' }, resolve);
  try {
    await promise;
  } catch (thrown) {
    if (address !== undefined || errnoOf(thrown) !== 'EAFNOSUPPORT') throw thrown;
    await listen(server, '0.0.0.0');
  }
}

await resume();
const rest = createServer(
  await restCertificate(settings, member?.view().config.name ?? settings.hostname),
  (request, response) => {
    onRequest(request, response).catch((thrown: unknown) => {
      log(`REST: ${String(thrown)}`);
      response.destroy();
    });
  },
);
await listen(rest, settings.restAddress);

const socket = socketPath(settings);
mkdirSync(dirname(socket), { recursive: true });
// A socket that a killed daemon left behind would make the address "in use".
rmSync(socket, { force: true });
await serve({ path: socket }, async (message) => {
  const { argv } = message as { argv: string[] };
  return member === undefined ? runRladmin(argv, undefined) : member.execute(argv);
});
log(member === undefined ? 'waiting to be bootstrapped' : `node:${member.uid} started`);

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => {
    log(`ending on ${signal}`);
    member?.stop();
    rmSync(socket, { force: true });
    process.exit(0);
  });
}
