import { describe, expect, it } from 'vitest';
import { renderJournal, renderPlan, renderSteps, renderTiming } from '../../../src/cli/render/renumber.ts';
import type { PlanOptions } from '../../../src/protocol/renumbering/plan.ts';
import type { JournalRecord } from '../../../src/protocol/renumbering/records.ts';
import { forwardPathOf } from '../../../src/protocol/renumbering/steps.ts';
import { examplePlan } from '../../support/renumbering/plan.ts';

const usual: PlanOptions = examplePlan().options;
const planText = (options: Partial<PlanOptions>): string =>
  renderPlan({ plan: examplePlan({ options: { ...usual, ...options } }), guards: [] });

describe('a plan', () => {
  it('says that the address is not proven by a boot, or has the step that proves it', () => {
    expect(planText({})).toContain('not proven by a boot (--prove-by-reboot)');
    const proven = planText({ proveByReboot: true });
    expect(proven).not.toContain('not proven');
    expect(proven).toContain(forwardPathOf({ proveByReboot: true }).join(', '));
  });

  it('says where the unit alone is stopped in place of the host', () => {
    expect(planText({})).not.toContain('the unit alone');
    expect(planText({ reboot: false })).toContain('restart (the unit alone)');
  });

  it('shows what stands in the way with why and what to do, and that it cannot be started', () => {
    const text = renderPlan({
      plan: examplePlan(),
      guards: [
        {
          code: 'NODE_NOT_OK',
          severity: 'refuses',
          outcome: 'fail',
          message: 'Node 3 is DOWN.',
          why: 'Two may cost the quorum.',
          remedy: 'Mend it.',
        },
        { code: 'DISK_FULL', severity: 'refuses', outcome: 'pass', message: 'Room.', remedy: '' },
      ],
    });
    expect(text).toContain(
      'refused  NODE_NOT_OK: Node 3 is DOWN.\n       Two may cost the quorum.\n       Mend it.',
    );
    expect(text).toContain('1 of 2 guards pass');
    expect(text).toContain('It cannot be started like this.');
  });
});

const at = (seconds: number) => ({ wall: seconds * 1000, at: { bootId: 'aaaaaaaaaaaa', seconds } });
const direction = 'forward';
const journal: JournalRecord[] = [
  { type: 'open', ...at(0), plan: examplePlan() },
  { type: 'intent', ...at(1), direction, step: 'claim', attempt: 1 },
  { type: 'done', ...at(2), direction, step: 'claim', evidence: 'granted', rsMs: 600 },
  { type: 'intent', ...at(3), direction, step: 'restart', attempt: 1 },
  { type: 'resumed', wall: 60_000, at: { bootId: 'bbbbbbbbbbbb', seconds: 9 } },
  { type: 'done', ...at(62), direction, step: 'restart', evidence: 'another boot' },
  { type: 'intent', ...at(63), direction, step: 'readdress', attempt: 1 },
  { type: 'done', ...at(66), direction, step: 'readdress', evidence: 'seen', rsMs: 20, ownerMs: 1_500 },
  { type: 'intent', ...at(66), direction, step: 'register', attempt: 1 },
  {
    type: 'turned',
    ...at(68),
    reason: { code: 'ADDRESS_IN_USE', message: 'Somebody has it.', remedy: 'Look.' },
  },
];

describe('a journal', () => {
  it('is shown whole, a line for each record', () => {
    const lines = renderJournal(journal).trimEnd().split('\n');
    expect(lines.length).toBe(journal.length);
    expect(lines.at(-1)).toBe('00:01:08.000  turns back: ADDRESS_IN_USE: Somebody has it.');
  });

  it('tells by --timing how long each step took, over a boot as well, and whose time it was', () => {
    const rows = renderTiming(journal)
      .split('\n')
      .map((line) => line.trim().split(/\s{2,}/));
    expect(rows).toContainEqual(['claim', '2.0 s', 'rlnet 1.4 s, RS 0.6 s']);
    expect(rows).toContainEqual(['restart', '60.0 s', 'the host']);
    expect(rows).toContainEqual(['readdress', '4.0 s', 'rlnet 2.5 s, the owner 1.5 s']);
    expect(rows).toContainEqual(['register', '2.0 s', 'RS']);
    expect(rows).toContainEqual(["all of it 68.0 s, of which rlnet's own 3.9 s"]);
  });

  it('is followed in place with the step that is under way last', () => {
    const shown = renderSteps(journal.slice(0, 5), 30_000, 'n2 does not answer; waiting')
      .trimEnd()
      .split('\n');
    expect(shown.findLast((line) => line.startsWith('…'))).toContain('restart');
    expect(shown.at(-1)).toBe('n2 does not answer; waiting');
  });
});
