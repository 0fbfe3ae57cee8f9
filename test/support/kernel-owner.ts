import { readFile, writeFile } from 'node:fs/promises';
import { createClock } from '../../src/host/clock.ts';
import { createExec } from '../../src/host/exec.ts';
import { createFiles } from '../../src/host/files.ts';
import { createKernelAddresses } from '../../src/host/kernel-addresses.ts';
import type { Exec } from '../../src/host/ports/exec.ts';
import { createSleepingTimer } from './detached-timer.ts';
import { changeOf } from './swap-cases.ts';

/*
 * A process that changes an address and comes to a stop on the way, for a test to kill it there:
 * node kernel-owner.ts DIRECTORY rehearse|swap CHANGE PHASE. It prints `stopped` when it has got there.
 *
 * Phases: `unarmed`, `armed`, `done`, and the number of commands of the batch that were carried out, as when `ip` is killed too.
 */
const [directory = '', kind, change = '', phase = ''] = process.argv.slice(2);

const timer = createSleepingTimer(createExec(), directory);
const kernel = createKernelAddresses({
  exec: stoppingAfter(Number(phase), createExec()),
  files: createFiles(),
  clock: createClock(),
  timer: {
    ...timer,
    arm: async (name, script) => {
      if (phase === 'unarmed') await stop();
      // Sooner than a real bound, as nobody is to wait for it.
      await timer.arm(name, script, 1);
      if (phase === 'armed') await stop();
    },
  },
  directory: `${directory}/change`,
});
await kernel[kind === 'swap' ? 'swap' : 'rehearse'](changeOf(change), 60);
await stop();

function stop(): Promise<never> {
  process.stdout.write('stopped\n');
  return new Promise(() => setInterval(() => {}, 1000));
}

/** Cuts the batch off after so many commands. */
function stoppingAfter(commands: number, exec: Exec): Exec {
  return {
    ...exec,
    run: async (file, args, options) => {
      const batch = args.at(-1) ?? '';
      if (Number.isNaN(commands) || !batch.endsWith('/forward')) return exec.run(file, args, options);
      const lines = (await readFile(batch, 'utf8')).split('\n').slice(0, commands);
      await writeFile(batch, lines.map((line) => `${line}\n`).join(''));
      const result = await exec.run(file, args, options);
      if (result.exitCode !== 0) throw new Error(result.stderr);
      return stop();
    },
  };
}
