/**
 * Whether everything is asked for (`scripts/test --full`), or, as in any other run, a sample where a tier is long. The
 * one place that knows how it is asked: a test that can be sampled reads this, and says in its title what it covers.
 */
export const full: boolean = process.env['RLNET_TEST_FULL'] === '1';

/**
 * All of the cases in a full run, else `count` of them, spread evenly from the first to the last. The same ones each
 * time: a sample that changes would let a failure come and go.
 */
export function sampleOf<T>(cases: readonly T[], count: number, everything: boolean = full): readonly T[] {
  if (everything || cases.length <= count) return cases;
  const step = (cases.length - 1) / Math.max(count - 1, 1);
  const chosen = new Set(Array.from({ length: count }, (_, i) => Math.round(i * step)));
  return cases.filter((_, i) => chosen.has(i));
}
