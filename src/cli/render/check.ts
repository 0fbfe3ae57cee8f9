import type { HostsMend } from '../../protocol/hosts-file.ts';
import type { CheckReport, FixReport } from '../../protocol/state.ts';
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

/** What `rlnet check --fix` changed, line by line, and the check after that. */
export function renderFix(report: FixReport): string {
  const { HOSTS_LOCALHOST_IPV6_MISSING: hosts } = report.fixed;
  return `${[...(hosts === undefined ? ['nothing to mend'] : renderHostsMend(hosts)), '', renderCheck(report)].join('\n')}`;
}

function renderHostsMend({ change, note }: HostsMend): string[] {
  const lines: string[] = [];
  if (change === undefined) lines.push('HOSTS_LOCALHOST_IPV6_MISSING: mended already');
  else {
    const { file, how, line, before, after, backup } = change;
    lines.push(`HOSTS_LOCALHOST_IPV6_MISSING: mended in ${file}, line ${line} (${how.replace('_', ' ')})`);
    if (before !== undefined) lines.push(`  - ${before}`);
    lines.push(`  + ${after}`);
    if (backup !== undefined) lines.push(`  as it was before: ${backup}`);
  }
  if (note !== undefined) lines.push(`  but ${note.evidence}`, `  ${note.remedy}`);
  return lines;
}

/** 0 when all passed, 10 when the worst is a warning or an unknown answer, 20 when an error was found (docs/errors.md). */
export function checkExitStatus({ results }: CheckReport): number {
  const bad = results.filter(({ outcome }) => outcome === 'fail' || outcome === 'unknown');
  if (bad.some(({ outcome, severity }) => outcome === 'fail' && severity === 'error')) return 20;
  return bad.some(({ outcome, severity }) => outcome === 'unknown' || severity === 'warning') ? 10 : 0;
}
