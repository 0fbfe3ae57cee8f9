import type { Schedule } from '../../../src/agent/schedule.ts';
import type { SimProcess } from './process.ts';

const minuteMs = 60_000;

/** The twin of node-cron: looks at each new minute of the wall clock, in UTC. A minute that the clock jumped over is missed. */
export function createSimSchedule(process: SimProcess): Schedule {
  const { clock, latency } = process;
  let stopped = false;
  return {
    every(expression, _name, maxDelayMs, work) {
      let running = false;
      const nextMinute = (): void => {
        clock.after(minuteMs - (clock.wall() % minuteMs), () => {
          if (stopped) return;
          nextMinute();
          if (running || !isDue(expression, new Date(clock.wall()))) return;
          clock.after(latency.between(0, maxDelayMs), () => {
            if (stopped) return;
            running = true;
            const ended = (): void => {
              running = false;
            };
            work().then(ended, ended);
          });
        });
      };
      nextMinute();
    },
    stop: async () => {
      stopped = true;
    },
  };
}

/** Five fields: minute, hour, day of the month, month, day of the week; of cron's grammar what the agent uses: star, step and list. */
function isDue(expression: string, at: Date): boolean {
  const values = [
    at.getUTCMinutes(),
    at.getUTCHours(),
    at.getUTCDate(),
    at.getUTCMonth() + 1,
    at.getUTCDay(),
  ];
  const fields = expression.split(' ');
  return values.every((value, index) =>
    (fields[index] ?? '*').split(',').some((field) => {
      const [range = '*', step = '1'] = field.split('/');
      return range === '*' ? value % Number(step) === 0 : value === Number(range);
    }),
  );
}
