/** What a test run came to, in tests. Broken files, hooks and uncaught errors are among the failed. */
export type Totals = { readonly passed: number; readonly failed: number; readonly skipped: number };

/** What the reporter leaves for its caller, as JSON. */
export type RunReport = Totals & {
  /** What failed, a line each: file, suites and title, and the first line of what it said. */
  readonly failures: readonly string[];
};

export function addTotals(a: Totals, b: Totals): Totals {
  return { passed: a.passed + b.passed, failed: a.failed + b.failed, skipped: a.skipped + b.skipped };
}

/** The closing line, which CI reads. */
export function totalsLine({ passed, failed, skipped }: Totals): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}
