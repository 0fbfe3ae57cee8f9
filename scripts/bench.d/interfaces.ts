/**
 * How long a complete reading of a crowded host takes, and for how long it keeps the event loop from anything else. In a
 * network namespace of its own, through the same adapter as the agent's. The first reading is told apart: nothing of the
 * parser is compiled then. On a busy machine the waits for a processor count too.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { createClock } from '../../src/host/clock.ts';
import { createInterfaces } from '../../src/host/interfaces.ts';
import { crowd, isRoot, openNetworkNamespace } from '../../test/support/netns.ts';

const links = 80;
const addresses = 400;
const readings = 100;

/** The loop is looked at once a millisecond; what is late beyond that was blocked. */
const resolutionMs = 1;

interface Reading {
  tookMs: number;
  blockedMs: number;
}

if (!isRoot) {
  process.stderr.write('The benchmark needs root, for a network namespace.\n');
  process.exit(1);
}

await using namespace = await openNetworkNamespace();
await crowd(namespace, links, addresses);
const interfaces = createInterfaces(namespace.exec, createClock());

async function measure(): Promise<Reading> {
  const delay = monitorEventLoopDelay({ resolution: resolutionMs });
  delay.enable();
  await pause(10);
  delay.reset();
  const start = performance.now();
  const found = await interfaces.read();
  const tookMs = performance.now() - start;
  await pause(10);
  delay.disable();
  const count = found.flatMap((link) => link.addresses).length;
  if (found.length < links || count < addresses) throw new Error(`only ${count} on ${found.length}`);
  return { tookMs, blockedMs: delay.max / 1e6 - resolutionMs };
}

const first = await measure();
const warm: Reading[] = [];
while (warm.length < readings) warm.push(await measure());

const sorted = (values: number[]): number[] => values.toSorted((a, b) => a - b);
const show = (name: string, first: number, values: number[]): string => {
  const inOrder = sorted(values);
  const at = (share: number): string =>
    (inOrder[Math.ceil(share * inOrder.length) - 1] ?? Number.NaN).toFixed(1);
  return `${name}  first ${first.toFixed(1)}  median ${at(0.5)}  p99 ${at(0.99)}  max ${at(1)} ms\n`;
};
process.stdout.write(
  `${links} interfaces, ${addresses} addresses, ${readings} readings\n` +
    show(
      'complete reading  ',
      first.tookMs,
      warm.map(({ tookMs }) => tookMs),
    ) +
    show(
      'event loop blocked',
      first.blockedMs,
      warm.map(({ blockedMs }) => blockedMs),
    ),
);
