import { type Clock, sleep } from '../../../host/ports/clock.ts';
import type { DeadMan } from '../../../host/ports/dead-man.ts';
import type { Interfaces } from '../../../host/ports/interfaces.ts';
import type { KernelAddresses } from '../../../host/ports/kernel-addresses.ts';
import type { NetworkOwner } from '../../../host/ports/network-owner.ts';
import type { Wire } from '../../../host/ports/wire.ts';
import type { Address } from '../../../protocol/address.ts';
import { isSameCard } from '../../../protocol/address-change.ts';
import { asRlnetError, RlnetError } from '../../../protocol/errors.ts';
import { holdersOf, isUsable, type NetworkInterface } from '../../../protocol/interfaces.ts';
import { reversed } from '../../../protocol/network-owner.ts';
import { majorityOf, type Plan } from '../../../protocol/renumbering/plan.ts';
import { done, notDone, type Probe, unknown } from '../../../protocol/renumbering/probe.ts';
import { judgeDuplicates, type WireReport } from '../../../protocol/wire.ts';
import type { Peers } from '../peers.ts';
import type { StepExecutor } from '../renumbering.ts';

/** How long a trial address stands without anybody taking it away, seconds. */
const rehearsalSeconds = 60;
/** A peer asks its wire for up to 5 s. Milliseconds. */
const wireTimeoutMs = 8_000;
const reachTimeoutMs = 12_000;
/** Peers dial the new address within some tenths of a second after the swap, and the node is out of service meanwhile. */
const lookAgainMs = 100;
/** How long an address that is there may not be seen again after its owner took it away for a moment, milliseconds: the links are made anew then. */
const seenAgainMs = 2_000;
/** What every link carries for IPv6 (RFC 8200). */
const smallestMtu = 1_280;

export interface AddressStepDependencies {
  clock: Clock;
  peers: Peers;
  kernel: KernelAddresses;
  interfaces: Interfaces;
  wire: Wire;
  owner: NetworkOwner;
  deadMan: DeadMan;
  /** Where the back-up of the owner's files is kept. */
  backupDirectory: (plan: Plan) => string;
  signal: AbortSignal;
}

/**
 * The new address is tried beside the old one: nobody else has it, every peer reaches it on this card at full size, and a new gateway
 * answers to it. Nothing is left of it afterwards.
 */
export function rehearseStep(deps: AddressStepDependencies): StepExecutor {
  const { kernel } = deps;
  /** Of this run of the agent only: what was rehearsed before a crash is rehearsed again. */
  let passed = '';
  return {
    probe: async ({ plan }) => {
      if (plan.kind === 'cut_over')
        return done('not rehearsed: the new network is not there before somebody moves the port');
      if (plan.kind === 'already_bound') return isBound(deps, plan, plan.change.to.address);
      if (passed === '' || (await kernel.standing()) !== undefined)
        return notDone('not rehearsed in this run');
      return done(passed);
    },
    act: async ({ plan }) => {
      const { change } = plan;
      await kernel.takeBack();
      await kernel.rehearse(change, rehearsalSeconds, askEverybody(deps, plan, change.to.address));
      try {
        const target = await targetOf(deps, change.to.address);
        const reached = othersOf(plan).map(async (host) => {
          const why = await reachFrom(deps, plan, host, target);
          return why === undefined ? undefined : `${host}: ${why}`;
        });
        const failed = (await Promise.all(reached)).find((why) => why !== undefined);
        if (failed !== undefined) throw notReached(change.to.address, failed);
        await askGateway(deps, plan);
        passed = `reached by ${othersOf(plan).join(', ')}`;
      } finally {
        await kernel.takeBack();
      }
    },
  };
}

/** What a way back needs is on disk before anything is taken down. */
export function armStep({ owner, deadMan, backupDirectory, signal }: AddressStepDependencies): StepExecutor {
  return {
    probe: async ({ plan }) =>
      (await deadMan.isArmed(plan))
        ? done('back-up written, dead man armed')
        : notDone('the dead man is not armed'),
    act: async ({ plan }) => {
      if (plan.kind !== 'already_bound') await owner.backUp(plan.change, backupDirectory(plan), signal);
      await deadMan.arm(plan);
    },
  };
}

/**
 * The host has the new address in place of the old one: in the kernel, in the files of the network's owner, and for its peers. First in
 * the kernel, for a time, until a majority of the nodes has seen it; in the files only then.
 */
