import type { DeadMan } from '../../../host/ports/dead-man.ts';
import type { KernelAddresses } from '../../../host/ports/kernel-addresses.ts';
import { RlnetError } from '../../../protocol/errors.ts';
import { majorityOf } from '../../../protocol/renumbering/plan.ts';
import { done, notDone, unknown } from '../../../protocol/renumbering/probe.ts';
import type { Progress } from '../../../protocol/renumbering/progress.ts';
import {
  askHeld,
  type ClaimDependencies,
  claimOf,
  closeClaim,
  isClosedForMajority,
  takeLock,
} from '../claim.ts';
import type { StepExecutor } from '../renumbering.ts';

export interface ClaimStepDependencies extends ClaimDependencies {
  deadMan: DeadMan;
  kernel: KernelAddresses;
  signal: AbortSignal;
}

/** Takes the cluster's lock: with a new epoch each time, once the claim of the time before is closed. */
export function claimStep(deps: ClaimStepDependencies): StepExecutor {
  const { keeper } = deps;
  return {
    probe: async (progress) => {
      const claim = claimOf(progress);
      if (claim === undefined || keeper.answerHeld(claim) === 'closed')
        return notDone('the lock is not held');
      const held = await askHeld(deps, claim);
      if (held === 'held') return done(`epoch ${claim.epoch} is granted by a majority`);
      if (held === 'unknown') return unknown('no majority says that it granted the lock');
      return notDone(held === 'lost' ? 'the claim was closed' : 'no majority has granted the lock');
    },
    detail: async (progress) => {
      const before = claimOf(progress);
      if (before !== undefined) await closeClaim(deps, before);
      return { epoch: String(await keeper.nextEpoch()) };
    },
    act: async (progress) => {
      const claim = claimOf(progress);
      if (claim !== undefined) await takeLock(deps, claim, deps.signal);
    },
  };
}

/**
 * The end, in either direction: nothing of the rehearsal is left, the dead man is disarmed, the lock is free. The dead man goes first: a
 * lock that stays behind holds others up, a dead man would take a healthy node down.
 */
export function releaseStep(deps: ClaimStepDependencies): StepExecutor {
  const { keeper, deadMan, kernel } = deps;
  return {
    probe: async (progress) => {
      if ((await kernel.standing()) !== undefined) return notDone('a trial address is still there');
      if (hasArmed(progress) && !(await deadMan.isDisarmed())) return notDone('the dead man is armed');
      const claim = claimOf(progress);
      if (claim === undefined) return done('there was no claim');
      if (keeper.answerHeld(claim) !== 'closed') return notDone('the lock is held');
      if (!wasHeld(progress)) return done('the claim is withdrawn');
      return (await isClosedForMajority(deps, claim))
        ? done('a majority notes that the lock is free')
        : notDone('too few note that the lock is free');
    },
    act: async (progress) => {
      await kernel.takeBack();
      if (hasArmed(progress)) await deadMan.disarm();
      const claim = claimOf(progress);
      if (claim === undefined) return;
      const noted = await closeClaim(deps, claim);
      if (!wasHeld(progress) || noted >= majorityOf(progress.plan)) return;
      throw new RlnetError(
        'LOCK_NO_MAJORITY',
        `${noted} of ${claim.members.length} nodes note that the lock is free.`,
        'It is tried again by itself; start rlnet on the others.',
      );
    },
  };
}

/** One that never armed a dead man leaves that of a renumbering before, which stopped: its unit may have to be brought up yet. */
function hasArmed({ intended }: Progress): boolean {
  return intended.has('arm');
}

/** A claim that found no majority is withdrawn, for which nobody has to be reached. */
function wasHeld({ intended }: Progress): boolean {
  return intended.has('preflight');
}

/** Guards are all there is to it: they are asked before its act, and that it acted says that they passed. */
export const preflightStep: StepExecutor = {
  probe: async ({ intent }: Progress) =>
    intent === undefined ? notDone('the guards were not asked') : done('every guard passed'),
  act: async () => {},
};
