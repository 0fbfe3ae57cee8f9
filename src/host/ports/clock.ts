/**
 * Time, as the rest of rlnet may see it. Nothing else may use Date, timers or performance, so that a simulation
 * can own time: fake timers do not reach `node:timers/promises` or `AbortSignal.timeout`.
 */
export interface Clock {
  /** Wall clock, milliseconds since the epoch. May jump either way; for people to read, never to measure with. */
  wall(): number;
  /** Milliseconds since some fixed moment. Never jumps, never goes back; for measuring and for deadlines. */
  monotonic(): number;
  /**
   * Runs `action` once after `ms` milliseconds unless cancelled. Cancelling twice, or after it ran, does nothing.
   * `action` must not throw; the real clock lets what it throws end the process.
   */
  after(ms: number, action: () => void): Timer;
}

export interface Timer {
  cancel(): void;
}

/** Resolves after `ms` milliseconds, or rejects with the signal's reason as soon as `signal` aborts. */
export function sleep(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason as Error);
      return;
    }
    const abort = (): void => {
      timer.cancel();
      reject(signal.reason as Error);
    };
    const timer = clock.after(ms, () => {
      signal.removeEventListener('abort', abort);
      resolve();
    });
    signal.addEventListener('abort', abort, { once: true });
  });
}
