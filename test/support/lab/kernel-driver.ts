import { createClock } from '../../../src/host/clock.ts';
import { createDetachedTimer } from '../../../src/host/detached-timer.ts';
import { createExec } from '../../../src/host/exec.ts';
import { createFiles } from '../../../src/host/files.ts';
import { createKernelAddresses } from '../../../src/host/kernel-addresses.ts';
import { asRlnetError } from '../../../src/protocol/errors.ts';
import { changeOf } from '../swap-cases.ts';

/*
 * The kernel's addresses of the host that this runs on, one call a run: `node kernel-driver.ts CALL [CHANGE SECONDS]`. Prints
 * `{"result": …}` or `{"error": …}`. After `swap` and `rehearse` with a last word `stay` it stays there, for a test to kill it.
 */
const [call = '', change = '', seconds = '', stay] = process.argv.slice(2);
const exec = createExec();
const clock = createClock();
const kernel = createKernelAddresses({
  exec,
  files: createFiles(),
  clock,
  timer: createDetachedTimer(exec, clock),
  directory: '/run/rlnet/address-change',
});

async function run(): Promise<unknown> {
  switch (call) {
    case 'snapshot':
      return kernel.snapshot();
    case 'standing':
      return kernel.standing();
    case 'swap':
      return kernel.swap(changeOf(change), Number(seconds));
    case 'rehearse':
      return kernel.rehearse(changeOf(change), Number(seconds));
    case 'extend':
      return kernel.extend(Number(seconds));
    case 'keep':
      return kernel.keep();
    case 'takeBack':
      return kernel.takeBack();
    default:
      throw new Error(`no call ${call}`);
  }
}

try {
  process.stdout.write(`${JSON.stringify({ result: (await run()) ?? null })}\n`);
} catch (thrown) {
  process.stdout.write(`${JSON.stringify({ error: asRlnetError(thrown).report() })}\n`);
}
if (stay !== undefined) await new Promise(() => setInterval(() => {}, 1000));
