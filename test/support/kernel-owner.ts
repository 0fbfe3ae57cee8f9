import { readFile, writeFile } from 'node:fs/promises';
import { createClock } from '../../src/host/clock.ts';
import { createExec } from '../../src/host/exec.ts';
import { createFiles } from '../../src/host/files.ts';
import { createKernelAddresses } from '../../src/host/kernel-addresses.ts';
import type { Exec } from '../../src/host/ports/exec.ts';
import { timers } from './detached-timer.ts';
import { changeOf } from './swap-cases.ts';

/*
 * A process that changes an address and comes to a stop on the way, for a test to kill it there:
 * node kernel-owner.ts DIRECTORY TIMER rehearse|swap CHANGE PHASE, with a timer of `detached-timer.ts`. It prints `stopped` when it has got there.
 *
 * Phases, in order: `unarmed`; `armed`; `forward N`, with so many commands of the batch carried out, as when `ip` is killed too; `done`;
 * `extending`, with both timers armed; `back N`, with so many commands of the take-back carried out. And `kept`: that it is
 * to stay is on disk, and the timer is still armed.
 */
const [directory = '', timerKind, kind, change = '', phase = ''] = process.argv.slice(2);
const [part, commands = 'NaN'] = phase.split(' ');

const boundSeconds = 60;
let armed = 0;

const timer = timers[timerKind === 'systemd' ? 'systemd' : 'sleeping'](createExec(), directory);
const kernel = createKernelAddresses({
  exec: stoppingAfter(Number(commands), createExec()),
  files: createFiles(),
  clock: createClock(),
  timer: {
    ...timer,
    arm: async (...args) => {
      if (part === 'unarmed') await stop();
      await timer.arm(...args);
      armed += 1;
      if (part === 'armed' || (part === 'extending' && armed === 2)) await stop();
    },
    disarm: async (name) => {
      if (part === 'kept' && armed > 0) await stop();
      await timer.disarm(name);
    },
  },
  directory: `${directory}/change`,
});
await kernel[kind === 'swap' ? 'swap' : 'rehearse'](changeOf(change), boundSeconds);
if (part === 'extending') await kernel.extend(boundSeconds);
if (part === 'kept') await kernel.keep();
if (part === 'back') await kernel.takeBack();
await stop();

function stop(): Promise<never> {
  process.stdout.write('stopped\n');
  return new Promise(() => setInterval(() => {}, 1000));
}

/** Cuts the way there, or the way back, off after so many commands. */
function stoppingAfter(count: number, exec: Exec): Exec {
  const firstOf = (text: string): string =>
    text
      .split('\n')
      .slice(0, count)
      .map((line) => `${line}\n`)
      .join('');
  return {
    ...exec,
    run: async (file, args, options) => {
      const last = args.at(-1) ?? '';
      if (part === 'forward' && last.endsWith('/forward')) {
        await writeFile(last, firstOf(await readFile(last, 'utf8')));
        const result = await exec.run(file, args, options);
        if (result.exitCode !== 0) throw new Error(result.stderr);
        return stop();
      }
      if (part === 'back' && file === 'sh' && last.endsWith('/take-back.sh') && args.length === 1) {
        const cut = `${directory}/cut-off.sh`;
        const [, head = '', batch = '', tail = ''] =
          /^(.* -force -batch - <<'RLNET-END'\n)(.*?)(RLNET-END\n}.*)$/s.exec(await readFile(last, 'utf8')) ??
          [];
        await writeFile(cut, `${head}${firstOf(batch)}${tail.replace(/^( +back >.*)$/m, '$1\nexit 9')}`);
        const result = await exec.run(file, [cut], options);
        if (result.exitCode !== 9) throw new Error(`the take-back was not cut off: ${result.exitCode}`);
        return stop();
      }
      return exec.run(file, args, options);
    },
  };
}
