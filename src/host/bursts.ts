import type { Clock, Timer } from './ports/clock.ts';

/** Events come in bursts: wait until it is quiet, but not for longer than a person would notice. */
const quietMs = 50;
const longestWaitMs = 200;

/** Runs `action` once for a burst of events: when it has been quiet for a while, or when the burst lasts too long. */
export function inBursts(clock: Clock, action: () => void): { event: () => void; cancel: () => void } {
  let pending: { timer: Timer; latest: number } | undefined;
  const fire = (): void => {
    pending = undefined;
    action();
  };
  return {
    event: () => {
      const now = clock.monotonic();
      const latest = pending?.latest ?? now + longestWaitMs;
      pending?.timer.cancel();
      pending = { latest, timer: clock.after(Math.max(0, Math.min(quietMs, latest - now)), fire) };
    },
    cancel: () => {
      pending?.timer.cancel();
      pending = undefined;
    },
  };
}
