import type { Address, Family } from '../../protocol/address.ts';
import type { CheckResult, Severity } from '../../protocol/finding.ts';
import type { Reachability } from '../../protocol/reachability.ts';
import type { ToldLock } from '../../protocol/renumbering/lock.ts';
import type { OpenRenumbering } from '../../protocol/renumbering/request.ts';
import type { Declaration } from '../../protocol/rollout/declaration.ts';
import type { RolloutSummary } from '../../protocol/rollout/record.ts';
import type { Trouble } from '../mesh/mesh.ts';
import type { Observations } from '../observations.ts';

/** What a check may look at. Times are wall clock, milliseconds since the epoch. */
export interface Facts {
  now: number;
  /** This host and its agent's version. */
  host: string;
  version: string;
  observations: Observations;
  /** The internal address of this host, where one is known. */
  internalAddress: Address | undefined;
  /** The internal family of the cluster, from RS or from the peers; undefined while no node of it is known. */
  clusterFamily: Family | undefined;
  /** Every other host that is known of. */
  peers: readonly PeerFacts[];
  /** Addresses at which an agent should be, and none was reached. */
  unreached: readonly { address: Address; since: number; reason: string }[];
  /** Hosts of the cluster that were turned away. */
  troubles: readonly Trouble[];
  /** What this agent knows of the cluster's lock, and the renumbering of this host that is open or has stopped. */
  lock: ToldLock;
  renumbering: OpenRenumbering | undefined;
  /** The certificates that the mesh uses here. */
  certificates: readonly CertificateTerm[];
  /** How it stands with the collector; undefined where none is configured. */
  report: ReportFacts | undefined;
  /** The rollout that this agent leads or led last, and the addresses of the file that was applied from here; undefined where none was. */
  rollout: RolloutSummary | undefined;
  declared: Declaration | undefined;
}

/** Of the reports to the collector. `since` is wall clock. */
export interface ReportFacts {
  connected: boolean;
  since: number;
  why: string;
  /** What waits on disk, bytes, and events that could not be kept since the start. */
  bytes: number;
  dropped: number;
}

/** A certificate and its term. Wall clock, milliseconds since the epoch. */
export interface CertificateTerm {
  /** For people: whose it is. */
  name: string;
  notBefore: number;
  notAfter: number;
}

/** Another host of the cluster. */
export interface PeerFacts {
  host: string;
  linked: boolean;
  /** The other end of the link. */
  address: Address | undefined;
  /** What it says its internal address is, and the node that it was found to be; both only while it is linked. */
  internalAddress: Address | undefined;
  nodeUid: number | undefined;
  reachability: Reachability;
  /** Of the last pings, which part brought no echo in time, 0 to 1. */
  loss: number | undefined;
  /** Of what it said last. */
  version: string | undefined;
  renumbering: OpenRenumbering | undefined;
}

export interface Verdict {
  outcome: CheckResult['outcome'];
  evidence: string;
}

/** One check: a small file that says what it looks for, how it judges, and what a person does about it. */
export interface Check {
  /** Stable and append-only; docs/findings.md has a heading for each. */
  code: string;
  title: string;
  severity: Severity;
  /** What it means, for docs/findings.md: whole sentences, Markdown. */
  about: string;
  remedy: string;
  /** It is shown once it has failed for so long, milliseconds; 0 unless said. */
  showAfterMs?: number;
  /** It goes once it has not failed for so long, milliseconds; 0 unless said. For what comes and goes by itself. */
  clearAfterMs?: number;
  /** Codes of checks: while one of them fails, that is why this one does, and it is not shown. */
  behind?: readonly string[];
  judge: (facts: Facts) => Verdict;
}

export const pass = (evidence: string): Verdict => ({ outcome: 'pass', evidence });
export const fail = (evidence: string): Verdict => ({ outcome: 'fail', evidence });
export const unknown = (evidence: string): Verdict => ({ outcome: 'unknown', evidence });
export const notApplicable = (evidence: string): Verdict => ({ outcome: 'not_applicable', evidence });

/** Whether it was read that this host is no node of the cluster. */
export function isNoNode({ nodeUid }: Observations): boolean {
  return nodeUid !== undefined && 'value' in nodeUid && nodeUid.value === undefined;
}

/** Fails where there is anything to say, with all of it. */
export function failIfAny(found: readonly string[], otherwise: string): Verdict {
  return found.length === 0 ? pass(otherwise) : fail(found.join('; '));
}
