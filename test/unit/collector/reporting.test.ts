import { X509Certificate } from 'node:crypto';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import * as v from 'valibot';
import { expect, onTestFinished, test, vi } from 'vitest';
import { createReportConnector } from '../../../src/agent/report/connect.ts';
import { type Journals, Reporter } from '../../../src/agent/report/reporter.ts';
import { Spool } from '../../../src/agent/report/spool.ts';
import { issueCa, issueCollector, issueHost } from '../../../src/cli/tls-issue.ts';
import { Collector } from '../../../src/collector/collector.ts';
import { Database } from '../../../src/collector/database.ts';
import { type CollectorTls, identityOf, listenForAgents } from '../../../src/collector/listener.ts';
import { answerWeb } from '../../../src/collector/web.ts';
import { createClock } from '../../../src/host/clock.ts';
import { createFiles } from '../../../src/host/files.ts';
import { createRandom } from '../../../src/host/random.ts';
import { parseAddress } from '../../../src/protocol/address.ts';
import type { JournalRecord } from '../../../src/protocol/renumbering/records.ts';
import { snapshotSchema } from '../../../src/protocol/reporting.ts';
import { recordLog } from '../../support/agents.ts';
import { exampleView } from '../../support/example-view.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

/** Real sockets, real TLS, a real database; the agent is its reporter alone. */

const clock = createClock();
const random = createRandom();
const loopback = parseAddress('127.0.0.1');
const patience = { timeout: 10_000, interval: 20 };
const terms = { now: clock.wall(), days: 5 };
const demo = await issueCa('demo', { ...terms, random: random.id() });
const rival = await issueCa('rival', { ...terms, random: random.id() });
const own = await issueCollector(demo, 'c1', { ...terms, random: random.id() });

const printOf = (pem: string): ReadonlySet<string> => new Set([new X509Certificate(pem).fingerprint256]);
const tls: CollectorTls = {
  certificate: own.certificate,
  key: own.key,
  clusters: new Map([
    ['demo', { ca: demo.certificate, fingerprints: printOf(demo.certificate) }],
    ['rival', { ca: rival.certificate, fingerprints: printOf(rival.certificate) }],
  ]),
};
const [exampleState] = exampleView().hosts.flatMap(({ state }) => state ?? []);
const snapshot = v.parse(snapshotSchema, { state: exampleState, links: [] });

/** A collector on a port, 0 for any. */
async function collect(database: Database, port = 0, shows: Pick<CollectorTls, 'certificate' | 'key'> = own) {
  const refusals: string[] = [];
  const collector = new Collector({
    clock,
    database,
    keep: { eventDays: 30, renumberingDays: 30 },
    log: recordLog(),
  });
  let ended = false;
  const used = port === 0 ? await freePort() : port;
  const listener = await listenForAgents(
    { ...tls, certificate: shows.certificate, key: shows.key },
    { address: loopback, port: used },
    (connection) => collector.accept(connection),
    (why) => refusals.push(why),
  );
  const stop = async (): Promise<void> => {
    if (ended) return;
    ended = true;
    await listener.close();
    collector.stop();
  };
  onTestFinished(stop);
  return { port: used, collector, refusals, stop };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  return port;
}

async function report(
  port: number,
  options: {
    ca?: typeof demo;
    issuer?: typeof demo;
    journals?: Journals;
    directory?: string;
    boot?: string;
  } = {},
) {
  const host = await issueHost(options.issuer ?? demo, 'n1', { ...terms, random: random.id() });
  const bootId = options.boot ?? 'boot-1';
  const directory = options.directory ?? (await temporaryDirectory());
  const spool = await Spool.open(createFiles(), directory, bootId);
  const ca = options.ca ?? demo;
  const reporter = new Reporter({
    clock,
    random,
    connector: createReportConnector(
      `wss://127.0.0.1:${port}`,
      () => host,
      async () => ca.certificate,
    ),
    spool,
    journals: options.journals ?? { list: async () => [], recordsOf: async () => [] },
    bootId,
    version: '0.1.0',
    snapshot: () => snapshot,
    log: recordLog(),
    changed: () => {},
  });
  onTestFinished(() => reporter.stop());
  return { reporter, directory };
}

