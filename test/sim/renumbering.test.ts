import { describe, expect, it } from 'vitest';
import { forwardSteps } from '../../src/protocol/renumbering/steps.ts';
import { full, sampleOf } from '../support/sampling.ts';
import type { PlannedFault } from '../support/sim/points.ts';
import { Stream } from '../support/sim/random.ts';
import { abortedAt, plain, randomStory, unitFails } from '../support/sim/renumbering/stories.ts';
import { type Story, type Told, tell } from '../support/sim/renumbering/story.ts';

/** `tell` holds every event and the end of a story against the invariants S1 to S8 and L1, and throws where one is broken. */

const ends = ({ endings }: Told): string[] =>
  endings.map(({ outcome, reason }) => (reason === undefined ? outcome : `${outcome} ${reason}`));

describe('a renumbering', () => {
  it.each([plain(1), plain(2), plain(3, 5)])(
    'of $uids of $nodes nodes ends at the new address',
    async (story) => {
      expect(ends(await tell(story, 'a'))).toEqual(['done']);
    },
  );

  it('goes back to the old address where the unit does not come up at the new one', async () => {
    for (const uid of [1, 2])
      expect(ends(await tell(unitFails(uid), 'a'))).toEqual(['rolled_back UNIT_FAILED']);
  });

  it.each(forwardSteps)('is aborted at %s, and not once the node has rejoined', async (step) => {
    const expected = step === 'release' ? 'done' : 'rolled_back ABORTED';
    expect(ends(await tell(abortedAt(step), 'a'))).toEqual([expected]);
  });

  it('waits for the lock, or ends, while another node is being renumbered', async () => {
    const told = await tell({ name: 'two', nodes: 3, uids: [2, 3] }, 'a');
    expect(ends(told).filter((end) => end === 'done').length).toBeGreaterThan(0);
  });

  it('is the same run again for the same seed, and another for another', async () => {
    const hashes = await Promise.all(['a', 'a', 'b'].map(async (seed) => (await tell(plain(2), seed)).hash));
    expect(hashes[0]).toBe(hashes[1]);
    expect(hashes[2]).not.toBe(hashes[0]);
  });
});

/** Forward from a node without roles and from the cluster's master, with the restart and without, and all the way back. */
const stories: readonly Story[] = [
  plain(2),
  plain(1),
  unitFails(2),
  {
    ...plain(2),
    name: 'without-reboot',
    change: {
      options: { reboot: false, cutOver: false, proveByReboot: false, acceptOutage: false, acceptShards: [] },
    },
  },
];

const kinds: readonly ((at: number) => PlannedFault)[] = [
  (at) => ({ at, kind: 'kill' }),
  (at) => ({ at, kind: 'power', lastsMs: 30_000 }),
  (at) => ({ at, kind: 'cut', lastsMs: 30_000 }),
];

const baselines = await Promise.all(
  stories.map(async (story) => ({ story, points: (await tell(story, 'crash')).points })),
);
const crashes = baselines.flatMap(({ story, points }) =>
  points.flatMap((point, at) =>
    kinds.map((fault) => ({
      story,
      faults: [fault(at)],
      title: `${story.name}: ${fault(at).kind} at ${at}, ${point.process} ${point.what}, ${point.when}`,
    })),
  ),
);

describe(`a crash at each of ${baselines.reduce((sum, { points }) => sum + points.length, 0)} points`, () => {
  it.each(sampleOf(crashes, 60))('$title', async ({ story, faults }) => {
    expect((await tell({ ...story, faults }, 'crash')).left).toBe(0);
  });
});

/** The second fault strikes in the recovery from the first. */
const twice = crashes.flatMap(({ story, faults, title }) =>
  [1, 4, 9, 16, 25].flatMap((later) =>
    kinds.slice(0, 2).map((fault) => ({
      story,
      faults: [...faults, fault(later)],
      title: `${title}, and ${fault(later).kind} ${later} points later`,
    })),
  ),
);

describe('a second crash in the recovery', () => {
  it.each(sampleOf(twice, full ? 3_000 : 60))('$title', async ({ story, faults }) => {
    await expect(tell({ ...story, faults }, 'crash')).resolves.toBeDefined();
  });
});

/** Each of them broke something once. */
const seedsThatFoundBugs: readonly [seed: string, what: string][] = [
  ['2', 'a line whose fsync failed was read back, gone on from, and lost with the power'],
  ['24', 'the files of a dead man came back with the power, as their removal was not synced'],
  ['40', 'a journal that could not be written was never taken up again'],
  ['56', 'a full disk was taken for a defect, and ended the way back'],
  ['111', 'a node was taken back after its dead man had been disarmed, and left down'],
];

describe('whatever goes wrong', () => {
  it.each(seedsThatFoundBugs)('seed %s: %s', async (seed) => {
    await expect(tell(randomStory(new Stream(`random story ${seed}`)), seed)).resolves.toBeDefined();
  });

  const seeds = Array.from({ length: full ? 2_000 : 60 }, (_, index) => String(1_000 + index));
  it.each(seeds)('seed %s ends in service, or stopped with a reason', async (seed) => {
    await expect(tell(randomStory(new Stream(`random story ${seed}`)), seed)).resolves.toBeDefined();
  });
});
