import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { isLeftBehind, resolveMeeting, standingOf } from '../../../src/agent/mesh/admission.ts';
import { judge, pingEveryMs, untilPings } from '../../../src/agent/mesh/reachability.ts';
import { dialTargets, redialDelayMs } from '../../../src/agent/mesh/rules.ts';
import { parseAddress } from '../../../src/protocol/address.ts';
import type { Reachability } from '../../../src/protocol/reachability.ts';
import type { RsNode } from '../../../src/protocol/rs.ts';

const run = { machineId: 'machine', bootId: 'boot', instance: 'run' };

describe('of two links to one host', () => {
  it('both sides keep the same one: that which the lower name opened', () => {
    for (const freshByLower of [true, false]) {
      expect(resolveMeeting(run, run, true, freshByLower)).toBe(freshByLower ? 'take fresh' : 'keep old');
    }
  });

  test.for([
    ['the same run', run],
    ['a new run of the agent', { ...run, instance: 'next' }],
    ['a new boot', { ...run, bootId: 'next', instance: 'next' }],
    ['another machine, which its pin judges', { machineId: 'clone', bootId: 'other', instance: 'next' }],
  ] as const)('the newer stays when the older one does not echo: %s', ([, fresh]) => {
    expect(resolveMeeting(run, fresh, false, false)).toBe('take fresh');
  });

  describe('the older one is left behind', () => {
    const [here, there, moved] = ['192.0.2.1', '192.0.2.2', '192.0.2.9'].map(parseAddress);
    const old = { ...run, ours: here, theirs: there };
    test.for([
      ['where the other end has moved', { ...old, theirs: moved }, true],
      ['where this end has moved', { ...old, ours: moved }, true],
      ['not where both are where they were', old, false],
      ['not where an end says no address', { ...old, theirs: undefined }, false],
      [
        'not by another run, which has to show that the older one is dead',
        { ...old, theirs: moved, instance: 'next' },
        false,
      ],
      ['not by another machine', { ...old, theirs: moved, machineId: 'clone' }, false],
    ] as const)('%s', ([, fresh, expected]) => {
      expect(isLeftBehind(old, fresh)).toBe(expected);
    });
  });

  it('the newer stays when the agent was restarted and its old process is still ending', () => {
    expect(resolveMeeting(run, { ...run, instance: 'next' }, true, false)).toBe('take fresh');
  });

  test.for([
    ['on another machine', { machineId: 'clone', bootId: 'other', instance: 'next' }],
    ['on a clone that has the same machine id', { ...run, bootId: 'other', instance: 'next' }],
  ] as const)('it is a twin when the older one lives and the newer is %s', ([, fresh]) => {
    for (const freshByLower of [true, false])
      expect(resolveMeeting(run, fresh, true, freshByLower)).toBe('twin');
  });
});

describe('the standing of a peer', () => {
  const address = parseAddress('192.0.2.2');
  const node = { isLocal: false, externalAddresses: [], status: 'ok' as const, statusText: 'OK' };
  const nodes: RsNode[] = [
    { ...node, uid: 2, address },
    { ...node, uid: 3, address: parseAddress('192.0.2.3') },
  ];

  test.for([
    ['a node that RS has at its address is a member', { nodeUid: 2, address }, nodes, undefined, 'member'],
    ['a host that is no node is a candidate', { nodeUid: undefined, address }, nodes, undefined, 'candidate'],
    [
      'a node that RS does not list yet is a candidate',
      { nodeUid: 9, address },
      nodes,
      undefined,
      'candidate',
    ],
    [
      'anybody new is a candidate while RS says nothing',
      { nodeUid: 2, address },
      undefined,
      undefined,
      'candidate',
    ],
    [
      'who was found to be the node before is a member while RS says nothing',
      { nodeUid: 2, address },
      undefined,
      2,
      'member',
    ],
    [
      'who was found to be the node before is a member while its address changes',
      { nodeUid: 3, address },
      nodes,
      3,
      'member',
    ],
  ] as const)('%s', ([, claim, table, pinned, standing]) => {
    expect(standingOf(claim, table, pinned)).toBe(standing);
  });

  it('is none when it says that it is a node which RS has elsewhere', () => {
    for (const pinned of [undefined, 2]) {
      expect(standingOf({ nodeUid: 3, address }, nodes, pinned)).toEqual({
        falseClaim: 'it says that it is node 3, which RS has at 192.0.2.3, not at 192.0.2.2',
      });
    }
  });
});

