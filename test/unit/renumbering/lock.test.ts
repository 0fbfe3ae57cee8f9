import fc from 'fast-check';
import * as v from 'valibot';
import { describe, expect, it, test } from 'vitest';
import {
  type Claim,
  closingsAlone,
  decideGrant,
  isClosed,
  type LockState,
  learned,
  merged,
  noLockState,
  plausible,
  stillGranted,
  type ToldLock,
  toldLockSchema,
  withClosed,
} from '../../../src/protocol/renumbering/lock.ts';

const members = [1, 2, 3];
const view = { uids: members, quorum: true };
const claimOf = (host: string, epoch: number, planId = 'plan'): Claim => ({ host, epoch, planId, members });

function granted(state: LockState | undefined, claim: Claim, others: Claim[] = []): LockState {
  const decision = decideGrant(state, claim, claim.host, view, others);
  if (decision.grant) return decision.state;
  throw new Error(decision.reason.code);
}

function refusal(...asked: Parameters<typeof decideGrant>): string {
  const decision = decideGrant(...asked);
  return decision.grant ? 'granted' : decision.reason.code;
}

describe('a grant', () => {
  const first = claimOf('n2', 1);

  it('is given once, and again to the same claim', () => {
    const state = granted(noLockState, first);
    expect(stillGranted(state, first)).toBe(true);
    expect(granted(state, first)).toEqual(state);
  });

  it('is refused to another claim for as long as the first is open, and free once it is closed', () => {
    const state = granted(noLockState, first);
    const second = claimOf('n3', 2);
    expect(refusal(state, second, 'n3', view, [])).toBe('LOCK_TAKEN');
    const freed = withClosed(state, first);
    expect(stillGranted(freed, first)).toBe(false);
    expect(stillGranted(granted(freed, second), second)).toBe(true);
  });

  it('is refused while another agent is known to have granted an open claim', () => {
    expect(refusal(noLockState, claimOf('n3', 2), 'n3', view, [first])).toBe('LOCK_TAKEN');
    expect(refusal(withClosed(noLockState, first), claimOf('n3', 2), 'n3', view, [first])).toBe('granted');
  });

  it('is given to a claim that another agent is known to have granted, as that was heard of first', () => {
    const heard = merged(noLockState, { highestEpoch: 1, closed: {} });
    expect(stillGranted(granted(heard, first, [first]), first)).toBe(true);
    expect(refusal({ ...heard, highestEpoch: 2 }, first, 'n2', view, [first])).toBe('LOCK_EPOCH_OLD');
    expect(refusal(heard, claimOf('n3', 1), 'n3', view, [])).toBe('LOCK_EPOCH_OLD');
  });

  it.each([
    ['LOCK_NOT_OWN', [noLockState, first, 'n3', view, []]],
    ['LOCK_STATE_UNKNOWN', [undefined, first, 'n2', view, []]],
    ['LOCK_CLOSED', [withClosed(noLockState, first), first, 'n2', view, []]],
    ['LOCK_EPOCH_OLD', [{ ...noLockState, highestEpoch: 4 }, claimOf('n2', 4), 'n2', view, []]],
    ['LOCK_EPOCH_TOO_HIGH', [{ ...noLockState, highestEpoch: 4 }, claimOf('n2', 1_000_005), 'n2', view, []]],
    ['RS_VIEW_UNKNOWN', [noLockState, first, 'n2', undefined, []]],
    ['LOCK_MEMBERS_DIFFER', [noLockState, first, 'n2', { ...view, uids: [1, 2, 3, 4] }, []]],
    ['LOCK_MEMBERS_DIFFER', [noLockState, first, 'n2', { ...view, uids: [1, 2, 5] }, []]],
    ['LOCK_MEMBERS_DIFFER', [noLockState, first, 'n2', { ...view, uids: [1, 2] }, []]],
    ['RS_NO_QUORUM', [noLockState, first, 'n2', { ...view, quorum: false }, []]],
  ] as [string, Parameters<typeof decideGrant>][])('is refused with %s', (code, asked) => {
    expect(refusal(...asked)).toBe(code);
  });
});

const closings = fc.array(
  fc.record({ host: fc.constantFrom('n1', 'n2', 'n3'), epoch: fc.integer({ min: 1, max: 9 }) }),
);

