/** What a test run came to, in tests. Broken files, hooks and uncaught errors are among the failed. */
export type Totals = { readonly passed: number; readonly failed: number; readonly skipped: number };

export function addTotals(a: Totals, b: Totals): Totals {
  return { passed: a.passed + b.passed, failed: a.failed + b.failed, skipped: a.skipped + b.skipped };
}

/** The closing line, which CI reads. */
export function totalsLine({ passed, failed, skipped }: Totals): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}
