import { clusterGuards } from './cluster-guards.ts';
import { ask, type FactName, type Facts, type Guard, type GuardResult, type Move } from './guard.ts';
import { hostGuards } from './host-guards.ts';
import type { Reason } from './records.ts';
import { requestGuards } from './request-guards.ts';
import type { Step } from './steps.ts';

/** All of them, in the order in which people read them. The preflight asks them all. */
export const guards: readonly Guard[] = [...requestGuards, ...clusterGuards, ...hostGuards];

/** What must be so right before the node is taken out: the others are well, and nothing else is under way. */
const outageCodes: readonly string[] = [
  'MEMBERS_CHANGED',
  'NODE_NOT_OK',
  'QUORUM_AT_RISK',
  'ACTION_RUNNING',
  'SHARD_WITHOUT_REPLICA',
];
/** Not before the proof by a boot, when the addresses are the new ones. */
const plannedCodes: readonly string[] = ['NODE_ADDRESSES_CHANGED'];
/** The gate before the lock is given back, and so before the next node; and before the restart that is a proof. */
const gateCodes: readonly string[] = ['SHARDS_NOT_IN_SYNC', 'ACTION_RUNNING'];

/** The guards that are asked before the act of a step. */
export function guardsOf(step: Step): readonly Guard[] {
  if (step === 'preflight') return guards;
  const codes =
    step === 'release'
      ? gateCodes
      : step === 'prove'
        ? [...outageCodes, ...gateCodes]
        : [...plannedCodes, ...outageCodes];
  return guards.filter(({ code }) => codes.includes(code));
}

/** The facts that these guards go by. */
export function neededBy(asked: readonly Guard[]): ReadonlySet<FactName> {
  return new Set(asked.flatMap(({ needs }) => needs));
}

/** Asks them all: what one of them says keeps no other from being asked. */
export function judge(asked: readonly Guard[], move: Move, facts: Facts): GuardResult[] {
  return asked.map((each) => ask(each, move, facts));
}

/** What stands in the way: what was seen to be wrong, and what is not known where safety hangs on it. */
export function refusalsOf(results: readonly GuardResult[]): GuardResult[] {
  return results.filter(({ severity, outcome }) => severity === 'refuses' && outcome !== 'pass');
}

export function reasonOf({ code, message, remedy }: GuardResult): Reason {
  return { code, message, remedy };
}
