import { directionWords } from '../protocol/renumbering/dead-man.ts';
import type { Fact } from '../protocol/renumbering/guard.ts';
import type { DeadManFact } from '../protocol/renumbering/rescue-facts.ts';
import type { Exec } from './ports/exec.ts';
import type { Files } from './ports/files.ts';
import { isEnabledOnDisk, showUnit } from './systemctl.ts';

/**
 * The dead man as its directory and its units show it, for whoever cannot ask the agent. Reads only.
 * @param attempt makes a fact of a reading, and an unknown of one that failed
 * @param now     seconds since the boot
 */
export async function lookAtDeadMan(
  { exec, files, directory }: { exec: Exec; files: Files; directory: string },
  attempt: <T>(read: () => Promise<T>) => Promise<Fact<T>>,
  now: number,
): Promise<DeadManFact> {
  const isThere = async (name: string): Promise<boolean> =>
    (await files.readIfExists(`${directory}/${name}`)) !== undefined;
  const wordIn = async (name: string) => {
    const text = (await files.readIfExists(`${directory}/${name}`))?.trim();
    return directionWords.find((word) => word === text);
  };
  return {
    armed: await isThere('script'),
    word: await wordIn('word'),
    takenOver: await wordIn('taken-over'),
    finished: await isThere('finished'),
    timer: await attempt(async () => {
      const timer = 'rlnet-dead-man.timer';
      const shown = await showUnit(exec, ['ActiveState', 'NextElapseUSecMonotonic'], timer);
      const next = parseTimespan(shown.optional('NextElapseUSecMonotonic'));
      const runs = shown.filled('ActiveState') === 'active' && next !== undefined;
      return {
        actsIn: runs ? Math.max(0, next - now) : undefined,
        enabled: await isEnabledOnDisk(exec, timer),
      };
    }),
    service: await attempt(async () => {
      const shown = await showUnit(exec, ['ActiveState', 'SubState'], 'rlnet-dead-man.service');
      if (shown.filled('SubState') === 'auto-restart') return 'waiting' as const;
      const idle = ['inactive', 'failed'].includes(shown.filled('ActiveState'));
      return idle ? ('idle' as const) : ('running' as const);
    }),
  };
}

const unitSeconds: Readonly<Record<string, number>> = {
  y: 31_557_600,
  month: 2_629_800,
  w: 604_800,
  d: 86_400,
  h: 3_600,
  min: 60,
  s: 1,
  ms: 1e-3,
  us: 1e-6,
};

/**
 * A span of time as systemctl prints it: `1h 2min 3.456789s` (systemd.time(7)).
 * @returns seconds; undefined for `infinity`, for none, and for what is not understood
 */
export function parseTimespan(text: string): number | undefined {
  const parts = text.split(' ').map((part) => {
    const [, number, unit = ''] = /^(\d+(?:\.\d+)?)([a-z]+)$/.exec(part) ?? [];
    const seconds = unitSeconds[unit];
    return number === undefined || seconds === undefined ? Number.NaN : Number(number) * seconds;
  });
  const sum = parts.reduce((total, seconds) => total + seconds, 0);
  return Number.isNaN(sum) ? undefined : sum;
}
