import { writeFileSync } from 'node:fs';
import type { Reporter, SerializedError, TestModule, TestSuite } from 'vitest/node';
import { type Totals, totalsLine } from './totals.ts';

/** A file that takes less is not worth a line, seconds. */
const worthALine = 2;

/**
 * Counts what a run came to and says it in one closing line, the last of the output: `N passed, N failed, N skipped`.
 * If `RLNET_TOTALS_FILE` names a file, the totals go there as JSON instead: `scripts/test` adds up several runs. What is said then is
 * where the time went.
 */
// biome-ignore lint/style/noDefaultExport: vitest loads a reporter by its file's default export
export default class TotalsReporter implements Reporter {
  #closing: string | undefined;

  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    const totals = countTotals(modules, unhandled);
    const file = process.env['RLNET_TOTALS_FILE'];
    if (file !== undefined) writeFileSync(file, JSON.stringify(totals));
    // vitest calls all reporters at once, and tells of processes that hang even later: only the exit comes after.
    if (this.#closing === undefined) process.once('exit', () => process.stdout.write(`${this.#closing}\n`));
    this.#closing = file === undefined ? totalsLine(totals) : timesOf(modules);
  }
}

/** The files that take longest, longest first, in seconds with their hooks and with the loading of what they import. */
function timesOf(modules: readonly TestModule[]): string {
  const times = modules
    .map((module) => {
      const { duration, collectDuration, setupDuration, prepareDuration } = module.diagnostic();
      const ms = duration + collectDuration + setupDuration + prepareDuration;
      return { name: module.relativeModuleId, seconds: ms / 1000 };
    })
    .sort((a, b) => b.seconds - a.seconds);
  const long = times.filter(({ seconds }) => seconds >= worthALine);
  const rest = times.slice(long.length);
  const sum = rest.reduce((total, { seconds }) => total + seconds, 0);
  const line = (seconds: number, what: string): string => `${seconds.toFixed(1).padStart(8)} s  ${what}`;
  return [
    ...long.map(({ seconds, name }) => line(seconds, name)),
    ...(rest.length > 0 ? [line(sum, `${rest.length} ${long.length > 0 ? 'other files' : 'files'}`)] : []),
  ].join('\n');
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
      // Of a file that was skipped whole vitest tells nothing of the tests in it.
      const unfinished = module.state() === 'skipped' ? 'skipped' : 'failed';
      totals[state === 'pending' ? unfinished : state] += 1;
    }
  }
  return totals;
}
