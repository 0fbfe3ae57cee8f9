import { dirname } from 'node:path';
import { errnoOf, RlnetError } from '../protocol/errors.ts';
import { judgeDisabled, judgeEnabled, type UnitRecord } from '../protocol/unit.ts';
import { judgeStart, judgeStop } from '../protocol/unit-run.ts';
import type { Clock } from './ports/clock.ts';
import { commandFailed, type Exec, type ExecResult } from './ports/exec.ts';
import type { Files } from './ports/files.ts';
import type { UnitControl } from './ports/unit-control.ts';
import { jobRunner } from './unit-jobs.ts';
import { adjustLinks, type FoundLink, findLinks, syncDirectories } from './unit-links.ts';
import { configuredUnits, unitRecorder } from './unit-record.ts';
import { createUnits } from './units.ts';

/** Enable, disable and daemon-reload have systemd read all units anew, which runs every generator of the host. */
const changeTimeoutMs = 60_000;

export interface UnitControlDependencies {
  exec: Exec;
  files: Files;
  clock: Clock;
}

/** The real systemd, through systemctl and the links that it keeps. */
export function createUnitControl({ exec, files, clock }: UnitControlDependencies): UnitControl {
  const record = unitRecorder(exec, files);
  const run = jobRunner(exec, clock);
  const units = createUnits(exec);

  const systemctl = (...args: string[]): Promise<ExecResult> =>
    exec.run('systemctl', ['--no-ask-password', ...args], { timeoutMs: changeTimeoutMs });

  const sync = (...links: readonly (readonly FoundLink[])[]): Promise<void> =>
    syncDirectories([configuredUnits, ...links.flat().map(({ path }) => dirname(path))]);

  const disable = async (recorded: UnitRecord): Promise<void> => {
    const { unit } = recorded;
    const before = await findLinks([configuredUnits], recorded.names);
    const result = await systemctl('disable', '--', unit);
    await orNotWritten('UNIT_STILL_ENABLED', unit, () => sync(recorded.links, before));
    if (result.exitCode !== 0) throw changeFailed('disable', unit, result);
    const refusal = judgeDisabled(await record(unit));
    if (refusal !== undefined) throw refusal;
  };

  const enable = async (recorded: UnitRecord): Promise<void> => {
    const { unit, names, links } = recorded;
    const before = await findLinks([configuredUnits], names);
    const result = await systemctl('enable', '--', unit);
    // Also where systemctl failed: the links alone start the unit with the host.
    const adjusted = await orNotWritten('UNIT_NOT_RESTORED', unit, async () => {
      const after = await findLinks([configuredUnits], names);
      const changed = await adjustLinks(links, before, after);
      await sync(links, before, after);
      return changed;
    });
    if (adjusted) {
      const reload = await systemctl('daemon-reload');
      if (reload.exitCode !== 0) throw changeFailed('daemon-reload, for', unit, reload);
    }
    const refusal = judgeEnabled(recorded, await record(unit));
    if (refusal === undefined) return;
    throw result.exitCode === 0 ? refusal : changeFailed('enable', unit, result);
  };

  return {
    state: (unit) => units.state(unit),
    record,
    disable,
    enable,
    flush: ({ links }) => sync(links),
    start: (unit, options) => run('start', unit, judgeStart, options),
    stop: (unit, options) => run('stop', unit, judgeStop, options),
  };
}

/** What the disk refuses (EROFS, ENOSPC, EIO) as an error of the unit. A failed fsync is final: what is on the disk, nobody knows. */
async function orNotWritten<T>(
  code: 'UNIT_STILL_ENABLED' | 'UNIT_NOT_RESTORED',
  unit: string,
  write: () => Promise<T>,
): Promise<T> {
  try {
    return await write();
  } catch (thrown) {
    const errno = errnoOf(thrown);
    if (errno === undefined) throw thrown;
    throw new RlnetError(
      code,
      `The links of ${unit} under ${configuredUnits} could not be written to the disk (${errno}).`,
      `Look at the file system that ${configuredUnits} is on; then see what systemctl is-enabled ${unit} says after a restart.`,
      { cause: thrown },
    );
  }
}

function changeFailed(verb: string, unit: string, result: Parameters<typeof commandFailed>[1]): RlnetError {
  return commandFailed(
    `systemctl ${verb} ${unit}`,
    result,
    `Run it by hand; systemctl status ${unit} may say more.`,
  );
}
