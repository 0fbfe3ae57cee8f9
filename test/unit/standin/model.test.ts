import { describe, expect, test } from 'vitest';
import { parseAddress } from '../../../src/protocol/address.ts';
import {
  type Accepted,
  applyCommand,
  type ClusterConfig,
  type Command,
  candidate,
  hasQuorum,
  heard,
  housekeeping,
  isRefusal,
  nodeOf,
  nodeStatus,
  type View,
} from '../../support/standin/model.ts';
import { cluster, node, now, shard, view } from './fixture.ts';

const down = 30_000;
const address = parseAddress;

function accepted(seen: View, command: Command): Accepted {
  const outcome = applyCommand(seen, command);
  if (isRefusal(outcome)) throw new Error(`refused: ${outcome.refused}`);
  return outcome;
}

function refusal(seen: View, command: Command): string {
  const outcome = applyCommand(seen, command);
  if (!isRefusal(outcome)) throw new Error('not refused');
  return outcome.refused;
}

const enslave = (nodeUid: number, demoteNode = false): Command => ({
  kind: 'enslave',
  nodeUid,
  demoteNode,
  shards: true,
});

const maintenanceOn = (
  nodeUid: number,
  change: { overwriteSnapshot?: boolean; demoteNode?: boolean } = {},
): Command => ({
  kind: 'maintenance_on',
  nodeUid,
  demoteNode: false,
  keepSlaves: false,
  overwriteSnapshot: false,
  ...change,
});

const maintenanceOff = (nodeUid: number): Command => ({ kind: 'maintenance_off', nodeUid, restore: true });

const placement = (config: ClusterConfig) =>
  config.shards.map(({ id, nodeUid, role }) => `redis:${id} node:${nodeUid} ${role}`);

describe('down detection', () => {
  test('a node is down once nothing was heard of it for as long as the bound says, and not before', () => {
    expect(nodeStatus(view(cluster(), { silentMs: { 2: down - 1 } }), 2)).toEqual({ state: 'ok' });
    expect(nodeStatus(view(cluster(), { silentMs: { 2: down } }), 2)).toEqual({
      state: 'down',
      lastSeen: now - down,
    });
  });

  test('the bound can be configured', () => {
    const seen = view(cluster(), { silentMs: { 2: 500 } });
    expect(nodeStatus({ ...seen, timings: { ...seen.timings, downAfterMs: 400 } }, 2).state).toBe('down');
  });

  test('a node sees itself as OK whatever it heard', () => {
    expect(nodeStatus(view(cluster(), { self: 2, silentMs: { 2: down } }), 2).state).toBe('ok');
  });

  test('a heartbeat counts only from the registered address', () => {
    const config = cluster();
    const elsewhere = heard(config, new Map(), { uid: 2, from: address('192.0.2.99') }, now);
    expect(elsewhere.get(2)).toBeUndefined();
    expect(heard(config, new Map(), { uid: 2, from: address('192.0.2.3') }, now).get(2)).toBe(now);
  });

  test('a heartbeat of a node that is not in the cluster counts for nothing', () => {
    expect(heard(cluster(), new Map(), { uid: 9, from: address('192.0.2.3') }, now).size).toBe(0);
  });
});

describe('quorum', () => {
  test.each([
    { nodes: 1, silent: 0, quorum: true },
    { nodes: 2, silent: 1, quorum: false },
    { nodes: 3, silent: 1, quorum: true },
    { nodes: 3, silent: 2, quorum: false },
    { nodes: 4, silent: 2, quorum: false },
  ])('$nodes nodes with $silent down have quorum: $quorum', ({ nodes, silent, quorum }) => {
    const config = cluster({ nodes: Array.from({ length: nodes }, (_, index) => node(index + 1)) });
    const silentMs = Object.fromEntries(config.nodes.slice(nodes - silent).map(({ uid }) => [uid, down]));
    expect(hasQuorum(view(config, { silentMs }))).toBe(quorum);
  });

  const writes: Command[] = [
    { kind: 'addr_set', nodeUid: 2, addr: address('192.0.2.50') },
    { kind: 'external_add', nodeUid: 2, addr: address('192.0.2.50') },
    { kind: 'external_set', nodeUid: 2, addrs: [] },
    { kind: 'external_remove', nodeUid: 2, addr: address('192.0.2.50') },
    enslave(1),
    maintenanceOn(1),
    maintenanceOff(1),
    { kind: 'set_master', nodeUid: 1 },
    { kind: 'tune_slave_ha_grace_period', seconds: 1 },
    { kind: 'seed_database', name: 'x', masters: 1, replication: false, onNodes: [] },
  ];
  test.each(writes)('without it $kind is refused', (command) => {
    expect(refusal(view(cluster(), { silentMs: { 2: down, 3: down } }), command)).toContain('no_quorum');
  });
});

