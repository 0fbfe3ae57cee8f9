import { createExec } from '../../../src/host/exec.ts';
import { asRlnetError } from '../../../src/protocol/errors.ts';
import { kernelAddressesOf, killOwner } from '../kernel-addresses.ts';
import { serve } from '../standin/lines.ts';
import type { KernelCall } from './kernel-host.ts';

/*
 * The kernel's addresses of the host that this runs on, with timers of systemd: `node kernel-server.ts SOCKET`. Answers calls until it
 * is killed, with `{"result": …}` or `{"error": …}`: a process for each call would cost more than what it does.
 */

const [socket = ''] = process.argv.slice(2);
const kernel = await kernelAddressesOf(createExec(), 'systemd');

async function answer(message: KernelCall): Promise<unknown> {
  switch (message.call) {
    case 'swap':
    case 'rehearse':
      return kernel[message.call](message.change, message.seconds);
    case 'killOwner':
      return killOwner('self', kernel, message.death);
    case 'snapshot':
    case 'standing':
    case 'takeBack':
    case 'elapse':
      return kernel[message.call]();
  }
}

await serve({ path: socket }, async (message) => {
  try {
    return { result: (await answer(message as KernelCall)) ?? null };
  } catch (thrown) {
    return { error: asRlnetError(thrown).report() };
  }
});
