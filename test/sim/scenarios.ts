import { familyOf } from '../../src/protocol/address.ts';
import { agentService } from '../support/sim/agent.ts';
import {
  accusations,
  isLinked,
  isReachable,
  isUnreachable,
  opinion,
  recordVerdicts,
  timeUntil,
  type Verdict,
} from '../support/sim/detection.ts';
import { allFaults, randomFaults } from '../support/sim/faults.ts';
import type { Invariant, Scenario, Stage } from '../support/sim/scenario.ts';
import type { ClusterPlan, World } from '../support/sim/world.ts';

/** Every scenario by name, for the tests and for replay.ts. */

/** No connection is of another family than the cluster's internal one. */
export const oneFamily: Invariant = (world) => {
  for (const { a, b } of world.network.connections()) {
    for (const { address, machine } of [a, b]) {
      if (familyOf(address) === world.rs.config.internalFamily) continue;
      throw new Error(`${machine.name} has a connection over ${address}, which is of the other family.`);
    }
  }
};

/** How long a full mesh may take once nothing stands in its way. */
export const meshWithinMs = 20_000;

/** Runs until it is so, looking every 10 ms. @returns how long that took, in milliseconds; undefined where it is not so in time */
function runUntil({ kernel }: Stage, isSo: () => boolean, withinMs: number): Promise<number | undefined> {
  let lookedAt = Number.NEGATIVE_INFINITY;
  return kernel.runUntil(() => {
    if (kernel.now - lookedAt < 10) return false;
    lookedAt = kernel.now;
    return isSo();
  }, withinMs);
}

/** Runs until every agent is linked to every other. @returns how long that took, in milliseconds */
async function untilMeshed(stage: Stage, withinMs: number): Promise<number> {
  const { world } = stage;
  const took = await runUntil(stage, () => world.missingLinks().length === 0, withinMs);
  if (took === undefined) {
    throw new Error(`No full mesh after ${withinMs} ms: ${world.missingLinks().join(', ')} are missing.`);
  }
  return took;
}

/** Each pair with the number of its connections that both ends still have. */
function connectionsByPair(world: World): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { a, b } of world.network.connections()) {
    const pair = [a.machine.name, b.machine.name].sort().join('-');
    counts.set(pair, (counts.get(pair) ?? 0) + 1);
  }
  return counts;
}

/** @throws where a pair has not exactly one connection */
function oneLinkEachPair({ world }: Stage): void {
  const counts = connectionsByPair(world);
  const pairs = (world.hosts.length * (world.hosts.length - 1)) / 2;
  const wrong = [...counts].filter(([, count]) => count !== 1).map(([pair, count]) => `${pair}: ${count}`);
  if (wrong.length > 0 || counts.size !== pairs) {
    throw new Error(`${counts.size} of ${pairs} pairs are connected; not once each: ${wrong.join(', ')}.`);
  }
}

function clusterName({ hosts, families }: ClusterPlan): string {
  return `${hosts}-${families.join('-')}`;
}

/** From power on to a full mesh with one link a pair. @returns how long that took, in milliseconds */
export function meshing(cluster: ClusterPlan): Scenario<number> {
  return {
    name: `meshing-${clusterName(cluster)}`,
    cluster,
    invariants: [oneFamily],
    async run(stage) {
      const took = await untilMeshed(stage, meshWithinMs);
      // Time for links that lost against another one to be gone.
      await stage.kernel.run(3_000);
      oneLinkEachPair(stage);
      return took;
    },
  };
}

/** Faults of every kind for two minutes. @returns how long the mesh took to be whole again, in milliseconds */
export function mending(cluster: ClusterPlan): Scenario<number> {
  return {
    name: `mending-${clusterName(cluster)}`,
    cluster,
    invariants: [oneFamily],
    async run(stage) {
      await untilMeshed(stage, meshWithinMs);
      await randomFaults(stage, { kinds: allFaults, forMs: 120_000, everyMs: 4_000 });
      const took = await untilMeshed(stage, mendWithinMs);
      await stage.kernel.run(5_000);
      oneLinkEachPair(stage);
      return took;
    },
  };
}

