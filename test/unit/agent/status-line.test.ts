import { expect, test } from 'vitest';
import { statusLineOf } from '../../../src/agent/cluster-view.ts';
import { exampleView } from '../../support/example-view.ts';

test('says who this host is, where, how many peers are linked and that nothing is wrong', () => {
  expect(statusLineOf(exampleView())).toBe(
    'managing node 1 of demo at fd77::21; 1 of 2 peers linked; no findings',
  );
});

test('names the findings of this host, and not those of others', () => {
  const view = exampleView();
  const [own, other] = view.hosts;
  const finding = {
    code: 'HOSTS_LOCALHOST_IPV6_MISSING',
    title: 'It is missing',
    outcome: 'fail',
    severity: 'error',
    evidence: 'no line',
    remedy: 'Add it.',
    since: 1,
  } as const;
  other?.state?.findings.push({ ...finding, code: 'RS_UNIT_NOT_RUNNING' });
  expect(statusLineOf(view)).toMatch(/; no findings$/);
  own?.state?.findings.push(finding, { ...finding, code: 'INTERNAL_ADDRESS_NOT_BOUND' });
  expect(statusLineOf(view)).toMatch(/; findings: HOSTS_LOCALHOST_IPV6_MISSING, INTERNAL_ADDRESS_NOT_BOUND$/);
});

test('says what is not known, and that it only observes', () => {
  const view = exampleView();
  const state = view.hosts[0]?.state;
  if (state === undefined) throw new Error('the example has an own host');
  state.mode = 'observe';
  delete state.nodeUid;
  delete state.internalAddress;
  expect(statusLineOf(view)).toMatch(/^observing not a node of demo internal address unknown; /);
});

test('counts an address where an agent should be and none was reached as a peer', () => {
  const view = exampleView();
  view.hosts.splice(1);
  expect(statusLineOf(view)).toContain('; 0 of 1 peers linked;');
});
