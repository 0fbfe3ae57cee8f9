/** What a test says of many measurements, in milliseconds. */
export interface Distribution {
  count: number;
  min: number;
  p50: number;
  p99: number;
  max: number;
}

/** Nearest rank: each figure is one that was measured. @throws RangeError for no values */
export function distributionOf(values: readonly number[]): Distribution {
  const sorted = [...values].sort((a, b) => a - b);
  const rank = (share: number): number => {
    const value = sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
    if (value === undefined) throw new RangeError('no values');
    return Math.round(value);
  };
  return { count: sorted.length, min: rank(0), p50: rank(0.5), p99: rank(0.99), max: rank(1) };
}
