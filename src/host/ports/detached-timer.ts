/**
 * `waiting`: its time has not come. `running`: its script is at work. `gone`: there is no such timer (any more), and nothing of it runs.
 */
export type DetachedTimerState = 'waiting' | 'running' | 'gone';

/**
 * Runs a shell script after a while though whoever asked for it has died meanwhile: by SIGKILL, with its control group, or with
 * its whole session. It needs neither this process nor Node. A reboot ends it. Time is counted while the host sleeps or not, as the
 * kernel's monotonic clock has it: from arming on, and never earlier.
 *
 * A name is letters, digits and hyphens. Costs a few executions of a program.
 */
export interface DetachedTimer {
  /**
   * When it resolves, the timer has been seen waiting. There must be none of that name.
   * @param script path of a script for /bin/sh; it must still be there when the time has come
   * @throws RlnetError DETACHED_TIMER_FAILED; what Exec throws. Then it may have been armed all the same.
   */
  arm(name: string, script: string, seconds: number): Promise<void>;
  /**
   * Stops timers that wait; one whose script is running already is waited for, up to half a minute. When it resolves they have been
   * seen gone. One that is not there is fine.
   * @throws RlnetError DETACHED_TIMER_FAILED where it is still there; what Exec throws
   */
  disarm(...names: readonly string[]): Promise<void>;
  /** @throws what Exec throws, and RlnetError OUTPUT_UNREADABLE: an answer that is not understood is not `gone`. */
  state(name: string): Promise<DetachedTimerState>;
}