export function readdressStep(deps: AddressStepDependencies): StepExecutor {
  const { kernel, owner, backupDirectory, signal } = deps;
  return {
    probe: async ({ plan }) => {
      const { to: bound, from: old } = await areBound(deps, plan);
      if (plan.kind === 'already_bound' || bound.is !== 'done') return bound;
      if (old.is !== 'not_done') return old.is === 'done' ? notDone('the old address is still there') : old;
      if ((await kernel.standing()) !== undefined) return notDone('the swap is still on trial');
      const [{ files, evidence }, seen] = await Promise.all([
        owner.readBack(plan.change, signal),
        seenByMajority(deps, plan, plan.change.to.address, seenAgainMs),
      ]);
      if (files !== 'to' && owner.kind !== 'manual' && owner.kind !== 'hook') {
        return notDone(`the files of ${owner.kind} hold ${files}: ${evidence.join(' ')}`);
      }
      return seen;
    },
    act: async ({ plan }) => {
      const { change } = plan;
      const { address } = change.to;
      if (plan.kind === 'already_bound') return;
      const { to: bound, from: old } = await areBound(deps, plan);
      const standing = await kernel.standing();
      const swapped = bound.is === 'done' && old.is === 'not_done';
      // Left by a run before this one: a swap that is whole and stands is gone on from, anything else is taken back.
      if (standing !== undefined && (standing.kind !== 'swap' || standing.takenBack || !swapped))
        await kernel.takeBack();
      if (standing === undefined && bound.is === 'not_done' && old.is === 'not_done') {
        throw new RlnetError(
          'KERNEL_NOT_AS_PLANNED',
          `Neither ${change.from.address} nor ${address} is there: the new address was, and somebody has taken it away.`,
          `Find out whether ${plan.owner} did so as it took its files up (journalctl, ip monitor) before you plan anew.`,
        );
      }
      if (!swapped) {
        const free = bound.is === 'done' ? undefined : askEverybody(deps, plan, address);
        await kernel.swap(change, plan.bounds.readdress, free);
      }
      await Promise.all([announce(deps, plan, change.to), untilSeen(deps, plan, address)]);
      await owner.persist(change, backupDirectory(plan), signal);
      await kernel.keep();
      await owner.activate(change, signal);
      // Once more, as the owner may have taken it away for a moment. The node is out of service, so that nobody waits for it.
      announce(deps, plan, change.to).catch(() => {});
    },
  };
}

/** The old address is back in the kernel; the files follow once RS knows. Where neither address is left, the files come first. */
export function restoreAddressStep(deps: AddressStepDependencies): StepExecutor {
  const { kernel } = deps;
  return {
    probe: async ({ plan }) => {
      if (plan.kind === 'already_bound') return done('nothing was changed');
      if ((await kernel.standing()) !== undefined) return notDone('a swap is still on trial');
      const { to: fresh, from: old } = await areBound(deps, plan);
      if (old.is !== 'done') return old;
      if (fresh.is === 'done') return notDone('the new address is still there');
      return fresh.is === 'not_done' ? old : fresh;
    },
    act: async ({ plan }) => {
      const { from } = plan.change;
      await kernel.takeBack();
      const { to: fresh, from: old } = await areBound(deps, plan);
      if (old.is === 'done' && fresh.is === 'not_done') return;
      // Somebody may have taken the address that was free for a while.
      if (old.is !== 'done') await askHere(deps, plan, from.address);
      if (old.is === 'not_done' && fresh.is === 'not_done') {
        // Somebody took the new one away too, and there is nothing to swap: the owner puts the old one back as its files say.
        await restoreFiles(deps, plan);
        return;
      }
      await kernel.swap(reversed(plan.change), plan.bounds.readdress);
      await kernel.keep();
      await announce(deps, plan, from);
    },
  };
}

/** The files of the network's owner are what they were, to the byte, and the owner has taken them up. */
export function restoreFilesStep(deps: AddressStepDependencies): StepExecutor {
  const { owner, signal } = deps;
  return {
    probe: async ({ plan }) => {
      if (plan.kind === 'already_bound') return done('nothing was changed');
      const old = await isBound(deps, plan, plan.change.from.address);
      if (old.is !== 'done') return old;
      const { files, evidence } = await owner.readBack(plan.change, signal);
      return files === 'from' || owner.kind === 'manual' || owner.kind === 'hook'
        ? done(`the files of ${owner.kind} hold the old address`)
        : notDone(`the files of ${owner.kind} hold ${files}: ${evidence.join(' ')}`);
    },
    act: ({ plan }) => restoreFiles(deps, plan),
  };
}

