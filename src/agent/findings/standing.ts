import type { CheckResult, Finding } from '../../protocol/finding.ts';
import type { Check } from './check.ts';
import { isBad } from './findings.ts';

/** An answer that was known before and is not now is shown after so long, milliseconds: one reading that fails is no news. */
export const unknownAfterMs = 20_000;
/** What hid behind a cause is shown no sooner than so long after the cause has gone: it takes a moment to go as well. */
export const afterCauseMs = 5_000;

/** What is remembered of one check. Times are monotonic, milliseconds, but for `shown.since`. */
interface Track {
  /** Since when it has been bad, or good, without a break. A cause that goes begins it anew. */
  is: 'good' | 'bad' | 'hidden';
  since: number;
  /** Whether its answer was ever known since the start. */
  wasKnown: boolean;
  /** Whether it stood behind a cause when that went away. */
  afterCause: boolean;
  /** What people see of it now. */
  shown: Finding | undefined;
}

export type Tracks = ReadonlyMap<string, Track>;

export interface Standing {
  tracks: Tracks;
  /** What people must see, in the order of the checks. */
  findings: Finding[];
  /** In how many milliseconds that can change though no answer does; undefined where it cannot. */
  changesInMs: number | undefined;
}

/**
 * What people must see of the results: a finding is shown once it has lasted, goes once it has stayed away, and hides behind its cause. One that
 * was there before keeps the time at which it was first seen, until its outcome is another one.
 *
 * @param results one of each check, in the order of the checks
 * @param now `monotonic` to measure with, `wall` to tell people; milliseconds
 */
export function stand(
  before: Tracks,
  checks: readonly Pick<Check, 'code' | 'showAfterMs' | 'clearAfterMs'>[],
  results: readonly CheckResult[],
  now: { monotonic: number; wall: number },
): Standing {
  const tracks = new Map<string, Track>();
  const waits: number[] = [];
  for (const [index, check] of checks.entries()) {
    const result = results[index];
    if (result?.code !== check.code) throw new RangeError(`no result of ${check.code}`);
    const { track, waitMs } = step(before.get(result.code), check, result, now);
    tracks.set(result.code, track);
    if (waitMs !== undefined) waits.push(waitMs);
  }
  return {
    tracks,
    findings: [...tracks.values()].flatMap(({ shown }) => shown ?? []),
    changesInMs: waits.length === 0 ? undefined : Math.min(...waits),
  };
}

function step(
  before: Track | undefined,
  { showAfterMs = 0, clearAfterMs = 0 }: Pick<Check, 'showAfterMs' | 'clearAfterMs'>,
  { behind, ...result }: CheckResult,
  now: { monotonic: number; wall: number },
): { track: Track; waitMs?: number } {
  const is = !isBad(result.outcome) ? 'good' : behind === undefined ? 'bad' : 'hidden';
  const since = before?.is === is ? before.since : now.monotonic;
  const wasKnown = (before?.wasKnown ?? false) || result.outcome !== 'unknown';
  const afterCause = is === 'bad' && (before?.is === 'hidden' || (before?.is === 'bad' && before.afterCause));
  const track = { is, since, wasKnown, afterCause } as const;
  const lasted = now.monotonic - since;
  if (is === 'hidden') return { track: { ...track, shown: undefined } };
  if (is === 'good') {
    const left = clearAfterMs - lasted;
    if (before?.shown === undefined || left <= 0) return { track: { ...track, shown: undefined } };
    return { track: { ...track, shown: before.shown }, waitMs: left };
  }
  if (before?.shown !== undefined) {
    const same = before.shown.outcome === result.outcome;
    return { track: { ...track, shown: { ...result, since: same ? before.shown.since : now.wall } } };
  }
  const patience = Math.max(
    result.outcome === 'fail' ? showAfterMs : wasKnown ? unknownAfterMs : 0,
    afterCause ? afterCauseMs : 0,
  );
  if (lasted < patience) return { track: { ...track, shown: undefined }, waitMs: patience - lasted };
  return { track: { ...track, shown: { ...result, since: now.wall - lasted } } };
}
