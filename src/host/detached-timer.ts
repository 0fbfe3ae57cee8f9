import { RlnetError } from '../protocol/errors.ts';
import { type Clock, sleep } from './ports/clock.ts';
import type { DetachedTimer, DetachedTimerState } from './ports/detached-timer.ts';
import { commandFailed, type Exec } from './ports/exec.ts';

const timeoutMs = 10_000;

/** How long a script that is running when its timer is to be stopped may go on. */
const longestScriptMs = 30_000;
const pollMs = 100;

/** Transient units of systemd: a timer and the service that it starts, of one name (systemd-run(1)). */
export function createDetachedTimer(exec: Exec, clock: Clock): DetachedTimer {
  /** Of each of the names, in their order. */
  const states = async (names: readonly string[]): Promise<DetachedTimerState[]> => {
    const units = names.flatMap((name) => [`${name}.timer`, `${name}.service`]);
    const args = ['show', '--no-pager', '--property=Id,LoadState,ActiveState', '--', ...units];
    const result = await exec.run('systemctl', args, { timeoutMs });
    if (result.exitCode !== 0) {
      throw commandFailed('systemctl show', result, 'rlnet needs a host that was booted with systemd.');
    }
    return names.map((name) => parseTimerState(result.stdout, name));
  };
  const state = async (name: string): Promise<DetachedTimerState> => {
    const [found = 'gone'] = await states([name]);
    return found;
  };

  return {
    state,
    arm: async (name, script, seconds) => {
      const args = [
        `--unit=${name}`,
        // Whatever its end is: a unit that failed would keep the name.
        '--collect',
        `--on-active=${seconds}s`,
        // A minute by default.
        '--timer-property=AccuracySec=100ms',
        `--description=rlnet: ${script}`,
        ...['/bin/sh', script],
      ];
      const result = await exec.run('systemd-run', args, { timeoutMs });
      if (result.exitCode !== 0) {
        const { message } = commandFailed('systemd-run', result, '');
        throw failed(
          message,
          'Look at systemctl list-timers; rlnet needs a host that was booted with systemd.',
        );
      }
      const found = await state(name);
      if (found !== 'waiting') {
        throw failed(
          `${name}.timer is ${found} after it was armed`,
          `Look at systemctl status ${name}.timer.`,
        );
      }
    },
    disarm: async (...names) => {
      // Fails where there is none, which is as good.
      await exec.run('systemctl', ['stop', '--', ...names.map((name) => `${name}.timer`)], { timeoutMs });
      const until = clock.monotonic() + longestScriptMs;
      const never = new AbortController().signal;
      let found = await states(names);
      while (found.includes('running') && clock.monotonic() < until) {
        await sleep(clock, pollMs, never);
        found = await states(names);
      }
      for (const [index, name] of names.entries()) {
        const left = found[index];
        if (left === 'gone') continue;
        throw failed(
          `${name}.timer is ${left} after it was stopped`,
          `Look at systemctl status ${name}.timer.`,
        );
      }
    },
  };
}

/**
 * The answer of `systemctl show` for the two units: paragraphs of `NAME=value` lines.
 * @throws RlnetError OUTPUT_UNREADABLE where one of them is missing
 */
export function parseTimerState(text: string, name: string): DetachedTimerState {
  const units = text.split('\n\n').map((paragraph) => {
    const values = new Map(
      paragraph.split('\n').map((line): [string, string] => {
        const equals = line.indexOf('=');
        return [line.slice(0, equals), line.slice(equals + 1)];
      }),
    );
    return { id: values.get('Id'), load: values.get('LoadState'), active: values.get('ActiveState') };
  });
  const activeOf = (suffix: string): string => {
    const unit = units.find(({ id }) => id === `${name}.${suffix}`);
    if (unit?.active !== undefined && unit.load !== undefined) return unit.active;
    throw new RlnetError(
      'OUTPUT_UNREADABLE',
      `systemctl show gave no state of ${name}.${suffix}.`,
      'Report this with the output of systemctl --version.',
    );
  };
  const idle = (active: string): boolean => active === 'inactive' || active === 'failed';
  // In this order: a timer that elapses goes after its service has been started.
  if (!idle(activeOf('service'))) return 'running';
  return idle(activeOf('timer')) ? 'gone' : 'waiting';
}

function failed(why: string, remedy: string): RlnetError {
  return new RlnetError('DETACHED_TIMER_FAILED', `${why.replace(/\.$/, '')}.`, remedy);
}
