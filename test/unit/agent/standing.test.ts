import { expect, test } from 'vitest';
import { afterCauseMs, stand, type Tracks, unknownAfterMs } from '../../../src/agent/findings/standing.ts';
import type { CheckResult } from '../../../src/protocol/finding.ts';

const wallAtZero = 1_000_000;

/** One check over time: its results by second, and what is shown then, as `outcome@since`. */
function play(
  check: { showAfterMs?: number; clearAfterMs?: number },
  results: readonly (readonly [atMs: number, outcome: CheckResult['outcome'], behind?: string])[],
): { shown: (string | undefined)[]; waits: (number | undefined)[] } {
  let tracks: Tracks = new Map();
  const shown: (string | undefined)[] = [];
  const waits: (number | undefined)[] = [];
  for (const [atMs, outcome, behind] of results) {
    const result = { code: 'A', title: 't', severity: 'error', evidence: 'e', remedy: 'r', outcome } as const;
    const standing = stand(
      tracks,
      [{ code: 'A', ...check }],
      [behind === undefined ? result : { ...result, behind }],
      {
        monotonic: atMs,
        wall: wallAtZero + atMs,
      },
    );
    tracks = standing.tracks;
    const [finding] = standing.findings;
    shown.push(finding && `${finding.outcome}@${finding.since - wallAtZero}`);
    waits.push(standing.changesInMs);
  }
  return { shown, waits };
}

test('what fails is shown at once, keeps its time while it lasts, and goes at once', () => {
  expect(
    play({}, [
      [0, 'pass'],
      [5, 'fail'],
      [9, 'fail'],
      [10, 'pass'],
      [20, 'fail'],
    ]).shown,
  ).toEqual([undefined, 'fail@5', 'fail@5', undefined, 'fail@20']);
});

test('a check with patience shows what has lasted, by the time it began, and says when that will be', () => {
  const { shown, waits } = play({ showAfterMs: 100 }, [
    [0, 'pass'],
    [50, 'fail'],
    [149, 'fail'],
    [150, 'fail'],
  ]);
  expect(shown).toEqual([undefined, undefined, undefined, 'fail@50']);
  expect(waits).toEqual([undefined, 100, 1, undefined]);
});

test('what comes and goes within its patience is never shown', () => {
  expect(
    play({ showAfterMs: 100 }, [
      [0, 'fail'],
      [90, 'pass'],
      [95, 'fail'],
      [190, 'fail'],
    ]).shown,
  ).toEqual([undefined, undefined, undefined, undefined]);
});

test('a check that is slow to clear keeps its finding until it has been good for so long', () => {
  const { shown, waits } = play({ clearAfterMs: 100 }, [
    [0, 'fail'],
    [10, 'pass'],
    [60, 'fail'],
    [70, 'pass'],
    [170, 'pass'],
  ]);
  expect(shown).toEqual(['fail@0', 'fail@0', 'fail@0', 'fail@0', undefined]);
  expect(waits).toEqual([undefined, 100, undefined, 100, undefined]);
});

test('an answer that was never known is shown at once, one that was known only when it stays away', () => {
  expect(play({}, [[0, 'unknown']]).shown).toEqual(['unknown@0']);
  const late = unknownAfterMs + 10;
  expect(
    play({}, [
      [0, 'pass'],
      [10, 'unknown'],
      [late - 1, 'unknown'],
      [late, 'unknown'],
    ]).shown,
  ).toEqual([undefined, undefined, undefined, 'unknown@10']);
});

test('a finding whose answer is not known any more stays, as unknown and from then on', () => {
  expect(
    play({}, [
      [0, 'fail'],
      [10, 'unknown'],
      [20, 'fail'],
    ]).shown,
  ).toEqual(['fail@0', 'unknown@10', 'fail@20']);
});

test('a cause takes its symptom away at once, and it comes back only a while after the cause has gone', () => {
  const back = 20 + afterCauseMs;
  const { shown } = play({}, [
    [0, 'fail'],
    [10, 'fail', 'B'],
    [20, 'fail'],
    [back - 1, 'fail'],
    [back, 'fail'],
  ]);
  expect(shown).toEqual(['fail@0', undefined, undefined, undefined, 'fail@20']);
});

test('a symptom that goes with its cause is not seen at all', () => {
  expect(
    play({}, [
      [0, 'fail', 'B'],
      [10, 'fail'],
      [1_000, 'pass'],
    ]).shown,
  ).toEqual([undefined, undefined, undefined]);
});
