import { describe, expect, test } from 'vitest';
import { parseAddress, parseInterfaceAddress } from '../../../src/protocol/address.ts';
import type { Declaration } from '../../../src/protocol/rollout/declaration.ts';
import {
  beyondShown,
  type Change,
  differenceOf,
  undeclaredExternal,
} from '../../../src/protocol/rollout/difference.ts';
import type { NodeTable } from '../../../src/protocol/rs.ts';
import { rsNode } from '../../support/renumbering/facts.ts';

/** Nodes 1 to 3 at 192.0.2.1 to .3, of which 1 is the master; each with one external address. */
const table: NodeTable = {
  nodes: [1, 2, 3].map((uid) => rsNode(uid, { externalAddresses: [parseAddress(`203.0.113.${uid}`)] })),
  unread: [],
};
const view = {
  cluster: 'demo',
  hosts: [1, 2, 3].map((uid) => ({ host: `n${uid}`, state: { nodeUid: uid } })),
};

function declared(
  nodes: Record<number, { internal?: string; external?: string[] }>,
  cluster?: string,
): Declaration {
  return {
    ...(cluster === undefined ? {} : { cluster }),
    nodes: Object.entries(nodes).map(([node, { internal, external }]) => ({
      node: Number(node),
      ...(internal === undefined ? {} : { internal: parseInterfaceAddress(internal) }),
      ...(external === undefined ? {} : { external: external.map((text) => parseAddress(text)) }),
    })),
    windows: [],
  };
}

const shortOf = (...given: Parameters<typeof declared>) =>
  differenceOf(declared(...given), table, view).changes.map((change) =>
    change.kind === 'internal'
      ? `${change.node} ${change.from} > ${change.to.address}`
      : `${change.node} ${[...change.removed.map((each) => `-${each}`), ...change.added.map((each) => `+${each}`)].join(' ')}`,
  );
const problemsOf = (...given: Parameters<typeof declared>) =>
  differenceOf(declared(...given), table, view).problems.map(({ code }) => code);

describe('what differs', () => {
  test('is nothing where the cluster is as it is declared, in any order of external addresses', () => {
    expect(
      differenceOf(
        declared({ 1: { internal: '192.0.2.1/24', external: ['203.0.113.1'] }, 2: {} }),
        table,
        view,
      ),
    ).toEqual({ changes: [], unchanged: [1, 2], undeclared: [3], problems: [] });
  });

  test("is changed with replicas first and the cluster's master last", () => {
    expect(
      shortOf({
        1: { internal: '192.0.2.51/24' },
        2: { internal: '192.0.2.52/24' },
        3: { internal: '192.0.2.53/24' },
      }),
    ).toEqual(['2 192.0.2.2 > 192.0.2.52', '3 192.0.2.3 > 192.0.2.53', '1 192.0.2.1 > 192.0.2.51']);
  });

  test('in external addresses alone comes first, and after the move of the node that moves', () => {
    expect(
      shortOf({
        1: { external: ['203.0.113.1', '2001:db8::1'] },
        2: { internal: '192.0.2.52/24', external: ['203.0.113.52'] },
      }),
    ).toEqual(['1 +2001:db8::1', '2 192.0.2.2 > 192.0.2.52', '2 -203.0.113.2 +203.0.113.52']);
  });

  test('is nothing for an external address that the renumbering takes along', () => {
    const both: NodeTable = {
      ...table,
      nodes: [rsNode(1), rsNode(2, { externalAddresses: [parseAddress('192.0.2.2')] }), rsNode(3)],
    };
    const { changes } = differenceOf(
      declared({ 2: { internal: '192.0.2.52/24', external: ['192.0.2.52'] } }),
      both,
      view,
    );
    expect(changes.map(({ kind }) => kind)).toEqual(['internal']);
  });

  test('in an external address that goes from one node to another is taken from the first before', () => {
    const { changes } = differenceOf(
      declared({ 2: { external: ['203.0.113.3'] }, 3: { external: ['203.0.113.33'] } }),
      table,
      view,
    );
    expect(changes).toMatchObject([
      { node: 3, to: [], removed: ['203.0.113.3'], added: [] },
      { node: 2, to: ['203.0.113.3'], removed: ['203.0.113.2'], added: ['203.0.113.3'] },
      { node: 3, to: ['203.0.113.33'], added: ['203.0.113.33'] },
    ]);
  });

  test('in an internal address that another node still has comes after that node', () => {
    expect(shortOf({ 2: { internal: '192.0.2.3/24' }, 3: { internal: '192.0.2.53/24' } })).toEqual([
      '3 192.0.2.3 > 192.0.2.53',
      '2 192.0.2.2 > 192.0.2.3',
    ]);
  });
});

