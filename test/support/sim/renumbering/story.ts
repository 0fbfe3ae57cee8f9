import * as v from 'valibot';
import { claimOf } from '../../../../src/agent/renumbering/claim.ts';
import { decodeJournal } from '../../../../src/agent/renumbering/journal-text.ts';
import { type Address, type Family, familyOf, parseAddress } from '../../../../src/protocol/address.ts';
import { asRlnetError } from '../../../../src/protocol/errors.ts';
import { type Claim, lockStateSchema } from '../../../../src/protocol/renumbering/lock.ts';
import type { Plan } from '../../../../src/protocol/renumbering/plan.ts';
import { type Progress, progressOf } from '../../../../src/protocol/renumbering/progress.ts';
import type { JournalRecord } from '../../../../src/protocol/renumbering/records.ts';
import { nodeStatus } from '../../standin/model.ts';
import { ownerFile, rsUnit, type SimHost } from '../host.ts';
import { Kernel } from '../kernel.ts';
import type { PlannedFault, Point } from '../points.ts';
import type { Stream } from '../random.ts';
import { RenumberingCluster, type SimRenumberingAgent } from './cluster.ts';

/** Once faults have stopped, every renumbering has ended after this long, virtual milliseconds: all bounds, twice, and a slow boot. */
const endsWithinMs = 4 * 3_600_000;
/** Long after it has been tried again. */
const alarmHeardMs = 3_600_000;
/** For the lock to be known to be free everywhere, and RS to have seen it all. */
const settleMs = 240_000;
/** And for the dead man to have done his part where a renumbering was stopped: one more boot included. */
const deadManMs = 20 * 60_000;
const startMs = 30_000;
/** Between a question and the act that it is for there is a little time, and rladmin's answer is as old as it took. */
const guardsMayMissMs = 15_000;
/** Far more than any story has: four hours of waiting, looked at twice a second. */
const maxEvents = 3_000_000;
/** "Still held" is good for 5 s; the note of the intent and the act come after the look at the clock. */
const heldSlackMs = 20_000;
const fileCalls = /^(create|append|write|remove|rename|unlink|mkdir|fsync|sync )/;

export interface Stage {
  kernel: Kernel;
  cluster: RenumberingCluster;
  /** In the order of the story's uids, then those that somebody starts meanwhile. */
  plans: Plan[];
  chance: Stream;
  /** How often what is told of a story came about. */
  seen: Map<string, number>;
  /** When the agent of each host ran last, to the second. */
  answeredAt: Map<string, number>;
  /** The first thing that was not as it must be. Thrown at a point it would be the agent that catches it. */
  broken: string | undefined;
}

/** Something came about that a story is told for. */
export function note({ kernel, seen }: Pick<Stage, 'kernel' | 'seen'>, what: string): void {
  kernel.note('story', what);
  seen.set(what, (seen.get(what) ?? 0) + 1);
}

/** What a person asks an agent. L2: where it is refused, a code and a remedy say so. */
export function asks(stage: Stage, what: string, answer: Promise<void> | undefined): void {
  answer?.then(
    () => note(stage, `${what}: taken`),
    (thrown: unknown) => {
      const { code, remedy } = asRlnetError(thrown);
      if (remedy === '') stage.broken ??= `L2: ${what} was refused without a remedy: ${String(thrown)}`;
      note(stage, `${what}: ${code}`);
    },
  );
}

