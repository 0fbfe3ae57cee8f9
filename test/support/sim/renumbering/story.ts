import { decodeJournal } from '../../../../src/agent/renumbering/journal-text.ts';
import { type Address, parseAddress } from '../../../../src/protocol/address.ts';
import type { Plan } from '../../../../src/protocol/renumbering/plan.ts';
import { type Progress, progressOf } from '../../../../src/protocol/renumbering/progress.ts';
import { nodeStatus } from '../../standin/model.ts';
import { rsUnit, type SimHost } from '../host.ts';
import { Kernel } from '../kernel.ts';
import type { PlannedFault, Point } from '../points.ts';
import type { Stream } from '../random.ts';
import { RenumberingCluster } from './cluster.ts';

/** Once faults have stopped, every renumbering has ended after this long, virtual milliseconds: all bounds, twice, and a slow boot. */
const endsWithinMs = 4 * 3_600_000;
/** For the lock to be known to be free everywhere, and RS to have seen it all. */
const settleMs = 240_000;
/** And for the dead man to have done his part where a renumbering was stopped: one more boot included. */
const deadManMs = 20 * 60_000;
const startMs = 30_000;
/** Between a question and the act that it is for there is a little time, and rladmin's answer is as old as it took. */
const guardsMayMissMs = 15_000;
/** Far more than any story has: four hours of waiting, looked at twice a second. */
const maxEvents = 3_000_000;
const fileCalls = /^(create|append|write|rename|unlink|mkdir|fsync|sync )/;

export interface Stage {
  kernel: Kernel;
  cluster: RenumberingCluster;
  /** In the order of the story's uids. */
  plans: readonly Plan[];
  chance: Stream;
}

/** Renumberings in a cluster, and what goes wrong meanwhile. */
export interface Story {
  /** For the command line; no spaces. */
  name: string;
  nodes: number;
  /** The nodes that move, all started at once: one after the other is what comes of it. */
  uids: readonly number[];
  change?: Partial<Plan>;
  /** Before they are started. */
  prepare?: (stage: Stage) => void;
  /** While they run; what it sets going ends by itself. */
  meanwhile?: (stage: Stage) => Promise<void>;
  faults?: readonly PlannedFault[];
  /** Which points are numbered; all of agents and dead men where it is absent. */
  counts?: (point: Point) => boolean;
}

/** `not_begun`: a crash left no journal. */
export type Ending = 'done' | 'rolled_back' | 'stopped' | 'not_begun';

export interface Told {
  /** Of each renumbering, with its reason. */
  endings: { outcome: Ending; reason: string | undefined }[];
  points: readonly Point[];
  /** Faults that no point met. */
  left: number;
  /** Of every event, in order. */
  hash: string;
  ms: number;
  /** How often dead men acted. */
  deadMen: number;
}

/** The command that tells a story again, with its log. */
export function retellCommand(name: string, seed: string): string {
  return `npx node test/sim/retell.ts ${name} ${seed}`;
}

/** Tells a story and holds every event and its end against the invariants of docs/testing.md. What is broken throws. */
export async function tell(story: Story, seed: string, onLine?: (line: string) => void): Promise<Told> {
  const kernel = new Kernel(seed, onLine);
  const cluster = new RenumberingCluster(kernel, story.nodes);
  const seeded = cluster.rs.seed(['standin', 'seed-database', 'db', '2', 'replication']);
  if (seeded !== 0) throw new Error('the database could not be seeded');
  cluster.powerOn();
  await kernel.run(startMs);
  const plans = story.uids.map((uid) => cluster.plan(uid, story.change));
  const stage: Stage = { kernel, cluster, plans, chance: kernel.random.split('story') };
  story.prepare?.(stage);
  // Thrown at a point it would be the agent that catches it.
  let broken: string | undefined;
  kernel.check(() => {
    if (broken !== undefined) throw new Error(broken);
    if (kernel.events > maxEvents) throw new Error('L1: something goes round and round');
    invariants(cluster);
  });
  cluster.points.plan((point) => {
    broken ??= intentFirst(stage, point) ?? outageAllowed(stage, point) ?? addressFree(stage, point);
    return story.counts?.(point) ?? true;
  }, story.faults);
  try {
    for (const plan of plans)
      cluster
        .agent(plan.host)
        .running?.start(plan)
        .catch(() => {});
    await story.meanwhile?.(stage);
    await untilEnded(stage);
    const stopped = plans.some(
      (plan) => journalOf(cluster.host(plan.host), plan)?.closed?.outcome === 'stopped',
    );
    await kernel.run(stopped ? deadManMs : settleMs);
    const endings = plans.map((plan) => endingOf(cluster.host(plan.host), plan));
    checkEnd(stage, endings);
    const { passed, left } = cluster.points;
    return {
      endings,
      points: [...passed],
      left,
      hash: kernel.trace.hash(),
      ms: kernel.now,
      deadMen: cluster.agents.reduce((sum, { deadMan }) => sum + deadMan.acted, 0),
    };
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    throw new Error(
      [
        `${why} (${retellCommand(story.name, seed)}, after ${kernel.now} ms)`,
        ...kernel.trace.tail(25).map((line) => `  ${line.slice(0, 180)}`),
      ].join('\n'),
      { cause: thrown },
    );
  }
}

