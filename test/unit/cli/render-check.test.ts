import { expect, test } from 'vitest';
import { checkExitStatus, renderCheck, renderFix } from '../../../src/cli/render/check.ts';
import type { CheckResult } from '../../../src/protocol/finding.ts';

function result(outcome: CheckResult['outcome'], severity: CheckResult['severity']): CheckResult {
  return { code: 'A_CODE', title: 'A title', outcome, severity, evidence: 'seen', remedy: 'Do something.' };
}

test.for([
  ['nothing but passes', [result('pass', 'error'), result('not_applicable', 'error')], 0],
  ['an error that was found', [result('pass', 'error'), result('fail', 'error')], 20],
  ['a warning that was found', [result('fail', 'warning')], 10],
  ['an answer that is unknown, however bad it could be', [result('unknown', 'error')], 10],
  ['an error beside an unknown answer', [result('unknown', 'error'), result('fail', 'error')], 20],
  ['what is only worth knowing', [result('fail', 'info')], 0],
  ['an error that follows from another finding', [{ ...result('fail', 'error'), behind: 'B_CODE' }], 0],
] as const)('a check ends with the status that is documented for %s', ([, results, status]) => {
  expect(checkExitStatus({ host: 'n1', results: [...results] })).toBe(status);
});

test('a check shows every result, and the remedy of each that did not pass', () => {
  const text = renderCheck({
    host: 'n1',
    nodeUid: 2,
    results: [result('pass', 'error'), { ...result('unknown', 'error'), code: 'B_CODE' }],
  });
  expect(text).toContain('checks of n1 (node 2)');
  expect(text).toMatch(/^pass +A_CODE +seen$/m);
  expect(text).toMatch(/^unknown +B_CODE +seen$/m);
  expect(text).toMatch(/\nB_CODE: Do something\.\n$/);
});

test.for([
  [
    'a line that is new, in a file that cloud-init writes',
    {
      change: {
        file: '/etc/hosts',
        how: 'renamed',
        line: 3,
        after: '::1 localhost',
        backup: '/b/etc-hosts.1',
      },
      note: { evidence: 'cloud-init writes it anew', remedy: 'Put it into the template too.' },
    },
    [
      'HOSTS_LOCALHOST_IPV6_MISSING: mended in /etc/hosts, line 3 (renamed)',
      '  + ::1 localhost',
      '  as it was before: /b/etc-hosts.1',
      '  but cloud-init writes it anew',
      '  Put it into the template too.',
    ],
  ],
  [
    'a file that was not there',
    { change: { file: '/etc/hosts', how: 'created', line: 1, after: '::1 localhost' } },
    ['HOSTS_LOCALHOST_IPV6_MISSING: mended in /etc/hosts, line 1 (created)', '  + ::1 localhost'],
  ],
  ['a file that somebody else has mended meanwhile', {}, ['HOSTS_LOCALHOST_IPV6_MISSING: mended already']],
  ['nothing', undefined, ['nothing to mend']],
] as const)('what was mended is shown before the check: %s', ([, mend, lines]) => {
  const fixed = mend === undefined ? {} : { HOSTS_LOCALHOST_IPV6_MISSING: mend };
  const text = renderFix({ fixed, host: 'n1', results: [result('pass', 'error')] });
  expect(text).toBe(
    `${lines.join('\n')}\n\n${renderCheck({ host: 'n1', results: [result('pass', 'error')] })}`,
  );
});
