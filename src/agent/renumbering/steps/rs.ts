import type { BootClock } from '../../../host/ports/boot-clock.ts';
import type { HostPower } from '../../../host/ports/host-power.ts';
import type { Rs } from '../../../host/ports/rs.ts';
import { type Address, isSameSet } from '../../../protocol/address.ts';
import { asRlnetError, RlnetError } from '../../../protocol/errors.ts';
import { registrationMayLandFor } from '../../../protocol/renumbering/bounds.ts';
import type { Plan } from '../../../protocol/renumbering/plan.ts';
import { done, notDone, type Probe, soaking, unknown } from '../../../protocol/renumbering/probe.ts';
import { type Progress, secondsSince } from '../../../protocol/renumbering/progress.ts';
import type { BootTime } from '../../../protocol/renumbering/records.ts';
import type { RsNode } from '../../../protocol/rs.ts';
import { claimOf } from '../claim.ts';
import type { Peers } from '../peers.ts';
import { actName, type StepExecutor } from '../renumbering.ts';

/** rladmin takes up to 20 s before it is given up. Milliseconds. */
const tableTimeoutMs = 25_000;

export interface RsStepDependencies {
  bootClock: BootClock;
  rs: Rs;
  peers: Peers;
}

/** RS holds the new address, as another node than the registrar shows it where there is one. */
export function registerStep(deps: RsStepDependencies): StepExecutor {
  return {
    probe: async ({ plan, intent }) =>
      holdsAddress(await rowFromPeer(deps, plan, intent?.attempt), plan.change.to.address),
    act: (progress, attempt) =>
      register(deps, progress, 'register', attempt, progress.plan.change.to.address),
  };
}

export function externalStep(deps: RsStepDependencies): StepExecutor {
  return {
    probe: async ({ plan }) => {
      if (plan.external === undefined) return done('the old address is not among the external ones');
      return holdsExternal(await rowFromPeer(deps, plan), plan.external.to);
    },
    act: async (progress, attempt) => {
      const { external } = progress.plan;
      if (external !== undefined) await registerExternal(deps, progress, 'external', attempt, external.to);
    },
  };
}

/**
 * RS holds the old address again. An `addr set` of the way forward may still be under way at a registrar that does not answer: until
 * its time is over nothing that is read here is the last word.
 */
export function restoreRegistrationStep(deps: RsStepDependencies): StepExecutor {
  return {
    probe: async (progress) => {
      const { plan, intended, landed } = progress;
      const asked = intended.get('register')?.at;
      const landing = asked === undefined || landed ? 0 : await stillLandingFor(deps, plan, asked);
      const row = await rowFromPeer(deps, plan, progress.intent?.attempt);
      const address = holdsAddress(row, plan.change.from.address);
      if (address.is === 'done' && landing > 0) {
        return unknown(`the registration of the new address may still land for ${Math.ceil(landing)} s`);
      }
      if (address.is !== 'done' || plan.external === undefined) return address;
      return holdsExternal(row, plan.external.from);
    },
    act: async (progress, attempt) => {
      const { from } = progress.plan.change;
      await register(deps, progress, 'restore_registration', attempt, from.address);
      const { external } = progress.plan;
      if (external !== undefined) {
        await registerExternal(deps, progress, 'restore_registration', attempt, external.from);
      }
    },
  };
}

/**
 * The node is OK at its address, here and on another node, without a break for the soak time. Counted from the first look in this
 * run of the agent.
 * @param addressOf the address that it is to be OK at
 */
export function rejoinStep(deps: RsStepDependencies, addressOf: (plan: Plan) => Address): StepExecutor {
  let okSince: BootTime | undefined;
  return {
    probe: async (progress) => {
      const { plan } = progress;
      const wanted = addressOf(plan);
      const now = await deps.bootClock.now();
      const verdict = await isOk(deps, plan, wanted);
      if (verdict.is !== 'done') {
        okSince = undefined;
        return verdict;
      }
      okSince ??= now;
      const seconds = secondsSince(okSince, now);
      return seconds >= plan.bounds.soak
        ? done(`OK at ${wanted} for ${Math.floor(seconds)} s`)
        : soaking(`OK at ${wanted} for ${Math.floor(seconds)} of ${plan.bounds.soak} s`);
    },
    act: async (progress, attempt) => {
      const { plan, direction } = progress;
      if (direction !== 'back' || !progress.intended.has('register')) return;
      // A late `addr set` would leave the node DOWN at an address that it does not have any more.
      const row = await rowFromPeer(deps, plan);
      if (row.address !== addressOf(plan)) await register(deps, progress, 'rejoin', attempt, addressOf(plan));
    },
  };
}

/**
 * The node has come back from one more boot, and is OK at its new address through the soak. A boot that nobody asked for proves as much.
 */
export function proveStep(deps: RsStepDependencies & { power: HostPower }): StepExecutor {
  const { bootClock, power } = deps;
  const rejoin = rejoinStep(deps, ({ change }) => change.to.address);
  const sameBoot = async ({ done: seen }: Progress): Promise<boolean> =>
    (await bootClock.now()).bootId === seen.get('rejoin')?.bootId;
  return {
    probe: async (progress) => {
      if (await sameBoot(progress)) return notDone('not restarted since it rejoined');
      const probe = await rejoin.probe(progress);
      return probe.is === 'not_done' ? unknown(`restarted, but ${probe.evidence} so far`) : probe;
    },
    act: async (progress) => {
      const { nodeUid, id } = progress.plan;
      if (await sameBoot(progress)) await power.reboot(`rlnet proves the address of node ${nodeUid} (${id})`);
    },
  };
}

