/**
 * How many agents one collector carries. It runs in a process of its own, by its command line; the agents are in others, each with a
 * certificate and a connection of its own, made and spoken as an agent does (src/agent/report). Each sends a snapshot and an event every 10 s. What is
 * measured is the time from an agent's sending to the collector's answer, which comes once SQLite has synced it.
 *
 *   scripts/bench collector [AGENTS[,AGENTS…] [SECONDS]]
 *
 * For each number of agents: those are added that are missing, and after a period of 10 s the given time is measured.
 */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { ReportChannel } from '../../src/agent/report/channel.ts';
import { createReportConnector } from '../../src/agent/report/connect.ts';
import { type Issued, issueCa, issueCollector, issueHost } from '../../src/cli/tls-issue.ts';
import { createRandom } from '../../src/host/random.ts';
import { decodeReportAnswer, type Report, type Snapshot } from '../../src/protocol/reporting.ts';
import { exampleView } from '../../test/support/example-view.ts';

const port = 19471;
const everyMs = 10_000;
const agentsEach = 2_500;
/** New connections in a second, over all: a handshake costs both sides milliseconds. */
const connectsEach = 50;
const cluster = 'load';
const random = createRandom();

interface Orders {
  ca: Issued;
  first: number;
  count: number;
}

if (process.send === undefined) await measure();
else await beAgents();

async function measure(): Promise<void> {
  const steps = (process.argv[2] ?? '1000').split(',').map(Number);
  const seconds = Number(process.argv[3] ?? 300);
  const folder = await mkdtemp('/var/tmp/rlnet-bench-');
  const children = new Set<ChildProcess>();
  const end = (): void => {
    for (const child of children) child.kill('SIGKILL');
  };
  process.once('exit', end);
  process.once('SIGINT', () => process.exit(130));
  process.once('SIGTERM', () => process.exit(143));
  try {
    const ca = await issueCa(cluster, terms());
    const collector = await startCollector(folder, ca);
    children.add(collector);
    const workers: { child: ChildProcess; count: number }[] = [];
    for (const agents of steps) {
      await addAgents(ca, workers, agents, (child) => children.add(child));
      await pause(everyMs + 2_000);
      await gather(workers);
      const before = await usage(collector.pid ?? 0, folder);
      const began = performance.now();
      await pause(seconds * 1_000);
      const took = (performance.now() - began) / 1_000;
      const times = (await gather(workers)).toSorted((a, b) => a - b);
      const after = await usage(collector.pid ?? 0, folder);
      const at = (share: number): string =>
        (times[Math.ceil(times.length * share) - 1] ?? Number.NaN).toFixed(0);
      const bytes = after.bytes - before.bytes;
      process.stdout.write(
        `${agents} agents, ${took.toFixed(0)} s: ${times.length} answers (${(times.length / took).toFixed(0)} in a second; wanted ${((agents * 2 * 1_000) / everyMs).toFixed(0)}), ` +
          `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, max ${at(1)} ms; collector ${(((after.cpu - before.cpu) / took) * 100).toFixed(0)} % of a core, ` +
          `${(after.rss / 1e6).toFixed(0)} MB resident; database ${(after.bytes / 1e6).toFixed(1)} MB, grew ${(bytes / 1e6).toFixed(1)} MB (${(bytes / (times.length / 2)).toFixed(0)} bytes an event)\n`,
      );
    }
  } finally {
    end();
    await rm(folder, { recursive: true, force: true });
  }
}

function terms(): { now: number; days: number; random: string } {
  return { now: Date.now(), days: 2, random: random.id() };
}

