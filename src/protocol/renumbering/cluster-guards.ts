import { isSameSet } from '../address.ts';
import type { NodeTable, RsShard, ShardTable } from '../rs.ts';
import { type AgentFact, fail, type Guard, guard, pass, unclear, type Verdict } from './guard.ts';
import { type Claim, isClosed, merged, noLockState } from './lock.ts';

/** Clocks that differ by more than this make times in logs and journals hard to compare. Milliseconds. */
const clocksMayDifferMs = 5_000;

/** RS, and the agents of the other nodes. */
export const clusterGuards: readonly Guard[] = [
  guard({
    code: 'ONE_NODE_CLUSTER',
    severity: 'refuses',
    title: 'the cluster has more than one node',
    why: 'Only another node can tell RS a new address.',
    remedy:
      "The vendor's other way is the only one: join a second node, remove this one from the cluster, change its address, join it again, and remove the second one.",
    needs: ['nodes'],
    judge: (_move, { nodes: { nodes, unread } }) =>
      nodes.length + unread.length > 1
        ? pass(`It has ${nodes.length + unread.length} nodes.`)
        : fail('The cluster has this node alone.'),
  }),
  guard({
    code: 'MEMBERS_CHANGED',
    severity: 'refuses',
    title: 'RS has the nodes that the plan was made for',
    why: 'The lock is held by a majority of them; a node that joined since is not bound by it.',
    remedy: 'Plan anew: a node has joined or left.',
    needs: ['nodes', 'members'],
    judge: (_move, { nodes: { nodes, unread }, members }) => {
      const uids = ascending(nodes.map(({ uid }) => uid)).join(', ');
      const planned = ascending(members.map(({ uid }) => uid)).join(', ');
      if (unread.length > 0) return unclear(unreadRow('node', unread));
      return uids === planned ? pass(`Nodes ${uids}.`) : fail(`RS has nodes ${uids}, the plan ${planned}.`);
    },
  }),
  guard({
    code: 'NODE_ADDRESSES_CHANGED',
    severity: 'refuses',
    title: 'RS has the addresses of the node that the plan was made for',
    why: 'External addresses are set as one list: what somebody added since would be taken away, and what they took away would come back.',
    remedy: 'Plan anew: somebody has changed an address of the node since.',
    needs: ['nodes', 'change', 'external'],
    judge: ({ nodeUid }, { nodes: { nodes }, change: { from }, external }) => {
      const row = nodes.find(({ uid }) => uid === nodeUid);
      if (row?.address === undefined) return unclear(`RS shows no address of node ${nodeUid}.`);
      if (row.address !== from.address)
        return fail(`RS has ${row.address} for node ${nodeUid}, and the plan ${from.address}.`);
      const now = row.externalAddresses;
      const has = `RS has ${now.join(', ') || 'no address'} as external for node ${nodeUid}`;
      if (external !== undefined && !isSameSet(now, external.from))
        return fail(`${has}, and the plan ${external.from.join(', ')}.`);
      return external === undefined && now.includes(from.address)
        ? fail(`${has}, and in the plan its internal address is not external.`)
        : pass(`${has}, as planned.`);
    },
  }),
  guard({
    code: 'NODE_NOT_OK',
    severity: 'refuses',
    title: 'every other node is OK',
    why: 'Two nodes out of service at once can cost the quorum, and the only good copy of a shard.',
    remedy: 'Bring it back first.',
    needs: ['nodes'],
    judge: ({ nodeUid }, { nodes: { nodes, unread } }) => {
      const others = nodes.filter(({ uid, status }) => uid !== nodeUid && status !== 'ok');
      if (others.some(({ status }) => status === 'down') || (others.length > 0 && unread.length === 0)) {
        return fail(
          others
            .map(
              ({ uid, statusText }) =>
                `Node ${uid} is ${statusText === '' ? 'in an unknown state' : statusText}.`,
            )
            .join(' '),
        );
      }
      return unread.length > 0 ? unclear(unreadRow('node', unread)) : pass('All others are OK.');
    },
  }),
  guard({
    code: 'OWN_NODE_NOT_OK',
    severity: 'refuses',
    title: 'the node itself is OK',
    why: 'Whether it rejoined could not be told for a node that was not well before, at either address.',
    remedy: 'Bring it back at its current address first.',
    needs: ['nodes'],
    judge: ({ nodeUid }, { nodes: { nodes } }) => {
      const row = nodes.find(({ uid }) => uid === nodeUid);
      if (row === undefined) return fail(`RS has no node ${nodeUid}.`);
      return row.status === 'ok'
        ? pass(`Node ${nodeUid} is OK.`)
        : fail(`Node ${nodeUid} is ${row.statusText === '' ? 'in an unknown state' : row.statusText}.`);
    },
  }),
  guard({
    code: 'QUORUM_AT_RISK',
    severity: 'refuses',
    title: 'a majority of the nodes is OK without this one',
    why: 'Without quorum RS serves on but changes nothing, an address neither.',
    remedy:
      'Add a node. Where the cluster may be without quorum meanwhile: --accept-outage; if RS then does not take the new address, the node goes back to the old one.',
    needs: ['nodes'],
    judge: ({ nodeUid, options }, { nodes: { nodes, unread } }) => {
      const total = nodes.length + unread.length;
      const left = nodes.filter(({ uid, status }) => uid !== nodeUid && status === 'ok').length;
      const seen = `Without node ${nodeUid} ${left} of ${total} nodes are left`;
      if (left * 2 > total) return pass(`${seen}.`);
      return options.acceptOutage
        ? pass(`${seen}, no majority, as accepted.`)
        : fail(`${seen}, which is no majority.`);
    },
  }),
  guard({
    code: 'NODE_IN_MAINTENANCE',
    severity: 'warns',
    title: 'no node is in maintenance mode',
    why: 'RS does not count nodes in maintenance when it looks after the quorum. They are OK and vote, so that only their shards are missing, which SHARD_WITHOUT_REPLICA judges.',
    remedy: 'If somebody works on that node, wait; rladmin node UID maintenance_mode off ends it.',
    needs: ['nodes'],
    judge: (_move, { nodes: { nodes } }) => {
      const empty = nodes.filter(({ shards }) => shards?.used === 0 && shards.limit === 0);
      if (empty.length > 0) {
        return unclear(
          `RS shows 0/0 shards for ${listed(empty.map(({ uid }) => uid))}: in maintenance, or a node for the quorum only; rladmin does not tell which.`,
        );
      }
      const silent = nodes.filter(({ shards }) => shards === undefined);
      return silent.length > 0
        ? unclear(`RS does not show how many shards ${listed(silent.map(({ uid }) => uid))} may have.`)
        : pass('Every node may have shards.');
    },
  }),
  guard({
    code: 'ACTION_RUNNING',
    severity: 'refuses',
    title: 'RS runs no action',
    why: 'A migration, an upgrade or a maintenance that is cut in two leaves the cluster in between.',
    remedy: 'Wait until rladmin cluster running_actions shows none.',
    needs: ['running'],
    judge: (_move, { running: { actions, unread } }) => {
      if (actions.length > 0) return fail(`RS is at work: ${actions.join('; ')}.`);
      return unread.length > 0
        ? unclear(`RS shows an action that cannot be read: ${unread[0]?.line ?? ''}.`)
        : pass('None runs.');
    },
  }),
  guard({
    code: 'SHARD_WITHOUT_REPLICA',
    severity: 'refuses',
    title: 'another node has a healthy copy of every shard of this one',
    why: 'A shard without one is offline while the node is out.',
    remedy: 'Turn replication on, wait for it, or accept it by its id with --accept-shards.',
    needs: ['shards'],
    judge: ({ nodeUid, options }, { shards: table }) => {
      if (table.unread.length > 0) return unclear(unreadRow('shard', table.unread));
      const own = table.shards.filter((shard) => shard.nodeUid === nodeUid);
      const alone = own.filter((shard) => !hasCopyElsewhere(shard, table));
      const refused = alone.filter(({ uid }) => !options.acceptShards.includes(uid));
      if (refused.length > 0) {
        const names = refused.map(({ uid, databaseName }) => `redis:${uid} of ${databaseName}`).join(', ');
        return fail(`No other node has a healthy copy of ${names}.`);
      }
      return pass(
        alone.length === 0
          ? `Its ${own.length} shards have copies elsewhere.`
          : `${alone.map(({ uid }) => `redis:${uid}`).join(', ')} will be offline, as accepted.`,
      );
    },
  }),
  guard({
    code: 'SHARDS_NOT_IN_SYNC',
    severity: 'refuses',
    title: 'every shard of the cluster is OK',
    why: 'A copy that is behind is no copy to rely on while a node is out.',
    remedy: 'RS copies what they missed; rladmin status shards shows how far it is.',
    needs: ['shards'],
    judge: (_move, { shards: { shards, unread } }) => {
      const behind = shards.filter(({ status }) => status !== 'ok');
      if (behind.length > 0) {
        return fail(
          `Not OK: ${behind.map(({ uid, statusText }) => `redis:${uid} (${statusText})`).join(', ')}.`,
        );
      }
      return unread.length > 0 ? unclear(unreadRow('shard', unread)) : pass(`All ${shards.length} are OK.`);
    },
  }),
  guard({
    code: 'OTHER_RENUMBERING',
    severity: 'refuses',
    title: 'no other renumbering is under way in the cluster',
    why: 'One node at a time: each takes one copy of its shards, and one vote, away.',
    remedy: 'Wait until it ends; rlnet lock show says who has the lock, since when, and what would free it.',
    needs: ['agents'],
    judge: ({ planId }, { agents }) => judgeLock(planId, agents),
  }),
  guard({
    code: 'AGENTS_NO_MAJORITY',
    severity: 'refuses',
    title: 'the agents of a majority of the nodes answer, one other than this among them',
    why: 'They grant the lock, see the new address and tell RS.',
    remedy: 'Install or start rlnet on the others; rlnet mesh shows what keeps them apart.',
    needs: ['agents'],
    judge: ({ nodeUid }, { agents }) => {
      const able = agents.filter(isAble);
      const others = able.filter(({ uid }) => uid !== nodeUid);
      const seen = `${able.length} of ${agents.length} answer`;
      return able.length * 2 > agents.length && others.length > 0
        ? pass(`${seen}.`)
        : fail(`${seen}. ${troubles(agents)}`.trimEnd());
    },
  }),
  guard({
    code: 'AGENT_MISSING',
    severity: 'warns',
    title: 'the agent of every node answers, and knows renumberings',
    why: 'Those that are missing cannot be asked whether they reach the new address, or have it; another one that fails may leave no majority.',
    remedy: 'Install, start or upgrade rlnet there; rlnet mesh shows what keeps them apart.',
    needs: ['agents'],
    judge: (_move, { agents }) =>
      agents.every(isAble) ? pass(`All ${agents.length} answer.`) : fail(troubles(agents)),
  }),
  guard({
    code: 'PEER_CLOCK_DIFFERS',
    severity: 'warns',
    title: `the clocks of the other nodes are within ${clocksMayDifferMs / 1000} s of this one`,
    why: 'No step goes by the wall clock; certificates, logs and what RS itself writes down do.',
    remedy: 'Look after the time source there: timedatectl.',
    needs: ['agents'],
    judge: (_move, { agents }) => {
      const told = agents.flatMap(({ uid, clockAheadMs }) =>
        clockAheadMs === undefined ? [] : [{ uid, clockAheadMs }],
      );
      const far = told.filter(({ clockAheadMs }) => Math.abs(clockAheadMs) > clocksMayDifferMs);
      if (far.length > 0) {
        return fail(
          far
            .map(
              ({ uid, clockAheadMs }) =>
                `The clock of node ${uid} is ${Math.round(Math.abs(clockAheadMs) / 1000)} s ${clockAheadMs > 0 ? 'ahead' : 'behind'}.`,
            )
            .join(' '),
        );
      }
      return told.length < agents.length
        ? unclear(`Only ${told.length} of ${agents.length} agents said what time it is.`)
        : pass('They agree.');
    },
  }),
];

