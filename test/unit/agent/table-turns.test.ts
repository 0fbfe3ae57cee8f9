import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Observations } from '../../../src/agent/observations.ts';
import { isNews, markOf, onlyTurn, type Turn, turnOf, untilTurn } from '../../../src/agent/table-turns.ts';
import { parseAddress } from '../../../src/protocol/address.ts';
import type { NodeTable, RsNode } from '../../../src/protocol/rs.ts';

const everyMs = 12_000;
const turnIn = (place: number, of: number): Turn => ({ place, of, everyMs });

function node(uid: number, more: Partial<RsNode> = {}): RsNode {
  return {
    uid,
    isLocal: uid === 1,
    role: uid === 1 ? 'master' : 'slave',
    address: parseAddress(`192.0.2.${uid}`),
    externalAddresses: [parseAddress(`198.51.100.${uid}`)],
    shards: { used: 3, limit: 100 },
    hostname: `n${uid}`,
    version: '8.2.0-25',
    status: 'ok',
    statusText: 'OK',
    ...more,
  };
}

function table(...nodes: RsNode[]): NodeTable {
  return { nodes, unread: [] };
}

describe('the turn of a host', () => {
  const turn = (nodeUid: number | undefined, ...nodes: RsNode[]): Turn | undefined => {
    const observations: Observations = {
      nodeUid: { at: 0, value: nodeUid },
      nodeTable: { at: 0, value: table(...nodes) },
    };
    return turnOf(observations);
  };

  test('is the place of its node by uid, however rladmin sorts them', () => {
    expect(turn(3, node(10), node(3), node(1))).toEqual(turnIn(1, 3));
    expect(turn(10, node(10), node(3), node(1))).toEqual(turnIn(2, 3));
  });

  test('leaves out those that are down, but never itself', () => {
    const down = { status: 'down' } as const;
    expect(turn(3, node(1), node(2, down), node(3))).toEqual(turnIn(1, 2));
    expect(turn(2, node(1), node(2, down), node(3))).toEqual(turnIn(1, 3));
    expect(turn(3, node(1), node(2, { status: 'unknown' }), node(3))).toEqual(turnIn(2, 3));
  });

  test('comes the more seldom the more there are, so that one of them reads every 4 s, and at least once a minute', () => {
    const all = (count: number): RsNode[] => Array.from({ length: count }, (_, index) => node(index + 1));
    expect(turn(1, ...all(1))?.everyMs).toBe(12_000);
    expect(turn(1, ...all(4))?.everyMs).toBe(16_000);
    expect(turn(1, ...all(15))?.everyMs).toBe(60_000);
    expect(turn(1, ...all(35))?.everyMs).toBe(60_000);
  });

  test('is its own alone where it is in no table, and not known without one', () => {
    expect(turn(7, node(1), node(2))).toEqual(onlyTurn);
    expect(turnOf({})).toBeUndefined();
  });
});

