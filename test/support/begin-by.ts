import { type RunnerTask, type RunnerTestFile, TestRunner } from 'vitest';

/**
 * Skips each file that would begin after `RLNET_TEST_BEGIN_BY`, milliseconds since the epoch: how `scripts/test` keeps a sample to its time on a slow
 * machine. Without it all files run.
 */
// biome-ignore lint/style/noDefaultExport: vitest loads a runner by its file's default export
export default class BeginBy extends TestRunner {
  onCollected(files: RunnerTestFile[]): void {
    if (Date.now() > Number(process.env['RLNET_TEST_BEGIN_BY'] ?? Number.POSITIVE_INFINITY))
      for (const file of files) skip(file);
  }
}

function skip(task: RunnerTask): void {
  task.mode = 'skip';
  if ('tasks' in task) for (const child of task.tasks) skip(child);
}
