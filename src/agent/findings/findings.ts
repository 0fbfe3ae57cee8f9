import type { CheckResult, Finding } from '../../protocol/finding.ts';
import { addressConflict } from './address-conflict.ts';
import { addressPersistent } from './address-persistent.ts';
import type { Check, Facts } from './check.ts';
import { internalAddressBound } from './internal-address-bound.ts';
import { internalFamilyPresent } from './internal-family.ts';
import { localhostIpv6 } from './localhost-ipv6.ts';
import { peerRefused } from './peer-refused.ts';
import { rsUnitRunning } from './rs-unit-running.ts';

/** Every check, in the order in which people see them. */
export const checks: readonly Check[] = [
  internalAddressBound,
  internalFamilyPresent,
  addressPersistent,
  rsUnitRunning,
  localhostIpv6,
  peerRefused,
  addressConflict,
];

/** Evidence quotes what programs printed, and has to fit a message; so many characters of it. */
const maxEvidence = 1_000;

export function runChecks(facts: Facts): CheckResult[] {
  return checks.map(({ judge, ...about }) => {
    const { outcome, evidence } = judge(facts);
    return { ...about, outcome, evidence: evidence.slice(0, maxEvidence) };
  });
}

/**
 * The results that people must see: those that failed and those whose answer is unknown. One that was there before keeps the time
 * at which it was first seen.
 * @param now wall clock, milliseconds since the epoch
 */
export function findingsOf(
  results: readonly CheckResult[],
  before: readonly Finding[],
  now: number,
): Finding[] {
  return results
    .filter(({ outcome }) => outcome === 'fail' || outcome === 'unknown')
    .map((result) => {
      const same = before.find(({ code, outcome }) => code === result.code && outcome === result.outcome);
      return { ...result, since: same?.since ?? now };
    });
}
