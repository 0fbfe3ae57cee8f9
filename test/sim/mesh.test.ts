import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { full } from '../support/sampling.ts';
import { play, replayCommand, type Scenario } from '../support/sim/scenario.ts';
import {
  clusters,
  load,
  mending,
  mendWithinMs,
  meshing,
  meshWithinMs,
  nineHosts,
  threeHosts,
} from './scenarios.ts';

/** The real agent on simulated hosts. */

const seeds = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);

describe('the same seed', () => {
  const stories: Scenario[] = [meshing(nineHosts), mending(threeHosts), mending(nineHosts), load(1)];
  it.each(stories)(
    'gives the same run twice, event for event, and another seed another: $name',
    async (story) => {
      const hashes = new Set<string>();
      const count = full ? 10 : 3;
      for (const seed of seeds(count)) {
        const [once, again] = [await play(story, seed), await play(story, seed)];
        expect(again).toEqual(once);
        hashes.add(once.hash);
      }
      expect(hashes.size).toBe(count);
    },
  );
});

describe('a run that fails', () => {
  it('says with which command it is played again, and that command shows its events', async () => {
    const story = meshing(threeHosts);
    const fails: Scenario = {
      ...story,
      run: () => Promise.reject(new Error('The end of the world.')),
    };
    const failure = await play(fails, 7).catch((thrown: Error) => thrown.message);
    expect(failure).toContain('The end of the world.');
    expect(failure).toContain(`Play it again: ${replayCommand(story.name, '7')}`);
    const [, ...argv] = replayCommand(story.name, '7').split(' ');
    const [, script = '', ...rest] = argv;
    const { stdout, status } = spawnSync(process.execPath, [script, ...rest], { encoding: 'utf8' });
    expect(status).toBe(0);
    expect(stdout).toContain('link up');
    expect(stdout).toContain((await play(story, 7)).hash);
  });

  it('is stopped by an invariant at the event that broke it', async () => {
    let asked = 0;
    const story: Scenario = {
      ...meshing(threeHosts),
      invariants: [
        () => {
          asked += 1;
          if (asked === 10) throw new Error('Ten is too many.');
        },
      ],
    };
    await expect(play(story, 1)).rejects.toThrow(/Ten is too many\..*after [\d.]+ ms and 10 events/s);
  });
});

describe('the agents of a cluster', () => {
  const runs = full ? 100 : 10;
  it.each(clusters)(
    `form a full mesh with one link a pair, over the internal family alone: $hosts hosts with $families, ${runs} seeds`,
    async (cluster) => {
      for (const seed of seeds(runs)) {
        const { result } = await play(meshing(cluster), seed);
        expect(result).toBeLessThanOrEqual(meshWithinMs);
      }
    },
  );

  it('tell each other their states twice a second at most while a large mesh forms, and once with each new link', async () => {
    const told = new Map<string, number>();
    await play(meshing({ hosts: 15, families: ['ipv4'] }), 1, (line) => {
      const [time, , pair, message] = line.split(' ');
      if (message?.startsWith('{"type":"state"') !== true) return;
      const second = `${pair} ${Math.floor(Number(time) / 1_000)}`;
      told.set(second, (told.get(second) ?? 0) + 1);
    });
    // Two links a pair may come about before one of them gives way.
    expect(Math.max(...told.values())).toBeLessThanOrEqual(4);
  });

  const mended = full ? 100 : 5;
  it.each(clusters)(
    `are fully linked again after cuts, losses, crashes, freezes and reboots: $hosts hosts with $families, ${mended} seeds`,
    async (cluster) => {
      for (const seed of seeds(mended)) {
        const { result } = await play(mending(cluster), seed);
        expect(result).toBeLessThanOrEqual(mendWithinMs);
      }
    },
    300_000,
  );
});
