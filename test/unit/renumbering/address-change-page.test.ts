import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { bounds } from '../../../src/protocol/renumbering/bounds.ts';
import { directionWords } from '../../../src/protocol/renumbering/dead-man.ts';
import { guards, guardsOf } from '../../../src/protocol/renumbering/guards.ts';
import { moveKindSchema } from '../../../src/protocol/renumbering/plan.ts';
import { outcomeSchema } from '../../../src/protocol/renumbering/records.ts';
import {
  type BackStep,
  backSteps,
  backStepsFor,
  type ForwardStep,
  forwardPathOf,
  forwardRules,
} from '../../../src/protocol/renumbering/steps.ts';

const page = readFileSync(new URL('../../../docs/address-change.md', import.meta.url), 'utf8');

/** The rows of the table under a heading, by cell, without its head. */
function table(heading: string): string[][] {
  const [, section = ''] = page.split(`\n## ${heading}\n`);
  const [own = ''] = section.split('\n## ');
  const rows = own.split('\n').filter((line) => line.startsWith('| '));
  return rows.slice(1).map((row) =>
    row
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

const code = (word: string): string => `\`${word}\``;

describe('docs/address-change.md', () => {
  it('has every guard in the order and the very words of the code', () => {
    const askedAt = (name: string): string => {
      const at = (['preflight', 'restart', 'prove', 'release'] as const).filter((step) =>
        guardsOf(step).some((each) => each.code === name),
      );
      return at.map((step) => (step === 'restart' ? 'demote, disable, restart' : step)).join(', ');
    };
    expect(table('Guards')).toEqual(
      guards.map(({ code: name, severity, title, why, remedy }) => [
        code(name),
        severity,
        askedAt(name),
        title,
        why,
        remedy,
      ]),
    );
  });

  it('has every step forward in its order, and what is asked before it', () => {
    const asked = (step: ForwardStep): string => {
      const { guards: guarded, held } = forwardRules[step];
      return [guarded ? 'guards' : '', held ? 'held' : ''].filter((word) => word !== '').join();
    };
    const said = (cell = ''): string =>
      ['guards', 'held'].filter((word) => new RegExp(`\\b${word}\\b`).test(cell)).join();
    expect(table('Steps').map(([, step, , , before]) => [step, said(before)])).toEqual(
      forwardPathOf({ proveByReboot: true }).map((step) => [code(step), asked(step)]),
    );
  });

  it('says of every step back after which steps forward it is taken', () => {
    let before = '';
    const written = new Map<string, string>();
    for (const [step = '', after = ''] of table('The way back')) {
      if (after !== 'the same') before = after;
      written.set(step, before);
    }
    for (const step of forwardPathOf({ proveByReboot: false })) {
      const named = backSteps.filter((back) => {
        const after = written.get(code(back)) ?? '';
        return after === 'always' || after.includes(code(step));
      });
      expect([step, named]).toEqual([step, backStepsFor(new Set([step]))]);
    }
  });

  it('has every step back in its order', () => {
    expect(table('The way back').map(([step]) => step)).toEqual(backSteps.map(code));
  });

  it('has every bound with its seconds, what follows and why', () => {
    expect(table('Bounds')).toEqual(
      Object.entries(bounds).map(([name, { seconds, after, why }]) => [
        code(name),
        String(seconds),
        after,
        why,
      ]),
    );
  });

  it('has every kind of move and every end', () => {
    expect(table('Kinds of move').map(([kind]) => kind)).toEqual(moveKindSchema.options.map(code));
    expect(table('How it ends').map(([end]) => end)).toEqual(outcomeSchema.options.map(code));
    expect(table('The dead man').map(([word]) => word)).toEqual(directionWords.map(code));
  });

  it('draws every step, in the order in which they follow each other', () => {
    const [, drawing = ''] = /```mermaid\n(.*?)```/s.exec(page) ?? [];
    const follows = (from: string, to: string): boolean =>
      drawing.split('\n').some((line) => line.trim() === `${from} --> ${to}`);
    const missing = [
      ...[forwardPathOf({ proveByReboot: false }), forwardPathOf({ proveByReboot: true })].flatMap((path) =>
        path.slice(1).map((to, index): [ForwardStep | undefined, string] => [path[index], to]),
      ),
      ...backSteps
        .slice(1)
        .map((to, index): [string, string] => [`back_${backSteps[index]}`, `back_${to satisfies BackStep}`]),
    ].filter(([from, to]) => !follows(from ?? '', to));
    expect(missing).toEqual([]);
    const turning = [...drawing.matchAll(/^ *(\w+) --> turned$/gm)].map(([, step]) => step);
    const path = forwardPathOf({ proveByReboot: false });
    expect(turning).toEqual(path.slice(0, path.indexOf('rejoin') + 1));
    expect([follows('turned', `back_${backSteps[0]}`), follows('[*]', path[0] ?? '')]).toEqual([true, true]);
    for (const end of outcomeSchema.options) expect(drawing).toContain(`--> ${end}`);
  });
});
