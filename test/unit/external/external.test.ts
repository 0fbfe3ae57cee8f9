import { describe, expect, test } from 'vitest';
import { parseAddress } from '../../../src/protocol/address.ts';
import {
  type ExternalRequest,
  externalChangeOf,
  placeOf,
  type Standing,
} from '../../../src/protocol/external.ts';
import type { NodeTable } from '../../../src/protocol/rs.ts';
import { exampleView } from '../../support/example-view.ts';
import { rsNode } from '../../support/renumbering/facts.ts';
import { examplePlan } from '../../support/renumbering/plan.ts';

const addresses = (...texts: string[]) => texts.map(parseAddress);
const table: NodeTable = {
  nodes: [
    rsNode(1, { externalAddresses: addresses('198.51.100.1') }),
    rsNode(2, { externalAddresses: addresses('198.51.100.2', '2001:db8::2') }),
    rsNode(3),
  ],
  unread: [],
};

function change(
  action: ExternalRequest['action'],
  texts: string[],
  {
    uid = 2,
    allowNone = false,
    renumberings = [],
    rows = table,
  }: { uid?: number; allowNone?: boolean; renumberings?: Standing[]; rows?: NodeTable } = {},
) {
  return externalChangeOf({ action, addresses: addresses(...texts), allowNone }, uid, rows, renumberings);
}

function refusal(act: () => unknown): string {
  try {
    act();
  } catch (thrown) {
    return (thrown as { code: string }).code;
  }
  return 'none';
}

/** Node 2 moves from 192.0.2.2 to 192.0.2.52. */
function renumbering(movesExternal: boolean): Standing {
  const { from, to } = examplePlan().change;
  return {
    nodeUid: 2,
    host: 'n2',
    renumbering: {
      planId: '0123456789ab',
      nodeUid: 2,
      from,
      to,
      direction: 'forward',
      since: 0,
      is: 'open',
      ...(movesExternal ? { movesExternal } : {}),
    },
  };
}

describe('what a change of external addresses comes to', () => {
  test('is the addresses that were not there yet, of both families', () => {
    expect(change('add', ['203.0.113.7', '2001:DB8:0::7', '198.51.100.2'])).toEqual({
      before: ['198.51.100.2', '2001:db8::2'],
      after: ['198.51.100.2', '2001:db8::2', '203.0.113.7', '2001:db8::7'],
      added: ['203.0.113.7', '2001:db8::7'],
      removed: [],
    });
  });

  test('is those that are to go', () => {
    expect(change('remove', ['2001:db8:0:0::2', '192.0.2.99'])).toMatchObject({
      added: [],
      removed: ['2001:db8::2'],
    });
  });

  test('is both where all are replaced', () => {
    expect(change('set', ['203.0.113.7', '198.51.100.2', '203.0.113.7'])).toMatchObject({
      after: ['203.0.113.7', '198.51.100.2'],
      added: ['203.0.113.7'],
      removed: ['2001:db8::2'],
    });
  });

  test.for([
    ['add', ['198.51.100.2']],
    ['set', ['2001:db8::2', '198.51.100.2']],
    ['remove', ['203.0.113.9']],
  ] as const)('is nothing where RS has it so already: %s %j', ([action, texts]) => {
    expect(change(action, [...texts])).toMatchObject({ added: [], removed: [] });
  });

  test("may be the node's own internal address, which then serves both", () => {
    expect(change('add', ['192.0.2.2'])).toMatchObject({ added: ['192.0.2.2'] });
  });
});

describe('a change of external addresses is refused', () => {
  test.for([
    ['127.0.0.1'],
    ['::1'],
    ['fe80::7'],
    ['224.0.0.1'],
    ['ff02::1'],
    ['0.0.0.0'],
    ['255.255.255.255'],
    ['64:ff9b::102:304'],
  ])('for %s, which nobody else can reach', ([text = '']) => {
    expect(refusal(() => change('add', [text]))).toBe('EXTERNAL_ADDRESS_UNUSABLE');
  });

  test.for([
    ['198.51.100.1', 'an external address of another node'],
    ['192.0.2.3', 'the internal address of another node'],
  ])('for %s, %s', ([text = '']) => {
    expect(refusal(() => change('add', [text]))).toBe('EXTERNAL_ADDRESS_TAKEN');
    expect(refusal(() => change('set', [text]))).toBe('EXTERNAL_ADDRESS_TAKEN');
  });

  test('for the address that another node is on its way to', () => {
    const renumberings = [renumbering(false)];
    expect(refusal(() => change('add', ['192.0.2.52'], { uid: 3, renumberings }))).toBe(
      'EXTERNAL_ADDRESS_TAKEN',
    );
  });

  test('where a row that could not be read may have the address, but not for taking one away', () => {
    const rows = { ...table, unread: [{ line: 'node:9 ???', reason: 'no address' }] };
    expect(refusal(() => change('add', ['203.0.113.7'], { rows }))).toBe('RS_VIEW_UNKNOWN');
    expect(change('remove', ['2001:db8::2'], { rows })).toMatchObject({ removed: ['2001:db8::2'] });
  });

  test('where it takes the last one, unless that is meant', () => {
    const all = ['198.51.100.2', '2001:db8::2'];
    expect(refusal(() => change('remove', all))).toBe('EXTERNAL_LAST_ADDRESS');
    expect(change('remove', all, { allowNone: true })).toMatchObject({ after: [], removed: all });
    expect(change('remove', ['2001:db8::2'])).toMatchObject({ after: ['198.51.100.2'] });
  });

  test('while a renumbering of the node writes the whole list too', () => {
    const renumberings = [renumbering(true)];
    expect(refusal(() => change('add', ['203.0.113.7'], { renumberings }))).toBe('EXTERNAL_RENUMBERING_OPEN');
    // Nothing to do meets nothing.
    expect(change('add', ['198.51.100.2'], { renumberings })).toMatchObject({ added: [] });
    expect(change('add', ['203.0.113.7'], { uid: 3, renumberings })).toMatchObject({
      added: ['203.0.113.7'],
    });
  });

  test('while a renumbering of the node moves the very address, and no other', () => {
    const renumberings = [renumbering(false)];
    for (const text of ['192.0.2.2', '192.0.2.52'])
      expect(refusal(() => change('add', [text], { renumberings }))).toBe('EXTERNAL_RENUMBERING_OPEN');
    expect(change('add', ['203.0.113.7'], { renumberings })).toMatchObject({ added: ['203.0.113.7'] });
  });

  test('for a node that RS does not show', () => {
    expect(refusal(() => change('add', ['203.0.113.7'], { uid: 9 }))).toBe('NODE_UNKNOWN');
  });
});

describe('an external address', () => {
  const listed = [
    { interface: 'eth1', address: parseAddress('198.51.100.2'), prefixLength: 24, usable: true },
  ];
  test.for([
    ['198.51.100.2', { listed, more: 0 }, { on: 'interface', interface: 'eth1' }],
    ['203.0.113.7', { listed, more: 0 }, { on: 'none' }],
    ['203.0.113.7', { listed, more: 3 }, { on: 'unknown' }],
  ] as const)('%s with %j is said to be %j', ([text, held, place]) => {
    const [host] = exampleView().hosts;
    if (host?.state === undefined) throw new Error('the example has a first host');
    const state = { ...host.state, addresses: { listed: [...held.listed], more: held.more } };
    expect(placeOf(parseAddress(text), state)).toEqual({ address: text, ...place });
  });

  test('is nowhere known where its agent says nothing', () => {
    expect(placeOf(parseAddress('203.0.113.7'), undefined)).toMatchObject({ on: 'unknown' });
  });
});
