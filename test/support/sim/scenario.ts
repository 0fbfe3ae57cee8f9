import { Kernel } from './kernel.ts';
import type { Stream } from './random.ts';
import { type ClusterPlan, World } from './world.ts';

/** How many of the last events a failure shows. */
const shownEvents = 30;

/** Where a scenario plays. */
export interface Stage {
  kernel: Kernel;
  world: World;
  /** For the scenario's own choices. */
  chance: Stream;
}

/** Asked after every event, with read access to everything. Throws, with a sentence, when something is not as it must be. */
export type Invariant = (world: World) => void;

/** A story that can be told again: the same scenario with the same seed is the same run, event for event. */
export interface Scenario<T = unknown> {
  /** For the command line; no spaces. */
  name: string;
  cluster: ClusterPlan;
  invariants: readonly Invariant[];
  /** @returns what the test looks at */
  run(stage: Stage): Promise<T>;
}

export interface Outcome<T> {
  result: T;
  /** Of every event, in order. */
  hash: string;
  events: number;
  /** Virtual time that passed, milliseconds. */
  ms: number;
}

/** The command that plays it again with its log. */
export function replayCommand(name: string, seed: string): string {
  return `npx node test/sim/replay.ts ${name} ${seed}`;
}

/**
 * Plays a scenario. Whatever it throws comes with the seed, the command that plays it again, and the last events.
 * @param onLine called with every line of the log
 */
export async function play<T>(
  scenario: Scenario<T>,
  seed: number | string,
  onLine?: (line: string) => void,
): Promise<Outcome<T>> {
  const kernel = new Kernel(String(seed), onLine);
  const world = new World(kernel, scenario.cluster);
  for (const invariant of scenario.invariants) kernel.check(() => invariant(world));
  try {
    world.powerOn();
    const result = await scenario.run({ kernel, world, chance: kernel.random.split('scenario') });
    return { result, hash: kernel.trace.hash(), events: kernel.events, ms: kernel.now };
  } catch (thrown) {
    throw new Error(
      [
        thrown instanceof Error ? thrown.message : String(thrown),
        `Scenario ${scenario.name}, seed ${seed}, after ${kernel.now} ms and ${kernel.events} events.`,
        `Play it again: ${replayCommand(scenario.name, String(seed))}`,
        ...kernel.trace.tail(shownEvents).map((line) => `  ${line.slice(0, 160)}`),
      ].join('\n'),
      { cause: thrown },
    );
  }
}
