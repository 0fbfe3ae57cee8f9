import type { CheckResult } from '../../protocol/finding.ts';
import { addressConflict } from './address-conflict.ts';
import { addressPersistent } from './address-persistent.ts';
import { agentMissing } from './agent-missing.ts';
import { agentNotEnabled } from './agent-not-enabled.ts';
import { agentVersionsDiffer } from './agent-versions-differ.ts';
import { certificateEnds } from './certificate-ends.ts';
import { certificateOver } from './certificate-over.ts';
import type { Check, Facts } from './check.ts';
import { clockNotSynchronised } from './clock-not-synchronised.ts';
import { clocksDiffer } from './clocks-differ.ts';
import { collectorUnreachable } from './collector-unreachable.ts';
import { deadManActed } from './dead-man-acted.ts';
import { diskNearlyFull } from './disk-nearly-full.ts';
import { externalDeclared } from './external-declared.ts';
import { internalAddressBound } from './internal-address-bound.ts';
import { internalAddressDeprecated } from './internal-address-deprecated.ts';
import { internalAddressHeldTwice } from './internal-address-held-twice.ts';
import { internalAddressInUse } from './internal-address-in-use.ts';
import { internalAddressLeased } from './internal-address-leased.ts';
import { internalFamilyPresent } from './internal-family.ts';
import { internalMtuSmall } from './internal-mtu-small.ts';
import { ipv6Disabled } from './ipv6-disabled.ts';
import { localPortsOverlap } from './local-ports-overlap.ts';
import { localhostIpv6 } from './localhost-ipv6.ts';
import { lockStale } from './lock-stale.ts';
import { networkOwnerAmbiguous } from './network-owner-ambiguous.ts';
import { pathBroken } from './path-broken.ts';
import { pathMtuSmall } from './path-mtu-small.ts';
import { peerRefused } from './peer-refused.ts';
import { peerUnreachable } from './peer-unreachable.ts';
import { pingsLost } from './pings-lost.ts';
import { port53Taken } from './port-53-taken.ts';
import { rebootPending } from './reboot-pending.ts';
import { renumberingStopped } from './renumbering-stopped.ts';
import { renumberingUnderWay } from './renumbering-under-way.ts';
import { rsExternalDuplicate } from './rs-external-duplicate.ts';
import { rsExternalElsewhere } from './rs-external-elsewhere.ts';
import { rsFamilyMixed } from './rs-family-mixed.ts';
import { rsGracePeriod } from './rs-grace-period.ts';
import { rsLoopbackBug } from './rs-loopback-bug.ts';
import { rsMaintenance } from './rs-maintenance.ts';
import { rsMaster } from './rs-master.ts';
import { rsNodeId } from './rs-node-id.ts';
import { rsNodeNotOk } from './rs-node-not-ok.ts';
import { rsNotAnswering } from './rs-not-answering.ts';
import { rsOtherNodeNotOk } from './rs-other-node-not-ok.ts';
import { rsRowsUnread } from './rs-rows-unread.ts';
import { rsUnitNotEnabled } from './rs-unit-not-enabled.ts';
import { rsUnitRunning } from './rs-unit-running.ts';
import { rsVersionsDiffer } from './rs-versions-differ.ts';
import { spoolFull } from './spool-full.ts';

/** Every check, by what it is about, in the order in which people see them. */
export const checkGroups: readonly { title: string; checks: readonly Check[] }[] = [
  {
    title: 'This host',
    checks: [
      internalAddressBound,
      internalFamilyPresent,
      internalAddressInUse,
      internalAddressHeldTwice,
      internalAddressLeased,
      internalAddressDeprecated,
      addressPersistent,
      networkOwnerAmbiguous,
      internalMtuSmall,
      localhostIpv6,
      ipv6Disabled,
      localPortsOverlap,
      port53Taken,
      diskNearlyFull,
      clockNotSynchronised,
      clocksDiffer,
      rebootPending,
    ],
  },
  {
    title: 'Redis Enterprise Software',
    checks: [
      rsUnitRunning,
      rsUnitNotEnabled,
      rsNotAnswering,
      rsNodeNotOk,
      rsOtherNodeNotOk,
      rsMaster,
      rsRowsUnread,
      rsNodeId,
      rsFamilyMixed,
      rsExternalDuplicate,
      rsExternalElsewhere,
      externalDeclared,
      rsMaintenance,
      rsGracePeriod,
      rsLoopbackBug,
      rsVersionsDiffer,
    ],
  },
  {
    title: 'The mesh',
    checks: [
      peerRefused,
      peerUnreachable,
      pathBroken,
      pingsLost,
      pathMtuSmall,
      agentMissing,
      addressConflict,
      certificateEnds,
      certificateOver,
      agentVersionsDiffer,
    ],
  },
  {
    title: 'rlnet itself',
    checks: [
      renumberingUnderWay,
      renumberingStopped,
      lockStale,
      deadManActed,
      agentNotEnabled,
      collectorUnreachable,
      spoolFull,
    ],
  },
];

export const checks: readonly Check[] = checkGroups.flatMap((group) => group.checks);

/** Evidence quotes what programs printed, and forty of them have to fit a message; so many characters of it. */
const maxEvidence = 500;

/** Every check, judged. One that fails because another one does says behind which. */
export function runChecks(facts: Facts): CheckResult[] {
  const judged = checks.map((check) => ({ check, verdict: check.judge(facts) }));
  const failing = new Set(
    judged.filter(({ verdict }) => verdict.outcome === 'fail').map(({ check }) => check.code),
  );
  return judged.map(
    ({ check: { code, title, severity, remedy, behind }, verdict: { outcome, evidence } }) => {
      const cause = isBad(outcome) ? behind?.find((other) => failing.has(other)) : undefined;
      return {
        code,
        title,
        severity,
        remedy,
        outcome,
        evidence: evidence.slice(0, maxEvidence),
        ...(cause === undefined ? {} : { behind: cause }),
      };
    },
  );
}

export function isBad(outcome: CheckResult['outcome']): boolean {
  return outcome === 'fail' || outcome === 'unknown';
}