/** How long a mesh may take after faults: a host has to boot, an agent to start and the others to dial it. */
export const mendWithinMs = 60_000;

export const threeHosts: ClusterPlan = { hosts: 3, families: ['ipv4'] };
export const nineHosts: ClusterPlan = { hosts: 9, families: ['ipv4'] };
export const clusters: readonly ClusterPlan[] = [
  threeHosts,
  { hosts: 3, families: ['ipv6', 'ipv4'] },
  nineHosts,
  { hosts: 9, families: ['ipv4', 'ipv6'] },
];

/** One number for each observer in each trial, in milliseconds. */
export interface Detection {
  /** Until the peer was called unreachable. */
  lost: number[];
  /** Until the peer was no longer called reachable. */
  doubted: number[];
  /** From its return until the peer was reachable again. */
  back: number[];
}

/** How long an observation may take. */
const observeMs = 30_000;

/**
 * Takes one host or agent away again and again, at random, and measures when the others notice, both ways.
 * @param take    makes it silent
 * @param giveBack undoes that
 */
function detection(
  name: string,
  trials: number,
  take: (world: World, host: string) => void,
  giveBack: (world: World, host: string) => void,
): Scenario<Detection> {
  return {
    name,
    cluster: nineHosts,
    invariants: [oneFamily],
    async run(stage) {
      const { kernel, world, chance } = stage;
      const found: Detection = { doubted: [], lost: [], back: [] };
      await untilMeshed(stage, meshWithinMs);
      for (let trial = 0; trial < trials; trial++) {
        await kernel.run(chance.between(2_000, 4_000));
        const subject = chance.pick(world.hosts).name;
        const others = world.hosts.map((host) => host.name).filter((host) => host !== subject);
        take(world, subject);
        const { doubted, lost } = await timeUntil(
          kernel,
          world,
          others,
          subject,
          { doubted: (link) => !isReachable(link), lost: isUnreachable },
          observeMs,
        );
        found.doubted.push(...doubted.values());
        found.lost.push(...lost.values());
        await kernel.run(chance.between(1_000, 20_000));
        giveBack(world, subject);
        const again = (link: Parameters<typeof isLinked>[0]) => isLinked(link) && isReachable(link);
        const { back } = await timeUntil(kernel, world, others, subject, { back: again }, observeMs);
        found.back.push(...back.values());
      }
      return found;
    },
  };
}

/** A host whose packets are all dropped, both ways, without a reset. */
export function silentHost(trials: number): Scenario<Detection> {
  return detection(
    `silent-host-${trials}`,
    trials,
    (world, host) => world.network.isolate(host),
    (world, host) => world.network.rejoin(host),
  );
}

/** An agent that is killed while its host lives. */
export function killedAgent(trials: number): Scenario<Detection> {
  return detection(
    `killed-agent-${trials}`,
    trials,
    (world, host) => world.host(host).stop(agentService),
    (world, host) => world.host(host).start(agentService),
  );
}

/**
 * An agent is killed, and all but one of the others hear of it late: the one asks them before they know, and they say that they
 * reach it, since they did a moment ago. @returns until the one called it unreachable, in milliseconds
 */
export const lateWitness: Scenario<number> = {
  name: 'late-witness',
  cluster: nineHosts,
  invariants: [oneFamily],
  async run(stage) {
    const { kernel, world } = stage;
    await untilMeshed(stage, meshWithinMs);
    for (const { name } of world.hosts.slice(1, -1)) world.network.path('n9', name).delay = () => 450;
    await kernel.run(10_000);
    world.host('n9').stop(agentService);
    const { lost } = await timeUntil(kernel, world, ['n1'], 'n9', { lost: isUnreachable }, observeMs);
    return lost.get('n1') ?? Number.NaN;
  },
};

/**
 * Two hosts are cut off from each other, so that each doubts the other on the word of the rest. One of them is stopped for a minute
 * meanwhile, and when it goes on the cut is over. @returns what it then says of the other that is false
 */
