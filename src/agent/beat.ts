/**
 * Milliseconds until the next multiple of a pace: what goes by one clock and one pace is done together. One that would leave no half of a pace is left out.
 *
 * @param now     milliseconds of whatever clock is the common one, at least 0
 * @param everyMs the pace
 */
export function untilBeat(now: number, everyMs: number): number {
  const left = everyMs - (now % everyMs);
  return left < everyMs / 2 ? left + everyMs : left;
}
