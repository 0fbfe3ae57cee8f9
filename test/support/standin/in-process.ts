import type { Rs } from '../../../src/host/ports/rs.ts';
import { rladminCommands } from '../../../src/host/rs.ts';
import { type ClusterConfig, defaultModelTimings } from './model.ts';
import { runRladmin } from './rladmin.ts';

/** A cluster of the stand-in in this process: every node is up, and rladmin answers at once. */
export interface InProcessCluster {
  config: ClusterConfig;
  /** RS as the node with this uid has it; undefined for a host that is no node. */
  rsOf: (uid: number | undefined) => Rs;
  /** Every rladmin that was run, but for those that only look. */
  readonly commands: string[];
  /** Commands with this in them fail, or have an effect and fail all the same. */
  faults: { failing?: RegExp; failingLate?: RegExp };
}

export function inProcessCluster(config: ClusterConfig): InProcessCluster {
  const cluster: InProcessCluster = {
    config,
    commands: [],
    faults: {},
    rsOf: (uid) => ({
      localUid: async () => uid,
      ...rladminCommands(async (args) => {
        const command = args.join(' ');
        const failed = { exitCode: 1, stdout: '', stderr: 'ERROR: made up by the test\n' };
        if (args[0] === 'node') cluster.commands.push(command);
        if (cluster.faults.failing?.test(command) === true) return failed;
        const now = 1_000_000;
        const liveness = new Map(cluster.config.nodes.map((node) => [node.uid, now]));
        const view = {
          config: cluster.config,
          liveness,
          self: uid ?? 0,
          now,
          timings: defaultModelTimings,
        };
        const result = runRladmin(args, uid === undefined ? undefined : view);
        if (result.config !== undefined) cluster.config = result.config;
        return cluster.faults.failingLate?.test(command) === true ? failed : result;
      }),
    }),
  };
  return cluster;
}
