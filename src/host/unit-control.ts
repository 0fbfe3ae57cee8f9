import { dirname } from 'node:path';
import { errnoOf, RlnetError } from '../protocol/errors.ts';
import { judgeDisabled, judgeEnabled, type UnitRecord } from '../protocol/unit.ts';
import {
  type JobHistory,
  judgeStart,
  judgeStop,
  type RunFailure,
  type RunVerdict,
  type UnitRun,
} from '../protocol/unit-run.ts';
import { type Clock, sleep } from './ports/clock.ts';
import { commandFailed, type Exec } from './ports/exec.ts';
import type { Files } from './ports/files.ts';
import type { JobOptions, UnitControl } from './ports/unit-control.ts';
import { show, showUnit } from './systemctl.ts';
import { adjustLinks, dependantOf, type FoundLink, findLinks, syncDirectories } from './unit-links.ts';
import { parseUnitState, stateProperties } from './units.ts';

/** Where `systemctl enable` and `disable` work (systemd.unit(5), "Unit File Load Path"). */
const configuredUnits = '/etc/systemd/system';

/** Both end with a reload of systemd, which runs every generator of the host. */
const changeTimeoutMs = 60_000;

/** With `--no-block` systemctl only queues the job. */
const queueTimeoutMs = 10_000;

const pollMs = 250;

/** So many lines of the journal go into an error. */
const evidenceLines = 3;

const recordProperties = [
  ...stateProperties,
  ...['Names', 'FragmentPath', 'SourcePath', 'DropInPaths', 'NeedDaemonReload', 'WantedBy', 'RequiredBy'],
  ...['UpheldBy', 'BoundBy', 'ConsistsOf', 'TriggeredBy', 'OnFailureOf', 'OnSuccessOf'],
];

const runProperties = [
  ...['ActiveState', 'SubState', 'Result', 'Job', 'InvocationID', 'StateChangeTimestampMonotonic'],
  ...['ConditionTimestampMonotonic', 'ConditionResult', 'AssertResult', 'NRestarts'],
  ...['StartLimitBurst'],
];

export interface UnitControlDependencies {
  exec: Exec;
  files: Files;
  clock: Clock;
}

