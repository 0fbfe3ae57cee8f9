import type { Address } from '../../protocol/address.ts';
import type { CheckResult, Severity } from '../../protocol/finding.ts';
import type { Observations } from '../observations.ts';

/** What a check may look at. */
export interface Facts {
  observations: Observations;
  /** The internal address of this host, where one is known. */
  internalAddress: Address | undefined;
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
