import type { HostsMend } from '../../protocol/hosts-file.ts';
import type { CheckReport, FixReport } from '../../protocol/state.ts';
import { renderTable } from './table.ts';

/** `rlnet check` as text: every result, then the remedies of those that did not pass. */
export function renderCheck(report: CheckReport): string {
  const { host, nodeUid, results } = report;
  const bad = badOf(report);
  const node = nodeUid === undefined ? 'not a node' : `node ${nodeUid}`;
  return `${[
    `checks of ${host} (${node})`,
    '',
    ...renderTable(
      ['OUTCOME', 'CHECK', 'EVIDENCE'],
      results.map(({ outcome, code, evidence, behind }) => [
        outcome.replace('_', ' '),
        code,
        behind === undefined ? evidence : `because of ${behind}: ${evidence}`,
      ]),
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

/** What failed or is unknown, but for what follows from something that failed. */
function badOf({ results }: CheckReport): CheckReport['results'] {
  return results.filter(
    ({ outcome, behind }) => (outcome === 'fail' || outcome === 'unknown') && behind === undefined,
  );
}

/** 0 when all passed, 10 when the worst is a warning or an unknown answer, 20 when an error was found (docs/errors.md). */
export function checkExitStatus(report: CheckReport): number {
  const bad = badOf(report);
  if (bad.some(({ outcome, severity }) => outcome === 'fail' && severity === 'error')) return 20;
  return bad.some(({ outcome, severity }) => outcome === 'unknown' || severity === 'warning') ? 10 : 0;
}