async function startCollector(folder: string, ca: Issued): Promise<ChildProcess> {
  const { certificate, key } = await issueCollector(ca, 'c1', terms());
  const file = (name: string) => join(folder, name);
  await writeFile(file('ca.crt'), ca.certificate);
  await writeFile(file('c.crt'), certificate);
  await writeFile(file('c.key'), key, { mode: 0o600 });
  await writeFile(
    file('collector.yaml'),
    `clusters:\n  ${cluster}:\n    ca: ${file('ca.crt')}\nagents: { address: 127.0.0.1, port: ${port} }\nweb: { port: ${port + 1} }\n` +
      `tls: { certificate: ${file('c.crt')}, key: ${file('c.key')} }\ndirectory: ${folder}\nlog: { level: error }\n`,
  );
  const main = join(import.meta.dirname, '../../src/cli/main.ts');
  const child = spawn(process.execPath, [main, 'collector', '--config', file('collector.yaml')], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const until = performance.now() + 20_000;
  while (performance.now() < until) {
    const there = await fetch(`http://127.0.0.1:${port + 1}/api/v1/collector`).catch(() => undefined);
    if (there?.ok === true) return child;
    await pause(100);
  }
  child.kill('SIGKILL');
  throw new Error('the collector did not come up');
}

async function addAgents(
  ca: Issued,
  workers: { child: ChildProcess; count: number }[],
  wanted: number,
  started: (child: ChildProcess) => void,
): Promise<void> {
  for (let first = workers.reduce((sum, { count }) => sum + count, 0); first < wanted; ) {
    const count = Math.min(agentsEach, wanted - first);
    const child = fork(import.meta.filename);
    started(child);
    child.send({ ca, first, count } satisfies Orders);
    await once(child, 'message');
    workers.push({ child, count });
    first += count;
  }
}

/** Milliseconds from sending to the answer, of everything that was answered since the last time. */
async function gather(workers: readonly { child: ChildProcess }[]): Promise<number[]> {
  const answers = workers.map(async ({ child }) => {
    const answer = once(child, 'message');
    child.send('gather');
    return ((await answer) as [number[]])[0];
  });
  return (await Promise.all(answers)).flat();
}

async function usage(pid: number, folder: string): Promise<{ cpu: number; rss: number; bytes: number }> {
  const [stats, status] = await Promise.all(
    ['stat', 'status'].map((name) => readFile(`/proc/${pid}/${name}`, 'utf8')),
  );
  // After the name in parentheses: utime and stime are the 14th and 15th field of proc(5), in hundredths of a second.
  const fields = stats?.slice(stats.lastIndexOf(')') + 2).split(' ') ?? [];
  // Without the write-ahead log, which stays at some megabytes.
  const { size: bytes } = await stat(join(folder, 'collector.sqlite'));
  return {
    cpu: (Number(fields[11]) + Number(fields[12])) / 100,
    rss: Number(/^VmRSS:\s+(\d+) kB/m.exec(status ?? '')?.[1]) * 1_024,
    bytes,
  };
}

async function beAgents(): Promise<void> {
  const [{ ca, first, count }] = (await once(process, 'message')) as [Orders];
  let times: number[] = [];
  for (let index = 0; index < count; index += 1) {
    await startAgent(ca, `h${first + index}`, (ms) => times.push(ms));
    if (index % connectsEach === connectsEach - 1) await pause(300);
  }
  process.on('message', () => {
    process.send?.(times);
    times = [];
  });
  process.once('disconnect', () => process.exit());
  process.send?.('connected');
}

/** Reports until the end; once begun, at a moment of its own within the period. */
async function startAgent(ca: Issued, host: string, answered: (ms: number) => void): Promise<void> {
  const material = await issueHost(ca, host, terms());
  const connector = createReportConnector(
    `wss://127.0.0.1:${port}`,
    () => material,
    async () => ca.certificate,
  );
  const channel = await connector.connect();
  const bootId = random.id();
  const stream = `boot:${bootId}`;
  const sentAt = new Map<string, number>();
  const send = (report: Report, answer: string): void => {
    sentAt.set(answer, performance.now());
    channel.send(JSON.stringify(report));
  };
  channel.start({
    text: (text) => {
      const { type } = decodeReportAnswer(text);
      const at = sentAt.get(type);
      if (at !== undefined) answered(performance.now() - at);
      sentAt.delete(type);
    },
    closed: (reason) => process.stderr.write(`${host}: ${reason}\n`),
  });
  channel.send(JSON.stringify({ type: 'hello', version: '0.1.0', bootId } satisfies Report));
  setTimeout(() => report(channel, host, stream, send), random.fraction() * everyMs);
}

function report(
  channel: ReportChannel,
  host: string,
  stream: string,
  send: (report: Report, answer: string) => void,
  n = 1,
): void {
  const at = Date.now();
  send({ type: 'snapshot', at, snapshot: snapshotOf(host) }, 'seen');
  const data = {
    code: 'HOSTS_LOCALHOST_IPV6_MISSING',
    outcome: n % 2 === 0 ? 'pass' : 'fail',
    evidence: 'line 2',
  };
  send({ type: 'events', stream, events: [{ n, at, kind: 'finding', data }] }, 'ack');
  setTimeout(() => report(channel, host, stream, send, n + 1), everyMs);
}

/** As a node of a cluster of three has it: its own state, RS's table, two links. */
function snapshotOf(host: string): Snapshot {
  const { rs, hosts } = exampleView();
  const [state] = hosts.flatMap((each) => each.state ?? []);
  if (state === undefined || !('nodes' in rs)) throw new RangeError('the example has no state');
  const links = hosts.flatMap((each) =>
    each.link.status === 'connected'
      ? [{ host: each.host, linked: true, address: each.link.address, reachability: each.link.reachability }]
      : [],
  );
  return { state: { ...state, host }, rs: { nodes: rs.nodes, unread: [] }, links };
}