export const wokenInDoubt: Scenario<Verdict[]> = {
  name: 'woken-in-doubt',
  cluster: nineHosts,
  invariants: [oneFamily],
  async run(stage) {
    const { kernel, world } = stage;
    await untilMeshed(stage, meshWithinMs);
    const paths = world.network.paths('n2', 'n5');
    for (const path of paths) path.isUp = false;
    await kernel.run(10_000);
    const process = world.host('n5').process(agentService);
    process?.freeze();
    await kernel.run(30_000);
    for (const path of paths) path.isUp = true;
    await kernel.run(30_000);
    const verdicts = recordVerdicts(kernel, world);
    process?.thaw();
    await kernel.run(10_000);
    return accusations(verdicts);
  },
};

/** What two hosts said of each other once nothing of what one of them sends arrived at the other. */
export interface OneWay {
  /** By the one whose packets are lost. */
  unheard: string[];
  /** By the one whose packets arrive. */
  unhearing: string[];
}

/** Packets from one host to another are dropped, those the other way arrive; again and again, between any two. */
export function oneWayLoss(trials: number): Scenario<OneWay> {
  return {
    name: `one-way-${trials}`,
    cluster: nineHosts,
    invariants: [oneFamily],
    async run(stage) {
      const { kernel, world, chance } = stage;
      const found: OneWay = { unheard: [], unhearing: [] };
      await untilMeshed(stage, meshWithinMs);
      for (let trial = 0; trial < trials; trial++) {
        await kernel.run(chance.between(5_000, 7_000));
        const unheard = chance.pick(world.hosts).name;
        const unhearing = chance.pick(world.hosts.filter(({ name }) => name !== unheard)).name;
        world.network.path(unheard, unhearing).isUp = false;
        await kernel.run(10_000);
        const says = (observer: string, subject: string): string => {
          const link = opinion(world, observer, subject);
          if (link === undefined || link.status === 'self') return 'nothing';
          const { status } = link.reachability;
          return 'why' in link.reachability ? `${status}: ${link.reachability.why}` : status;
        };
        found.unheard.push(says(unheard, unhearing));
        found.unhearing.push(says(unhearing, unheard));
        world.network.path(unheard, unhearing).isUp = true;
        await untilMeshed(stage, mendWithinMs);
      }
      return found;
    },
  };
}

/** What came of an hour of load. */
export interface Load {
  verdicts: Verdict[];
  /** Verdicts of unreachable on an agent that was answering. */
  accusations: Verdict[];
}

/**
 * Nine agents with 5 % packet loss; one stalls for 5 s now and then, another is stopped for 60 s now and then, and wall clocks jump by
 * up to an hour either way.
 */
export function load(minutes: number): Scenario<Load> {
  return {
    name: `load-${minutes}`,
    cluster: nineHosts,
    invariants: [oneFamily],
    async run(stage) {
      const { kernel, world, chance } = stage;
      await untilMeshed(stage, meshWithinMs);
      await kernel.run(5_000);
      const verdicts = recordVerdicts(kernel, world);
      for (const path of world.network.allPaths()) path.loss = 0.05;
      const until = kernel.now + minutes * 60_000;
      const now = (service: string) => world.host(service).process(agentService);
      const again = (lowMs: number, highMs: number, action: () => void): void => {
        kernel.world(chance.between(lowMs, highMs), 'the load goes on', () => {
          if (kernel.now >= until) return;
          action();
          again(lowMs, highMs, action);
        });
      };
      again(15_000, 60_000, () => now('n2')?.stall(5_000));
      again(90_000, 180_000, () => {
        const process = now('n5');
        process?.freeze();
        kernel.world(60_000, 'SIGCONT', () => process?.thaw());
      });
      again(10_000, 60_000, () => chance.pick(world.hosts).jumpWall(chance.between(-3_600_000, 3_600_000)));
      await kernel.run(until - kernel.now);
      return { verdicts, accusations: accusations(verdicts) };
    },
  };
}

