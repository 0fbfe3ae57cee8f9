import type { Clock, Timer } from '../host/ports/clock.ts';

/** Runs `action` at once when it is asked for, and then not again for `everyMs`: who asks meanwhile has it run once at the end of that time. */
export function paced(
  clock: Clock,
  everyMs: number,
  action: () => void,
): { ask: () => void; cancel: () => void } {
  let running: Timer | undefined;
  let again = false;
  let over = false;
  const ask = (): void => {
    if (over) return;
    if (running !== undefined) {
      again = true;
      return;
    }
    running = clock.after(everyMs, () => {
      running = undefined;
      if (!again) return;
      again = false;
      ask();
    });
    action();
  };
  return {
    ask,
    cancel: () => {
      over = true;
      running?.cancel();
    },
  };
}
