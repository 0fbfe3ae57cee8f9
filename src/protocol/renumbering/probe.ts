import type { Reason } from './records.ts';

/** What reality shows of a step, read and never remembered. */
export type Probe =
  | { is: 'done'; evidence: string }
  /** Not so, or not yet. `overdue` is what to say of it once the time of its step is over, where there is more to say than that. */
  | { is: 'not_done'; evidence: string; overdue?: Reason }
  /** So already, and only time is missing: no bound ends it. */
  | { is: 'soaking'; evidence: string }
  /** It will not become so by waiting or by trying again. */
  | { is: 'failed'; reason: Reason }
  /** It could not be found out. */
  | { is: 'unknown'; why: string };

export function done(evidence: string): Probe {
  return { is: 'done', evidence };
}

export function notDone(evidence: string, overdue?: Reason): Probe {
  return { is: 'not_done', evidence, ...(overdue === undefined ? {} : { overdue }) };
}

export function soaking(evidence: string): Probe {
  return { is: 'soaking', evidence };
}

export function unknown(why: string): Probe {
  return { is: 'unknown', why };
}