describe('the time until the next turn', () => {
  const noon = Date.UTC(2026, 0, 1, 12);

  test('goes by the wall clock', () => {
    expect(untilTurn(turnIn(0, 3), noon + 500, 500)).toBe(11_500);
    expect(untilTurn(turnIn(1, 3), noon + 500, 500)).toBe(3_500);
    expect(untilTurn(turnIn(2, 3), noon + 500, 500)).toBe(7_500);
  });

  test('is no turn less after a read out of turn, and none more after a timer that was early', () => {
    expect(untilTurn(turnIn(1, 3), noon + 3_500, 400)).toBe(500);
    expect(untilTurn(turnIn(1, 3), noon + 4_399, 400)).toBe(11_601);
  });

  test('is as long as a read took that ended after the turn came', () => {
    expect(untilTurn(turnIn(1, 3), noon + 4_300, 900)).toBe(900);
    expect(untilTurn(turnIn(1, 3), noon + 34_000, 30_000)).toBe(30_000);
  });

  test('leaves no gap longer than the pace by the number of hosts, whenever else they read and however far apart they start', () => {
    const looks = fc.record({
      hosts: fc.integer({ min: 1, max: 40 }),
      tookMs: fc.integer({ min: 50, max: 1_000 }),
    });
    // When each host reads out of turn, and how wrong its clock is, milliseconds.
    const disorder = fc.array(
      fc.record({ at: fc.integer({ min: 0, max: 60_000 }), off: fc.integer({ min: -25, max: 25 }) }),
      {
        minLength: 40,
        maxLength: 40,
      },
    );
    fc.assert(
      fc.property(looks, disorder, ({ hosts, tookMs }, each) => {
        const begins: number[] = [];
        for (let place = 0; place < hosts; place += 1) {
          const { at = 0, off = 0 } = each[place] ?? {};
          let hint: number | undefined = noon + at;
          let begin = noon - everyMs;
          let turns = 0;
          while (begin < noon + 120_000) {
            begins.push(begin);
            const end = begin + tookMs;
            const next = end + untilTurn(turnIn(place, hosts), end + off, tookMs);
            if (hint !== undefined && hint < next) {
              begin = Math.max(end, hint);
              hint = undefined;
            } else {
              begin = next;
              turns += 1;
            }
          }
          // In eleven periods, the first of which may have begun anywhere.
          expect(turns).toBeLessThanOrEqual(12);
        }
        const seen = begins.filter((at) => at >= noon).sort((a, b) => a - b);
        const gaps = seen.slice(1).map((at, index) => at - (seen[index] ?? 0));
        // 50 ms the clocks are apart, 100 ms a read may be early for a turn; a read that ran into its turn has a rest first.
        expect(Math.max(...gaps)).toBeLessThanOrEqual(Math.max(everyMs / hosts + 150, 2 * tookMs));
      }),
    );
  });
});

describe('the mark of a table', () => {
  const here = table(node(1), node(2, { status: 'down', statusText: 'DOWN, last seen 33s ago' }));

  test('is the same wherever and whenever it was printed', () => {
    const there = table(
      node(2, {
        isLocal: true,
        shards: { used: 7, limit: 200 },
        status: 'down',
        statusText: 'DOWN, last seen 45s ago',
      }),
      node(1, { isLocal: false }),
    );
    expect(markOf(here)).toMatch(/^[0-9a-f]{8}$/);
    expect(markOf(there)).toBe(markOf(here));
  });

  test.each<[string, Partial<RsNode>]>([
    ['status', { status: 'ok' }],
    ['maintenance mode', { status: 'down', shards: { used: 0, limit: 0 } }],
    ['an external address', { status: 'down', externalAddresses: [] }],
    ['the internal address', { status: 'down', address: parseAddress('192.0.2.77') }],
    ['the role', { status: 'down', role: 'master' }],
    ['the version', { status: 'down', version: '8.4.0-1' }],
    ['another node', { status: 'down', uid: 3 }],
  ])('is another one with another: %s', (_, change) => {
    expect(markOf(table(node(1), node(2, change)))).not.toBe(markOf(here));
  });

  test('is another one where a row is not read any more', () => {
    expect(markOf({ ...here, unread: [{ line: 'node:3', reason: 'no row' }] })).not.toBe(markOf(here));
  });
});

test('what another host has read is news where it is new there and not here, and only then', () => {
  expect(isNews('b', 'a', 'a')).toBe(true);
  expect(isNews('b', undefined, 'a')).toBe(true);
  expect(isNews('b', 'a', undefined)).toBe(true);
  // Two hosts that differ for good.
  expect(isNews('b', 'b', 'a')).toBe(false);
  // This host has read it already.
  expect(isNews('b', 'a', 'b')).toBe(false);
  // An agent of an older version, or one that cannot read it.
  expect(isNews(undefined, 'a', 'a')).toBe(false);
});
