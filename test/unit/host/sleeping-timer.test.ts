import { readFile, writeFile } from 'node:fs/promises';
import { createExec } from '../../../src/host/exec.ts';
import { detachedTimerContract } from '../../support/contracts/detached-timer.ts';
import { createSleepingTimer } from '../../support/detached-timer.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

detachedTimerContract('the timer that sleeps', async () => {
  const directory = await temporaryDirectory();
  let scripts = 0;
  return {
    timer: createSleepingTimer(createExec(), directory),
    script: async (text) => {
      const path = `${directory}/script-${scripts++}`;
      await writeFile(path, `${text}\n`);
      return path;
    },
    path: (name) => `${directory}/${name}.out`,
    read: (path) => readFile(path, 'utf8').catch(() => undefined),
  };
});
