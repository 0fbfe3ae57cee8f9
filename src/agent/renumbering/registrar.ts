import type { BootClock } from '../../host/ports/boot-clock.ts';
import { sleep } from '../../host/ports/clock.ts';
import type { Files } from '../../host/ports/files.ts';
import type { Rs } from '../../host/ports/rs.ts';
import { isSameSet } from '../../protocol/address.ts';
import { errnoOf, RlnetError } from '../../protocol/errors.ts';
import type { Params, Result } from '../../protocol/methods.ts';
import { secondsSince } from '../../protocol/renumbering/progress.ts';
import type { RsNode } from '../../protocol/rs.ts';
import { askHeld, type ClaimDependencies } from './claim.ts';

/** How often the node table is read while RS has not called the node DOWN. Milliseconds. */
const lookAgainMs = 1_000;
const callBackTimeoutMs = 3_000;

export interface RegistrarDependencies extends ClaimDependencies {
  bootClock: BootClock;
  files: Files;
  rs: Rs;
  /** What this agent was asked to register, one line each, on disk before it acts. */
  recordPath: string;
  /** Why this agent may not act at all (mode: observe); undefined where it may. */
  forbidden?: RlnetError | undefined;
}

type Registration = Omit<Params<'register'>, 'address'>;

/**
 * Tells RS another node's new address, on behalf of the agent of that node, once RS calls the node DOWN. Right before it acts
 * it makes sure that its time is not over, that a majority still holds the claim, and that the target says that this act is still
 * its own current one. The command is killed after `rladminSeconds`, so that it cannot land later than the target reckons with.
 * @param caller the host that asks, by its certificate
 * @throws RlnetError REGISTRATION_REFUSED; NODE_NOT_DOWN after `downSeconds` of boot time; what rladmin throws
 */
export async function registerAddress(
  deps: RegistrarDependencies,
  params: Params<'register'>,
  caller: string,
): Promise<Result<'register'>> {
  const { nodeUid, address, downSeconds, rladminSeconds } = params;
  const began = await deps.bootClock.now();
  const elapsed = async (): Promise<number> => secondsSince(began, await deps.bootClock.now());
  await admit(deps, params, caller);
  await record(deps, params, caller, `addr set ${address}`);

  let row = await rowOf(deps.rs, nodeUid);
  while (row.address !== address && row.status !== 'down') {
    if ((await elapsed()) > downSeconds) throw notDown(row, downSeconds);
    await sleep(deps.clock, lookAgainMs, new AbortController().signal);
    row = await rowOf(deps.rs, nodeUid);
  }
  if (row.address === address) return { node: row };
  await stillWanted(deps, params, caller);
  // Last, as this host may have slept during any of the above.
  if ((await elapsed()) > downSeconds + callBackTimeoutMs / 1000) throw refused('its time is over');
  await deps.rs.setAddress(nodeUid, address, rladminSeconds * 1000);
  return { node: await rowOf(deps.rs, nodeUid) };
}

/**
 * Tells RS another node's external addresses, all of them. Their order does not matter to RS.
 * @throws as `registerAddress`
 */
export async function registerExternal(
  deps: RegistrarDependencies,
  params: Params<'register_external'>,
  caller: string,
): Promise<Result<'register_external'>> {
  const { nodeUid, externalAddresses, rladminSeconds } = params;
  await admit(deps, params, caller);
  const row = await rowOf(deps.rs, nodeUid);
  if (isSameSet(row.externalAddresses, externalAddresses)) return { node: row };
  await record(deps, params, caller, `external_addr set ${externalAddresses.join(' ')}`);
  await stillWanted(deps, params, caller);
  await deps.rs.setExternalAddresses(nodeUid, externalAddresses, rladminSeconds * 1000);
  return { node: await rowOf(deps.rs, nodeUid) };
}

async function admit(
  deps: RegistrarDependencies,
  { claim, nodeUid }: Registration,
  caller: string,
): Promise<void> {
  if (deps.forbidden !== undefined) throw deps.forbidden;
  if (claim.host !== caller) throw refused(`${caller} asked in the name of ${claim.host}`);
  if (deps.keeper.answerHeld(claim) !== 'granted') throw refused('this agent has not granted its claim');
  if (deps.peers.hostOf(nodeUid) !== caller) throw refused(`node ${nodeUid} is not the node of ${caller}`);
  if ((await deps.rs.localUid()) === nodeUid) {
    throw refused('RS has to be told by another node than the one that moves');
  }
}

async function record(
  { files, clock, bootClock, recordPath }: RegistrarDependencies,
  { claim, nodeUid, act }: Registration,
  caller: string,
  command: string,
): Promise<void> {
  const { planId, epoch } = claim;
  const at = await bootClock.now();
  const line = `${JSON.stringify({ wall: clock.wall(), at, caller, planId, epoch, act, nodeUid, command })}\n`;
  try {
    await files.append(recordPath, line);
  } catch (thrown) {
    if (errnoOf(thrown) !== 'ENOENT') throw thrown;
    await files.create(recordPath, line, 0o600);
  }
}

async function stillWanted(
  deps: RegistrarDependencies,
  { claim, act }: Registration,
  caller: string,
): Promise<void> {
  if ((await askHeld(deps, claim)) !== 'held') {
    throw refused('a majority does not say that the lock is still held');
  }
  const { planId } = claim;
  const { current } = await deps.peers.call(caller, 'still_current', { planId, act }, callBackTimeoutMs);
  if (!current) throw refused(`${act} is not what ${caller} is doing any more`);
}

async function rowOf(rs: Rs, uid: number): Promise<RsNode> {
  const row = (await rs.nodeTable()).nodes.find((node) => node.uid === uid);
  if (row !== undefined) return row;
  throw refused(`RS has no node ${uid} that could be read`);
}

function refused(why: string): RlnetError {
  return new RlnetError(
    'REGISTRATION_REFUSED',
    `The address was not registered: ${why}.`,
    'rlnet renumber show says what the target made of it; it tries another registrar by itself.',
  );
}

function notDown({ uid, statusText }: RsNode, seconds: number): RlnetError {
  return new RlnetError(
    'NODE_NOT_DOWN',
    `After ${seconds} s RS does not call node ${uid} down (${statusText}), and changes the address only of a node that is.`,
    'Look whether the unit of RS is stopped on that host.',
  );
}