/** The copies on other nodes that are OK: of the same database and range of slots. */
export function copiesElsewhere(shard: RsShard, { shards }: Pick<ShardTable, 'shards'>): RsShard[] {
  return shards.filter(
    (other) =>
      other.nodeUid !== shard.nodeUid &&
      other.databaseUid === shard.databaseUid &&
      other.slots === shard.slots &&
      other.status === 'ok',
  );
}

export function hasCopyElsewhere(shard: RsShard, table: Pick<ShardTable, 'shards'>): boolean {
  return copiesElsewhere(shard, table).length > 0;
}

/** Claims that some agent has granted and that no agent knows to be closed, and plans that one knows to be under way. */
function judgeLock(planId: string | undefined, agents: readonly AgentFact[]): Verdict {
  const told = agents.flatMap(({ lock }) => (lock === undefined || lock === 'none' ? [] : [lock]));
  const known = told.reduce((state, each) => merged(state, each), noLockState);
  const open = told.flatMap(({ granted }): Claim[] =>
    granted === undefined || isClosed(known, granted) || granted.planId === planId ? [] : [granted],
  );
  const [claim] = open;
  if (claim !== undefined)
    return fail(`${claim.host} has the lock for plan ${claim.planId} (epoch ${claim.epoch}).`);
  const other = agents.flatMap((agent) =>
    agent.openRenumberings
      .filter((id) => id !== planId)
      .map((id) => `The agent of node ${agent.uid} says that ${id} is under way.`),
  );
  if (other.length > 0) return fail(other.join(' '));
  // A claim is held by a majority, so that one of any majority knows of it.
  const answered = agents.filter(({ lock }) => lock !== undefined).length;
  return answered * 2 > agents.length
    ? pass('No agent knows of one.')
    : unclear(`Only ${answered} of ${agents.length} agents said what they know of the lock.`);
}

function isAble({ silent, tooOld }: AgentFact): boolean {
  return silent === undefined && tooOld !== true;
}

function troubles(agents: readonly AgentFact[]): string {
  return agents
    .flatMap(({ uid, host, silent, tooOld, version }) => {
      const whose = `The agent of node ${uid}${host === undefined ? '' : ` (${host})`}`;
      if (silent !== undefined) return [`${whose} does not answer: ${silent}.`];
      return tooOld === true ? [`${whose} is ${version ?? 'of a version'} that knows no renumberings.`] : [];
    })
    .join(' ');
}

function ascending(uids: readonly number[]): number[] {
  return uids.toSorted((a, b) => a - b);
}

function unreadRow(table: 'node' | 'shard', unread: NodeTable['unread']): string {
  return `A row of RS's ${table} table cannot be read: ${unread[0]?.reason ?? ''}.`;
}

function listed(uids: readonly number[]): string {
  return `node${uids.length === 1 ? '' : 's'} ${uids.join(', ')}`;
}