/** L1: once faults have stopped every renumbering ends within a bound. */
async function untilEnded({ kernel, cluster, plans }: Stage): Promise<void> {
  const started = kernel.now;
  let lookedAt = Number.NEGATIVE_INFINITY;
  const hasEnded = (plan: Plan): boolean => {
    const { host, running } = cluster.agent(plan.host);
    const progress = journalOf(host, plan);
    if (progress !== undefined) return progress.closed !== undefined;
    // A journal that was never whole is taken away by the agent that finds it.
    return running !== undefined && kernel.now > started + 120_000;
  };
  const ended = await kernel.runUntil(() => {
    if (kernel.now - lookedAt < 1_000) return false;
    lookedAt = kernel.now;
    return plans.every(hasEnded);
  }, endsWithinMs);
  if (ended !== undefined) return;
  const open = plans.filter((plan) => !hasEnded(plan)).map((plan) => where(cluster.host(plan.host), plan));
  throw new Error(`L1: not ended after ${endsWithinMs / 1000} s: ${open.join('; ')}`);
}

function endingOf(host: SimHost, plan: Plan): { outcome: Ending; reason: string | undefined } {
  const closed = journalOf(host, plan)?.closed;
  return { outcome: closed?.outcome ?? 'not_begun', reason: closed?.reason?.code };
}

/** What the journal on the disk says; undefined where there is none, or no whole record. */
export function journalOf({ disk }: SimHost, { id }: Plan): Progress | undefined {
  const path = `/var/lib/rlnet/${id}.ndjson`;
  if (!disk.exists(path)) return undefined;
  const { records } = decodeJournal(new TextDecoder().decode(disk.read(path)), path);
  return records.length === 0 ? undefined : progressOf(records);
}

function where(host: SimHost, plan: Plan): string {
  const progress = journalOf(host, plan);
  return progress === undefined ? 'no journal' : `at ${progress.direction} ${progress.step ?? 'the end'}`;
}

/** S1 and S3, after every event. */
function invariants({ agents }: RenumberingCluster): void {
  const out = agents.filter(({ host }) => host.unit(rsUnit)?.unitFileState !== 'enabled');
  if (out.length > 1) {
    throw new Error(`S1: the unit is disabled on ${out.map(({ host }) => host.name).join(' and ')}`);
  }
  const votes = new Map<string, number>();
  for (const { running } of agents) {
    const told = running?.keeper.told;
    if (told === undefined || told === 'none' || told.granted === undefined) continue;
    const claim = `epoch ${told.granted.epoch} of ${told.granted.host}`;
    votes.set(claim, (votes.get(claim) ?? 0) + 1);
  }
  const held = [...votes].filter(([, count]) => count * 2 > agents.length);
  if (held.length > 1)
    throw new Error(`S3: two claims are held: ${held.map(([claim]) => claim).join(' and ')}`);
}

/** S2: before a command of an agent its intent is on the disk. @returns what is broken */
function intentFirst({ cluster, plans }: Stage, { host, process, what, when }: Point): string | undefined {
  if (when !== 'before' || fileCalls.test(what) || !process.includes('/rlnet#')) return undefined;
  const own = plans.find((plan) => plan.host === host);
  const progress = own === undefined ? undefined : journalOf(cluster.host(host), own);
  if (progress?.intent !== undefined && progress.closed === undefined) return undefined;
  const isRegistrar = what.startsWith('rladmin node') && cluster.host(host).disk.exists(registrations);
  return isRegistrar ? undefined : `S2: ${what} on ${host} without an intent`;
}

/**
 * S1: a node is taken out only while the others are well. What happened in the last moments the guards may have missed.
 * @returns what is broken
 */
