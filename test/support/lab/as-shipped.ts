import type { Host } from './lab.ts';

/** What an agent costs as its package installs it, measured from outside of it. */

async function show(host: Host, property: string): Promise<string> {
  return (await host.execOk(['systemctl', 'show', '--property', property, '--value', 'rlnet'])).trim();
}

/** Milliseconds: as a clock on the wall has it, and of a processor, which other work on the machine does not stretch. */
export interface Times {
  wall: number;
  processor: number;
}

/** Stops the agent and starts it. @returns what it took until READY, without its stop */
export async function startAnew(host: Host): Promise<Times> {
  await host.execOk(['systemctl', 'stop', 'rlnet']);
  await host.execOk(['systemctl', 'start', 'rlnet']);
  const [used, ready, began] = await Promise.all([
    show(host, 'CPUUsageNSec'),
    show(host, 'ActiveEnterTimestampMonotonic'),
    show(host, 'ExecMainStartTimestampMonotonic'),
  ]);
  return { wall: (Number(ready) - Number(began)) / 1e3, processor: Number(used) / 1e6 };
}

/** What a command takes on the host. */
export async function timesOf(host: Host, command: string): Promise<Times> {
  const script = `TIMEFORMAT='%3R %3U %3S'; time ${command} >/dev/null`;
  const { stderr } = await host.exec(['bash', '-c', script]);
  const [wall = 0, user = 0, system = 0] = (stderr.trim().split('\n').at(-1) ?? '').split(' ').map(Number);
  return { wall: wall * 1000, processor: (user + system) * 1000 };
}