async function restoreFiles(deps: AddressStepDependencies, plan: Plan): Promise<void> {
  const { owner, backupDirectory, signal } = deps;
  await owner.restore(backupDirectory(plan), signal);
  await owner.activate(reversed(plan.change), signal);
  await announce(deps, plan, plan.change.from);
}

/** Whether the address is usable on the card that the plan names. */
async function isBound(
  { interfaces, signal }: AddressStepDependencies,
  plan: Plan,
  address: Address,
): Promise<Probe> {
  return judgeBound(await interfaces.read(signal), plan, address);
}

/** Both addresses of the plan, at one moment. */
async function areBound(
  { interfaces, signal }: AddressStepDependencies,
  plan: Plan,
): Promise<{ from: Probe; to: Probe }> {
  const links = await interfaces.read(signal);
  const { from, to } = plan.change;
  return { from: judgeBound(links, plan, from.address), to: judgeBound(links, plan, to.address) };
}

function judgeBound(links: readonly NetworkInterface[], plan: Plan, address: Address): Probe {
  const { link: planned } = plan.change;
  const [holder] = holdersOf(links, address);
  if (holder === undefined) return notDone(`${address} is on no interface`);
  const { link, bound } = holder;
  if (!isSameCard(planned, link) && plan.kind !== 'already_bound') {
    const card = ({ mac, path }: typeof planned) => [mac ?? 'no MAC', path ?? []].flat().join(', ');
    return {
      is: 'failed',
      reason: {
        code: 'ADDRESS_ON_OTHER_LINK',
        message: `${address} is on ${link.name} (${card(link)}), and not on ${planned.name} (${card(planned)}).`,
        remedy: 'Somebody else has changed the network configuration; look at ip addr on that host.',
      },
    };
  }
  if (bound.flags.includes('dadfailed'))
    return { is: 'failed', reason: inUse(address, 'duplicate address detection failed').report() };
  return isUsable(bound)
    ? done(`${address}/${bound.prefixLength} is on ${link.name}`)
    : unknown(`${address} is tentative`);
}

/** Asks the wire, here and from every peer that has the address on its segment; resolves only for a free one. */
async function askEverybody(deps: AddressStepDependencies, plan: Plan, address: Address): Promise<void> {
  const asked = othersOf(plan).map(async (host): Promise<WireReport | RlnetError> => {
    try {
      return await deps.peers.call(host, 'wire', { address }, wireTimeoutMs);
    } catch (thrown) {
      return asRlnetError(thrown);
    }
  });
  const [own, ...others] = await Promise.all([reportHere(deps, plan, address), ...asked]);
  const missing = others.find((answer) => answer instanceof RlnetError);
  // A majority is enough: one that is gone must not keep the node out once it is out.
  const reports = others.filter((answer): answer is WireReport => !(answer instanceof RlnetError));
  if (missing !== undefined && reports.length + 1 < majorityOf(plan)) throw missing;
  await judge(deps, plan, address, [own, ...reports]);
}

async function askHere(deps: AddressStepDependencies, plan: Plan, address: Address): Promise<void> {
  await judge(deps, plan, address, [await reportHere(deps, plan, address)]);
}

/** Peers of the same network need no gateway, so that they reach an address whose host reaches nothing else. */
async function askGateway({ wire, signal }: AddressStepDependencies, { change }: Plan): Promise<void> {
  const { link, to, gateway } = change;
  if (gateway === undefined) return;
  const question = { interface: link.name, address: gateway.to, source: to.address };
  const answer = await wire.ask(question, signal);
  if (answer.outcome === 'answered') return;
  throw new RlnetError(
    'GATEWAY_SILENT',
    `The gateway ${gateway.to} does not answer to ${to.address} on ${link.name}${answer.outcome === 'unknown' ? `: ${answer.why}` : '.'}`,
    'Plan anew with the gateway of the new network (ip route on a host that is in it).',
  );
}

async function reportHere(
  { wire, signal }: AddressStepDependencies,
  plan: Plan,
  address: Address,
): Promise<WireReport> {
  const { name } = plan.change.link;
  const answer = await wire.ask({ interface: name, address }, signal);
  return { host: plan.host, bound: [], asked: [{ interface: name, answer }] };
}

/** @throws RlnetError ADDRESS_IN_USE, WIRE_UNKNOWN */
async function judge(
  { interfaces, signal }: AddressStepDependencies,
  plan: Plan,
  address: Address,
  reports: readonly WireReport[],
): Promise<void> {
  const verdict = judgeDuplicates(plan.host, await interfaces.read(signal), reports);
  if (verdict.verdict === 'taken') throw inUse(address, verdict.evidence.join('; '));
  if (verdict.verdict === 'unknown') {
    throw new RlnetError(
      'WIRE_UNKNOWN',
      `Whether somebody has ${address} could not be found out: ${verdict.evidence.join('; ')}.`,
      'Look whether the interface has carrier, and whether a firewall drops ARP or neighbour solicitations.',
    );
  }
}

