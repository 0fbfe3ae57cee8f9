import type { Reporter, SerializedError, TestModule } from 'vitest/node';

/**
 * Prints the closing line that CI reads: `N passed, N failed, N skipped`. A file that does not load and an
 * error that nobody caught are failures too, which vitest's own summary counts apart.
 */
// biome-ignore lint/style/noDefaultExport: vitest loads a reporter by its file's default export
export default class TotalsReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    const totals = { passed: 0, failed: unhandled.length, skipped: 0 };
    for (const module of modules) {
      let tests = 0;
      for (const test of module.children.allTests()) {
        tests += 1;
        const { state } = test.result();
        if (state === 'passed') totals.passed += 1;
        else if (state === 'failed') totals.failed += 1;
        else totals.skipped += 1;
      }
      if (module.state() === 'failed' && (tests === 0 || module.errors().length > 0)) totals.failed += 1;
    }
    const line = `${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`;
    // After the default reporter's summary, which prints in the same hook.
    setImmediate(() => process.stdout.write(`\n${line}\n`));
  }
}