describe('the verdict on a peer', () => {
  const reachable: Reachability = { status: 'reachable', since: 1 };
  const none = new Map<string, boolean>();
  const evidence = (misses: number, witnesses: ReadonlyMap<string, boolean> = none) => ({
    misses,
    noLink: undefined,
    heard: false,
    witnesses,
  });

  test.for([
    [0, 'reachable'],
    [2, 'reachable'],
    [3, 'suspect'],
    [4, 'unreachable'],
  ] as const)('after %i misses in a row is %s', ([misses, status]) => {
    expect(judge(reachable, evidence(misses), 5).status).toBe(status);
  });

  it('is suspect at once when its link closes, and unreachable after four misses', () => {
    const closed = (misses: number) =>
      judge(reachable, { ...evidence(misses), noLink: 'connection reset' }, 5);
    expect(closed(2)).toEqual({ status: 'suspect', since: 5, why: 'no link: connection reset' });
    expect(closed(4).status).toBe('unreachable');
  });

  it('is confirmed by a witness that does not reach it either, and unconfirmed without one', () => {
    expect(judge(reachable, evidence(4, new Map([['n3', false]])), 5)).toMatchObject({ confirmed: true });
    expect(judge(reachable, evidence(4), 5)).toMatchObject({ confirmed: false });
  });

  it('is never unreachable while a witness reaches it, however long the silence: the path is broken', () => {
    const witnesses = new Map([
      ['n3', false],
      ['n4', true],
    ]);
    expect(judge(reachable, evidence(900, witnesses), 5)).toMatchObject({
      status: 'suspect',
      why: expect.stringContaining('n4 reaches it'),
    });
  });

  it('says so when the peer is heard and does not echo', () => {
    const verdict = judge(reachable, { ...evidence(4), heard: true }, 5);
    expect(verdict).toMatchObject({ why: expect.stringContaining('what we send does not arrive') });
    const later = judge(verdict, { ...evidence(9), heard: true, noLink: 'no echo of 4 pings' }, 6);
    expect(later).toMatchObject({ why: expect.stringContaining('what we sent did not arrive') });
  });

  it('stays unreachable while it is counted anew after a stall, and until a link or a witness says otherwise', () => {
    const noLink = 'no echo of 4 pings';
    const lost = judge(reachable, { ...evidence(4), noLink }, 5);
    const anew = judge(lost, { ...evidence(0), noLink }, 9);
    expect(anew).toEqual(lost);
    expect(judge(anew, evidence(0), 10).status).toBe('reachable');
    expect(judge(anew, { ...evidence(4, new Map([['n3', true]])), noLink }, 10).status).toBe('suspect');
  });

  it('keeps the time of the first of equal verdicts', () => {
    const first = judge(reachable, evidence(3), 5);
    expect(judge(first, evidence(3), 9).since).toBe(5);
    expect(judge(first, evidence(0), 9)).toEqual({ status: 'reachable', since: 9 });
  });
});

describe('dialTargets', () => {
  const own = parseAddress('fd00::1:1');

  const candidates = ['fd00::1:2', '10.0.0.2', 'fd00::1:1', 'fd00::1:2', 'fd00::1:3'].map(parseAddress);

  it('are the addresses of the internal family, each once, without our own', () => {
    expect(dialTargets(own, 'ipv6', candidates)).toEqual({
      dialled: ['fd00::1:2', 'fd00::1:3'],
      passedOver: ['10.0.0.2'],
    });
  });

  it('are all addresses while only the configuration says which family that is', () => {
    expect(dialTargets(own, undefined, candidates)).toEqual({
      dialled: ['fd00::1:2', '10.0.0.2', 'fd00::1:3'],
      passedOver: [],
    });
  });

  it('are none while our own address is not known', () => {
    expect(dialTargets(undefined, 'ipv4', candidates)).toEqual({ dialled: [], passedOver: [] });
  });
});

it('redials soon where nobody answered, later where it was refused, and never gives up', () => {
  const fraction = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  fc.assert(
    fc.property(fc.nat(10_000), fc.boolean(), fraction, (attempt, refused, chance) => {
      const delay = redialDelayMs(attempt, refused, chance);
      expect(delay).toBeGreaterThanOrEqual(50);
      expect(delay).toBeLessThanOrEqual(refused ? 10_000 : 1_000);
    }),
  );
  expect(redialDelayMs(0, true, 0.999)).toBeLessThan(redialDelayMs(3, true, 0));
});

describe('the time until the next pings', () => {
  it('ends for two hosts with one clock at one moment', () => {
    expect([1_000, 1_001, 1_200].map((wall) => (wall + untilPings(wall)) % pingEveryMs)).toEqual([0, 0, 0]);
  });

  it('is a pause, give or take half of one, whatever the clock says', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 42 }), (wall) => {
        const first = untilPings(wall);
        expect(first).toBeGreaterThanOrEqual(pingEveryMs / 2);
        expect(first).toBeLessThanOrEqual(pingEveryMs * 1.5);
        expect(untilPings(wall + first)).toBe(pingEveryMs);
      }),
    );
  });
});
