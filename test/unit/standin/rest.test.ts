import { describe, expect, test } from 'vitest';
import { parseAddress } from '../../../src/protocol/address.ts';
import { answerRest, type RestAnswer, type RestState } from '../../support/standin/rest.ts';
import { cluster, node, shard, view } from './fixture.ts';

const signIn = `Basic ${Buffer.from('admin:secret').toString('base64')}`;
const silent2 = view(cluster(), { silentMs: { 2: 30_000 } });

function ask(
  method: string,
  url: string,
  {
    at = view(cluster()),
    body = '',
    authorization = signIn,
    bootstrap = 'completed',
  }: {
    at?: RestState['view'];
    body?: string;
    authorization?: string | undefined;
    bootstrap?: RestState['bootstrap']['state'];
  } = {},
): RestAnswer {
  return answerRest(
    { method, url, authorization, body },
    {
      bootstrap: { state: bootstrap },
      interfaces: [
        { name: 'eth0', address: parseAddress('10.77.0.21') },
        { name: 'eth1', address: parseAddress('2001:db8::21') },
      ],
      hostname: 'n1.example',
      uptime: 7,
      view: at,
      restPort: 9443,
    },
  );
}

/** As on a host that is in no cluster. */
function askIdle(
  method: string,
  url: string,
  body = '',
  bootstrap: RestState['bootstrap']['state'] = 'idle',
) {
  return answerRest(
    { method, url, authorization: undefined, body },
    {
      bootstrap: { state: bootstrap },
      interfaces: [],
      hostname: 'n1',
      uptime: 0,
      view: undefined,
      restPort: 9443,
    },
  );
}

const create = JSON.stringify({
  action: 'create_cluster',
  cluster: { name: 'cluster.local' },
  credentials: { username: 'admin', password: 'secret' },
  node: { identity: { addr: '10.77.0.21', use_internal_ipv6: false }, limits: { max_listeners: 100 } },
});

describe('bootstrap', () => {
  test('status names the addresses as a real node does', () => {
    expect(ask('GET', '/v1/bootstrap')).toMatchObject({
      status: 200,
      body: {
        bootstrap_status: { state: 'completed' },
        local_node_info: {
          available_addresses: [
            { address: '10.77.0.21', format: 'ipv4', if_name: 'eth0', private: true },
            { address: '2001:db8::21', format: 'ipv6', if_name: 'eth1', private: false },
          ],
        },
      },
    });
  });

  test('is accepted when idle or after an error, and is a 409 while one runs and when it is done', () => {
    const states = [
      'idle',
      'error',
      'initiated',
      'creating_cluster',
      'joining_cluster',
      'completed',
    ] as const;
    const answers = states.map((state) => askIdle('POST', '/v1/bootstrap/create_cluster', create, state));
    expect(answers.map((answer) => (answer.kind === 'reply' ? answer.status : answer.kind))).toEqual([
      'bootstrap',
      'bootstrap',
      409,
      409,
      409,
      409,
    ]);
  });

  test('hands on what the body says, and leaves out what it does not', () => {
    expect(askIdle('POST', '/v1/bootstrap/validate/create_cluster', create)).toEqual({
      kind: 'validate',
      request: {
        action: 'create_cluster',
        cluster: { name: 'cluster.local' },
        credentials: { username: 'admin', password: 'secret' },
        identity: { addr: '10.77.0.21', use_internal_ipv6: false },
      },
    });
  });

  test.each(['', '{}', '{"action":"create_cluster",}', create.replace('create_cluster', 'join_cluster')])(
    'the body %j is a 400',
    (body) => {
      expect(askIdle('POST', '/v1/bootstrap/create_cluster', body)).toMatchObject({ status: 400 });
    },
  );
});