function outageAllowed({ cluster, plans }: Stage, { host, what, when }: Point): string | undefined {
  if (when !== 'before' || !/^systemctl (reboot|disable)/.test(what)) return undefined;
  const plan = plans.find((each) => each.host === host);
  if (plan === undefined) return undefined;
  const view = cluster.rs.view(plan.nodeUid);
  const gone = cluster.hosts.filter(({ name, plan: { number: uid } }) => {
    const status = nodeStatus(view, uid);
    const since = status.state === 'down' ? view.now - (status.lastSeen ?? 0) - view.timings.downAfterMs : 0;
    return name !== host && since > guardsMayMissMs;
  });
  return gone.length === 0
    ? undefined
    : `S1: ${what} on ${host} while ${gone.map(({ name }) => name).join()} is down`;
}

/** S6: an address that somebody else has is not taken. @returns what is broken */
function addressFree({ cluster, kernel }: Stage, { host, what, when }: Point): string | undefined {
  const [, address] = /^ip -batch swap to (\S+)/.exec(what) ?? [];
  if (when !== 'before' || address === undefined) return undefined;
  const self = cluster.host(host);
  for (const [foreign, since] of cluster.foreign) {
    const [name, taken] = foreign.split(' ');
    if (taken !== address || name === host || kernel.now - since < guardsMayMissMs) continue;
    const answers = cluster.network.answering(self, parseAddress(address));
    if (answers.length > 0) return `S6: ${what} on ${host} though ${name ?? ''} has it`;
  }
  return undefined;
}

/** S4, S5, S8: how everything must be once it has ended. */
function checkEnd({ cluster, plans }: Stage, endings: Told['endings']): void {
  const problems: string[] = [];
  const stopped = endings.some(({ outcome }) => outcome === 'stopped');
  for (const { host } of cluster.agents) {
    const {
      name,
      plan: { number: uid },
    } = host;
    const unit = host.unit(rsUnit);
    if (unit?.unitFileState !== 'enabled')
      problems.push(`S5: the unit of ${name} is ${unit?.unitFileState ?? 'gone'}`);
    if (unit?.activeState !== 'active')
      problems.push(`S5: the unit of ${name} is ${unit?.activeState ?? 'gone'}`);
    const viewer = cluster.agents.find((other) => other.host !== host)?.host.plan.number ?? uid;
    if (nodeStatus(cluster.rs.view(viewer), uid).state !== 'ok') problems.push(`S8: node ${uid} is down`);
    const registered = cluster.rs.config.nodes.find((node) => node.uid === uid)?.addr;
    const bound = addressesOn(host).filter((address) => !cluster.foreign.has(`${name} ${address}`));
    if (registered === undefined || !bound.includes(registered)) {
      problems.push(`S4: RS has ${registered ?? 'nothing'} for node ${uid}, the host ${bound.join(' and ')}`);
    }
    const index = plans.findIndex((plan) => plan.host === name);
    const [plan, ending] = [plans[index], endings[index]];
    if (plan !== undefined && ending !== undefined && ending.outcome !== 'stopped') {
      const { from, to } = plan.change;
      const wanted = ending.outcome === 'done' ? to.address : from.address;
      const file = host.configured('eth0').map(({ address }) => address);
      for (const [what, is] of [
        ['RS', [registered]],
        ['the host', bound],
        ["the owner's file", file],
      ] as const) {
        if (is.join() !== wanted) problems.push(`S4: ${ending.outcome}, and ${what} has ${is.join(' and ')}`);
      }
      if (host.disk.exists(deadManDirectory) && host.disk.list(deadManDirectory).length > 0) {
        problems.push(`a dead man is left on ${name}`);
      }
    }
  }
  for (const { host, running } of stopped ? [] : cluster.agents) {
    const [open] = running?.keeper.openClaims() ?? [];
    if (open !== undefined)
      problems.push(`the lock is still taken on ${host.name}: epoch ${open.epoch} of ${open.host}`);
  }
  const how = endings.map(({ outcome, reason }) => `${outcome} ${reason ?? ''}`).join(', ');
  if (problems.length > 0) throw new Error(`${problems.join('; ')} [${how}]`);
}

function addressesOn(host: SimHost): Address[] {
  return host.interfaces.links.flatMap(({ name, addresses }) =>
    name === 'lo' ? [] : addresses.map(({ address }) => address),
  );
}

const registrations = '/var/lib/rlnet/registrations.ndjson';
const deadManDirectory = '/var/lib/rlnet/dead-man';