/** Renumberings in a cluster, and what goes wrong meanwhile. */
export interface Story {
  /** For the command line; no spaces. */
  name: string;
  nodes: number;
  /** The nodes that move, all started at once: one after the other is what comes of it. */
  uids: readonly number[];
  change?: Partial<Plan>;
  /** IPv4 where it is absent. */
  family?: Family;
  /** The node's internal address is its external one as well. */
  external?: boolean;
  /** The gateway of each move, where it gets another one. */
  gateway?: { from: Address; to: Address };
  /** Before they are started. */
  prepare?: (stage: Stage) => void;
  /** While they run; what it sets going ends by itself. */
  meanwhile?: (stage: Stage) => Promise<void>;
  faults?: readonly PlannedFault[];
  /** How it ends, each with the code of its reason; in any way that the invariants allow where it is absent. */
  ends?: readonly string[] | undefined;
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
  /** How often what came about that the story is told for: faults, by name, and what became of them. */
  seen: ReadonlyMap<string, number>;
  /** Of each agent that moves its node, what it wrote: the types of the records with their steps. */
  records: readonly string[];
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
  const cluster = new RenumberingCluster(kernel, story.nodes, story.family);
  const seeded = cluster.rs.seed(['standin', 'seed-database', 'db', '2', 'replication']);
  if (seeded !== 0) throw new Error('the database could not be seeded');
  if (story.external === true) {
    for (const { uid, addr } of cluster.rs.config.nodes)
      cluster.rs.seed(['node', String(uid), 'external_addr', 'set', addr]);
  }
  cluster.powerOn();
  await kernel.run(startMs);
  const plans = story.uids.map((uid) => planOf(cluster, uid, story));
  const stage: Stage = {
    kernel,
    cluster,
    plans,
    chance: kernel.random.split('story'),
    seen: new Map(),
    answeredAt: new Map(),
    broken: undefined,
  };
  for (const plan of plans) if (plan.kind === 'already_bound') bindForGood(cluster, plan);
  story.prepare?.(stage);
  const watch = new Watch(stage);
  let lookedAt = 0;
  kernel.check(() => {
    if (stage.broken !== undefined) throw new Error(stage.broken);
    if (kernel.now - lookedAt > 1_000) {
      lookedAt = kernel.now;
      for (const { host, process } of cluster.agents)
        if (process?.isRunning === true && host.isOn) stage.answeredAt.set(host.name, kernel.now);
    }
    if (kernel.events > maxEvents) throw new Error('L1: something goes round and round');
    watch.look();
  });
  cluster.points.plan((point) => {
    stage.broken ??=
      intentFirst(stage, point) ??
      outageAllowed(stage, point) ??
      addressFree(stage, point) ??
      watch.lockHeld(point);
    return story.counts?.(point) ?? true;
  }, story.faults);
  try {
    for (const plan of story.uids.flatMap((uid) => plans.find(({ nodeUid }) => nodeUid === uid) ?? []))
      asks(stage, 'start', cluster.agent(plan.host).running?.start(plan));
    await story.meanwhile?.(stage);
    const ended = await untilEnded(stage);
    const stopped = plans.some(
      (plan) => journalOf(cluster.host(plan.host), plan)?.closed?.outcome === 'stopped',
    );
    await kernel.run(stopped ? deadManMs : settleMs);
    const endings = plans.map((plan) => endingOf(cluster.host(plan.host), plan));
    if (ended) checkEnd(stage, endings);
    const how = endings.map(({ outcome, reason }) => [outcome, reason ?? []].flat().join(' ')).join(', ');
    if (story.ends !== undefined && story.ends.join(', ') !== how)
      throw new Error(`It ends as ${how}, and not as ${story.ends.join(', ')}`);
    const { passed, left } = cluster.points;
    const stalled = cluster.agents.reduce((sum, { deadMan }) => sum + deadMan.actedOnStalled, 0);
    if (stalled > 0) stage.seen.set('a dead man acted while the agent was stalled', stalled);
    if (cluster.rs.late > 0) stage.seen.set('a late rladmin landed', cluster.rs.late);
    return {
      seen: stage.seen,
      records: plans.flatMap(({ host }) => cluster.agent(host).written.map(outlineOf)),
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

/** L1: once faults have stopped every renumbering ends within a bound. @returns whether all did */
async function untilEnded({ kernel, cluster, plans }: Stage): Promise<boolean> {
  const started = kernel.now;
  let lookedAt = Number.NEGATIVE_INFINITY;
  const hasEnded = (plan: Plan): boolean => {
    const { host, running } = cluster.agent(plan.host);
    const progress = journalOf(host, plan);
    if (progress !== undefined) return progress.closed !== undefined;
    // A journal that was never whole is taken away by the agent that finds it.
    return running !== undefined && kernel.now > started + 120_000;
  };
  const restarted = new Set<string>();
  /** What the alarm asks a person for: nobody can ask the guards for another try where RS was stopped on this host meanwhile. */
  const restartByHand = (plan: Plan): void => {
    const host = cluster.host(plan.host);
    const isAlarmed = journalOf(host, plan)?.alarmed.has('restart') === true;
    if (!isAlarmed || restarted.has(plan.id) || kernel.now < started + alarmHeardMs) return;
    restarted.add(plan.id);
    host.restart();
  };
  const ended = await kernel.runUntil(() => {
    if (kernel.now - lookedAt < 1_000) return false;
    lookedAt = kernel.now;
    const open = plans.filter((plan) => !hasEnded(plan));
    for (const plan of open) restartByHand(plan);
    return open.length === 0;
  }, endsWithinMs);
  if (ended !== undefined) return true;
  // In service at the new address, and then somebody else took that: an alarm was raised, and nothing but a person can help.
  const isTaken = ({ change: { to } }: Plan): boolean =>
    [...cluster.foreign.keys()].some((key) => key.endsWith(` ${to.address}`));
  const open = plans
    .filter((plan) => !hasEnded(plan))
    .filter((plan) => journalOf(cluster.host(plan.host), plan)?.committed !== true || !isTaken(plan))
    .map((plan) => where(cluster.host(plan.host), plan));
  if (open.length === 0) return false;
  throw new Error(`L1: not ended after ${endsWithinMs / 1000} s: ${open.join('; ')}`);
}

function endingOf(host: SimHost, plan: Plan): { outcome: Ending; reason: string | undefined } {
  const closed = journalOf(host, plan)?.closed;
  return { outcome: closed?.outcome ?? 'not_begun', reason: closed?.reason?.code };
}

/** What the journal on the disk says; undefined where there is none, or no whole record. */
export function journalOf(host: SimHost, plan: Plan): Progress | undefined {
  return readJournal(host, plan)?.progress;
}

/** The whole records of the journal on the disk. */
export function recordsOf(host: SimHost, plan: Plan): readonly JournalRecord[] {
  return readJournal(host, plan)?.records ?? [];
}

interface ReadJournal {
  records: readonly JournalRecord[];
  progress: Progress | undefined;
}

function readJournal({ disk }: SimHost, { id }: Plan): ReadJournal | undefined {
  const path = `/var/lib/rlnet/${id}.ndjson`;
  if (!disk.exists(path)) return undefined;
  const content = disk.read(path);
  let read = journals.get(content);
  if (read === undefined) {
    const { records } = decodeJournal(new TextDecoder().decode(content), path);
    read = { records, progress: records.length === 0 ? undefined : progressOf(records) };
    journals.set(content, read);
  }
  return read;
}

/** By content, which a disk never changes in place: a journal is asked for at every point. */
const journals = new WeakMap<Uint8Array, ReadJournal>();

function where(host: SimHost, plan: Plan): string {
  const progress = journalOf(host, plan);
  return progress === undefined ? 'no journal' : `at ${progress.direction} ${progress.step ?? 'the end'}`;
}

/** Of a record what is the same in two runs that took the same way. */
function outlineOf(record: JournalRecord): string {
  return 'step' in record ? `${record.type} ${record.direction} ${record.step}` : record.type;
}

export function planOf(
  cluster: RenumberingCluster,
  uid: number,
  story: Pick<Story, 'change' | 'external' | 'gateway'>,
): Plan {
  const plan = cluster.plan(uid, story.change, story.gateway);
  const { from, to } = plan.change;
  return story.external === true ? { ...plan, external: { from: [from.address], to: [to.address] } } : plan;
}

/** The new address is on the host already, and in the file of its owner. */
export function bindForGood(cluster: RenumberingCluster, { host: name, change: { from, to } }: Plan): void {
  const host = cluster.host(name);
  const lineOf = ({ address, prefixLength }: typeof to): string => `${address}/${prefixLength}\n`;
  host.put(ownerFile('eth0'), lineOf(from) + lineOf(to));
  // One that is off, or not up yet, gets it with its boot.
  if (host.interfaces.links.some(({ name }) => name === 'eth0')) host.interfaces.add('eth0', to, false);
}

/** The invariants that are asked after every event: S1, S3, S5, S7 and that part of S4 which is always so. */
class Watch {
  readonly #stage: Stage;
  /** Claims that a majority has on disk now, and since when others had none any more. */
  #held = new Set<string>();
  readonly #heldUntil = new Map<string, number>();
  #locksChanged = true;
  #config: unknown;

  constructor(stage: Stage) {
    this.#stage = stage;
    for (const { host } of stage.cluster.agents) {
      host.disk.watch((path) => {
        if (path === '/' || path === lockFile) this.#locksChanged = true;
      });
    }
  }

  /** @throws Error with a sentence */
  look(): void {
    const { cluster, plans } = this.#stage;
    const out = cluster.agents.filter(({ host }) => host.unit(rsUnit)?.unitFileState !== 'enabled');
    if (out.length > 0) {
      if (out.length > 1)
        throw new Error(`S1: the unit is disabled on ${out.map(({ host }) => host.name).join(' and ')}`);
      for (const { host } of out) requireOpen(host, plans);
    }
    if (this.#locksChanged) this.#countVotes();
    if (cluster.rs.config !== this.#config) {
      this.#config = cluster.rs.config;
      this.#judgeRs();
    }
  }

  /** S3: an old epoch does not act. @returns what is broken */
  lockHeld({ host, what, when }: Point): string | undefined {
    const { kernel, cluster, plans } = this.#stage;
    if (when !== 'before') return undefined;
    const [, uid] = /^rladmin node (\d+) addr set/.exec(what) ?? [];
    const acts = /^(systemctl (disable|reboot)|ip -batch swap)/.test(what);
    if (uid === undefined && !acts) return undefined;
    // One that has just woken up in the middle of an act has no moment to ask.
    const { process } = cluster.agent(host);
    if (process === undefined || kernel.now - process.runningSince < heldSlackMs) return undefined;
    const plan = plans.findLast((each) =>
      uid === undefined ? each.host === host : each.nodeUid === Number(uid),
    );
    const progress = plan === undefined ? undefined : journalOf(cluster.host(plan.host), plan);
    const claim = progress === undefined ? undefined : claimOf(progress);
    if (progress === undefined || claim === undefined) return undefined;
    // Back in the kernel and in service needs nobody's leave.
    if (uid === undefined && progress.direction === 'back') return undefined;
    const key = keyOf(claim);
    if (this.#held.has(key)) return undefined;
    const until = this.#heldUntil.get(key) ?? Number.NEGATIVE_INFINITY;
    const slackMs = heldSlackMs + sinceIntentMs(cluster.host(plan?.host ?? host), plan);
    return kernel.now - until <= slackMs ? undefined : `S3: ${what} on ${host} without the lock`;
  }

  #countVotes(): void {
    const { kernel, cluster } = this.#stage;
    this.#locksChanged = false;
    const votes = new Map<string, number>();
    for (const { host } of cluster.agents) {
      const granted = grantOf(host);
      if (granted !== undefined) votes.set(keyOf(granted), (votes.get(keyOf(granted)) ?? 0) + 1);
    }
    const held = [...votes].filter(([, count]) => count * 2 > cluster.agents.length).map(([key]) => key);
    if (held.length > 1) throw new Error(`S3: two claims are held: ${held.join(' and ')}`);
    if (held.length === 0 && votes.size > 1) note(this.#stage, 'the vote was split');
    for (const key of this.#held) if (!held.includes(key)) this.#heldUntil.set(key, kernel.now);
    this.#held = new Set(held);
  }

  #judgeRs(): void {
    const { cluster, plans } = this.#stage;
    for (const { uid, addr } of cluster.rs.config.nodes) {
      if (familyOf(addr) !== cluster.family) throw new Error(`S7: RS has ${addr} for node ${uid}`);
      const own = plans.filter(({ nodeUid }) => nodeUid === uid);
      const known = own.flatMap(({ change: { from, to } }) => [from.address, to.address]);
      if (own.length > 0 && !known.includes(addr)) throw new Error(`S4: RS has ${addr} for node ${uid}`);
    }
  }
}

/** S5: a unit is disabled only while a renumbering is open, or has stopped and its dead man is there. */
function requireOpen(host: SimHost, plans: readonly Plan[]): void {
  const isSeenTo = plans.some((plan) => {
    if (plan.host !== host.name) return false;
    const progress = journalOf(host, plan);
    if (progress === undefined || !progress.intended.has('disable')) return false;
    return progress.closed === undefined || (progress.closed.outcome === 'stopped' && hasDeadMan(host));
  });
  if (!isSeenTo) throw new Error(`S5: the unit of ${host.name} is disabled and nothing is open`);
}

function hasDeadMan({ disk }: SimHost): boolean {
  return disk.exists(`${deadManDirectory}/script`) && !disk.exists(`${deadManDirectory}/finished`);
}

const keyOf = ({ epoch, host }: Pick<Claim, 'epoch' | 'host'>): string => `epoch ${epoch} of ${host}`;

/** What the disk of an agent says that it has granted. */
function grantOf({ disk }: SimHost): Claim | undefined {
  if (!disk.exists(lockFile)) return undefined;
  const content = disk.read(lockFile);
  let read = locks.get(content);
  if (read === undefined) {
    // Not yet whole, or torn by a power cut: the agent does not believe it either.
    const parsed = v.safeParse(
      v.pipe(v.string(), v.parseJson(), lockStateSchema),
      new TextDecoder().decode(content),
    );
    read = { granted: parsed.success ? parsed.output.granted : undefined };
    locks.set(content, read);
  }
  return read.granted;
}

const locks = new WeakMap<Uint8Array, { granted: Claim | undefined }>();

/** How long ago the intent of what is under way was noted: a slow command begins late, and nothing is asked in between. */
function sinceIntentMs(host: SimHost, plan: Plan | undefined): number {
  const at = plan === undefined ? undefined : journalOf(host, plan)?.intent?.at;
  return at === undefined || at.bootId !== host.bootId ? 0 : host.boottime() - at.seconds * 1000;
}

/** S2: before a command of an agent its intent is on the disk. @returns what is broken */
function intentFirst({ cluster, plans }: Stage, { host, process, what, when }: Point): string | undefined {
  if (when !== 'before' || fileCalls.test(what) || !process.includes('/rlnet#')) return undefined;
  const isIntended = plans.some((plan) => {
    const progress = plan.host === host ? journalOf(cluster.host(host), plan) : undefined;
    return progress?.intent !== undefined && progress.closed === undefined;
  });
  if (isIntended) return undefined;
  const isRegistrar = what.startsWith('rladmin node') && cluster.host(host).disk.exists(registrations);
  return isRegistrar ? undefined : `S2: ${what} on ${host} without an intent`;
}

/**
 * S1: a node is taken out only while the others are well. What happened in the last moments the guards may have missed.
 * @returns what is broken
 */
function outageAllowed({ cluster, plans }: Stage, { host, what, when }: Point): string | undefined {
  if (when !== 'before' || !/^systemctl (reboot|disable)/.test(what)) return undefined;
  const plan = openOn(cluster.host(host), plans);
  if (plan === undefined) return undefined;
  if (deadManActedBefore(cluster.agent(host), heldSlackMs + sinceIntentMs(cluster.host(host), plan)))
    return `S5: ${what} on ${host} after its dead man has acted`;
  const missMs = guardsMayMissMs + sinceIntentMs(cluster.host(host), plan);
  const view = cluster.rs.view(plan.nodeUid);
  const gone = cluster.hosts.filter(({ name, plan: { number: uid } }) => {
    const status = nodeStatus(view, uid);
    const since = status.state === 'down' ? view.now - (status.lastSeen ?? 0) - view.timings.downAfterMs : 0;
    return name !== host && since > missMs;
  });
  return gone.length === 0
    ? undefined
    : `S1: ${what} on ${host} while ${gone.map(({ name }) => name).join()} is down`;
}

/** Whether its mark is there, and has been for longer than that: an act that had begun is ended by the dead man himself. */
function deadManActedBefore({ host, deadMan }: SimRenumberingAgent, ms: number): boolean {
  const isMarked = ['script', 'taken-over'].every((name) => host.disk.exists(`${deadManDirectory}/${name}`));
  return isMarked && deadMan.actedAt !== undefined && host.boottime() - deadMan.actedAt > ms;
}

/** A host may have had others before: a second operator's comes after one that ended. */
function openOn(host: SimHost, plans: readonly Plan[]): Plan | undefined {
  return plans.findLast((plan) => {
    const progress = plan.host === host.name ? journalOf(host, plan) : undefined;
    return progress !== undefined && progress.closed === undefined;
  });
}

/** S6: an address that somebody else has is not taken. @returns what is broken */
function addressFree({ cluster, kernel, plans }: Stage, { host, what, when }: Point): string | undefined {
  const [, address] = /^ip -batch swap to (\S+)/.exec(what) ?? [];
  if (when !== 'before' || address === undefined) return undefined;
  const self = cluster.host(host);
  const plan = openOn(self, plans);
  for (const [foreign, since] of cluster.foreign) {
    const [name, taken] = foreign.split(' ');
    const missMs = guardsMayMissMs + (plan === undefined ? 0 : sinceIntentMs(self, plan));
    if (taken !== address || name === host || kernel.now - since < missMs) continue;
    const answers = cluster.network.answering(self, parseAddress(address));
    if (answers.length > 0) return `S6: ${what} on ${host} though ${name ?? ''} has it`;
  }
  return undefined;
}

/** S4, S5, S8: how everything must be once it has ended. */
function checkEnd({ cluster, plans }: Stage, endings: Told['endings']): void {
  const problems: string[] = [];
  const stopped = endings.some(({ outcome }) => outcome === 'stopped');
  for (const { host, deadMan } of cluster.agents) {
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
    const row = cluster.rs.config.nodes.find((node) => node.uid === uid);
    const registered = row?.addr;
    // With somebody else on the wire who has its address no node is well, whatever is done here.
    const isLost = deadMan.bothInBoot !== undefined && deadMan.bothInBoot !== host.bootId;
    const isTaken = isLost || [...cluster.foreign.keys()].some((key) => key.endsWith(` ${registered ?? ''}`));
    if (nodeStatus(cluster.rs.view(viewer), uid).state !== 'ok' && !isTaken)
      problems.push(`S8: node ${uid} is down`);
    const bound = addressesOn(host).filter((address) => !cluster.foreign.has(`${name} ${address}`));
    if (registered === undefined || (!bound.includes(registered) && !isLost)) {
      problems.push(`S4: RS has ${registered ?? 'nothing'} for node ${uid}, the host ${bound.join(' and ')}`);
    }
    const own = plans.flatMap((plan, index) =>
      plan.host === name ? [{ plan, outcome: endings[index]?.outcome }] : [],
    );
    const [first] = own;
    if (first === undefined || own.some(({ outcome }) => outcome === 'stopped')) continue;
    const through = own.findLast(({ outcome }) => outcome === 'done');
    const { kind, external, change } = (through ?? first).plan;
    const wanted = [(through === undefined ? change.from : change.to).address];
    // One that was bound before stays so.
    const onHost = kind === 'already_bound' ? [change.from.address, change.to.address] : wanted;
    const file = host.configured('eth0').map(({ address }) => address);
    for (const [what, is, expected, mayDiffer] of [
      ['RS', row === undefined ? [] : [row.addr], wanted, false],
      // Left as it was where somebody freed the lock before that step.
      [
        'RS outside',
        row?.externalAddr ?? [],
        external === undefined ? [] : wanted,
        through !== undefined && isLeftOut(host, through.plan),
      ],
      ['the host', bound, onHost, false],
      ["the owner's file", file, onHost, false],
    ] as const) {
      if (mayDiffer) continue;
      if (is.length === expected.length && expected.every((address) => is.includes(address))) continue;
      const how = through === undefined ? 'rolled back' : 'done';
      problems.push(`S4: ${how}, and ${what} has ${is.join(' and ')}`);
    }
    if (host.disk.exists(`${deadManDirectory}/script`)) {
      problems.push(`a dead man is left on ${name}`);
    }
  }
  for (const plan of plans) problems.push(...unexplained(cluster.host(plan.host), plan));
  for (const { host, running } of stopped ? [] : cluster.agents) {
    const [open] = running?.keeper.openClaims() ?? [];
    if (open !== undefined)
      problems.push(`the lock is still taken on ${host.name}: epoch ${open.epoch} of ${open.host}`);
  }
  const how = endings.map(({ outcome, reason }) => `${outcome} ${reason ?? ''}`).join(', ');
  if (problems.length > 0) throw new Error(`${problems.join('; ')} [${how}]`);
}

/** Whether the external addresses were left as they were: the lock was freed, or could not be proven to be held, before that step. */
function isLeftOut(host: SimHost, plan: Plan): boolean {
  return recordsOf(host, plan).some(
    (record) =>
      record.type === 'done' && record.step === 'external' && record.evidence.startsWith('left out'),
  );
}

/** L2: every reason in a journal has a code, a sentence and a remedy, and what did not go through has a reason. */
function unexplained(host: SimHost, plan: Plan): string[] {
  return recordsOf(host, plan).flatMap((record) => {
    if (record.type === 'closed' && record.outcome !== 'done' && record.reason === undefined)
      return [`L2: ${plan.id} is ${record.outcome} without a reason`];
    const reason = 'reason' in record && typeof record.reason === 'object' ? record.reason : undefined;
    if (reason === undefined || (reason.code !== '' && reason.message !== '' && reason.remedy !== ''))
      return [];
    return [`L2: ${record.type} of ${plan.id} with ${JSON.stringify(reason)}`];
  });
}

function addressesOn(host: SimHost): Address[] {
  return host.interfaces.links.flatMap(({ name, addresses }) =>
    name === 'lo' ? [] : addresses.map(({ address }) => address),
  );
}

const lockFile = '/var/lib/rlnet/lock.json';
const registrations = '/var/lib/rlnet/registrations.ndjson';
const deadManDirectory = '/var/lib/rlnet/dead-man';
