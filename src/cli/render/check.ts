import type { CheckReport } from '../../protocol/state.ts';
import { renderTable } from './table.ts';

/** `rlnet check` as text: every result, then the remedies of those that did not pass. */
export function renderCheck(report: CheckReport): string {
  const { host, nodeUid, results } = report;
  const bad = results.filter(({ outcome }) => outcome === 'fail' || outcome === 'unknown');
  const node = nodeUid === undefined ? 'not a node' : `node ${nodeUid}`;
  return `${[
    `checks of ${host} (${node})`,
    '',
    ...renderTable(
      ['OUTCOME', 'CHECK', 'EVIDENCE'],
      results.map(({ outcome, code, evidence }) => [outcome.replace('_', ' '), code, evidence]),
    ),
    '',
    ...(bad.length === 0 ? ['nothing to do'] : bad.map(({ code, remedy }) => `${code}: ${remedy}`)),
  ].join('\n')}\n`;
}

/** 0 when all passed, 10 when the worst is a warning or an unknown answer, 20 when an error was found (docs/errors.md). */
export function checkExitStatus({ results }: CheckReport): number {
  const bad = results.filter(({ outcome }) => outcome === 'fail' || outcome === 'unknown');
  if (bad.some(({ outcome, severity }) => outcome === 'fail' && severity === 'error')) return 20;
  return bad.some(({ outcome, severity }) => outcome === 'unknown' || severity === 'warning') ? 10 : 0;
}