/** What a peer makes of an address of this host: why it does not reach it on the right card, undefined where it does. */
async function reachFrom(
  { peers }: AddressStepDependencies,
  plan: Plan,
  host: string,
  target: { address: Address; bytes: number },
): Promise<string | undefined> {
  try {
    const { outcome, why, macs } = await peers.call(host, 'reach', target, reachTimeoutMs);
    if (outcome !== 'connected' && outcome !== 'refused') return why ?? outcome;
    const { mac } = plan.change.link;
    const foreign = mac === undefined ? undefined : macs.find((each) => each !== mac);
    return foreign === undefined ? undefined : `it reaches ${foreign} there`;
  } catch (thrown) {
    return asRlnetError(thrown).message;
  }
}

/** With the size of the packets that have to pass. */
async function targetOf({ interfaces, signal }: AddressStepDependencies, address: Address) {
  const [holder] = holdersOf(await interfaces.read(signal), address);
  return { address, bytes: holder?.link.mtu ?? smallestMtu };
}

/**
 * Whether a majority of the nodes, this one among them, reaches the address. No more are waited for. A peer that does not is asked again
 * for `withinMs`: when the address was away, all links are made anew, and what was asked through an old one ends with it.
 */
async function seenByMajority(
  deps: AddressStepDependencies,
  plan: Plan,
  address: Address,
  withinMs: number,
): Promise<Probe> {
  const { clock, signal } = deps;
  const until = clock.monotonic() + withinMs;
  const target = await targetOf(deps, address);
  const answers = new Map<string, string | undefined>();
  const seen = (): string[] => [...answers].flatMap(([host, why]) => (why === undefined ? host : []));
  const enough = Promise.withResolvers<void>();
  const isEnough = (): boolean => seen().length + 1 >= majorityOf(plan);
  const asked = othersOf(plan).map(async (host) => {
    for (;;) {
      answers.set(host, await reachFrom(deps, plan, host, target));
      if (isEnough()) enough.resolve();
      if (answers.get(host) === undefined || isEnough() || clock.monotonic() > until) return;
      await sleep(clock, lookAgainMs, signal);
    }
  });
  await Promise.race([enough.promise, Promise.all(asked)]);
  if (isEnough()) return done(`reached by ${seen().join(', ')}`);
  const said = [...answers].map(([host, why]) => `${host}: ${why ?? 'yes'}`);
  return notDone(`too few reach ${address}: ${said.join('; ')}`);
}

/** While the swap is on trial: half its time for the peers to see the address, so that the rest has the other half. */
async function untilSeen(deps: AddressStepDependencies, plan: Plan, address: Address): Promise<void> {
  const seen = await seenByMajority(deps, plan, address, (plan.bounds.readdress * 1000) / 2);
  if (seen.is === 'done') return;
  await deps.kernel.takeBack();
  throw notReached(address, seen.is === 'not_done' ? seen.evidence : 'nobody could be asked');
}

/** The address is on this card from here on, for every neighbour that has to do with it. */
async function announce(
  { wire, signal }: AddressStepDependencies,
  plan: Plan,
  { address }: Pick<Plan['change']['to'], 'address'>,
): Promise<void> {
  const { name } = plan.change.link;
  await wire.announce({ interface: name, address, neighbours: neighboursOf(plan) }, signal);
}

function othersOf({ members, host }: Plan): string[] {
  return members.flatMap((member) => (member.host === undefined || member.host === host ? [] : member.host));
}

function neighboursOf({ members, nodeUid, change }: Plan): Address[] {
  const peers = members.filter(({ uid }) => uid !== nodeUid).map(({ address }) => address);
  return change.gateway === undefined ? peers : [change.gateway.to, ...peers];
}

function inUse(address: Address, evidence: string): RlnetError {
  return new RlnetError(
    'ADDRESS_IN_USE',
    `${address} belongs to somebody else: ${evidence}.`,
    'Choose another address, or find that host by its MAC address in the tables of your switches.',
  );
}

function notReached(address: Address, why: string): RlnetError {
  return new RlnetError(
    'ADDRESS_NOT_REACHED',
    `The peers do not reach ${address}: ${why}.`,
    'Check the network, its gateway and the firewalls between the nodes; then plan anew.',
  );
}
