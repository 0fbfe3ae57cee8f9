/**
 * What a steady mesh costs each agent: the mesh alone, one process each, on loopback addresses with real TLS. Bytes are those that TCP sent, TLS
 * included, as `ss` counts them; on a wire each segment has another 66 bytes of headers (Ethernet, IPv4, TCP with timestamps), and that sum is
 * printed too. Memory is of the sources as they are, which brings the compiler's stripping of types with it: see the bundle for what ships.
 *
 *   scripts/bench mesh [AGENTS [SECONDS [hub]]]
 *
 * With `hub` only the first agent is measured. The others are in one process here and link with it alone, so that a hundred need no big machine.
 */
import { type ChildProcess, execFile, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { TlsMaterial } from '../../src/agent/mesh/transport.ts';
import { createClock } from '../../src/host/clock.ts';
import { parseAddress } from '../../src/protocol/address.ts';
import { createAuthority } from '../../test/support/agents.ts';
import { silentLog, startMember } from '../../test/support/member.ts';

const port = 19499;
const agents = Number(process.argv[2] ?? 9);
const seconds = Number(process.argv[3] ?? 30);
const hubOnly = process.argv[4] === 'hub';
/** Compilation, handshakes and second links are over by then. */
const settleMs = 10_000;
const headersOfSegment = 66;
const wanted = { cpu: 1, sent: 8 };
const addresses = Array.from({ length: agents }, (_, index) => parseAddress(`127.0.96.${100 + index}`));

interface Orders {
  material: Omit<TlsMaterial, 'deniedSerials'>;
  index: number;
}

if (process.send !== undefined) await beAgent();
else await measure();

async function beAgent(): Promise<void> {
  const [{ material, index }] = (await once(process, 'message')) as [Orders];
  const address = addresses[index];
  if (address === undefined) throw new Error(`there is no agent ${index}`);
  const { mesh } = startMember({
    tls: { ...material, deniedSerials: new Set() },
    address,
    port,
    peers: addresses,
    log: silentLog,
  });
  process.on('message', () => {
    const { user, system } = process.cpuUsage();
    const linked = mesh.peers().filter((peer) => peer.linked).length;
    process.send?.({ cpuMs: (user + system) / 1000, linked } satisfies Usage);
  });
  process.once('disconnect', () => process.exit());
}

interface Usage {
  cpuMs: number;
  linked: number;
}

async function usageOf(child: ChildProcess): Promise<Usage> {
  const answer = once(child, 'message');
  child.send('usage');
  return ((await answer) as [Usage])[0];
}

/** Bytes and segments that the sockets of each local address have sent so far. */
async function sentBy(): Promise<Map<string, { bytes: number; segments: number }>> {
  const { stdout } = await promisify(execFile)('ss', ['-tinHO', 'state', 'established']);
  const totals = new Map<string, { bytes: number; segments: number }>();
  for (const line of stdout.split('\n')) {
    const [, , local = '', remote = ''] = line.trim().split(/\s+/);
    if (!local.endsWith(`:${port}`) && !remote.endsWith(`:${port}`)) continue;
    const address = local.slice(0, local.lastIndexOf(':'));
    const total = totals.get(address) ?? { bytes: 0, segments: 0 };
    total.bytes += Number(/ bytes_sent:(\d+)/.exec(line)?.[1] ?? 0);
    total.segments += Number(/ segs_out:(\d+)/.exec(line)?.[1] ?? 0);
    totals.set(address, total);
  }
  return totals;
}

/** Resident and private memory in MB. */
async function memoryOf({ pid }: ChildProcess): Promise<{ rss: number; private: number }> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8');
  const mb = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? Number.NaN) / 1024;
  return { rss: mb('Rss'), private: mb('Private_Clean') + mb('Private_Dirty') };
}

async function measure(): Promise<void> {
  const demo = await createAuthority('demo', createClock().wall());
  const measured = hubOnly ? addresses.slice(0, 1) : addresses;
  const children = measured.map(() =>
    fork(import.meta.filename, process.argv.slice(2), { execArgv: ['--max-semi-space-size=1'] }),
  );
  process.once('SIGINT', () => {
    for (const child of children) child.kill();
    process.exit(130);
  });
  try {
    for (const [index, child] of children.entries()) {
      const { deniedSerials: _, ...material } = await demo(`n${index + 1}`);
      child.send({ material, index } satisfies Orders);
    }
    for (const [index, address] of addresses.entries()) {
      if (index < measured.length) continue;
      startMember({
        tls: await demo(`n${index + 1}`),
        address,
        port,
        peers: addresses.slice(0, 1),
        log: silentLog,
      });
    }
    await pause(settleMs);
    const began = performance.now();
    const before = { usage: await Promise.all(children.map(usageOf)), sent: await sentBy() };
    await pause(seconds * 1_000);
    const after = { usage: await Promise.all(children.map(usageOf)), sent: await sentBy() };
    const tookMs = performance.now() - began;
    const memory = await Promise.all(children.map(memoryOf));
    const rate = (counts: (index: number) => number): number[] =>
      children.map((_, index) => (counts(index) / tookMs) * 1_000);
    const sent = (index: number, what: 'bytes' | 'segments'): number => {
      const address = addresses[index] ?? '';
      return (
        (after.sent.get(address)?.[what] ?? Number.NaN) - (before.sent.get(address)?.[what] ?? Number.NaN)
      );
    };
    const cpuMs = (index: number): number =>
      (after.usage[index]?.cpuMs ?? Number.NaN) - (before.usage[index]?.cpuMs ?? Number.NaN);
    const bytes = rate((index) => sent(index, 'bytes') / 1_000);
    const onWire = rate(
      (index) => (sent(index, 'bytes') + sent(index, 'segments') * headersOfSegment) / 1_000,
    );
    const cpu = rate((index) => cpuMs(index) / 10);
    const links = after.usage.map(({ linked }) => linked);
    process.stdout.write(
      `${agents} agents, ${measured.length} measured for ${seconds} s, ${Math.min(...links)} to ${Math.max(...links)} links each\n`,
    );
    show('CPU, % of a core', cpu, `wanted <= ${wanted.cpu}`);
    show('TCP payload sent, kB/s', bytes, `wanted <= ${wanted.sent}`);
    show('with headers, kB/s', onWire, '');
    show(
      'RSS, MB',
      memory.map(({ rss }) => rss),
      '',
    );
    show(
      'private, MB',
      memory.map((each) => each.private),
      '',
    );
    const good = Math.max(...cpu) <= wanted.cpu && Math.max(...bytes) <= wanted.sent;
    process.exitCode = good && Math.min(...links) === agents - 1 ? 0 : 1;
  } finally {
    for (const child of children) child.disconnect();
    // The others' timers would go on.
    if (hubOnly) process.exit();
  }
}

function show(what: string, values: readonly number[], note: string): void {
  const inOrder = values.toSorted((a, b) => a - b);
  const median = inOrder[Math.floor(inOrder.length / 2)] ?? Number.NaN;
  const max = inOrder.at(-1) ?? Number.NaN;
  process.stdout.write(
    `${what.padEnd(24)} median ${median.toFixed(2).padStart(7)}   max ${max.toFixed(2).padStart(7)}   ${note}\n`,
  );
}
