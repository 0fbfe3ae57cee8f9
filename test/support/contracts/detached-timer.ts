import { describe, expect, it } from 'vitest';
import type { DetachedTimer } from '../../../src/host/ports/detached-timer.ts';

export interface DetachedTimerUnderTest {
  timer: DetachedTimer;
  /** Puts a script where the timer finds it. @returns its path */
  script: (text: string) => Promise<string>;
  /** A path that scripts can write to. */
  path: (name: string) => string;
  /** What is in a file where scripts run; undefined where there is none. */
  read: (path: string) => Promise<string | undefined>;
}

/** Waits for a word and not for a time: how long it takes is the machine's affair. */
async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 100));
}

/** What every DetachedTimer keeps. That it outlives its owner is tried with owners that are killed. */
export function detachedTimerContract(
  name: string,
  make: () => Promise<DetachedTimerUnderTest>,
  { concurrent = false }: { concurrent?: boolean } = {},
): void {
  describe(`${name} keeps the contract of DetachedTimer`, { concurrent }, () => {
    it('waits, runs its script once its time has come, and is gone', async () => {
      const { timer, script, path, read } = await make();
      await timer.arm('rlnet-contract-1', await script(`echo ran >>${path('ran')}`), 1);
      await until(async () => (await timer.state('rlnet-contract-1')) === 'gone');
      expect(await read(path('ran'))).toBe('ran\n');
    });

    it('does not run what was stopped before, and a name is free again after that', async () => {
      const { timer, script, path, read } = await make();
      const file = await script(`echo ran >>${path('ran')}`);
      await timer.arm('rlnet-contract-2', file, 3600);
      expect(await timer.state('rlnet-contract-2')).toBe('waiting');
      await timer.disarm('rlnet-contract-2');
      expect(await timer.state('rlnet-contract-2')).toBe('gone');
      expect(await read(path('ran'))).toBeUndefined();
      await timer.arm('rlnet-contract-2', file, 3600);
      expect(await timer.state('rlnet-contract-2')).toBe('waiting');
      await timer.disarm('rlnet-contract-2');
    });

    it('takes two of different names for two', async () => {
      const { timer, script } = await make();
      const file = await script('true');
      await timer.arm('rlnet-contract-3', file, 3600);
      await timer.arm('rlnet-contract-4', file, 3600);
      await timer.disarm('rlnet-contract-3');
      expect(await timer.state('rlnet-contract-4')).toBe('waiting');
      await timer.disarm('rlnet-contract-4');
    });

    it('is asked to stop one that is not there, and that is fine', async () => {
      const { timer } = await make();
      expect(await timer.state('rlnet-contract-5')).toBe('gone');
      await expect(timer.disarm('rlnet-contract-5')).resolves.toBeUndefined();
    });

    it('waits for a script that is already at work', async () => {
      const { timer, script, path, read } = await make();
      const file = await script(`echo begun >>${path('log')}; sleep 2; echo ended >>${path('log')}`);
      await timer.arm('rlnet-contract-6', file, 1);
      await until(async () => (await read(path('log'))) !== undefined);
      await timer.disarm('rlnet-contract-6');
      expect(await timer.state('rlnet-contract-6')).toBe('gone');
      expect(await read(path('log'))).toBe('begun\nended\n');
    });

    it('leaves the name free after a script that failed', async () => {
      const { timer, script } = await make();
      await timer.arm('rlnet-contract-7', await script('exit 3'), 1);
      await until(async () => (await timer.state('rlnet-contract-7')) === 'gone');
      await timer.arm('rlnet-contract-7', await script('true'), 3600);
      await timer.disarm('rlnet-contract-7');
    });
  });
}
