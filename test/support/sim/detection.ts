import type { LinkView } from '../../../src/protocol/state.ts';
import { agentService } from './agent.ts';
import type { Kernel } from './kernel.ts';
import type { World } from './world.ts';

/** What one agent says of another at an instant; undefined while that agent is not running or has never heard of it. */
export function opinion(world: World, observer: string, subject: string): LinkView | undefined {
  const { running } = world.agent(observer);
  return running?.view().hosts.find(({ host }) => host === subject)?.link;
}

export const isLinked = (link: LinkView | undefined): boolean => link?.status === 'connected';
export const isReachable = (link: LinkView | undefined): boolean =>
  link !== undefined && link.status !== 'self' && link.reachability.status === 'reachable';
export const isUnreachable = (link: LinkView | undefined): boolean =>
  link !== undefined && link.status !== 'self' && link.reachability.status === 'unreachable';

/**
 * Runs until each of the observers has thought each of these things of the subject.
 * @returns milliseconds from now, by thought and observer
 * @throws where one did not come to think so within `withinMs`
 */
export async function timeUntil<K extends string>(
  kernel: Kernel,
  world: World,
  observers: readonly string[],
  subject: string,
  thoughts: Record<K, (link: LinkView | undefined) => boolean>,
  withinMs: number,
): Promise<Record<K, Map<string, number>>> {
  const start = kernel.now;
  const names = Object.keys(thoughts) as K[];
  const found = Object.fromEntries(names.map((name) => [name, new Map<string, number>()])) as Record<
    K,
    Map<string, number>
  >;
  const open = new Set(observers);
  const look = (observer: string): void => {
    const link = opinion(world, observer, subject);
    for (const name of names) {
      if (!found[name].has(observer) && thoughts[name](link)) found[name].set(observer, kernel.now - start);
    }
    if (names.every((name) => found[name].has(observer))) open.delete(observer);
  };
  for (const observer of observers) look(observer);
  await kernel.runUntil(() => {
    // Nobody changes his mind while nothing happens to him.
    const observer = kernel.last?.owner?.name.split('/')[0];
    if (observer !== undefined && open.has(observer)) look(observer);
    return open.size === 0;
  }, withinMs);
  if (open.size > 0) {
    throw new Error(
      `After ${withinMs} ms ${[...open].join(', ')} still waited for ${names.join(', ')} of ${subject}.`,
    );
  }
  return found;
}

/** An agent changed its mind about another one. */
export interface Verdict {
  /** Virtual time, milliseconds. */
  at: number;
  observer: string;
  subject: string;
  /** `linked reachable`, `unlinked suspect` … */
  before: string;
  now: string;
  why: string;
  /** For how long the subject's event loop had been turning without a break, milliseconds; undefined where it did not turn. */
  answeringFor: number | undefined;
}

/** Writes down every change of mind of every agent, from now on. */
export function recordVerdicts(kernel: Kernel, world: World): Verdict[] {
  const verdicts: Verdict[] = [];
  const minds = new Map<string, string>();
  const changed = new Set<string>();
  for (const agent of world.agents) agent.onLog(() => changed.add(agent.host.name));
  const look = (observer: string): void => {
    for (const { host: subject, link } of world.agent(observer).running?.view().hosts ?? []) {
      if (link.status === 'self') continue;
      const mind = `${link.status === 'connected' ? 'linked' : 'unlinked'} ${link.reachability.status}`;
      const key = `${observer}>${subject}`;
      const before = minds.get(key) ?? 'unknown';
      if (mind === before) continue;
      minds.set(key, mind);
      const why =
        'why' in link.reachability
          ? link.reachability.why
          : link.status === 'disconnected'
            ? link.reason
            : '';
      const process = world.answers(subject) ? world.host(subject).process(agentService) : undefined;
      const answeringFor = process === undefined ? undefined : kernel.now - process.runningSince;
      verdicts.push({ at: kernel.now, observer, subject, before, now: mind, why, answeringFor });
    }
  };
  kernel.check((event) => {
    // Minds change on the tick, which is a timer, and when a link comes or goes, which is logged.
    const observer = event.owner?.name.split('/')[0];
    if (observer === undefined || (event.kind !== 'timer' && !changed.delete(observer))) return;
    look(observer);
  });
  return verdicts;
}

/** Time that a peer has to answer before it may be missed: two pings. */
const graceMs = 1_000;

/** Verdicts of `unreachable` on an agent that was answering. There must be none where the network is not cut. */
export function accusations(verdicts: readonly Verdict[]): Verdict[] {
  return verdicts.filter(
    ({ now, answeringFor }) =>
      now.endsWith('unreachable') && answeringFor !== undefined && answeringFor > graceMs,
  );
}