test('closings come out the same in whatever order and however often they are heard', () => {
  fc.assert(
    fc.property(closings, closings, (a, b) => {
      const all = (list: typeof a): LockState =>
        list.reduce((state, each) => withClosed(state, each), noLockState);
      const one = all([...a, ...b]);
      expect(all([...b, ...a, ...a])).toEqual({ ...one, closed: expect.objectContaining(one.closed) });
      expect(merged(all(a), all(b)).closed).toEqual(expect.objectContaining(one.closed));
      for (const each of [...a, ...b]) expect(isClosed(one, each)).toBe(true);
    }),
  );
});

describe('what a thief of a certificate tells of epochs', () => {
  const end = Number.MAX_SAFE_INTEGER;
  const lie: LockState = { highestEpoch: end, closed: { n3: end }, granted: claimOf('n9', end) };
  const known: LockState = { highestEpoch: 7, closed: { n2: 6 } };

  it('is cut off, again and again, and leaves numbers for claims to come', () => {
    let state = known;
    for (let time = 1; time <= 100; time += 1) {
      state = merged(state, plausible(lie, state.highestEpoch));
      expect(state).toEqual({
        highestEpoch: 7 + time * 1_000_000,
        closed: { n2: 6, n3: 7 + time * 1_000_000 },
      });
    }
    expect(
      stillGranted(granted(state, claimOf('n3', state.highestEpoch + 1)), claimOf('n3', 100_000_008)),
    ).toBe(true);
  });

  it('of a host whose claims it closes alone leaves that host a number above them', () => {
    const state = merged(known, plausible({ highestEpoch: 0, closed: { n3: 90 } }, 7));
    expect(isClosed(state, claimOf('n3', state.highestEpoch + 1))).toBe(false);
  });

  it('is no other than what an honest agent tells that is some claims ahead', () => {
    const told: LockState = { highestEpoch: 1_000, closed: { n1: 999 }, granted: claimOf('n3', 1_000) };
    expect(plausible(told, 7)).toEqual(told);
  });

  it('is believed by one that learns the lock as far as another one bears it out, and an open claim always', () => {
    const answers = new Map<number, ToldLock>([
      [2, known],
      [3, lie],
      [4, 'none'],
    ]);
    expect(learned([2, 3, 4], answers)).toEqual({
      state: { highestEpoch: 1_000_007, closed: { n2: 6, n3: 1_000_007 } },
      open: [lie.granted],
    });
  });
});

/**
 * A model of the protocol: members that grant, close, lose their state and learn again, in any order, over any messages. Whoever
 * found a majority holds the lock until his claim is closed.
 */
const steps = fc.array(
  fc.oneof(
    fc.record({
      do: fc.constant('ask' as const),
      claimant: fc.integer({ min: 0, max: 2 }),
      at: fc.integer({ min: 0, max: 4 }),
    }),
    fc.record({ do: fc.constant('withdraw' as const), claimant: fc.integer({ min: 0, max: 2 }) }),
    fc.record({
      do: fc.constant('tell' as const),
      from: fc.integer({ min: 0, max: 4 }),
      to: fc.integer({ min: 0, max: 4 }),
    }),
    fc.record({
      do: fc.constant('lie' as const),
      to: fc.integer({ min: 0, max: 4 }),
      epoch: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
    }),
    fc.record({ do: fc.constant('reinstall' as const), at: fc.integer({ min: 0, max: 4 }) }),
  ),
  { maxLength: 60 },
);

test('closings of hosts without end are not all taken from others, and still there is room for one of our own', () => {
  const madeUp = Array.from({ length: 5 }, (_, word) =>
    Object.fromEntries(Array.from({ length: 200 }, (_each, index) => [`w${word}h${index}`, 7])),
  );
  const before = withClosed(noLockState, { host: 'n2', epoch: 3 });
  const full = madeUp.reduce((state, closed) => merged(state, { highestEpoch: 7, closed }), before);
  expect(Object.keys(full.closed)).toHaveLength(128);
  expect(merged(full, { highestEpoch: 9, closed: { n2: 9 } }).closed['n2']).toBe(9);
  const own = withClosed(full, { host: 'n9', epoch: 10 });
  expect(isClosed(own, { host: 'n9', epoch: 10 })).toBe(true);
  expect(v.is(toldLockSchema, own)).toBe(true);
  expect(v.is(toldLockSchema, { ...own, closed: { ...madeUp[0], ...madeUp[1] } })).toBe(false);
});

