import { describe, expect, test } from 'vitest';
import { isRefusal } from '../../support/standin/model.ts';
import { runRladmin } from '../../support/standin/rladmin.ts';
import { cluster, node, shard, view } from './fixture.ts';

const seen = view(cluster());
const run = (line: string, at = seen) => runRladmin(line.split(' '), at);
const silent2 = view(cluster(), { silentMs: { 2: 30_000 } });

test.each([
  ['node 2 addr set 192.0.2.50', 'Updated successfully.\n'],
  ['node 1 external_addr add 198.51.100.1', 'Updated successfully.\n'],
  ['node 1 external_addr set 198.51.100.1 2001:db8::7', 'Updated successfully.\n'],
  ['node 1 enslave demote_node', 'Performing enslave_node action on node:1: 100%\nOK\n'],
  [
    'node 1 enslave shards_only retry_timeout_seconds 5',
    'Performing enslave_node action on node:1: 100%\nOK\n',
  ],
  ['cluster master set 3', 'Node 3 set to be the cluster master node\n'],
  ['-y cluster master set 1', 'Node 1 set to be the cluster master node\n'],
])('%s prints its literal success and changes the configuration', (line, stdout) => {
  const result = run(line, silent2);
  expect(result).toMatchObject({ exitCode: 0, stdout, stderr: '' });
  expect(result.config?.version).toBe(2);
});

test.each([
  ['cluster master', 'Node 1 is the cluster master node\n'],
  ['cluster running_actions', 'No active tasks\n'],
])('%s prints its literal answer and changes nothing', (line, stdout) => {
  expect(run(line)).toEqual({ exitCode: 0, stdout, stderr: '' });
});

test('status prints all four tables, status nodes one', () => {
  const titles = (line: string) => run(line).stdout.match(/^[A-Z ]+:$/gm);
  expect(titles('status')).toEqual(['CLUSTER NODES:', 'DATABASES:', 'ENDPOINTS:', 'SHARDS:']);
  expect(titles('status extra all')?.[0]).toBe('CLUSTER:');
  expect(titles('status nodes')).toEqual(['CLUSTER NODES:']);
});

test('info node prints one node, or all of them with a blank line between', () => {
  expect(run('info node 2').stdout).toMatch(/^node:2\n/);
  expect(run('info node').stdout.match(/^(\n?)node:\d$/gm)).toEqual(['node:1', '\nnode:2', '\nnode:3']);
  expect(run('info node 9').exitCode).not.toBe(0);
});

test('tune cluster shows in info cluster', () => {
  const { config } = run('tune cluster slave_ha_grace_period 1200');
  expect(config && runRladmin(['info', 'cluster'], view(config)).stdout).toContain(
    'slave_ha_grace_period: 1200\n',
  );
});

describe('what is not understood', () => {
  test.each([
    ['status bogus', 'bogus'],
    ['status nodes extra bogus', 'bogus'],
    ['node 2 addr set 2001:DB8::/32', '2001:DB8::/32'],
    ['node 2 addr set 010.0.0.1', '010.0.0.1'],
    ['node 2 addr set 192.0.2.50 192.0.2.51', '192.0.2.51'],
    ['node two addr set 192.0.2.50', 'two'],
    ['node 1 external_addr add 198.51.100.1 198.51.100.2', '198.51.100.2'],
    ['node 1 enslave node_only', 'node_only'],
    ['node 1 maintenance_mode maybe', 'maybe'],
    ['bogus', 'bogus'],
  ])('%s fails with the one parse error that is public', (line, token) => {
    expect(run(line, silent2)).toEqual({
      exitCode: 1,
      stdout: '',
      stderr: `ERROR: invalid token '${token}'\n`,
    });
  });
});

test('a refusal goes to stderr with a status that is not zero, and its text is marked as made up', () => {
  expect(run('node 2 addr set 192.0.2.50')).toMatchObject({
    exitCode: 1,
    stdout: '',
    stderr: expect.stringMatching(/^ERROR: .* \[stand-in text\]\n$/),
  });
});

test('on a host that is in no cluster status fails', () => {
  expect(runRladmin(['status'], undefined)).toMatchObject({ exitCode: 1, stdout: '' });
});

test('the help says that it is a stand-in, also on a host that is in no cluster', () => {
  expect(runRladmin(['--help'], undefined).stdout).toContain('stand-in');
});

test('a seeded database shows in the tables', () => {
  const { config } = run('standin seed-database orders 1 replication 2 3');
  if (config === undefined || isRefusal(config)) throw new Error('not seeded');
  expect(config.shards).toEqual([
    shard(1, 2, 'master', { databaseUid: 2 }),
    shard(2, 3, 'slave', { databaseUid: 2 }),
  ]);
  expect(runRladmin(['status', 'shards'], view(config)).stdout).toMatch(
    /^db:2 +orders +redis:1 +node:2 +master /m,
  );
});

test('the star marks the node that answers, not the master', () => {
  const config = cluster({ nodes: [node(1), node(2), node(5)] });
  const { stdout } = runRladmin(['status', 'nodes'], view(config, { self: 5 }));
  expect(stdout.match(/^\S+/gm)?.slice(2)).toEqual(['node:1', 'node:2', '*node:5']);
});