describe('addr set', () => {
  const set = (addr: string, nodeUid = 2): Command => ({ kind: 'addr_set', nodeUid, addr: address(addr) });
  const seen = (config = cluster()) => view(config, { silentMs: { 2: down } });

  test('changes the address of a node that is down, and nothing else', () => {
    const before = cluster();
    const { config, output } = accepted(seen(before), set('192.0.2.50'));
    expect(output).toBe('Updated successfully.\n');
    expect(config).toEqual({
      ...before,
      version: before.version + 1,
      nodes: [node(1), node(2, { addr: address('192.0.2.50') }), node(3)],
    });
  });

  test('is refused while the node is up, with the code that REST documents', () => {
    expect(refusal(view(cluster()), set('192.0.2.50'))).toBe('node_not_offline');
  });

  test('is refused for an address of the other family', () => {
    expect(refusal(seen(), set('2001:db8::50'))).toContain('addr_family');
  });

  test('is refused for the address of another node, and allowed for its own', () => {
    expect(refusal(seen(), set('192.0.2.4'))).toContain('addr_in_use');
    expect(accepted(seen(), set('192.0.2.3')).output).toBe('Updated successfully.\n');
  });

  test('is refused for a node that is not there', () => {
    expect(refusal(seen(), set('192.0.2.50', 9))).toBe('node_not_found');
  });

  test('leaves the node down until it is heard from its new address', () => {
    const { config } = accepted(seen(), set('192.0.2.50'));
    const old = heard(config, seen().liveness, { uid: 2, from: address('192.0.2.3') }, now);
    expect(nodeStatus({ ...seen(config), liveness: old }, 2).state).toBe('down');
    const fresh = heard(config, old, { uid: 2, from: address('192.0.2.50') }, now);
    expect(nodeStatus({ ...seen(config), liveness: fresh }, 2).state).toBe('ok');
  });
});

describe('external_addr', () => {
  const first = address('198.51.100.1');
  const second = address('2001:db8::2');
  const with1 = cluster({ nodes: [node(1, { externalAddr: [first] }), node(2), node(3)] });
  const externals = (config: ClusterConfig) => nodeOf(config, 1)?.externalAddr;

  test('add appends, of either family', () => {
    const { config } = accepted(view(with1), { kind: 'external_add', nodeUid: 1, addr: second });
    expect(externals(config)).toEqual([first, second]);
  });

  test('add refuses what is there, remove what is not', () => {
    expect(refusal(view(with1), { kind: 'external_add', nodeUid: 1, addr: first })).toContain('exists');
    expect(refusal(view(with1), { kind: 'external_remove', nodeUid: 1, addr: second })).toContain('missing');
  });

  test('set replaces the list', () => {
    const { config } = accepted(view(with1), { kind: 'external_set', nodeUid: 1, addrs: [second] });
    expect(externals(config)).toEqual([second]);
  });

  test('remove takes one away', () => {
    const { config } = accepted(view(with1), { kind: 'external_remove', nodeUid: 1, addr: first });
    expect(externals(config)).toEqual([]);
  });

  test('works on a node that is down', () => {
    const seen = view(cluster(), { silentMs: { 2: down } });
    expect(accepted(seen, { kind: 'external_set', nodeUid: 2, addrs: [first] }).output).toBe(
      'Updated successfully.\n',
    );
  });
});

