import type { Clock, Timer } from '../../src/host/ports/clock.ts';

/** A clock that stands still until the test moves it: at first at the beginning of 2026, `monotonic` 0. */
export interface ManualClock extends Clock {
  /** Moves on by `ms` milliseconds, running what comes due on the way, each with its promises settled. */
  pass(ms: number): Promise<void>;
  /** Timers that are set and neither ran nor were cancelled. */
  readonly pending: number;
}

export function createManualClock(): ManualClock {
  const epoch = Date.UTC(2026, 0);
  let now = 0;
  let timers: { due: number; action: () => void }[] = [];
  return {
    wall: () => epoch + now,
    monotonic: () => now,
    after(ms, action): Timer {
      const timer = { due: now + ms, action };
      timers.push(timer);
      return {
        cancel: () => {
          timers = timers.filter((other) => other !== timer);
        },
      };
    },
    async pass(ms) {
      const end = now + ms;
      await settled();
      for (;;) {
        // The earlier deadline first; of two that are equal the one that was set first.
        const [next] = timers.toSorted((a, b) => a.due - b.due);
        if (next === undefined || next.due > end) break;
        timers = timers.filter((timer) => timer !== next);
        now = Math.max(now, next.due);
        next.action();
        await settled();
      }
      now = end;
    },
    get pending() {
      return timers.length;
    },
  };
}

/** Lets every promise that can settle do so. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
