import type { Reachability } from '../../protocol/reachability.ts';
import { untilBeat } from '../beat.ts';

/** Pings go out at this pace, and misses are counted at it. */
export const pingEveryMs = 500;
/**
 * Milliseconds until the next pings, by the wall clock: hosts whose clocks go together ping at the same moments, and are woken by all of their peers at once. After
 * a clock has jumped, one pause is half as long or half as long again.
 */
export function untilPings(wallMs: number): number {
  return untilBeat(wallMs, pingEveryMs);
}
/** An echo may wait so long for a ping to go with, milliseconds: a pause, and what a timer may be late by. */
export const echoWithinMs = pingEveryMs + 100;
/** An echo is missed once it is so old, milliseconds: one was due a pause ago, and half a pause is for what the way and the timers of two hosts take. */
export const overdueMs = pingEveryMs * 1.5;
/** At so many misses in a row two other peers are asked whether they reach it. */
export const missesToAsk = 3;
/** At so many the verdict falls. */
export const missesToJudge = 4;
/**
 * Or so long after its link closed, milliseconds: the pings alone would take half a second to a second, by when they fall due. A new link from a peer
 * that lives is dialled within a tenth of a second.
 */
export const closedVerdictMs = 800;
/** A timer that is this late means that this process was stalled: it counts no misses then. */
export const lateMs = pingEveryMs / 2;
/** What a witness said counts for so long; while there is doubt it is asked anew at each ping. */
export const testimonyMs = 1_500;
/** A peer that was found unreachable is asked about once in so many pings: the path from here may be all that is broken. */
export const pingsBetweenDoubts = 10;

/** What is known of one peer when a ping is due. */
export interface Evidence {
  /** Pings in a row that were due and brought no echo; without a link every one that was due. */
  misses: number;
  /** Why there is no link; undefined while there is one. */
  noLink: string | undefined;
  /** Whether something else of the peer's arrived since the silence began: then its packets came, and ours were lost. */
  heard: boolean;
  /** What the peers that were asked have answered: host to whether it reaches this one. */
  witnesses: ReadonlyMap<string, boolean>;
}

/** Pure: the same evidence gives the same verdict. `since` stays while the status does. */
export function judge(before: Reachability, evidence: Evidence, now: number): Reachability {
  const next = verdict(before, evidence, now);
  if (next.status !== before.status) return next;
  return { ...next, since: before.since };
}

function verdict(
  before: Reachability,
  { misses, noLink, heard, witnesses }: Evidence,
  now: number,
): Reachability {
  if (noLink === undefined && misses < missesToAsk) return { status: 'reachable', since: now };
  const silence = heard
    ? 'it is heard, and does not echo: what we send does not arrive'
    : `no echo of ${misses} pings`;
  const lost = heard ? `${noLink}, and it was heard meanwhile: what we sent did not arrive` : noLink;
  const why = noLink === undefined ? silence : `no link: ${lost}`;
  if (misses < missesToJudge) {
    // It was judged before, and this process was stalled since: nothing has come that would clear it.
    return before.status === 'unreachable' ? before : { status: 'suspect', since: now, why };
  }
  const [reaching] = [...witnesses].filter(([, reaches]) => reaches).map(([host]) => host);
  if (reaching !== undefined) {
    return {
      status: 'suspect',
      since: now,
      why: `${why}; ${reaching} reaches it, so the path from here is broken`,
    };
  }
  // Once confirmed it stays so until an echo or another witness says otherwise, however long ago the witness was asked.
  const confirmed = witnesses.size > 0 || (before.status === 'unreachable' && before.confirmed);
  return { status: 'unreachable', since: now, why, confirmed };
}
