import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  parseClusterMaster,
  parseNodeInfo,
  parseNodeTable,
  parseRunningActions,
  parseShardTable,
} from '../../../src/host/rladmin.ts';
import {
  applyCommand,
  type Command,
  housekeeping,
  isRefusal,
  isUp,
  type View,
} from '../../support/standin/model.ts';
import { runRladmin } from '../../support/standin/rladmin.ts';
import { cluster, node, now, view } from './fixture.ts';

/*
 * Whatever a cluster lives through, what the stand-in prints of it reads back as what it is.
 */

const uid = fc.integer({ min: 1, max: 4 });
const command: fc.Arbitrary<Command> = fc.oneof(
  fc.record({
    kind: fc.constant('enslave' as const),
    nodeUid: uid,
    demoteNode: fc.boolean(),
    shards: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant('maintenance_on' as const),
    nodeUid: uid,
    demoteNode: fc.boolean(),
    keepSlaves: fc.boolean(),
    overwriteSnapshot: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('maintenance_off' as const), nodeUid: uid, restore: fc.boolean() }),
  fc.record({ kind: fc.constant('set_master' as const), nodeUid: uid }),
  fc.record({
    kind: fc.constant('seed_database' as const),
    name: fc.constantFrom('db', 'orders'),
    masters: fc.integer({ min: 1, max: 4 }),
    replication: fc.boolean(),
    onNodes: fc.constant<number[]>([]),
  }),
);
const event = fc.oneof(
  fc.record({ does: fc.constant('command' as const), command }),
  fc.record({ does: fc.constant('silence' as const), uid }),
  fc.record({ does: fc.constant('return' as const), uid }),
  fc.record({ does: fc.constant('wait' as const), ms: fc.integer({ min: 100, max: 40_000 }) }),
);

/** A cluster after those events, as node 1 sees it; actions take their time, so that some run. */
function after(events: (typeof event extends fc.Arbitrary<infer Event> ? Event : never)[]): View {
  const silent = new Set<number>();
  let seen = view(cluster({ databases: [], nodes: [1, 2, 3, 4].map((each) => node(each)) }));
  seen = { ...seen, timings: { ...seen.timings, actionMs: 5_000 } };
  for (const each of events) {
    switch (each.does) {
      case 'command': {
        const outcome = applyCommand(seen, each.command);
        if (!isRefusal(outcome)) seen = { ...seen, config: outcome.config };
        break;
      }
      case 'silence':
        silent.add(each.uid);
        break;
      case 'return':
        silent.delete(each.uid);
        break;
      case 'wait':
        seen = { ...seen, now: seen.now + each.ms };
        break;
    }
    const liveness = new Map(seen.liveness);
    for (const { uid: heard } of seen.config.nodes) if (!silent.has(heard)) liveness.set(heard, seen.now);
    seen = { ...seen, liveness };
    seen = { ...seen, config: housekeeping(seen) };
  }
  return seen;
}

const print = (seen: View, line: string) => runRladmin(line.split(' '), seen).stdout;

test('every table and list reads back as the state it was printed from', () => {
  let downs = 0;
  let actions = 0;
  let unsynced = 0;
  fc.assert(
    fc.property(fc.array(event, { maxLength: 30, size: 'max' }), (events) => {
      const seen = after(events);
      const { config } = seen;
      expect(seen.now).toBeGreaterThanOrEqual(now);

      const table = parseNodeTable(print(seen, 'status nodes extra all'));
      expect(table.unread).toEqual([]);
      expect(
        table.nodes.map((row) => [row.uid, row.isLocal, row.role, row.address, row.status, row.shards?.used]),
      ).toEqual(
        config.nodes.map((each) => [
          each.uid,
          each.uid === seen.self,
          each.uid === config.masterUid ? 'master' : 'slave',
          each.addr,
          isUp(seen, each.uid) ? 'ok' : 'down',
          config.shards.filter((shard) => shard.nodeUid === each.uid).length,
        ]),
      );
      const shards = parseShardTable(print(seen, 'status shards'));
      expect(shards.unread).toEqual([]);
      expect(shards.shards.map((row) => [row.uid, row.nodeUid, row.role, row.status === 'ok'])).toEqual(
        config.shards.map((shard) => [shard.id, shard.nodeUid, shard.role, shard.sync.state === 'ok']),
      );
      const running = parseRunningActions(print(seen, 'cluster running_actions'));
      expect(running.unread).toEqual([]);
      expect(running.tasks).toHaveLength(config.actions.length);
      const info = parseNodeInfo(print(seen, 'info node'));
      expect(info.nodes.map((each) => each.address)).toEqual(config.nodes.map((each) => each.addr));
      expect(parseClusterMaster(print(seen, 'cluster master'))).toBe(config.masterUid);

      // The invariants of the model itself: one master a slot range, never two shards of it on one node.
      const ranges = config.shards.map(({ databaseUid, slots }) => `${databaseUid}/${slots}`);
      const masters = config.shards
        .filter(({ role }) => role === 'master')
        .map(({ databaseUid, slots }) => `${databaseUid}/${slots}`);
      expect(masters.toSorted()).toEqual([...new Set(ranges)].toSorted());
      const places = config.shards.map(({ nodeUid }, index) => `${ranges[index]} on ${nodeUid}`);
      expect(places).toHaveLength(new Set(places).size);

      downs += table.nodes.filter((row) => row.status === 'down').length;
      actions += config.actions.length;
      unsynced += config.shards.filter(({ sync }) => sync.state !== 'ok').length;
    }),
    { numRuns: 300 },
  );
  // Quiet clusters prove little.
  expect(Math.min(downs, actions, unsynced)).toBeGreaterThan(10);
});