/** The real systemd, through systemctl and the links that it keeps. */
export function createUnitControl({ exec, files, clock }: UnitControlDependencies): UnitControl {
  const record = async (unit: string): Promise<UnitRecord> => {
    const [shown, [manager]] = await Promise.all([
      showUnit(exec, recordProperties, unit),
      show(exec, ['UnitPath'], []),
    ]);
    const list = (text: string): string[] => text.split(' ').filter((word) => word !== '');
    const units = (name: string): string[] => list(shown.present(name)).toSorted();
    // Newer than systemd 239, or never of a service.
    const unitsIfKnown = (name: string): string[] => list(shown.optional(name)).toSorted();
    const names = units('Names');
    const fragmentPath = shown.present('FragmentPath');
    const dropInPaths = list(shown.present('DropInPaths'));
    const searched = list(manager?.filled('UnitPath') ?? '');
    const own = await findLinks([configuredUnits], names);
    const others = (await findLinks(searched, names)).filter(
      ({ path }) => !own.some((link) => link.path === path),
    );
    const dependants = await dependantsOf([...own, ...others]);
    return {
      ...parseUnitState(shown),
      names,
      fragmentPath,
      sourcePath: shown.optional('SourcePath'),
      dropInPaths,
      needDaemonReload: shown.filled('NeedDaemonReload') === 'yes',
      wantedBy: units('WantedBy'),
      requiredBy: units('RequiredBy'),
      upheldBy: unitsIfKnown('UpheldBy'),
      boundBy: units('BoundBy'),
      consistsOf: units('ConsistsOf'),
      triggeredBy: units('TriggeredBy'),
      onFailureOf: unitsIfKnown('OnFailureOf'),
      onSuccessOf: unitsIfKnown('OnSuccessOf'),
      also: await alsoIn([fragmentPath, ...dropInPaths]),
      links: own.map((link) => ({ ...link, dependant: dependants(link) })),
      otherLinks: others.map((link) => ({ ...link, dependant: dependants(link) })),
    };
  };

  /** The own names of the units in whose directories links lie: `default.target.wants` is another unit's under an alias. */
  const dependantsOf = async (links: readonly FoundLink[]): Promise<(link: FoundLink) => string> => {
    const directories = [...new Set(links.map(dependantOf))].filter((unit) => unit !== undefined);
    if (directories.length === 0) return () => '';
    const shown = await show(exec, ['Id'], directories);
    const ids = new Map(directories.map((unit, index) => [unit, shown[index]?.filled('Id') ?? unit]));
    return (link) => ids.get(dependantOf(link) ?? '') ?? '';
  };

  /** `Also=` of the unit's files: systemd has no property for it. */
  const alsoIn = async (paths: readonly string[]): Promise<string[]> => {
    const texts = await Promise.all(paths.filter((path) => path !== '').map(readUnitFile));
    return [...new Set(texts.flatMap(parseAlso))].toSorted();
  };

  const readUnitFile = async (path: string): Promise<string> => {
    try {
      return (await files.readIfExists(path)) ?? '';
    } catch (thrown) {
      // The file of a masked unit is /dev/null or nothing at all; what cannot be read otherwise is told by LoadState.
      if (errnoOf(thrown) !== undefined) return '';
      throw thrown;
    }
  };

  const sync = (...links: readonly (readonly FoundLink[])[]): Promise<void> =>
    syncDirectories([configuredUnits, ...links.flat().map(({ path }) => dirname(path))]);

  const disable = async (recorded: UnitRecord): Promise<void> => {
    const { unit } = recorded;
    const before = await findLinks([configuredUnits], recorded.names);
    const result = await exec.run('systemctl', ['--no-ask-password', 'disable', '--', unit], {
      timeoutMs: changeTimeoutMs,
    });
    await sync(recorded.links, before);
    if (result.exitCode !== 0) throw changeFailed('disable', unit, result);
    const refusal = judgeDisabled(await record(unit));
    if (refusal !== undefined) throw refusal;
  };

  const enable = async (recorded: UnitRecord): Promise<void> => {
    const { unit, names, links } = recorded;
    const before = await findLinks([configuredUnits], names);
    const result = await exec.run('systemctl', ['--no-ask-password', 'enable', '--', unit], {
      timeoutMs: changeTimeoutMs,
    });
    // Also where systemctl failed: the links alone start the unit with the host.
    const after = await findLinks([configuredUnits], names);
    const adjusted = await adjustLinks(links, before, after);
    await sync(links, before, after);
    if (adjusted) {
      const reload = await exec.run('systemctl', ['daemon-reload'], { timeoutMs: changeTimeoutMs });
      if (reload.exitCode !== 0) throw changeFailed('daemon-reload, for', unit, reload);
    }
    const refusal = judgeEnabled(recorded, await record(unit));
    if (refusal === undefined) return;
    throw result.exitCode === 0 ? refusal : changeFailed('enable', unit, result);
  };

  const look = async (unit: string): Promise<UnitRun> => {
    const shown = await showUnit(exec, runProperties, unit);
    return {
      activeState: shown.filled('ActiveState'),
      subState: shown.filled('SubState'),
      result: shown.optional('Result'),
      job: shown.optional('Job').replace(/^0$/, ''),
      invocationId: shown.present('InvocationID'),
      changedAt: shown.filled('StateChangeTimestampMonotonic'),
      conditionsAt: shown.filled('ConditionTimestampMonotonic'),
      conditionsMet: shown.filled('ConditionResult') === 'yes' && shown.filled('AssertResult') === 'yes',
      restarts: Number(shown.optional('NRestarts')),
      startLimitBurst: Number(shown.optional('StartLimitBurst')),
    };
  };

  const run = async (
    verb: 'start' | 'stop',
    unit: string,
    judge: (now: UnitRun, history: JobHistory) => RunVerdict,
    { boundMs, signal }: JobOptions,
  ): Promise<void> => {
    signal.throwIfAborted();
    const before = await look(unit);
    const asked = clock.monotonic();
    const result = await exec.run('systemctl', [verb, '--no-block', '--no-ask-password', '--', unit], {
      timeoutMs: queueTimeoutMs,
    });
    if (result.exitCode !== 0) throw changeFailed(verb, unit, result);

    let seenJob = false;
    let steady: { invocationId: string; since: number } | undefined;
    for (;;) {
      let unanswered: RlnetError | undefined;
      let now: UnitRun | undefined;
      try {
        now = await look(unit);
      } catch (thrown) {
        // systemd does not answer while it reloads. The job goes on, so this is no end.
        if (!(thrown instanceof RlnetError && thrown.retryable)) throw thrown;
        unanswered = thrown;
      }
      const at = clock.monotonic();
      if (now !== undefined) {
        seenJob ||= now.job !== '';
        const active = now.activeState === 'active' && now.job === '';
        const sameRun = active && steady?.invocationId === now.invocationId;
        if (!sameRun) steady = active ? { invocationId: now.invocationId, since: at } : undefined;
        const steadyMs = at - (steady?.since ?? at);
        const verdict = judge(now, { before, seenJob, elapsedMs: at - asked, steadyMs });
        if (verdict === 'done') return;
        if (verdict !== 'pending') throw await runFailed(verb, unit, verdict, now);
      }
      if (at - asked >= boundMs) throw unanswered ?? (await tooLong(verb, unit, boundMs, now));
      await sleep(clock, pollMs, signal);
    }
  };

  /** The last lines that the journal has of the unit, for an error; that they cannot be had hides nothing else. */
  const evidence = async (unit: string): Promise<string> => {
    const args = [
      '--no-pager',
      '--quiet',
      '--boot',
      '--output=cat',
      `--lines=${evidenceLines}`,
      '--unit',
      unit,
    ];
    try {
      const { exitCode, stdout } = await exec.run('journalctl', args, { timeoutMs: queueTimeoutMs });
      const said = exitCode === 0 ? stdout.trim().replaceAll(/\s*\n\s*/g, ' / ') : '';
      return said === '' ? '' : ` The journal says: ${said.slice(-longestEvidence)}`;
    } catch (thrown) {
      if (thrown instanceof RlnetError) return '';
      throw thrown;
    }
  };

  const runFailed = async (
    verb: 'start' | 'stop',
    unit: string,
    code: RunFailure,
    now: UnitRun,
  ): Promise<RlnetError> => {
    const { sentence, remedy } = runFailures[code];
    const state = `ActiveState=${now.activeState}, SubState=${now.subState}, Result=${now.result}`;
    const message = `${sentence(unit, verb)} (${state}).${await evidence(unit)}`;
    return new RlnetError(code, message, remedy(unit));
  };

  const tooLong = async (
    verb: 'start' | 'stop',
    unit: string,
    boundMs: number,
    now: UnitRun | undefined,
  ): Promise<RlnetError> => {
    const state = now === undefined ? '' : ` and is ${now.activeState} (${now.subState})`;
    return new RlnetError(
      'UNIT_TIMEOUT',
      `${unit} did not ${verb} within ${boundMs / 1000} s${state}; its job goes on.${await evidence(unit)}`,
      `systemctl status ${unit} and systemctl list-jobs show what it waits for.`,
    );
  };

  return {
    record,
    disable,
    enable,
    start: (unit, options) => run('start', unit, judgeStart, options),
    stop: (unit, options) => run('stop', unit, judgeStop, options),
  };
}

