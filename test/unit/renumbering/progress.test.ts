import { describe, expect, it } from 'vitest';
import { progressOf } from '../../../src/protocol/renumbering/progress.ts';
import type { JournalRecord } from '../../../src/protocol/renumbering/records.ts';
import type { ForwardStep } from '../../../src/protocol/renumbering/steps.ts';
import { examplePlan } from '../../support/renumbering/plan.ts';

const moment = { wall: 1, at: { bootId: 'b', seconds: 1 } };
const open: JournalRecord = { type: 'open', ...moment, plan: examplePlan() };
const before: ForwardStep[] = [
  ...(['claim', 'preflight', 'rehearse', 'arm', 'demote', 'disable', 'restart', 'readdress'] as const),
];
const done = (step: ForwardStep): JournalRecord => ({
  type: 'done',
  ...moment,
  direction: 'forward',
  step,
  evidence: '',
});
const asked = (attempt: number): JournalRecord => ({
  type: 'intent',
  ...moment,
  direction: 'forward',
  step: 'register',
  attempt,
});
const turned: JournalRecord = {
  type: 'turned',
  ...moment,
  reason: { code: 'A', message: 'b', remedy: 'c' },
};
const upToRegister: JournalRecord[] = [open, ...before.map(done)];

describe('whether an addr set of the way forward may still land', () => {
  it.each<[string, boolean, JournalRecord[]]>([
    ['asked, and not seen', false, [asked(1), turned]],
    ['asked, and seen', true, [asked(1), done('register'), turned]],
    [
      'asked, taken up again, and seen',
      true,
      [asked(1), { type: 'resumed', ...moment }, done('register'), turned],
    ],
    [
      'asked twice, and seen: the first may come after the second',
      false,
      [asked(1), asked(2), done('register'), turned],
    ],
    [
      'asked, stopped, and asked again from 1',
      false,
      [
        asked(1),
        { type: 'closed', ...moment, outcome: 'stopped' },
        { type: 'reopened', ...moment, by: 'root' },
        asked(1),
        done('register'),
        turned,
      ],
    ],
  ])('%s: known to have landed is %s', (_, landed, records) => {
    expect(progressOf([...upToRegister, ...records]).landed).toBe(landed);
  });
});
