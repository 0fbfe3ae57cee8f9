import { describe, expect, test } from 'vitest';
import { callMethod, type Handlers } from '../../../src/agent/call.ts';
import { createExternalHandlers } from '../../../src/agent/external/handlers.ts';
import { observes } from '../../../src/agent/handlers.ts';
import { admitsOf } from '../../../src/agent/operations.ts';
import { parseAddress } from '../../../src/protocol/address.ts';
import { RlnetError } from '../../../src/protocol/errors.ts';
import type { ExternalReport } from '../../../src/protocol/external.ts';
import type { Asker } from '../../../src/protocol/methods.ts';
import type { Claim } from '../../../src/protocol/renumbering/lock.ts';
import type { ClusterView } from '../../../src/protocol/state.ts';
import { recordLog } from '../../support/agents.ts';
import { exampleView } from '../../support/example-view.ts';
import { type InProcessCluster, inProcessCluster } from '../../support/standin/in-process.ts';
import { cluster, node } from '../standin/fixture.ts';

const request = (action: 'add' | 'set' | 'remove', ...addresses: string[]) => ({
  action,
  addresses,
  allowNone: false,
});

interface Fake {
  rs: InProcessCluster;
  /** Agents by host name; those that are not there do not answer. */
  agents: Map<string, ReturnType<typeof createExternalHandlers>>;
  log: ReturnType<typeof recordLog>;
  change: (host: string, params: object) => Promise<ExternalReport>;
}

/** Nodes 1 and 2 with linked agents on n1 and n2; node 3 has none; n9 is a host of the cluster and no node. */
function agents({
  linked = ['n1', 'n2', 'n9'],
  remoteOperations = true,
  observe = [],
  openClaims = [],
}: {
  linked?: string[];
  remoteOperations?: boolean;
  observe?: string[];
  openClaims?: Claim[];
} = {}): Fake {
  const rs = inProcessCluster(
    cluster({
      nodes: [node(1, { externalAddr: [parseAddress('198.51.100.1')] }), node(2), node(3)],
    }),
  );
  const log = recordLog();
  const known: Fake['agents'] = new Map();
  const ask = async (host: string, method: string, params: object): Promise<never> => {
    const there = known.get(host);
    if (there === undefined || !linked.includes(host))
      throw new RlnetError('PEER_UNREACHABLE', `${host} is not linked.`, 'Wait.');
    const uid = { n1: 1, n2: 2 }[host];
    const all = { ...there, node_table: () => rs.rsOf(uid).nodeTable() } as unknown as Handlers;
    return (await callMethod(all, { caller: 'member', host: 'n1' }, method, params)) as never;
  };
  for (const [host, uid] of [
    ['n1', 1],
    ['n2', 2],
    ['n9', undefined],
  ] as const) {
    known.set(
      host,
      createExternalHandlers({
        host,
        rs: rs.rsOf(uid),
        view: () => viewFrom(host, linked),
        ask,
        openClaims: () => openClaims,
        admit: admitsOf(host, remoteOperations, log),
        forbidden: observe.includes(host) ? observes(host) : undefined,
        log,
      }),
    );
  }
  return {
    rs,
    agents: known,
    log,
    change: async (host, params) => {
      const asker: Asker = { caller: 'act', host };
      const handlers = known.get(host) as unknown as Handlers;
      return (await callMethod(handlers, asker, 'external_change', {
        by: 'root',
        ...params,
      })) as ExternalReport;
    },
  };
}

function viewFrom(own: string, linked: readonly string[]): ClusterView {
  const { hosts, ...view } = exampleView();
  const [first, second] = hosts;
  if (first?.state === undefined || second?.state === undefined) throw new Error('two hosts are there');
  const states = [
    { ...first.state, nodeUid: 1 },
    second.state,
    { ...first.state, host: 'n9', nodeUid: undefined },
  ];
  return {
    ...view,
    seenFrom: own,
    hosts: states.map(({ nodeUid, ...state }) => ({
      host: state.host,
      link:
        state.host === own
          ? { status: 'self' as const }
          : linked.includes(state.host)
            ? second.link
            : {
                status: 'disconnected' as const,
                since: 0,
                reason: 'gone',
                reachability: { status: 'unreachable' as const, since: 0, why: 'gone', confirmed: false },
              },
      state: { ...state, ...(nodeUid === undefined ? {} : { nodeUid }) },
    })),
  };
}

function externalOf({ config }: InProcessCluster, uid: number): string[] {
  return config.nodes.find((each) => each.uid === uid)?.externalAddr ?? [];
}

