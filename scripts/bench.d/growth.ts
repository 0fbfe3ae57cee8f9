/**
 * How a mesh grows, in simulation: when each agent notices a silent loss, what each sends, and what that costs. Times, messages and bytes are of the
 * simulation and the same on every machine. CPU is of this machine: the agents' own work without TLS and system calls, with the simulation's.
 *
 *   scripts/bench growth [AGENTS …]
 */
import { agentService } from '../../test/support/sim/agent.ts';
import { isUnreachable, timeUntil } from '../../test/support/sim/detection.ts';
import { Kernel } from '../../test/support/sim/kernel.ts';
import { distributionOf } from '../../test/support/sim/statistics.ts';
import { World } from '../../test/support/sim/world.ts';

const given = process.argv.slice(2).map(Number);
const sizes = given.length > 0 ? given : [9, 25, 50, 100];
const steadyS = 60;
const losses = 5;
/** Second links and first states are over by then. */
const settleMs = 15_000;

const cpuMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
};

async function measure(agents: number): Promise<Record<string, number>> {
  const kernel = new Kernel(`growth ${agents}`);
  const world = new World(kernel, { hosts: agents, families: ['ipv4'] });
  world.powerOn();
  let lookAt = 0;
  const atStart = cpuMs();
  const meshed = await kernel.runUntil(() => {
    if (kernel.now < lookAt) return false;
    lookAt = kernel.now + 100;
    return world.missingLinks().length === 0;
  }, 60_000);
  if (meshed === undefined) throw new Error(`${agents} agents made no full mesh in a minute`);
  await kernel.run(settleMs);

  const sent = () => world.hosts.map((host) => world.network.sentBy(host));
  const before = { cpu: cpuMs(), sent: sent() };
  await kernel.run(steadyS * 1_000);
  const after = { cpu: cpuMs(), sent: sent() };
  const mean = (what: 'frames' | 'bytes'): number =>
    after.sent.reduce((sum, each, index) => sum + each[what] - (before.sent[index]?.[what] ?? 0), 0) /
    agents /
    steadyS;

  const chance = kernel.random.split('losses');
  const lost: number[] = [];
  for (let trial = 0; trial < losses; trial++) {
    await kernel.run(chance.between(2_000, 4_000));
    const subject = chance.pick(world.hosts.filter((host) => host.process(agentService) !== undefined)).name;
    const others = world.hosts.map(({ name }) => name).filter((name) => name !== subject);
    world.network.isolate(subject);
    const found = await timeUntil(kernel, world, others, subject, { lost: isUnreachable }, 30_000);
    lost.push(...found.lost.values());
    world.network.rejoin(subject);
    await kernel.run(10_000);
  }
  const { p50, p99, max } = distributionOf(lost);
  return {
    agents,
    'full mesh, s': round(meshed / 1_000),
    'start, CPU s': round((before.cpu - atStart) / 1_000),
    'messages/s each': round(mean('frames')),
    'kB/s each': round(mean('bytes') / 1_000),
    'CPU ms/s each': round((after.cpu - before.cpu) / steadyS / agents),
    'loss p50, ms': p50,
    'p99, ms': p99,
    'max, ms': max,
  };
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

for (const [index, agents] of sizes.entries()) {
  const figures = await measure(agents);
  if (index === 0) process.stdout.write(`${Object.keys(figures).join('  ')}\n`);
  const cells = Object.entries(figures).map(([name, value]) => String(value).padStart(name.length));
  process.stdout.write(`${cells.join('  ')}\n`);
}
