import { expect, test } from 'vitest';
import { renderStatus, statusRows } from '../../../src/cli/render/status.ts';
import { parseAddress } from '../../../src/protocol/address.ts';
import type { ClusterView } from '../../../src/protocol/state.ts';
import { exampleView } from '../../support/example-view.ts';

/** The cells of the row that begins so, by the columns of the header. */
function rowOf(view: ClusterView, start: string): Record<string, string> {
  const lines = renderStatus(view).split('\n');
  const header = lines.find((line) => line.startsWith('NODE')) ?? '';
  const row = lines.find((line) => line.startsWith(start));
  if (row === undefined) throw new Error(`no row ${start} in\n${lines.join('\n')}`);
  const names = header.split(/ {2,}/);
  const starts = names.map((name) => header.indexOf(name));
  return Object.fromEntries(
    names.map((name, index) => [name, row.slice(starts[index], starts[index + 1]).trim()]),
  );
}

test('shows of a node with an agent all that is asked for', () => {
  expect(rowOf(exampleView(), '2 ')).toEqual({
    NODE: '2',
    ROLE: 'slave',
    HOST: 'n2',
    INTERNAL: 'fd77::22',
    EXTERNAL: '192.0.2.22',
    RS: 'OK',
    UNIT: 'rlec_supervisor active',
    '::1 LOCALHOST': 'present',
    AGENT: 'linked 60s',
  });
});

test('shows a node without an agent as RS knows it, what only an agent knows as unknown, and why there is none', () => {
  expect(rowOf(exampleView(), '3 ')).toEqual({
    NODE: '3',
    ROLE: 'slave',
    HOST: 'host3.example',
    INTERNAL: 'fd77::23',
    EXTERNAL: '192.0.2.23',
    RS: 'OK',
    UNIT: 'unknown',
    '::1 LOCALHOST': 'unknown',
    AGENT: 'no agent seen: connection refused',
  });
});

test('shows a host that is no node after the nodes', () => {
  const view = exampleView();
  const [own] = view.hosts;
  if (own?.state === undefined) throw new Error('the example has an own host');
  const { nodeUid: _, internalAddress: __, ...state } = own.state;
  view.hosts.push({ host: 'spare', link: { status: 'self' }, state: { ...state, host: 'spare' } });
  expect(statusRows(view).map(({ node, host }) => [node?.uid, host?.host])).toEqual([
    [1, 'n1'],
    [2, 'n2'],
    [3, undefined],
    [undefined, 'spare'],
  ]);
  expect(rowOf(view, '-  ')).toMatchObject({ NODE: '-', ROLE: '-', HOST: 'spare', INTERNAL: '-', RS: '-' });
});

test('shows rows of RS that could not be read, with the reason, and none of them as a node', () => {
  const view = exampleView();
  if ('unknown' in view.rs) throw new Error('the example has a node table');
  view.rs.nodes.splice(2);
  view.rs.unread.push({ line: 'node:x slave fd77::23 OK', reason: 'node:x is no id' });
  const text = renderStatus(view);
  expect(text).toContain('could not be read:\n  node:x slave fd77::23 OK  (node:x is no id)');
  expect(text).not.toMatch(/^3 /m);
});

test('shows every host, and why, where RS does not say which nodes there are', () => {
  const view: ClusterView = { ...exampleView(), rs: { unknown: 'rladmin is not installed.' } };
  expect(renderStatus(view)).toContain("RS's node table is not known here: rladmin is not installed.");
  // What RS has to say is not guessed from what it said before.
  expect(rowOf(view, '2 ')).toMatchObject({
    NODE: '2',
    ROLE: '-',
    HOST: 'n2',
    INTERNAL: 'fd77::22',
    RS: '-',
  });
});

test('shows a status of RS that is not understood as it stands there', () => {
  const view = exampleView();
  if ('unknown' in view.rs) throw new Error('the example has a node table');
  Object.assign(view.rs.nodes[1] ?? {}, { status: 'unknown', statusText: 'RECOVERING' });
  expect(rowOf(view, '2 ')).toMatchObject({ RS: 'RECOVERING' });
});

test('shows addresses with what is not usable, what is internal, and how many more there are', () => {
  const view = exampleView();
  const addresses = view.hosts[1]?.state?.addresses;
  if (addresses === undefined) throw new Error('the example has a second host');
  addresses.more = 336;
  const text = renderStatus(view);
  expect(text).toMatch(/^n2 +eth0 +fd77::22\/64 +internal$/m);
  expect(text).toMatch(/^n2 +eth1 +192\.0\.2\.22\/24 +not usable$/m);
  expect(text).toMatch(/^n2 +and 336 more$/m);
});

test('shows findings of any host with their age, evidence and remedy, and unknown ones as unknown', () => {
  const view = exampleView();
  expect(renderStatus(view)).toMatch(/^no findings$/m);
  view.hosts[1]?.state?.findings.push({
    code: 'RS_UNIT_NOT_RUNNING',
    title: 'It does not run',
    outcome: 'unknown',
    severity: 'error',
    evidence: 'systemd did not answer',
    remedy: 'See systemctl status.',
    since: 95_000,
  });
  const text = renderStatus(view);
  expect(text).toMatch(/^unknown {2}n2 {2}RS_UNIT_NOT_RUNNING {2}for 5s: systemd did not answer$/m);
  expect(text).toContain('See systemctl status.');
  expect(text).not.toContain('no findings');
});

test('shows a rollout that is under way, with what it waits for, and none that has ended', () => {
  const view = exampleView();
  const state = view.hosts[1]?.state;
  if (state === undefined) throw new Error('the example has a second host');
  state.rollout = {
    ...{ id: '0123456789ab', by: 'root', startedAt: 0, is: 'open', done: 1, of: 3, node: 2 },
    holds: 'node 1 is DOWN',
  };
  expect(renderStatus(view)).toContain(
    'rollout 0123456789ab, led by n2: 1 of 3 done, at node 2, open (node 1 is DOWN)\n',
  );
  state.rollout.is = 'done';
  expect(renderStatus(view)).not.toContain('rollout');
});

test('keeps one line a row, whatever others have put into their text', () => {
  const view = exampleView();
  if ('unknown' in view.rs) throw new Error('the example has a node table');
  Object.assign(view.rs.nodes[2] ?? {}, { hostname: 'bad\nname', address: parseAddress('fd77::23') });
  expect(rowOf(view, '3 ')).toMatchObject({ HOST: 'bad name', INTERNAL: 'fd77::23' });
});
