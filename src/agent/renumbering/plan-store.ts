import * as v from 'valibot';
import type { Clock } from '../../host/ports/clock.ts';
import type { Files } from '../../host/ports/files.ts';
import { RlnetError } from '../../protocol/errors.ts';
import { type Plan, planSchema } from '../../protocol/renumbering/plan.ts';
import { planKeptMs } from '../../protocol/renumbering/request.ts';

/** More than anybody reads in an hour. */
const keptAtMost = 32;

/**
 * The plans of this host that were shown to somebody and not started, on disk for a while: `start` carries out what was shown, also by
 * an agent that was started anew meanwhile.
 */
export class PlanStore {
  readonly #files: Files;
  readonly #clock: Clock;
  readonly #directory: string;

  /** @param directory where they are kept; made when it is needed */
  constructor(files: Files, clock: Clock, directory: string) {
    this.#files = files;
    this.#clock = clock;
    this.#directory = directory;
  }

  /** Durable when it resolves; those whose time is over go. */
  async keep(plan: Plan): Promise<void> {
    await this.#files.makeDirectory(this.#directory, 0o700);
    for (const old of (await this.list()).slice(keptAtMost - 1)) await this.forget(old.id);
    await this.#files.writeAtomic(this.#path(plan.id), `${JSON.stringify(plan)}\n`, 0o600);
  }

  /** Those whose time is not over, the newest first. */
  async list(): Promise<Plan[]> {
    const plans: Plan[] = [];
    for (const name of await this.#files.list(this.#directory)) {
      const [, id] = /^([0-9a-f]{12})\.json$/.exec(name) ?? [];
      const plan = id === undefined ? undefined : await this.#read(id);
      // A clock that was set back must not keep a plan for longer either.
      if (plan !== undefined && Math.abs(this.#clock.wall() - plan.madeAt) <= planKeptMs) plans.push(plan);
      else if (id !== undefined) await this.forget(id);
    }
    return plans.toSorted((a, b) => b.madeAt - a.madeAt);
  }

  /** @throws RlnetError PLAN_UNKNOWN, also where its time is over */
  async get(planId: string): Promise<Plan> {
    const found = (await this.list()).find(({ id }) => id === planId);
    if (found !== undefined) return found;
    throw planUnknown(planId);
  }

  /** It has become a renumbering, or its time is over. */
  async forget(planId: string): Promise<void> {
    await this.#files.remove(this.#path(planId));
  }

  /** @returns undefined for a file that this version did not write */
  async #read(planId: string): Promise<Plan | undefined> {
    const text = await this.#files.readIfExists(this.#path(planId));
    if (text === undefined) return undefined;
    try {
      const parsed = v.safeParse(planSchema, JSON.parse(text));
      return parsed.success ? parsed.output : undefined;
    } catch {
      return undefined;
    }
  }

  #path(planId: string): string {
    return `${this.#directory}/${planId}.json`;
  }
}

export function planUnknown(planId: string): RlnetError {
  return new RlnetError(
    'PLAN_UNKNOWN',
    `No agent that answers has a plan ${planId} that can be started.`,
    'A plan is kept for an hour by the agent of its host; make it again with rlnet renumber plan.',
  );
}