describe('enslave', () => {
  test('turns master shards to slaves where a replica is elsewhere', () => {
    const config = cluster({ shards: [shard(1, 1, 'master'), shard(2, 2, 'slave')] });
    expect(placement(accepted(view(config), enslave(1)).config)).toEqual([
      'redis:1 node:1 slave',
      'redis:2 node:2 master',
    ]);
  });

  test('leaves a master shard without a replica where it is, and still says OK', () => {
    const config = cluster({ shards: [shard(1, 1, 'master')] });
    const { config: after, output } = accepted(view(config), enslave(1));
    expect(placement(after)).toEqual(['redis:1 node:1 master']);
    expect(output).toBe('Performing enslave_node action on node:1: 100%\nOK\n');
  });

  test('does not hand over to a replica that is not in sync, nor to a node that is down', () => {
    const shards = [shard(1, 1, 'master'), shard(2, 2, 'slave', { sync: { state: 'syncing', since: now } })];
    expect(placement(accepted(view(cluster({ shards })), enslave(1)).config)[0]).toContain('master');
    const onDown = cluster({ shards: [shard(1, 1, 'master'), shard(2, 2, 'slave')] });
    const seen = view(onDown, { silentMs: { 2: down } });
    expect(placement(accepted(seen, enslave(1)).config)[0]).toContain('master');
  });

  test('hands the cluster master role over with demote_node, and without it keeps it', () => {
    expect(accepted(view(cluster()), enslave(1)).config.masterUid).toBe(1);
    expect(accepted(view(cluster()), enslave(1, true)).config.masterUid).toBe(2);
    expect(accepted(view(cluster(), { silentMs: { 2: down } }), enslave(1, true)).config.masterUid).toBe(3);
  });

  test('with demote_node on another node leaves the cluster master as it is', () => {
    const config = cluster({ masterUid: 3 });
    expect(accepted(view(config), enslave(2, true)).config.masterUid).toBe(3);
  });

  test('with demote_node is refused where no other node can be master', () => {
    expect(refusal(view(cluster({ nodes: [node(1)] })), enslave(1, true))).toBe('insufficient_resources');
  });

  test('with endpoints_only leaves the shards alone', () => {
    const config = cluster({ shards: [shard(1, 1, 'master'), shard(2, 2, 'slave')] });
    const command: Command = { kind: 'enslave', nodeUid: 1, demoteNode: false, shards: false };
    expect(placement(accepted(view(config), command).config)[0]).toBe('redis:1 node:1 master');
  });
});

describe('running actions', () => {
  const slow = (config: ClusterConfig, at = now): View => {
    const seen = view(config);
    const liveness = new Map(config.nodes.map(({ uid }) => [uid, at]));
    return { ...seen, liveness, now: at, timings: { ...seen.timings, actionMs: 1_000 } };
  };

  test('an action is listed while it runs, takes effect when it is due, and is gone then', () => {
    const begun = accepted(slow(cluster()), enslave(1, true));
    expect(begun.config.masterUid).toBe(1);
    expect(begun.config.actions.map(({ taskId }) => taskId)).toEqual([begun.pendingTask]);
    expect(housekeeping(slow(begun.config, now + 999))).toBe(begun.config);
    const ended = housekeeping(slow(begun.config, now + 1_000));
    expect(ended).toMatchObject({ masterUid: 2, actions: [] });
  });

  test('a second action of the kind on the node is refused while one runs; on another node it is not', () => {
    const { config } = accepted(slow(cluster()), enslave(1));
    expect(refusal(slow(config), enslave(1))).toContain('already_running');
    expect(accepted(slow(config), enslave(2)).config.actions).toHaveLength(2);
  });

  test('an action that became impossible while it ran ends without effect', () => {
    const config = cluster({ shards: [shard(1, 2, 'slave'), shard(2, 1, 'master')] });
    const begun = accepted(slow(config), maintenanceOn(2)).config;
    const seen = slow(begun, now + 1_000);
    const after = housekeeping({ ...seen, liveness: new Map(seen.liveness).set(3, now - down) });
    expect(after).toEqual({ ...begun, actions: [], version: begun.version + 1 });
  });

  test('an action on a node that is down is refused', () => {
    expect(refusal(view(cluster(), { silentMs: { 2: down } }), enslave(2))).toContain('not_online');
  });
});

test('a node that is down cannot be made cluster master', () => {
  const seen = view(cluster(), { silentMs: { 2: down } });
  expect(refusal(seen, { kind: 'set_master', nodeUid: 2 })).toContain('not_online');
  expect(accepted(seen, { kind: 'set_master', nodeUid: 3 }).config.masterUid).toBe(3);
});