/** What came of changes in RS's node table of which nothing told the agents. */
export interface TableChanges {
  /** From each change until the first agent had read it, and from there until all others had, milliseconds. */
  first: number[];
  others: number[];
  /** How often `rladmin status nodes` was run on a host in a minute. */
  readsEachMinute: number;
}

/** How long agents have to see a change of the table; of three hosts each reads it every 12 s, and of nine one every 4 s. */
const seeTableMs = 20_000;

/**
 * RS's node table is changed again and again at random moments, while wall clocks are some 50 ms apart.
 * @param gone what the last host is without: nothing, its agent, or its power (RS calls it down then)
 */
export function tableChanges(
  cluster: ClusterPlan,
  changes: number,
  gone: 'nothing' | 'agent' | 'power' = 'nothing',
): Scenario<TableChanges> {
  return {
    name: `table-${clusterName(cluster)}-${changes}-without-${gone}`,
    cluster,
    invariants: [],
    async run(stage) {
      const { kernel, world, chance } = stage;
      for (const host of world.hosts) host.jumpWall(chance.between(0, 50));
      await untilMeshed(stage, meshWithinMs);
      const last = world.host(`n${cluster.hosts}`);
      if (gone === 'agent') last.stop(agentService);
      if (gone === 'power') last.powerOff();
      await kernel.run(60_000);
      const readers = world.agents.filter(({ running }) => running !== undefined);
      const found: TableChanges = { first: [], others: [], readsEachMinute: 0 };
      const [began, readsBefore] = [kernel.now, world.rs.tablesRead];
      for (let change = 1; change <= changes; change++) {
        await kernel.run(chance.between(8_000, 30_000));
        const uid = 1 + chance.below(cluster.hosts);
        const address = `198.51.100.${change}`;
        world.rs.rladmin(1, ['node', String(uid), 'external_addr', 'set', address]);
        const hasRead = ({ running }: (typeof readers)[number]): boolean => {
          const rs = running?.view().rs ?? { unknown: 'no agent' };
          return 'nodes' in rs && rs.nodes.some((node) => String(node.externalAddresses) === address);
        };
        const until = async (seen: () => boolean): Promise<number> => {
          const took = await runUntil(stage, seen, seeTableMs);
          if (took === undefined) throw new Error(`The change to ${address} is not seen.`);
          return took;
        };
        found.first.push(await until(() => readers.some(hasRead)));
        found.others.push(await until(() => readers.every(hasRead)));
      }
      const minutes = (kernel.now - began) / 60_000;
      found.readsEachMinute = (world.rs.tablesRead - readsBefore) / minutes / readers.length;
      return found;
    },
  };
}

/**
 * The path between two hosts is cut for good, so that each calls the other's node down and a third one neither: their tables differ, and stay so.
 * @returns how often `rladmin status nodes` was run on a host in a minute of that
 */
export const tablesDiffer: Scenario<number> = {
  name: 'tables-differ',
  cluster: threeHosts,
  invariants: [],
  async run(stage) {
    const { kernel, world } = stage;
    await untilMeshed(stage, meshWithinMs);
    for (const path of world.network.paths('n1', 'n2')) path.isUp = false;
    await kernel.run(60_000);
    const marks = new Set(world.agents.map(({ running }) => running?.measured.state.rsTable));
    if (marks.size !== 3) throw new Error(`The tables do not differ: ${[...marks].join(' ')}.`);
    const before = world.rs.tablesRead;
    await kernel.run(600_000);
    return (world.rs.tablesRead - before) / 10 / world.hosts.length;
  },
};

/** Those that the command line can name. */
export const scenarios: readonly Scenario[] = [
  ...clusters.map(meshing),
  ...clusters.map(mending),
  ...[8, 20].flatMap((trials) => [silentHost(trials), killedAgent(trials)]),
  ...[1, 5, 60].map(load),
  oneWayLoss(20),
  wokenInDoubt,
  lateWitness,
  ...(['nothing', 'agent', 'power'] as const).map((gone) => tableChanges(threeHosts, 10, gone)),
  tablesDiffer,
];
