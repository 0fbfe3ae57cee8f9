import { readFile } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { createClock } from '../../src/host/clock.ts';
import { createDetachedTimer } from '../../src/host/detached-timer.ts';
import type { DetachedTimer, DetachedTimerState } from '../../src/host/ports/detached-timer.ts';
import type { Exec } from '../../src/host/ports/exec.ts';
import { killIfThere, processById } from './lab/run.ts';

/** In a session of its own: notes its process id, sleeps, and becomes the script. */
const waiter = `
echo $$ >"$1.new" && mv "$1.new" "$1"
sleep "$3"
exec /bin/sh "$2"
`;

const arm = `
rm -f "$1"
setsid --fork sh -c '${waiter}' rlnet-waiter "$@" </dev/null >/dev/null 2>&1
until [ -s "$1" ]; do sleep 0.01; done
`;

/** Timers that a test need not wait for. */
export interface ElapsingTimer extends DetachedTimer {
  /** Has the time of a timer come now. One that does not wait is left alone. */
  elapse(name: string): Promise<void>;
}

/** What can stand behind a detached timer, each made with where scripts run and a directory for its notes. */
export const timers = { sleeping: createSleepingTimer, systemd: createSystemdTimer };
export type TimerKind = keyof typeof timers;

/** The real one. That its time has come is systemd's word to a service, which can be given to it by anybody else. */
function createSystemdTimer(exec: Exec): ElapsingTimer {
  const timer = createDetachedTimer(exec, createClock());
  return {
    ...timer,
    elapse: async (name) => {
      if ((await timer.state(name)) !== 'waiting') return;
      const { exitCode, stderr } = await exec.run('systemctl', ['start', '--', `${name}.service`], {
        timeoutMs: 10_000,
      });
      if (exitCode !== 0) throw new Error(`${name}.service was not started: ${stderr}`);
    },
  };
}

/**
 * Detached timers without systemd, for network namespaces: a process that sleeps. Keeps the contract but for the end of a control
 * group, which no such process survives.
 *
 * @param exec  where the scripts run
 * @param notes a directory for the process ids
 */
export function createSleepingTimer(exec: Exec, notes: string): ElapsingTimer {
  const find = async (name: string): Promise<{ state: DetachedTimerState; pid: number }> => {
    const pid = Number(await readFile(`${notes}/${name}`, 'utf8').catch(() => '0'));
    // A process id alone could be somebody else's by now.
    const words = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0');
    if (words.includes('rlnet-waiter') && words.includes(`${notes}/${name}`))
      return { state: 'waiting', pid };
    if (words[0] === '/bin/sh') return { state: 'running', pid };
    // Empty for one that has ended and that nobody waits for, and for a moment while it becomes the script.
    const becoming = words[0] === '' && (await processById(pid)) !== undefined;
    return { state: becoming ? 'running' : 'gone', pid };
  };
  return {
    state: async (name) => (await find(name)).state,
    arm: async (name, script, seconds) => {
      const args = ['-c', arm, 'sh', `${notes}/${name}`, script, `${seconds}`];
      const { exitCode, stderr } = await exec.run('sh', args, { timeoutMs: 10_000 });
      if (exitCode !== 0 || (await find(name)).state !== 'waiting') throw new Error(`not armed: ${stderr}`);
    },
    disarm: async (name) => {
      const { state, pid } = await find(name);
      if (state === 'waiting') process.kill(-pid, 'SIGKILL');
      while ((await find(name)).state !== 'gone') await setTimeout(50);
    },
    elapse: async (name) => {
      for (;;) {
        const { state, pid } = await find(name);
        if (state !== 'waiting') return;
        // It may not have come to its sleep yet.
        const sleeping = Number(await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => ''));
        if (sleeping > 0) killIfThere(sleeping);
        await setTimeout(10);
      }
    },
  };
}