async function isOk(deps: RsStepDependencies, plan: Plan, wanted: Address): Promise<Probe> {
  const [here, there] = await Promise.all([ownRow(deps.rs, plan), rowFromPeer(deps, plan)]);
  for (const [row, where] of [
    [here, 'here'],
    [there, 'on another node'],
  ] as const) {
    if (row.address !== wanted) return notDone(`RS has ${row.address ?? 'no address'} for it ${where}`);
    if (row.status !== 'ok') return notDone(`RS says ${row.statusText} ${where}`);
  }
  return done('OK here and on another node');
}

async function ownRow(rs: Rs, { nodeUid }: Plan): Promise<RsNode> {
  return rowIn((await rs.nodeTable()).nodes, nodeUid);
}

/**
 * Whether RS has the new address still, as another node shows it. Before the unit is started: it would come up where nobody looks for it.
 * @throws RlnetError REGISTRATION_LOST where it has another one; an answer that cannot be had keeps no node out of service
 */
export async function requireRegistered(deps: RsStepDependencies, plan: Plan): Promise<void> {
  const { address } = plan.change.to;
  const row = await rowFromPeer(deps, plan).catch(() => undefined);
  if (row === undefined || row.address === address) return;
  throw new RlnetError(
    'REGISTRATION_LOST',
    `RS had ${address} for node ${plan.nodeUid} and has ${row.address ?? 'no address'} now.`,
    'Find out who ran rladmin node addr set meanwhile, then plan anew.',
  );
}

/**
 * The node's row as another node's rladmin shows it: the first that answers.
 * @param skip so many hosts are asked last: those that acted before, as a registrar's own answer is no second opinion
 */
async function rowFromPeer({ peers }: RsStepDependencies, plan: Plan, skip = 0): Promise<RsNode> {
  let last: RlnetError | undefined;
  for (const host of registrarsOf(plan, skip)) {
    try {
      return rowIn((await peers.call(host, 'node_table', {}, tableTimeoutMs)).nodes, plan.nodeUid);
    } catch (thrown) {
      last = asRlnetError(thrown);
    }
  }
  throw last ?? noRegistrar(plan);
}

function rowIn(nodes: readonly RsNode[], uid: number): RsNode {
  const row = nodes.find((node) => node.uid === uid);
  if (row !== undefined) return row;
  throw new RlnetError(
    'OUTPUT_UNREADABLE',
    `RS shows no node ${uid} that can be read.`,
    'Run rladmin status nodes by hand.',
  );
}

function holdsAddress({ address }: RsNode, wanted: Address): Probe {
  return address === wanted ? done(`RS has ${wanted}`) : notDone(`RS has ${address ?? 'no address'}`);
}

function holdsExternal({ externalAddresses }: RsNode, wanted: readonly Address[]): Probe {
  const has = `external addresses: ${externalAddresses.join(', ')}`;
  return isSameSet(externalAddresses, wanted) ? done(has) : notDone(has);
}

/** Seconds for which an `addr set` that was asked for then may still land. In another boot nobody knows when that was. */
async function stillLandingFor(
  { bootClock }: RsStepDependencies,
  { bounds }: Plan,
  asked: BootTime,
): Promise<number> {
  return Math.max(0, registrationMayLandFor(bounds) - secondsSince(asked, await bootClock.now()));
}

async function register(
  deps: RsStepDependencies,
  progress: Progress,
  step: 'register' | 'restore_registration' | 'rejoin',
  attempt: number,
  address: Address,
): Promise<void> {
  const { host, params, timeoutMs } = registration(progress, step, attempt);
  await deps.peers.call(host, 'register', { ...params, address }, timeoutMs);
}

async function registerExternal(
  deps: RsStepDependencies,
  progress: Progress,
  step: 'external' | 'restore_registration',
  attempt: number,
  externalAddresses: Address[],
): Promise<void> {
  const { host, params, timeoutMs } = registration(progress, step, attempt);
  await deps.peers.call(host, 'register_external', { ...params, externalAddresses }, timeoutMs);
}

function registration(progress: Progress, step: Parameters<typeof actName>[1], attempt: number) {
  const { plan, direction } = progress;
  const { down, rladmin } = plan.bounds;
  const [host] = registrarsOf(plan, attempt - 1);
  const claim = claimOf(progress);
  if (host === undefined || claim === undefined) throw noRegistrar(plan);
  const params = {
    claim,
    nodeUid: plan.nodeUid,
    act: actName(direction, step, attempt),
    downSeconds: down,
    rladminSeconds: rladmin,
  };
  return { host, params, timeoutMs: registrationMayLandFor(plan.bounds) * 1000 };
}

/** The other nodes' hosts, another one first with each attempt. */
function registrarsOf({ members, host }: Plan, skip: number): string[] {
  const hosts = members.flatMap((member) =>
    member.host === undefined || member.host === host ? [] : member.host,
  );
  const first = hosts.length === 0 ? 0 : skip % hosts.length;
  return [...hosts.slice(first), ...hosts.slice(0, first)];
}

function noRegistrar({ members }: Plan): RlnetError {
  return new RlnetError(
    'PEER_UNREACHABLE',
    `None of the other ${members.length - 1} nodes has an agent that can be asked.`,
    'Start rlnet on another node: RS has to be told by another node than the one that moves.',
  );
}