test('two claims never have a majority at the same time, also when members lose their state one at a time', () => {
  const uids = [1, 2, 3, 4, 5];
  fc.assert(
    fc.property(steps, (run) => {
      const states: (LockState | undefined)[] = uids.map(() => noLockState);
      const claims = new Map<number, { claim: Claim; yes: Set<number>; closed: boolean }>();
      const reinstalled = new Set<number>();
      /** By member: what each of the others said last that it had granted. */
      const heard = uids.map(() => new Map<number, Claim>());
      const learn = (at: number): Claim[] => {
        const others = uids.filter((_, index) => index !== at);
        const answers = new Map<number, ToldLock>(others.map((uid) => [uid, states[uid - 1] ?? 'none']));
        const known = learned(others, answers);
        if (known === undefined) return [];
        states[at] = known.state;
        reinstalled.delete(at);
        return known.open;
      };
      for (const step of run) {
        if (step.do === 'reinstall') {
          // One at a time: a majority that has lost its memory has lost the lock with it, which nothing can mend.
          if (reinstalled.size === 0) {
            states[step.at] = undefined;
            heard[step.at]?.clear();
            reinstalled.add(step.at);
          }
        } else if (step.do === 'tell') {
          const [from, to] = [states[step.from], states[step.to]];
          if (from === undefined || to === undefined) continue;
          const told = plausible(from, to.highestEpoch);
          states[step.to] = merged(to, told);
          if (told.granted === undefined) heard[step.to]?.delete(step.from);
          else heard[step.to]?.set(step.from, told.granted);
        } else if (step.do === 'lie') {
          const to = states[step.to];
          const lie = { highestEpoch: step.epoch, closed: { stranger: step.epoch } };
          if (to !== undefined) states[step.to] = merged(to, plausible(lie, to.highestEpoch));
        } else if (step.do === 'withdraw') {
          const mine = claims.get(step.claimant);
          if (mine === undefined) continue;
          const own = states[step.claimant] ?? noLockState;
          if (states[step.claimant] === undefined) continue;
          states[step.claimant] = withClosed(own, mine.claim);
          mine.closed = true;
          claims.delete(step.claimant);
        } else {
          const open = states[step.at] === undefined ? learn(step.at) : [];
          let mine = claims.get(step.claimant);
          if (mine === undefined) {
            const own = states[step.claimant];
            if (own === undefined) continue;
            const claim = {
              host: `n${step.claimant}`,
              epoch: own.highestEpoch + 1,
              planId: 'p',
              members: uids,
            };
            mine = { claim, yes: new Set(), closed: false };
            claims.set(step.claimant, mine);
          }
          const decision = decideGrant(states[step.at], mine.claim, mine.claim.host, { uids, quorum: true }, [
            ...open,
            ...(heard[step.at]?.values() ?? []),
          ]);
          if (!decision.grant) continue;
          states[step.at] = decision.state;
          mine.yes.add(step.at);
        }
        const holders = [...claims.values()].filter(({ yes, closed }) => !closed && yes.size >= 3);
        expect(holders.length).toBeLessThan(2);
      }
    }),
    { numRuns: 3_000 },
  );
});

describe('an agent that has lost its record', () => {
  const first = claimOf('n2', 4);
  const alone = withClosed(closingsAlone, first);

  it('keeps what is closed, and is no authority for what was granted', () => {
    expect(isClosed(alone, first)).toBe(true);
    // Two of three have answered, and neither knows what was granted.
    expect(
      learned(
        [2, 3, 4],
        new Map<number, ToldLock>([
          [2, alone],
          [3, 'none'],
        ]),
      ),
    ).toBeUndefined();
    expect(
      learned(
        [2, 3],
        new Map<number, ToldLock>([
          [2, alone],
          [3, 'none'],
        ]),
      )?.state,
    ).toEqual({
      highestEpoch: 4,
      closed: { n2: 4 },
    });
  });

  it('has others learn the closing from it', () => {
    const holding = granted(noLockState, first);
    expect(
      learned(
        [2, 3],
        new Map<number, ToldLock>([
          [2, alone],
          [3, holding],
        ]),
      ),
    ).toEqual({
      state: { highestEpoch: 4, closed: { n2: 4 } },
      open: [],
    });
    expect(merged(holding, alone)).toEqual({ highestEpoch: 4, closed: { n2: 4 } });
  });
});