describe('maintenance mode', () => {
  test('moves every shard away and takes no more, and leaving brings them back with their roles', () => {
    const config = cluster({ shards: [shard(1, 1, 'master'), shard(2, 2, 'slave')] });
    const on = accepted(view(config), maintenanceOn(1)).config;
    expect(placement(on)).toEqual(['redis:1 node:3 slave', 'redis:2 node:2 master']);
    expect(nodeOf(on, 1)?.maintenanceActivations).toBe(1);
    const off = accepted(view(on), maintenanceOff(1)).config;
    expect(placement(off)).toEqual(['redis:1 node:1 master', 'redis:2 node:2 slave']);
  });

  test('an old snapshot never brings a shard onto the node of its own replica', () => {
    const config = cluster({
      nodes: [node(1, { maintenanceActivations: 1 }), node(2), node(3)],
      shards: [shard(1, 3, 'master'), shard(2, 1, 'slave')],
      snapshots: [{ name: 'old', nodeUid: 1, takenAt: 0, shards: [{ id: 1, role: 'master' }] }],
    });
    expect(placement(accepted(view(config), maintenanceOff(1)).config)).toEqual([
      'redis:1 node:3 master',
      'redis:2 node:1 slave',
    ]);
  });

  test('activations stack: two times on needs two times off', () => {
    const twice = accepted(view(accepted(view(cluster()), maintenanceOn(2)).config), maintenanceOn(2)).config;
    const once = accepted(view(twice), maintenanceOff(2)).config;
    expect(nodeOf(once, 2)?.maintenanceActivations).toBe(1);
    expect(nodeOf(accepted(view(once), maintenanceOff(2)).config, 2)?.maintenanceActivations).toBe(0);
  });

  test('shards come back with the last activation that ends, not before', () => {
    const config = cluster({ shards: [shard(1, 2, 'slave')] });
    const twice = accepted(view(accepted(view(config), maintenanceOn(2)).config), maintenanceOn(2)).config;
    const once = accepted(view(twice), maintenanceOff(2)).config;
    expect(placement(once)).toEqual(['redis:1 node:1 slave']);
    expect(placement(accepted(view(once), maintenanceOff(2)).config)).toEqual(['redis:1 node:2 slave']);
  });

  test.each([
    { what: 'that is full', change: { maxShards: 0 } },
    { what: 'in maintenance itself', change: { maintenanceActivations: 1 } },
  ])('moves no shard to a node $what', ({ change }) => {
    const config = cluster({ nodes: [node(1, change), node(2), node(3)], shards: [shard(1, 2, 'slave')] });
    expect(placement(accepted(view(config), maintenanceOn(2)).config)).toEqual(['redis:1 node:3 slave']);
  });

  test('off is refused on a node that is not in it', () => {
    expect(refusal(view(cluster()), maintenanceOff(2))).toContain('not_in_maintenance');
  });

  test('is refused where the cluster would lose quorum without the node', () => {
    expect(refusal(view(cluster(), { silentMs: { 3: down } }), maintenanceOn(2))).toContain('no_quorum');
  });

  test('is refused where a shard finds no other node', () => {
    const config = cluster({
      nodes: [node(1), node(2), node(3)],
      shards: [1, 2, 3].map((id) => shard(id, id, 'slave')),
    });
    expect(refusal(view(config), maintenanceOn(2))).toBe('insufficient_resources');
  });

  test('does not demote the cluster master unless told', () => {
    expect(accepted(view(cluster()), maintenanceOn(1)).config.masterUid).toBe(1);
    expect(accepted(view(cluster()), maintenanceOn(1, { demoteNode: true })).config.masterUid).toBe(2);
  });

  test('keeps an earlier snapshot unless told to overwrite it', () => {
    const first = accepted(view(cluster()), maintenanceOn(2));
    const later = { ...view(first.config), now: now + 1_000 };
    expect(accepted(later, maintenanceOn(2)).config.snapshots[0]?.takenAt).toBe(now);
    const over = accepted(later, maintenanceOn(2, { overwriteSnapshot: true }));
    expect(over.config.snapshots.map(({ takenAt }) => takenAt)).toEqual([now + 1_000]);
  });

  test('prints what the vendor prints', () => {
    const at = Date.UTC(2024, 0, 11, 20, 25, 37);
    const before = cluster({
      nodes: [node(1), node(2), node(4)],
      snapshots: [{ name: 'x', nodeUid: 2, takenAt: Date.UTC(2024, 0, 6, 11, 36, 47), shards: [] }],
    });
    const seen = { ...view(before), now: at, liveness: new Map([1, 2, 4].map((uid) => [uid, at])) };
    expect(accepted(seen, maintenanceOn(2, { overwriteSnapshot: true })).output).toBe(
      [
        'Found snapshot from 2024-01-06T11:36:47Z, overwriting the snapshot',
        'Performing maintenance_on action on node:2: 0%',
        'created snapshot NodeSnapshot<name=maintenance_mode_2024-01-11_20-25-37,time=None,node_uid=2>',
        '',
        'node:2 will not accept any more shards',
        'Performing maintenance_on action on node:2: 100%',
        'OK',
        '',
      ].join('\n'),
    );
  });
});

