import { writeFileSync } from 'node:fs';
import type { Reporter, SerializedError, TestModule, TestSuite } from 'vitest/node';
import { type Totals, totalsLine } from './totals.ts';

/**
 * Counts what a run came to and says it in one closing line, the last of the output: `N passed, N failed, N skipped`.
 * If `RLNET_TOTALS_FILE` names a file, the totals go there as JSON instead: `scripts/test` adds up several runs.
 */
// biome-ignore lint/style/noDefaultExport: vitest loads a reporter by its file's default export
export default class TotalsReporter implements Reporter {
  #closing: string | undefined;

  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    const totals = countTotals(modules, unhandled);
    const file = process.env['RLNET_TOTALS_FILE'];
    if (file !== undefined) {
      writeFileSync(file, JSON.stringify(totals));
      return;
    }
    // vitest calls all reporters at once, and tells of processes that hang even later: only the exit comes after.
    if (this.#closing === undefined) process.once('exit', () => process.stdout.write(`${this.#closing}\n`));
    this.#closing = totalsLine(totals);
  }
}

/**
 * A file or a suite that is broken itself is one failure more: it did not load, it threw while it was collected, or
 * one of its `beforeAll` and `afterAll` hooks failed. So is an error that nobody caught. vitest's own summary counts
 * these apart, or only marks the tests skipped. A test that never ended, because the run was stopped, did not pass.
 */
function countTotals(modules: readonly TestModule[], unhandled: readonly SerializedError[]): Totals {
  const totals = { passed: 0, failed: unhandled.length, skipped: 0 };
  for (const module of modules) {
    const suites: (TestModule | TestSuite)[] = [module, ...module.children.allSuites()];
    totals.failed += suites.filter((suite) => suite.errors().length > 0).length;
    for (const test of module.children.allTests()) {
      const { state } = test.result();
      totals[state === 'pending' ? 'failed' : state] += 1;
    }
  }
  return totals;
}