describe('external addresses', () => {
  test("of another node are changed by that node's own agent, and are in the log of both hosts", async () => {
    const { rs, change, log } = agents();
    const report = await change('n1', { node: '2', request: request('add', '203.0.113.7', '2001:db8::7') });
    expect(report).toMatchObject({
      node: { uid: 2, host: 'n2', external: [{ on: 'none' }, { on: 'none' }] },
      added: ['203.0.113.7', '2001:db8::7'],
      removed: [],
    });
    expect(rs.commands).toEqual([
      'node 2 external_addr add 203.0.113.7',
      'node 2 external_addr add 2001:db8::7',
    ]);
    expect(externalOf(rs, 2)).toEqual(['203.0.113.7', '2001:db8::7']);
    const asked = log.entries.filter(({ text }) => text === 'an operator asked: external add');
    expect(asked).toHaveLength(2);
    expect(asked[0]?.fields).toMatchObject({ by: 'root', from: 'n1' });
  });

  test('of a node without an agent are changed by the agent that was asked', async () => {
    const { rs, change } = agents();
    const report = await change('n2', { node: '3', request: request('set', '203.0.113.3') });
    expect(report.node).toEqual({
      uid: 3,
      internal: '192.0.2.4',
      external: [{ address: '203.0.113.3', on: 'unknown' }],
    });
    expect(rs.commands).toEqual(['node 3 external_addr set 203.0.113.3']);
  });

  test('are changed through a node where the host that was asked is none', async () => {
    const { rs, change } = agents();
    await change('n9', { node: '3', request: request('add', '203.0.113.3') });
    expect(externalOf(rs, 3)).toEqual(['203.0.113.3']);
    const alone = agents({ linked: [] });
    await expect(
      alone.change('n9', { node: '3', request: request('add', '203.0.113.3') }),
    ).rejects.toMatchObject({ code: 'PEER_UNREACHABLE' });
  });

  test('are known by the name of the host too', async () => {
    const { rs, change } = agents();
    await change('n1', { node: 'n2', request: request('add', '203.0.113.7') });
    expect(externalOf(rs, 2)).toEqual(['203.0.113.7']);
    await expect(change('n1', { node: 'n7', request: request('add', '203.0.113.7') })).rejects.toMatchObject({
      code: 'NODE_UNKNOWN',
    });
  });

  test('are not changed a second time, and nothing is run', async () => {
    const { rs, change } = agents();
    await change('n1', { node: '2', request: request('add', '203.0.113.7') });
    const again = await change('n1', { node: '2', request: request('add', '203.0.113.7') });
    expect(again).toMatchObject({ added: [], removed: [], node: { external: [{ address: '203.0.113.7' }] } });
    expect(rs.commands).toHaveLength(1);
  });

  test('that RS refuses are said to be missing, with those that it took', async () => {
    const { rs, change } = agents();
    rs.faults = { failing: /2001:db8::7/ };
    await expect(
      change('n1', { node: '2', request: request('add', '203.0.113.7', '2001:db8::7') }),
    ).rejects.toMatchObject({
      code: 'EXTERNAL_NOT_TAKEN_UP',
      message: expect.stringMatching(
        /^RS has 203\.0\.113\.7 for node 2 now: 2001:db8::7 missing; .*made up by the test/,
      ),
    });
  });

  test('that came about though the command failed are what was asked for', async () => {
    const { rs, change } = agents();
    rs.faults = { failingLate: /external_addr/ };
    const report = await change('n1', { node: '2', request: request('add', '203.0.113.7') });
    expect(report.added).toEqual(['203.0.113.7']);
  });

  test('keep what somebody else added meanwhile', async () => {
    const { rs, change } = agents();
    const both = await Promise.all([
      change('n1', { node: '2', request: request('add', '203.0.113.7') }),
      change('n2', { node: '2', request: request('add', '203.0.113.8') }),
    ]);
    expect(both.map(({ added }) => added)).toEqual([['203.0.113.7'], ['203.0.113.8']]);
    expect(externalOf(rs, 2).toSorted()).toEqual(['203.0.113.7', '203.0.113.8']);
  });

  test('are left alone where the other host takes no operations, and where its agent observes', async () => {
    const closed = agents({ remoteOperations: false });
    const params = { node: '2', request: request('add', '203.0.113.7') };
    await expect(closed.change('n1', params)).rejects.toMatchObject({ code: 'REMOTE_OPERATIONS_OFF' });
    const observing = agents({ observe: ['n2'] });
    await expect(observing.change('n1', params)).rejects.toMatchObject({ code: 'MODE_OBSERVE' });
    expect([...closed.rs.commands, ...observing.rs.commands]).toEqual([]);
  });

  test('of a node whose agent is silent and may be in the middle of a renumbering are left alone', async () => {
    const claim = { epoch: 1, host: 'n2', planId: '0123456789ab', members: [1, 2, 3] };
    const { rs, change } = agents({ linked: ['n1'], openClaims: [claim] });
    await expect(change('n1', { node: '2', request: request('add', '203.0.113.7') })).rejects.toMatchObject({
      code: 'EXTERNAL_RENUMBERING_OPEN',
    });
    // Node 3 has no agent, and the one that holds the lock does not say whose node it is.
    await expect(change('n1', { node: '3', request: request('add', '203.0.113.7') })).rejects.toMatchObject({
      code: 'EXTERNAL_RENUMBERING_OPEN',
    });
    await change('n1', { node: '1', request: request('add', '203.0.113.7') });
    expect(externalOf(rs, 1)).toEqual(['198.51.100.1', '203.0.113.7']);
  });

  test('are listed from any host, with the interface that has each', async () => {
    const { rs, agents: known } = agents();
    rs.config = {
      ...rs.config,
      nodes: rs.config.nodes.map((each) =>
        each.uid === 2
          ? { ...each, externalAddr: ['192.0.2.22', '203.0.113.7'].map((text) => parseAddress(text)) }
          : each,
      ),
    };
    const asker: Asker = { caller: 'read', host: 'n9' };
    const list = (params: object) =>
      callMethod(known.get('n9') as unknown as Handlers, asker, 'external_list', params);
    expect(await list({ node: '2' })).toEqual({
      nodes: [
        {
          uid: 2,
          host: 'n2',
          internal: '192.0.2.3',
          external: [
            { address: '192.0.2.22', on: 'interface', interface: 'eth1' },
            { address: '203.0.113.7', on: 'none' },
          ],
        },
      ],
      unread: [],
    });
    expect(await list({})).toMatchObject({ nodes: [{ uid: 1 }, { uid: 2 }, { uid: 3, external: [] }] });
  });
});
