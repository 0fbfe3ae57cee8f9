import type { Clock, Timer } from './ports/clock.ts';

/** The longest delay that setTimeout understands; it fires at once for anything longer. */
const longestDelayMs = 2 ** 31 - 1;

/** The real clock: the one place that may use Date, performance and timers for the rest of rlnet. */
export function createClock(): Clock {
  return {
    wall: () => Date.now(),
    monotonic: () => performance.now(),
    after,
  };
}

/**
 * setTimeout counts whole milliseconds and can fire a fraction early by `performance.now()`, so that a deadline compared in
 * `action` would not have passed yet. Hence the second look, which also carries delays that setTimeout cannot hold.
 */
function after(ms: number, action: () => void): Timer {
  const due = performance.now() + ms;
  const fire = (): void => {
    const left = due - performance.now();
    if (left > 0) timer = setTimeout(fire, Math.min(Math.ceil(left), longestDelayMs));
    else action();
  };
  let timer = setTimeout(fire, Math.min(ms, longestDelayMs));
  return { cancel: () => clearTimeout(timer) };
}
