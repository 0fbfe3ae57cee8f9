import { describe, expect, it } from 'vitest';
import { type Clock, sleep } from '../../../src/host/ports/clock.ts';

export interface ClockUnderTest {
  clock: Clock;
  /** Lets at least `ms` milliseconds of the clock's time go by. */
  pass: (ms: number) => Promise<void>;
}

/** What every Clock keeps, the real one and the simulated one. */
export function clockContract(name: string, make: () => ClockUnderTest): void {
  describe(`${name} keeps the contract of Clock`, () => {
    it('runs an action once, after its delay and never before it by its own measure', async () => {
      const { clock, pass } = make();
      const start = clock.monotonic();
      const seen: number[] = [];
      clock.after(30, () => seen.push(clock.monotonic() - start));
      await pass(90);
      expect(seen).toHaveLength(1);
      expect(seen[0]).toBeGreaterThanOrEqual(30);
    });

    it('never runs an action before `after` has returned, even without delay', async () => {
      const { clock, pass } = make();
      let returned = false;
      let ranAfterReturn: boolean | undefined;
      clock.after(0, () => {
        ranAfterReturn = returned;
      });
      returned = true;
      await pass(20);
      expect(ranAfterReturn).toBe(true);
    });

    it('runs the action with the earlier deadline first', async () => {
      const { clock, pass } = make();
      const order: string[] = [];
      clock.after(60, () => order.push('late'));
      clock.after(10, () => order.push('early'));
      await pass(120);
      expect(order).toEqual(['early', 'late']);
    });

    it('does not run a cancelled action, and cancels twice or too late without effect', async () => {
      const { clock, pass } = make();
      const ran: string[] = [];
      const cancelled = clock.after(10, () => ran.push('cancelled'));
      cancelled.cancel();
      cancelled.cancel();
      const done = clock.after(10, () => ran.push('done'));
      await pass(50);
      done.cancel();
      expect(ran).toEqual(['done']);
    });

    it('does not run an action that is due in a month at once', async () => {
      const { clock, pass } = make();
      let ran = false;
      const timer = clock.after(31 * 24 * 3600 * 1000, () => {
        ran = true;
      });
      await pass(50);
      timer.cancel();
      expect(ran).toBe(false);
    });

    it('never goes back', async () => {
      const { clock, pass } = make();
      const first = clock.monotonic();
      await pass(5);
      expect(clock.monotonic()).toBeGreaterThanOrEqual(first + 5);
    });

    it('gives the wall clock in milliseconds since the epoch', () => {
      const { clock } = make();
      expect(clock.wall()).toBeGreaterThan(Date.UTC(2020, 0));
      expect(clock.wall()).toBeLessThan(Date.UTC(2200, 0));
    });

    it('ends a sleep with the reason of its signal', async () => {
      const { clock, pass } = make();
      const controller = new AbortController();
      const slept = sleep(clock, 60_000, controller.signal);
      const reason = new Error('no longer needed');
      controller.abort(reason);
      await expect(slept).rejects.toBe(reason);
      await pass(1);
    });
  });
}