const inDatabase = (database: Database): string[] =>
  database.events({ after: 0, limit: 1_000 }).map(({ stream, n }) => `${stream} ${n}`);
const numbered = (stream: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${stream} ${index + 1}`);

test('a snapshot and events get from an agent into the database, and onto page and API', async () => {
  const database = new Database(':memory:');
  const { port, collector } = await collect(database);
  const { reporter } = await report(port);
  reporter.event('finding', { code: 'A_CODE' });
  reporter.event('finding_gone', { code: 'A_CODE' });
  await vi.waitFor(() => expect(inDatabase(database)).toEqual(numbered('boot:boot-1', 2)), patience);
  await vi.waitFor(() => expect(database.hosts()).toHaveLength(1), patience);
  const ask = (path: string, query: Record<string, string> = {}) =>
    answerWeb({ database, collector, now: clock.wall() }, { path, query: new Map(Object.entries(query)) });
  expect(JSON.parse(ask('/api/v1/hosts').body)).toMatchObject({
    hosts: [{ cluster: 'demo', host: 'n1', connected: true, silent: false, state: { nodeUid: 1 } }],
  });
  const { events } = JSON.parse(ask('/api/v1/events', { after: '0', limit: '1' }).body) as {
    events: unknown[];
  };
  expect(events).toMatchObject([{ n: 1, kind: 'finding', data: { code: 'A_CODE' } }]);
  expect(ask('/').body).toContain('fd77::21');
  expect(ask('/api/v1/events', { limit: 'x' }).status).toBe(400);
  expect(ask('/nothing').status).toBe(404);
});

test('events wait on disk while the collector is away, over a restart of the agent and a boot, and come once and in order', async () => {
  const path = join(await temporaryDirectory(), 'collector.sqlite');
  const first = new Database(path);
  const up = await collect(first);
  const { reporter, directory } = await report(up.port);
  reporter.event('a', 1);
  await vi.waitFor(() => expect(inDatabase(first)).toEqual(numbered('boot:boot-1', 1)), patience);
  await up.stop();
  reporter.event('a', 2);
  await reporter.stop();
  const again = await report(up.port, { directory });
  again.reporter.event('a', 3);
  await again.reporter.stop();
  const booted = await report(up.port, { directory, boot: 'boot-2' });
  booted.reporter.event('a', 1);
  const second = new Database(path);
  await collect(second, up.port);
  await vi.waitFor(
    () => expect(inDatabase(second)).toEqual([...numbered('boot:boot-1', 3), 'boot:boot-2 1']),
    patience,
  );
  expect(second.lost()).toBe(0);
  first.close();
});

test('the records of a renumbering come from its journal, from where the collector has it on', async () => {
  const records: JournalRecord[] = Array.from({ length: 450 }, (_, index) => ({
    type: 'resumed',
    wall: index,
    at: { bootId: 'b', seconds: index },
  }));
  const database = new Database(':memory:');
  database.write([
    {
      source: { cluster: 'demo', host: 'n1' },
      what: 'events',
      stream: 'journal:0123456789ab',
      received: 1,
      events: [{ n: 1, at: 0, kind: 'journal', data: null }],
    },
  ]);
  const { port } = await collect(database);
  const { reporter } = await report(port, {
    journals: { list: async () => ['0123456789ab'], recordsOf: async () => records },
  });
  await vi.waitFor(
    () => expect(inDatabase(database)).toEqual(numbered('journal:0123456789ab', 450)),
    patience,
  );
  records.push({ type: 'resumed', wall: 9, at: { bootId: 'b', seconds: 9 } });
  reporter.journalGrew('0123456789ab');
  await vi.waitFor(
    () => expect(database.last({ cluster: 'demo', host: 'n1' }, 'journal:0123456789ab')).toBe(451),
    patience,
  );
});

test('a collector that cannot write does not acknowledge, and the agent knows why', async () => {
  const database = new Database(':memory:');
  vi.spyOn(database, 'write').mockImplementation(() => {
    throw new Error('database or disk is full');
  });
  const { port, collector } = await collect(database);
  const { reporter } = await report(port);
  reporter.event('a', 1);
  await vi.waitFor(() => expect(reporter.status.why).toContain('database or disk is full'), patience);
  expect(reporter.status.connected).toBe(false);
  expect(collector.counts.trouble).toContain('full');
});

test('a host with a certificate of a CA that is not known here is turned away', async () => {
  const database = new Database(':memory:');
  const { port, refusals } = await collect(database);
  const forged = await issueCa('demo', { ...terms, random: random.id() });
  await report(port, { issuer: forged });
  await vi.waitFor(() => expect(refusals.length).toBeGreaterThan(0), patience);
  expect(database.hosts()).toEqual([]);
});

test.for([
  ['demo', 'URI:rlnet://demo/host/n1', demo, undefined],
  ['rival', 'URI:rlnet://demo/host/n1', rival, 'the CA of demo has not signed it'],
  ['demo', 'URI:rlnet://third/host/n1', demo, 'no cluster third is configured'],
  ['demo', 'URI:rlnet://demo/collector/c1', demo, 'names no rlnet host'],
] as const)('a certificate of the CA of %s for %s', ([, subjectaltname, issuer, why]) => {
  const [fingerprint256 = ''] = printOf(issuer.certificate);
  const found = identityOf(
    { subjectaltname, fingerprint256: 'AA', issuerCertificate: { fingerprint256 } as never },
    tls,
  );
  expect('why' in found ? found.why : undefined).toEqual(
    why === undefined ? undefined : expect.stringContaining(why),
  );
});

test('a host takes no other host for a collector', async () => {
  const impostor = await issueHost(demo, 'n2', { ...terms, random: random.id() });
  const port = await freePort();
  const listener = await listenForAgents(
    { ...tls, certificate: impostor.certificate, key: impostor.key },
    { address: loopback, port },
    () => {},
    () => {},
  );
  onTestFinished(() => listener.close());
  const { reporter } = await report(port);
  await vi.waitFor(() => expect(reporter.status.why).toBe('its certificate names no collector'), patience);
});

test('a collector whose certificate has expired is told nothing, and everything once it has a new one', async () => {
  const database = new Database(':memory:');
  const then = { now: clock.wall() - 10 * 86_400_000, days: 5, random: random.id() };
  const { port, stop } = await collect(database, 0, await issueCollector(demo, 'c1', then));
  const { reporter } = await report(port);
  reporter.event('a', 1);
  await vi.waitFor(() => expect(reporter.status.why).toContain('certificate has expired'), patience);
  reporter.event('a', 2);
  await stop();
  await collect(database, port);
  await vi.waitFor(() => expect(inDatabase(database)).toEqual(numbered('boot:boot-1', 2)), patience);
  expect(reporter.status.connected).toBe(true);
});

test.for([
  ['429 Too Many Requests', 'it answered HTTP 429'],
  ['500 Internal Server Error', 'it answered HTTP 500'],
] as const)('an answer of %s is no connection, and the next try comes later', async ([status, why]) => {
  const port = await freePort();
  const server = createServer({ cert: own.certificate, key: own.key });
  let tries = 0;
  server.on('upgrade', (_request, socket) => {
    tries += 1;
    socket.end(`HTTP/1.1 ${status}\r\nretry-after: 600\r\nconnection: close\r\n\r\n`);
  });
  await new Promise<void>((done) => server.listen(port, '127.0.0.1', done));
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  });
  const { reporter } = await report(port);
  await vi.waitFor(() => expect(reporter.status.why).toBe(why), patience);
  await new Promise((done) => setTimeout(done, 2_500));
  expect(tries).toBe(1);
});
