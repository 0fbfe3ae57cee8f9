import { RlnetError } from '../protocol/errors.ts';
import type { JobHistory, RunFailure, RunVerdict, UnitRun } from '../protocol/unit-run.ts';
import { type Clock, sleep } from './ports/clock.ts';
import { commandFailed, type Exec } from './ports/exec.ts';
import type { JobOptions } from './ports/unit-control.ts';
import { showUnit } from './systemctl.ts';

/** With `--no-block` systemctl only queues the job. */
const queueTimeoutMs = 10_000;

const pollMs = 250;

/** So many lines of the journal go into an error, */
const evidenceLines = 3;

/** and so many characters of them. */
const longestEvidence = 300;

const runProperties = [
  ...['ActiveState', 'SubState', 'Result', 'Job', 'InvocationID', 'StateChangeTimestampMonotonic'],
  ...['ConditionTimestampMonotonic', 'ConditionResult', 'AssertResult', 'NRestarts'],
  ...['StartLimitBurst'],
];

/**
 * Queues jobs and watches what becomes of them. Without `--no-block`, systemctl would wait for the job itself; one that is
 * killed at a bound cannot say any more what it has seen.
 */
export function jobRunner(exec: Exec, clock: Clock) {
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

  return async (
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
    if (result.exitCode !== 0)
      throw commandFailed(`systemctl ${verb} ${unit}`, result, `systemctl status ${unit} may say more.`);

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
}

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