describe('who may ask', () => {
  test('a node wants the password for everything; a host in no cluster answers bootstrap alone', () => {
    const wrong = `Basic ${Buffer.from('admin:wrong').toString('base64')}`;
    for (const url of ['/v1/bootstrap', '/v1/nodes', '/v1/local/node/master_healthcheck'])
      expect(ask('GET', url, { authorization: wrong })).toMatchObject({ status: 401 });
    expect(askIdle('GET', '/v1/bootstrap')).toMatchObject({ status: 200 });
    expect(askIdle('GET', '/v1/nodes')).toMatchObject({ status: 503 });
  });

  test('a node that is not master redirects to the internal address of the one that is, in brackets for IPv6', () => {
    const nodes = [node(1, { addr: parseAddress('2001:db8::21') }), node(2)];
    expect(ask('GET', '/v1/nodes/2?x=1', { at: view(cluster({ nodes }), { self: 2 }) })).toMatchObject({
      status: 307,
      location: 'https://[2001:db8::21]:9443/v1/nodes/2?x=1',
    });
    const lost = view(cluster(), { self: 2, silentMs: { 1: 30_000 } });
    expect(ask('GET', '/v1/nodes', { at: lost })).toMatchObject({ status: 503 });
  });

  test('local calls are answered by every node: active while it sees the master and quorum', () => {
    const health = (at: RestState['view']) =>
      ask('GET', '/v1/local/node/master_healthcheck', at === undefined ? {} : { at });
    expect(health(view(cluster(), { self: 2 }))).toMatchObject({ body: { status: 'active' } });
    const lost = view(cluster(), { self: 2, silentMs: { 1: 30_000 } });
    expect(health(lost)).toMatchObject({ body: { status: 'inactive' } });
  });
});

describe('nodes', () => {
  test('a node that is down says so', () => {
    expect(ask('GET', '/v1/nodes', { at: silent2 })).toMatchObject({
      status: 200,
      body: [
        { uid: 1, addr: '192.0.2.2', external_addr: [], use_internal_ipv6: false, status: 'active' },
        { uid: 2, status: 'down' },
        { uid: 3, status: 'active' },
      ],
    });
  });

  test('the status is keyed by uid and holds roles and shards', () => {
    const at = view(cluster({ shards: [shard(4, 1, 'master'), shard(5, 3, 'slave')] }));
    expect(ask('GET', '/v1/nodes/status', { at })).toMatchObject({
      body: {
        1: { role: 'master', master_shards: [4], slave_shards: [], node_status: 'OK' },
        3: { role: 'slave', master_shards: [], slave_shards: [5] },
      },
    });
  });

  test('the maintenance snapshot tells a node in maintenance from a quorum-only one', () => {
    const at = view(
      cluster({
        nodes: [node(1), node(2, { maintenanceActivations: 1 }), node(3)],
        snapshots: [
          { name: 'left over', nodeUid: 1, takenAt: 0, shards: [] },
          { name: 'snap', nodeUid: 2, takenAt: 0, shards: [] },
        ],
      }),
    );
    const answer = ask('GET', '/v1/nodes/status', { at });
    expect(answer).toMatchObject({ body: { 2: { maintenance_snapshot: 'snap' } } });
    expect(answer).not.toMatchObject({ body: { 1: { maintenance_snapshot: expect.anything() } } });
  });

  test('PUT changes both addresses as one write, or neither', () => {
    const body = JSON.stringify({ addr: '192.0.2.50', external_addr: ['198.51.100.9'] });
    expect(ask('PUT', '/v1/nodes/2', { at: silent2, body })).toMatchObject({
      kind: 'change',
      config: { nodes: [{}, { addr: '192.0.2.50', externalAddr: ['198.51.100.9'] }, {}] },
    });
    expect(ask('PUT', '/v1/nodes/3', { at: silent2, body })).toMatchObject({
      kind: 'reply',
      status: 406,
      body: { error_code: 'node_not_offline' },
    });
  });

  test.each(['{"addr":"192.0.2.0/24"}', '{"external_addr":["x"]}', '{"address":"192.0.2.50"}', 'x'])(
    'PUT %s is a 400',
    (body) => {
      expect(ask('PUT', '/v1/nodes/2', { at: silent2, body })).toMatchObject({ status: 400 });
    },
  );

  test('an unknown node is a 404 with its documented code, other endpoints a plain one', () => {
    expect(ask('GET', '/v1/nodes/9')).toMatchObject({ status: 404, body: { error_code: 'node_not_found' } });
    expect(ask('GET', '/v1/bdbs')).toMatchObject({ status: 404 });
  });
});

test('cluster health says leader and follower, and warns of a node that is down', () => {
  expect(ask('GET', '/v4/cluster/health', { at: silent2 })).toMatchObject({
    body: {
      status: 'warning',
      nodes: [
        { id: 1, role: 'leader', status: 'active' },
        { id: 2, role: 'follower', status: 'down' },
        { id: 3, role: 'follower', status: 'active' },
      ],
    },
  });
});

test('the cluster gives its name and the grace period of replica HA', () => {
  expect(ask('GET', '/v1/cluster')).toMatchObject({
    body: { name: 'cluster.local', slave_ha_grace_period: 600, use_external_ipv6: true },
  });
});
