import { type Clock, sleep } from '../../host/ports/clock.ts';
import type { Random } from '../../host/ports/random.ts';
import { asRlnetError, isErrorCode, RlnetError } from '../../protocol/errors.ts';
import type { Claim } from '../../protocol/renumbering/lock.ts';
import type { Progress } from '../../protocol/renumbering/progress.ts';
import type { Reason } from '../../protocol/renumbering/records.ts';
import type { LockKeeper } from './lock-keeper.ts';
import type { Peers } from './peers.ts';

/** How long a member may take: it reads its RS table and syncs a file. Milliseconds. */
const grantTimeoutMs = 10_000;
const heldTimeoutMs = 2_000;
/** After a claim that found no majority, so that two that compete do not do so again at once. Milliseconds. */
const retryMs = { least: 500, spread: 2_500 };

export interface ClaimDependencies {
  clock: Clock;
  random: Random;
  keeper: LockKeeper;
  peers: Peers;
}

/** The claim that a renumbering holds or tries for: its epoch stands in the newest intent of `claim`. */
export function claimOf({ plan, intended }: Progress): Claim | undefined {
  const epoch = Number(intended.get('claim')?.detail['epoch']);
  if (!Number.isSafeInteger(epoch)) return undefined;
  const members = plan.members.map(({ uid }) => uid).sort((a, b) => a - b);
  return { epoch, host: plan.host, planId: plan.id, members };
}

const majority = ({ members }: Claim): number => Math.floor(members.length / 2) + 1;

/** Asks every member's agent, all at once. A member without an agent, or one that does not answer, is an error in its place. */
async function askMembers<T>(
  { peers }: ClaimDependencies,
  { members }: Claim,
  ask: (host: string) => Promise<T>,
): Promise<(T | RlnetError)[]> {
  return await Promise.all(
    members.map(async (uid) => {
      const host = peers.hostOf(uid);
      if (host === undefined) {
        return new RlnetError('PEER_UNREACHABLE', `Node ${uid} has no agent here.`, 'Start rlnet on it.');
      }
      try {
        return await ask(host);
      } catch (thrown) {
        return asRlnetError(thrown);
      }
    }),
  );
}

/**
 * Takes the lock, or leaves nothing behind: without a majority the claim is withdrawn, durably, before this rejects.
 * @throws RlnetError LOCK_TAKEN and the other reasons of those that refused
 */
export async function takeLock(deps: ClaimDependencies, claim: Claim, signal: AbortSignal): Promise<void> {
  const answers = await askMembers(deps, claim, (host) =>
    deps.peers.call(host, 'claim', claim, grantTimeoutMs),
  );
  const granted = answers.filter((answer) => !(answer instanceof RlnetError) && answer.granted).length;
  if (granted >= majority(claim)) return;
  await closeClaim(deps, claim);
  await sleep(deps.clock, retryMs.least + deps.random.fraction() * retryMs.spread, signal);
  throw refusalOf(answers.flatMap(reasonOf), claim);
}

function reasonOf(answer: RlnetError | { granted: boolean; reason?: Reason | undefined }): Reason[] {
  if (answer instanceof RlnetError) return [answer.report()];
  return answer.reason === undefined ? [] : [answer.reason];
}

/** The most telling refusal: who has the lock says more than who did not answer. */
function refusalOf(reasons: readonly Reason[], claim: Claim): RlnetError {
  const told = reasons.find(({ code }) => code.startsWith('LOCK_')) ?? reasons[0];
  const code = told !== undefined && isErrorCode(told.code) ? told.code : 'LOCK_NO_MAJORITY';
  return new RlnetError(
    code,
    `${majority(claim)} of ${claim.members.length} nodes have to grant the lock: ${told?.message ?? 'too few did'}`,
    told?.remedy ?? 'See rlnet lock show.',
  );
}

/**
 * Asks every member, freshly, whether the claim is held. `lost`: it is closed, and not by us. `absent`: so many say that they have not
 * granted it that no majority can have. `unknown`: too few answered.
 */
export async function askHeld(
  deps: ClaimDependencies,
  claim: Claim,
): Promise<'held' | 'lost' | 'absent' | 'unknown'> {
  const answers = await askMembers(deps, claim, (host) =>
    deps.peers.call(host, 'held', claim, heldTimeoutMs),
  );
  const said = answers.flatMap((answer) => (answer instanceof RlnetError ? [] : [answer.held]));
  if (said.includes('closed')) return 'lost';
  const granted = said.filter((each) => each === 'granted').length;
  if (granted >= majority(claim)) return 'held';
  return claim.members.length - (said.length - granted) < majority(claim) ? 'absent' : 'unknown';
}

/** Whether a majority of the members has on disk that the claim is closed: no one disk's loss brings it back then. */
export async function isClosedForMajority(deps: ClaimDependencies, claim: Claim): Promise<boolean> {
  const answers = await askMembers(deps, claim, (host) =>
    deps.peers.call(host, 'held', claim, heldTimeoutMs),
  );
  const closed = answers.filter((answer) => !(answer instanceof RlnetError) && answer.held === 'closed');
  return closed.length >= majority(claim);
}

/**
 * Closes a claim: here, durably, and then at all that can be reached; the others learn it from any that has.
 * @returns how many of the members have it on disk
 */
export async function closeClaim(deps: ClaimDependencies, claim: Claim): Promise<number> {
  await deps.keeper.close(claim);
  const { host: of, epoch } = claim;
  const answers = await askMembers(deps, claim, (host) =>
    deps.peers.call(host, 'close_claim', { host: of, epoch }, heldTimeoutMs),
  );
  return answers.filter((answer) => !(answer instanceof RlnetError)).length;
}
