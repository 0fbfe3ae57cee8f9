import type { Reason } from './records.ts';

/** What reality shows of a step, read and never remembered. */
export type Probe =
  | { is: 'done'; evidence: string }
  /** Not so, or not yet. */
  | { is: 'not_done'; evidence: string }
  /** So already, and only time is missing: no bound ends it. */
  | { is: 'soaking'; evidence: string }
  /** It will not become so by waiting or by trying again. */
  | { is: 'failed'; reason: Reason }
  /** It could not be found out. */
  | { is: 'unknown'; why: string };

export function done(evidence: string): Probe {
  return { is: 'done', evidence };
}

export function notDone(evidence: string): Probe {
  return { is: 'not_done', evidence };
}

export function soaking(evidence: string): Probe {
  return { is: 'soaking', evidence };
}

export function unknown(why: string): Probe {
  return { is: 'unknown', why };
}
