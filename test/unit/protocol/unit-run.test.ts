import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type JobHistory,
  judgeStart,
  judgeStop,
  settleMs,
  type UnitRun,
} from '../../../src/protocol/unit-run.ts';

const down: UnitRun = {
  activeState: 'inactive',
  subState: 'dead',
  result: 'success',
  job: '',
  invocationId: '',
  changedAt: '0',
  conditionsAt: '0',
  conditionsMet: false,
  restarts: 0,
  startLimitBurst: 5,
};
const up: UnitRun = {
  ...down,
  activeState: 'active',
  subState: 'running',
  invocationId: 'a1',
  changedAt: '70',
  conditionsAt: '60',
  conditionsMet: true,
};
const failed: UnitRun = {
  ...up,
  activeState: 'failed',
  subState: 'failed',
  result: 'exit-code',
  changedAt: '80',
};

const history = (change: Partial<JobHistory>): JobHistory => ({
  before: down,
  seenJob: false,
  elapsedMs: 0,
  steadyMs: 0,
  ...change,
});

describe('judgeStart', () => {
  it('believes a unit that has been active for a while, not one that has just become so', () => {
    expect(judgeStart(up, history({ steadyMs: 0 }))).toBe('pending');
    expect(judgeStart(up, history({ steadyMs: settleMs }))).toBe('done');
    expect(judgeStart(up, history({ before: up, steadyMs: settleMs }))).toBe('done');
  });

  it.each([
    ['a new run that failed', failed, {}, 'UNIT_FAILED'],
    [
      'a new run that failed after an older one did',
      { ...failed, invocationId: 'a2' },
      { before: failed },
      'UNIT_FAILED',
    ],
    [
      'a failed unit that changed without a new run',
      { ...failed, changedAt: '90' },
      { before: failed },
      'UNIT_START_LIMIT',
    ],
    [
      'the word of systemd for it',
      { ...failed, result: 'start-limit-hit' },
      { before: failed },
      'UNIT_START_LIMIT',
    ],
    ['as many restarts as are allowed', { ...failed, restarts: 5 }, {}, 'UNIT_START_LIMIT'],
    [
      'a condition that was looked at and does not hold',
      { ...down, conditionsAt: '60' },
      {},
      'UNIT_CONDITION_UNMET',
    ],
    ['a job that was there and is gone', down, { seenJob: true }, 'UNIT_JOB_CANCELLED'],
    [
      'a job of a failed unit that was there and is gone',
      failed,
      { before: failed, seenJob: true },
      'UNIT_JOB_CANCELLED',
    ],
    ['a run that somebody stopped again', { ...up, activeState: 'inactive' }, {}, 'UNIT_JOB_CANCELLED'],
    ['nothing at all, for a while', down, { elapsedMs: settleMs }, 'UNIT_UNCHANGED'],
    [
      'nothing at all of a failed unit, for a while',
      failed,
      { before: failed, elapsedMs: settleMs },
      'UNIT_UNCHANGED',
    ],
    ['nothing at all, so far', down, {}, 'pending'],
    ['a unit between two starts of Restart=', { ...failed, activeState: 'activating' }, {}, 'pending'],
    ['a state that it does not know', { ...up, activeState: 'hovering' }, { steadyMs: 0 }, 'pending'],
  ])('takes %s for what it is', (_what, now, change, verdict) => {
    expect(judgeStart(now, history(change))).toBe(verdict);
  });
});

describe('judgeStop', () => {
  it.each([
    ['inactive', down, {}, 'done'],
    ['failed', failed, {}, 'done'],
    ['on its way down', { ...up, activeState: 'deactivating', job: '7' }, {}, 'pending'],
    ['active, so far', up, {}, 'pending'],
    ['active for a while', up, { elapsedMs: settleMs }, 'UNIT_UNCHANGED'],
    ['active, without the job that was there', up, { seenJob: true }, 'UNIT_JOB_CANCELLED'],
    ['active anew', { ...up, changedAt: '99' }, {}, 'UNIT_JOB_CANCELLED'],
  ])('takes a unit that is %s for what it is', (_what, now, change, verdict) => {
    expect(judgeStop(now, history({ before: up, ...change }))).toBe(verdict);
  });
});

it('a unit with a job is always pending: nothing is decided while systemd is at work', () => {
  const state = fc.constantFrom('active', 'inactive', 'failed', 'activating', 'deactivating', 'reloading');
  const run = fc.record({ activeState: state, result: fc.constantFrom('success', 'start-limit-hit') });
  const times = fc.record({ elapsedMs: fc.nat(), steadyMs: fc.nat() });
  fc.assert(
    fc.property(run, times, fc.constantFrom(judgeStart, judgeStop), (change, passed, judge) => {
      const now = { ...up, ...change, job: '12' };
      expect(judge(now, history({ ...passed, seenJob: true }))).toBe('pending');
    }),
  );
});
