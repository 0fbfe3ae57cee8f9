import type { Address, Family } from '../../protocol/address.ts';
import type { CheckResult, Severity } from '../../protocol/finding.ts';
import type { Trouble } from '../mesh/mesh.ts';
import type { Observations } from '../observations.ts';

/** What a check may look at. */
export interface Facts {
  observations: Observations;
  /** The internal address of this host, where one is known. */
  internalAddress: Address | undefined;
  /** The internal family of the cluster, from RS or from the peers; undefined while no node of it is known. */
  clusterFamily: Family | undefined;
  /** The hosts that are linked: what each says its internal address is, and the node that it was found to be. */
  peers: readonly { host: string; nodeUid: number | undefined; internalAddress: Address | undefined }[];
  /** Hosts of the cluster that were turned away. */
  troubles: readonly Trouble[];
}

/** One check: a small file that says what it looks for, how it judges, and what a person does about it. */
export interface Check {
  /** Stable and append-only; docs/findings.md has a heading for each. */
  code: string;
  title: string;
  severity: Severity;
  remedy: string;
  judge: (facts: Facts) => { outcome: CheckResult['outcome']; evidence: string };
}
