/** How a unit runs at one moment, as `systemctl show` has it. */
export interface UnitRun {
  activeState: string;
  subState: string;
  result: string;
  /** The number of the job that is queued or running for it; empty where there is none. */
  job: string;
  /** New with every start. Empty before the first one. */
  invocationId: string;
  /** When its state changed last: CLOCK_MONOTONIC, microseconds, as text. `0` where it never did, or systemd forgot. */
  changedAt: string;
  /** When `Condition…=` and `Assert…=` were last looked at, as `changedAt`; and whether all of them held. */
  conditionsAt: string;
  conditionsMet: boolean;
  /** Starts since the last one that was asked for, by `Restart=`. */
  restarts: number;
  /** How many starts in a row systemd allows; 0 for any number, or unknown. */
  startLimitBurst: number;
}

/** What has been seen of a job since it was asked for. */
export interface JobHistory {
  /** How it was right before. */
  before: UnitRun;
  /** A job was seen in the queue. */
  seenJob: boolean;
  /** Since it was asked for, milliseconds. */
  elapsedMs: number;
  /** How long the run of `now` has been seen active without a break, milliseconds; 0 at the first look. */
  steadyMs: number;
}

/** What is wrong, by its error code. */
export type RunFailure =
  | 'UNIT_FAILED'
  | 'UNIT_START_LIMIT'
  | 'UNIT_CONDITION_UNMET'
  | 'UNIT_JOB_CANCELLED'
  | 'UNIT_UNCHANGED';
export type RunVerdict = 'done' | 'pending' | RunFailure;

/**
 * How long nothing may be seen to happen after `systemctl` took a job, and how long a unit has to stay active before it is
 * believed: a service without readiness is active for the moment until its program ends. Milliseconds.
 */
export const settleMs = 1_000;

/** What became of a start. `pending` says to look again; for how long at most is the caller's to say. */
export function judgeStart(now: UnitRun, { before, seenJob, elapsedMs, steadyMs }: JobHistory): RunVerdict {
  if (now.job !== '') return 'pending';
  const started = now.invocationId !== before.invocationId;
  const changed = started || now.changedAt !== before.changedAt;
  switch (now.activeState) {
    case 'active':
      return steadyMs >= settleMs ? 'done' : 'pending';
    case 'failed':
      if (isStartLimit(now, before)) return 'UNIT_START_LIMIT';
      if (started || before.activeState !== 'failed') return 'UNIT_FAILED';
      break;
    case 'inactive':
      // Skipped for a condition: systemctl says yes all the same (systemd.unit(5)).
      if (!started && now.conditionsAt !== before.conditionsAt && !now.conditionsMet)
        return 'UNIT_CONDITION_UNMET';
      break;
    default:
      return 'pending';
  }
  if (changed || seenJob) return 'UNIT_JOB_CANCELLED';
  return elapsedMs < settleMs ? 'pending' : 'UNIT_UNCHANGED';
}

/** What became of a stop. A unit that failed on its way down is down. */
export function judgeStop(now: UnitRun, { before, seenJob, elapsedMs }: JobHistory): RunVerdict {
  if (now.job !== '') return 'pending';
  if (now.activeState === 'inactive' || now.activeState === 'failed') return 'done';
  if (now.activeState !== 'active') return 'pending';
  const changed = now.changedAt !== before.changedAt;
  if (changed || seenJob) return 'UNIT_JOB_CANCELLED';
  return elapsedMs < settleMs ? 'pending' : 'UNIT_UNCHANGED';
}

/**
 * systemd says `start-limit-hit` only of a unit whose last run went well; of one that failed it keeps the older result (252). Then a
 * state that changed without a new run tells, or as many starts by `Restart=` as are allowed.
 */
function isStartLimit(now: UnitRun, before: UnitRun): boolean {
  if (now.result === 'start-limit-hit') return true;
  if (now.startLimitBurst > 0 && now.restarts >= now.startLimitBurst) return true;
  const sameRun = now.invocationId === before.invocationId;
  return before.activeState === 'failed' && sameRun && now.changedAt !== before.changedAt;
}
