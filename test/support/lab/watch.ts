import * as v from 'valibot';
import { type ClusterView, clusterViewSchema } from '../../../src/protocol/state.ts';
import type { Host } from './lab.ts';

/** How long things may take that nobody measures. */
const patienceMs = 60_000;

/** A running `rlnet status --watch --json` on a host. */
export interface Watch extends AsyncDisposable {
  /** Waits for a view that is as wanted: the newest one or one to come. Gives it and the time it arrived here (performance.now). */
  until(what: string, wanted: (view: ClusterView) => boolean): Promise<{ view: ClusterView; at: number }>;
}

/** @param onView called with each view as it arrives */
export async function watchFrom(host: Host, onView: (view: ClusterView) => void = () => {}): Promise<Watch> {
  const running = await host.spawn(['rlnet', 'status', '--watch', '--json']);
  let newest: { view: ClusterView; at: number } | undefined;
  const listeners = new Set<() => void>();
  const reading = (async () => {
    for await (const line of running.lines) {
      newest = { view: v.parse(clusterViewSchema, JSON.parse(line)), at: performance.now() };
      onView(newest.view);
      for (const listener of listeners) listener();
    }
  })();
  return {
    until: (what, wanted) =>
      new Promise((resolve, reject) => {
        const done = (): void => {
          clearTimeout(timer);
          listeners.delete(look);
        };
        const look = (): void => {
          if (newest === undefined || !wanted(newest.view)) return;
          done();
          resolve(newest);
        };
        const timer = setTimeout(() => {
          done();
          reject(
            new Error(`${host.name} did not see ${what}; its newest view: ${JSON.stringify(newest?.view)}`),
          );
        }, patienceMs);
        listeners.add(look);
        look();
      }),
    async [Symbol.asyncDispose]() {
      await running.kill();
      await reading;
    },
  };
}

/** Whether three nodes are OK, their three agents are linked, and none of them has found anything. */
export function allWell({ rs, hosts }: ClusterView): boolean {
  const nodes = 'nodes' in rs ? rs.nodes : [];
  return (
    nodes.length === 3 &&
    nodes.every(({ status }) => status === 'ok') &&
    hosts.length === 3 &&
    hosts.every(({ link, state }) => link.status !== 'disconnected' && state?.findings.length === 0)
  );
}