describe('a declaration is refused', () => {
  test.for([
    [
      'where two nodes are to swap addresses',
      { 2: { internal: '192.0.2.3/24' }, 3: { internal: '192.0.2.2/24' } },
      'ADDRESSES_IN_A_CIRCLE',
    ],
    ['for a node that RS does not have', { 9: {} }, 'NODE_UNKNOWN'],
    ['for an internal address of the other family', { 1: { internal: '2001:db8::1/64' } }, 'FAMILY_DIFFERS'],
    [
      'for an external address that nobody can reach',
      { 1: { external: ['fe80::1'] } },
      'EXTERNAL_ADDRESS_UNUSABLE',
    ],
    [
      'where two nodes get one address',
      { 1: { internal: '192.0.2.9/24' }, 2: { external: ['192.0.2.9'] } },
      'ADDRESS_TWICE',
    ],
    [
      'where a node gets what one that is not declared keeps',
      { 1: { external: ['203.0.113.3'] } },
      'ADDRESS_TWICE',
    ],
  ] as const)('%s', ([, nodes, code]) => {
    expect(problemsOf(nodes as Parameters<typeof declared>[0])).toContain(code);
  });

  test('for another cluster, and where a node stands there twice', () => {
    expect(problemsOf({ 1: {} }, 'other')).toEqual(['CLUSTER_DIFFERS']);
    expect(problemsOf({ 1: {} }, 'demo')).toEqual([]);
    const twice = { nodes: [{ node: 1 }, { node: 1 }], windows: [] };
    expect(differenceOf(twice, table, view).problems.map(({ code }) => code)).toEqual(['NODE_TWICE']);
  });

  test('while a row of RS cannot be read', () => {
    const unread = { ...table, unread: [{ line: '???', reason: 'no address' }] };
    expect(differenceOf(declared({ 1: {} }), unread, view).problems.map(({ code }) => code)).toEqual([
      'NODE_UNREAD',
    ]);
  });
});

test('external addresses that nobody declared are found, of nodes whose external addresses are declared', () => {
  expect(
    undeclaredExternal(declared({ 1: { external: [] }, 2: { external: ['203.0.113.2'] }, 3: {} }), table),
  ).toEqual([{ node: 1, addresses: ['203.0.113.1'] }]);
});

describe('what a change would do beyond what was shown', () => {
  const external = (to: string[], added: string[], removed: string[]): Change => ({
    kind: 'external',
    node: 2,
    to: to.map((text) => parseAddress(text)),
    added: added.map((text) => parseAddress(text)),
    removed: removed.map((text) => parseAddress(text)),
  });
  const now = (...addresses: string[]) =>
    rsNode(2, { externalAddresses: addresses.map((text) => parseAddress(text)) });
  const shown = external(['203.0.113.2', '203.0.113.4'], ['203.0.113.4'], ['203.0.113.3']);

  test.for([
    ['as it was', ['203.0.113.2', '203.0.113.3']],
    ['half done', ['203.0.113.2', '203.0.113.3', '203.0.113.4']],
    ['one of them taken away before, for another node', ['203.0.113.2']],
    ['done', ['203.0.113.4', '203.0.113.2']],
  ] as const)('is nothing: %s', ([, addresses]) => {
    expect(beyondShown(shown, now(...addresses))).toBeUndefined();
  });

  test.for([
    ['203.0.113.9 would be taken away', ['203.0.113.2', '203.0.113.3', '203.0.113.9']],
    ['203.0.113.2 would come back', ['203.0.113.3']],
  ] as const)('%s', ([said, addresses]) => {
    expect(beyondShown(shown, now(...addresses))).toContain(said);
  });

  test('is another way, where the node has another internal address by now', () => {
    const move: Change = {
      kind: 'internal',
      node: 2,
      from: parseAddress('192.0.2.2'),
      to: parseInterfaceAddress('192.0.2.52/24'),
    };
    expect(beyondShown(move, now())).toBeUndefined();
    expect(beyondShown(move, rsNode(2, { address: parseAddress('192.0.2.52') }))).toBeUndefined();
    expect(beyondShown(move, rsNode(2, { address: parseAddress('192.0.2.77') }))).toContain(
      'the plan went from 192.0.2.2',
    );
  });
});
