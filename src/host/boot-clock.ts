import { RlnetError } from '../protocol/errors.ts';
import type { BootClock } from './ports/boot-clock.ts';
import type { Files } from './ports/files.ts';

/** The kernel's own: /proc/uptime counts suspended time, as CLOCK_BOOTTIME does (proc_uptime(5)). */
export function createBootClock(files: Files): BootClock {
  return {
    now: async () => {
      const [bootId, uptime] = await Promise.all([
        files.read('/proc/sys/kernel/random/boot_id'),
        files.read('/proc/uptime'),
      ]);
      return { bootId: bootId.trim(), seconds: parseUptime(uptime) };
    },
  };
}

/** @throws RlnetError OUTPUT_UNREADABLE */
export function parseUptime(text: string): number {
  const [seconds = ''] = text.split(' ');
  if (/^\d+\.\d+$/.test(seconds)) return Number(seconds);
  throw new RlnetError(
    'OUTPUT_UNREADABLE',
    `/proc/uptime says ${JSON.stringify(text.slice(0, 40))}, which is no time.`,
    'Report this with the version of the kernel.',
  );
}