/** The most that an error repeats of the journal, in characters. */
const longestEvidence = 300;

const runFailures: Record<
  RunFailure,
  { sentence: (unit: string, verb: string) => string; remedy: (unit: string) => string }
> = {
  UNIT_FAILED: {
    sentence: (unit) => `${unit} was started and failed`,
    remedy: (unit) => `journalctl -u ${unit} says why; put that right and start it again.`,
  },
  UNIT_START_LIMIT: {
    sentence: (unit) => `${unit} has failed so often in a row that systemd does not start it again`,
    remedy: (unit) => `journalctl -u ${unit} says why it failed; then: systemctl reset-failed ${unit}`,
  },
  UNIT_CONDITION_UNMET: {
    sentence: (unit) =>
      `systemd skipped the start of ${unit}, because a condition in its unit file does not hold`,
    remedy: (unit) => `systemctl status ${unit} names the condition.`,
  },
  UNIT_JOB_CANCELLED: {
    sentence: (unit, verb) => `Something else cancelled the ${verb} of ${unit}, or undid it`,
    remedy: (unit) =>
      `journalctl -u ${unit} may say who; look for another person or program at work on this host.`,
  },
  UNIT_UNCHANGED: {
    sentence: (unit, verb) => `systemctl took the ${verb} of ${unit}, and nothing happened`,
    remedy: (unit) => `systemctl status ${unit} and systemctl list-jobs may say why.`,
  },
};

function changeFailed(verb: string, unit: string, result: Parameters<typeof commandFailed>[1]): RlnetError {
  return commandFailed(
    `systemctl ${verb} ${unit}`,
    result,
    `Run it by hand; systemctl status ${unit} may say more.`,
  );
}

/**
 * The units that `Also=` names in the [Install] section of a unit file. Lines can be continued with a backslash, with comments in
 * between (systemd.syntax(7)).
 */
export function parseAlso(text: string): string[] {
  const lines = text
    .replaceAll(/^[ \t]*[#;].*\n/gm, '')
    .replaceAll(/\\\n/g, ' ')
    .split('\n')
    .map((line) => line.trim());
  let section = '';
  return lines.flatMap((line) => {
    if (line.startsWith('[')) section = line;
    const words = /^Also\s*=(?<words>.*)$/.exec(line)?.groups?.['words'];
    return section === '[Install]' && words !== undefined
      ? words.split(/\s+/).filter((word) => word !== '')
      : [];
  });
}
