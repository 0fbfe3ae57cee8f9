import { createTask, setLogger } from 'node-cron';
import type { Log } from './log.ts';

/** Work at a pace that people think in. For deadlines and heartbeats there is the Clock: cron follows the wall clock, which can jump. */
export interface Schedule {
  /**
   * Runs `work` by a cron expression in UTC, spread by up to `maxDelayMs` so that a fleet does not do it in step. Never twice at a time.
   * What `work` rejects with is logged.
   */
  every(expression: string, name: string, maxDelayMs: number, work: () => Promise<void>): void;
  stop(): Promise<void>;
}

export function createSchedule(log: Log): Schedule {
  // node-cron's own logger prints coloured lines to the console.
  setLogger({
    debug: (text) => log.debug({}, String(text)),
    info: (text) => log.debug({}, String(text)),
    warn: (text) => log.warn({}, String(text)),
    error: (text) => log.error({}, String(text)),
  });
  const tasks: ReturnType<typeof createTask>[] = [];
  return {
    every(expression, name, maxRandomDelay, work) {
      const task = createTask(
        expression,
        async () => {
          try {
            await work();
          } catch (thrown) {
            log.error({ task: name, err: thrown }, 'scheduled work failed');
          }
        },
        { name, timezone: 'UTC', noOverlap: true, maxRandomDelay },
      );
      tasks.push(task);
      void task.start();
    },
    async stop() {
      for (const task of tasks) await task.destroy();
    },
  };
}
