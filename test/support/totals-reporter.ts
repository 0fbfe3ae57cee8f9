import { writeFileSync } from 'node:fs';
import { stripVTControlCharacters } from 'node:util';
import type { Reporter, SerializedError, TestModule, TestSuite } from 'vitest/node';
import { type RunReport, totalsLine } from './totals.ts';

/** A file that takes less is not worth a line, seconds. */
const worthALine = 2;

/**
 * Counts what a run came to and says it in one closing line, the last of the output: `N passed, N failed, N skipped`.
 * If `RLNET_TOTALS_FILE` names a file, the totals go there as JSON instead, with what failed: `scripts/test` adds up several runs. What
 * is said then is where the time went.
 */
// biome-ignore lint/style/noDefaultExport: vitest loads a reporter by its file's default export
export default class TotalsReporter implements Reporter {
  #closing: string | undefined;

  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    const report = reportOf(modules, unhandled);
    const file = process.env['RLNET_TOTALS_FILE'];
    if (file !== undefined) writeFileSync(file, JSON.stringify(report));
    // vitest calls all reporters at once, and tells of processes that hang even later: only the exit comes after.
    if (this.#closing === undefined) process.once('exit', () => process.stdout.write(`${this.#closing}\n`));
    this.#closing = file === undefined ? totalsLine(report) : timesOf(modules);
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
function reportOf(modules: readonly TestModule[], unhandled: readonly SerializedError[]): RunReport {
  const totals = { passed: 0, failed: 0, skipped: 0 };
  const failures = unhandled.map((error) => failureLine('an error that nobody caught', [error]));
  for (const module of modules) {
    const name = module.relativeModuleId;
    const suites: (TestModule | TestSuite)[] = [module, ...module.children.allSuites()];
    for (const suite of suites) {
      const errors = suite.errors();
      const which = suite.type === 'suite' ? `${name} > ${suite.fullName}` : name;
      if (errors.length > 0) failures.push(failureLine(which, errors));
    }
    for (const test of module.children.allTests()) {
      const { state, errors = [] } = test.result();
      // Of a file that was skipped whole vitest tells nothing of the tests in it.
      const unfinished = module.state() === 'skipped' ? 'skipped' : 'failed';
      const outcome = state === 'pending' ? unfinished : state;
      if (outcome === 'failed') failures.push(failureLine(`${name} > ${test.fullName}`, errors));
      else totals[outcome] += 1;
    }
  }
  return { ...totals, failed: failures.length, failures };
}

function failureLine(what: string, errors: readonly Pick<SerializedError, 'message'>[]): string {
  const [message = 'did not end'] = (errors[0]?.message ?? '').split('\n').filter((line) => line !== '');
  return `${what}: ${stripVTControlCharacters(message)}`;
}
