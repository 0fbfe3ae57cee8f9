import { onTestFinished } from 'vitest';
import { clockContract } from '../support/contracts/clock.ts';
import { filesContract } from '../support/contracts/files.ts';
import { SimDisk } from '../support/sim/disk.ts';
import { createSimFiles } from '../support/sim/files.ts';
import { Kernel } from '../support/sim/kernel.ts';
import { SimProcess } from '../support/sim/process.ts';

/** The twins keep what the real ports keep: the same tests, pointed at a simulation. */

function start(): { kernel: Kernel; process: SimProcess } {
  const kernel = new Kernel('contract');
  const epoch = Date.UTC(2026, 0, 1);
  const clocks = { wall: () => epoch + kernel.now, monotonic: () => kernel.now };
  return { kernel, process: new SimProcess(kernel, 'process', clocks) };
}

clockContract('the simulated clock', () => {
  const { kernel, process } = start();
  return { clock: process.clock, pass: (ms) => kernel.run(ms + 1) };
});

filesContract('the simulated file system', async () => {
  const { kernel, process } = start();
  const disk = new SimDisk();
  disk.makeDirectory('/work', 0o755);
  onTestFinished(kernel.runInBackground());
  return {
    files: createSimFiles(process, () => disk),
    root: '/work',
    list: async (path) => disk.list(path),
  };
});
