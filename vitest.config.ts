import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/support/longest-first.ts';

/**
 * The tiers of docs/testing.md. `unit` and `sim` need nothing but Node; `host` needs root and iproute2 and
 * works in network namespaces of its own; `lab` needs root and systemd-nspawn and boots real hosts.
 */
export default defineConfig({
  test: {
    // Generous: a test that hangs ends, and one on a busy machine does not fail for it.
    testTimeout: 15_000,
    expect: { poll: { timeout: 10_000 } },
    // All cores: vitest leaves one of them alone, which is half of two.
    maxWorkers: '100%',
    // A title is a sentence: what it takes from a table is not cut off.
    taskTitleValueFormatTruncate: 0,
    sequence: { sequencer: LongestFirst },
    reporters: ['default', './test/support/totals-reporter.ts'],
    projects: [
      { extends: true, test: { name: 'unit', include: ['test/unit/**/*.test.ts'] } },
      { extends: true, test: { name: 'sim', include: ['test/sim/**/*.test.ts'], testTimeout: 60_000 } },
      {
        extends: true,
        test: {
          name: 'host',
          include: ['test/host/**/*.test.ts'],
          testTimeout: 60_000,
          // Most of it waits: for answers that do not come, for timers.
          maxConcurrency: 8,
          fileParallelism: false,
        },
      },
      {
        extends: true,
        test: {
          name: 'lab',
          include: ['test/lab/**/*.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 600_000,
          runner: './test/support/begin-by.ts',
          fileParallelism: false,
        },
      },
    ],
  },
});