describe('what the cluster does by itself', () => {
  test('nothing, when all is well: the very same configuration comes back', () => {
    const config = cluster({ shards: [shard(1, 1, 'master'), shard(2, 2, 'slave')] });
    expect(housekeeping(view(config))).toBe(config);
  });

  test('elects the lowest node that is up when the cluster master is down, in a new term', () => {
    const seen = view(cluster(), { self: 3, silentMs: { 1: down } });
    expect(candidate(seen)).toBe(2);
    expect(housekeeping(seen)).toMatchObject({ masterUid: 2, term: 2 });
  });

  test('elects nobody while the master is up, and nobody without quorum', () => {
    expect(candidate(view(cluster(), { self: 3, silentMs: { 2: down } }))).toBeUndefined();
    const lost = view(cluster(), { self: 3, silentMs: { 1: down, 2: down } });
    expect(candidate(lost)).toBeUndefined();
    expect(housekeeping(lost)).toBe(lost.config);
  });

  test('fails over the shards of a node that is down, but not one without a replica', () => {
    const alone = shard(3, 2, 'master', { databaseUid: 2 });
    const config = cluster({ shards: [shard(1, 2, 'master'), shard(2, 3, 'slave'), alone] });
    const after = housekeeping(view(config, { silentMs: { 2: down } }));
    expect(placement(after)).toEqual([
      'redis:1 node:2 slave',
      'redis:2 node:3 master',
      'redis:3 node:2 master',
    ]);
    expect(after.shards.map(({ sync }) => sync.state)).toEqual(['stale', 'ok', 'stale']);
  });

  test('a replica of a node that came back synchronises before it is in sync; a master serves at once', () => {
    const shards = [
      shard(1, 2, 'slave', { sync: { state: 'stale' } }),
      shard(2, 3, 'master'),
      shard(3, 2, 'master', { databaseUid: 2, sync: { state: 'stale' } }),
    ];
    const back = housekeeping(view(cluster({ shards })));
    expect(back.shards.map(({ sync }) => sync.state)).toEqual(['syncing', 'ok', 'ok']);
    const later = (ms: number): View => ({
      ...view(back),
      now: now + ms,
      liveness: new Map([1, 2, 3].map((uid) => [uid, now + ms])),
    });
    expect(housekeeping(later(1_999)).shards[0]?.sync.state).toBe('syncing');
    expect(housekeeping(later(2_000)).shards[0]?.sync.state).toBe('ok');
  });
});

describe('seeding a database', () => {
  const seed = (change: Partial<Command & { kind: 'seed_database' }> = {}): Command => ({
    kind: 'seed_database',
    name: 'seeded',
    masters: 4,
    replication: true,
    onNodes: [],
    ...change,
  });

  test('covers all slots once, with each replica on another node than its master', () => {
    const { config } = accepted(view(cluster()), seed());
    const masters = config.shards.filter(({ role }) => role === 'master');
    expect(masters.map(({ slots }) => slots)).toEqual(['0-4095', '4096-8191', '8192-12287', '12288-16383']);
    for (const master of masters) {
      const [replica] = config.shards.filter(({ role, slots }) => role === 'slave' && slots === master.slots);
      expect(replica?.nodeUid).not.toBe(master.nodeUid);
    }
  });

  test('is refused where a replica would have no node of its own, and on nodes that are not there', () => {
    expect(refusal(view(cluster()), seed({ onNodes: [2, 2] }))).toBe('insufficient_resources');
    expect(refusal(view(cluster()), seed({ onNodes: [7, 1] }))).toBe('node_not_found');
  });
});
