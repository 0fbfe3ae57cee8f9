import type { NodeTable, RunningActions, ShardTable } from '../rs.ts';
import type { Plan } from './plan.ts';
import type { Reason } from './records.ts';

/** RS as this node's rladmin shows it, freshly. */
export interface RsFacts {
  nodes: NodeTable;
  shards: ShardTable;
  running: RunningActions;
}

/** What must be so right before the node is taken out: the others are well, and nothing else is under way. */
export function judgeOutage(plan: Plan, { nodes: { nodes, unread }, shards, running }: RsFacts): Reason[] {
  const reasons: Reason[] = [];
  const refuse = (code: string, message: string, remedy: string): void => {
    reasons.push({ code, message, remedy });
  };
  const uids = nodes.map(({ uid }) => uid).sort((a, b) => a - b);
  const planned = plan.members.map(({ uid }) => uid).sort((a, b) => a - b);
  if (unread.length > 0 || uids.join() !== planned.join()) {
    refuse(
      'MEMBERS_CHANGED',
      `RS has nodes ${uids.join(', ')}${unread.length > 0 ? ' and rows that cannot be read' : ''}, the plan ${planned.join(', ')}.`,
      'Plan anew: a node has joined or left.',
    );
  }
  for (const { uid, status, statusText } of nodes) {
    if (uid === plan.nodeUid || status === 'ok') continue;
    refuse(
      'NODE_NOT_OK',
      `Node ${uid} is ${statusText === '' ? 'in an unknown state' : statusText}.`,
      'Bring it back first.',
    );
  }
  if (running.actions.length > 0 || running.unread.length > 0) {
    const what = [...running.actions, ...running.unread.map(({ line }) => line)].join('; ');
    refuse(
      'ACTION_RUNNING',
      `RS is at work: ${what}.`,
      'Wait until rladmin cluster running_actions shows none.',
    );
  }
  reasons.push(...shardsWithoutReplica(plan, shards));
  const left = nodes.filter(({ uid, status }) => uid !== plan.nodeUid && status === 'ok').length;
  if (left * 2 <= nodes.length && !plan.options.acceptOutage) {
    refuse(
      'QUORUM_AT_RISK',
      `Without node ${plan.nodeUid} ${left} of ${nodes.length} nodes are left, which is no majority.`,
      'Use --accept-outage if the cluster may be without quorum meanwhile.',
    );
  }
  return reasons;
}

function shardsWithoutReplica(plan: Plan, { shards, unread }: ShardTable): Reason[] {
  if (unread.length > 0) {
    return [
      {
        code: 'SHARDS_UNKNOWN',
        message: `The shard table has a row that cannot be read: ${unread[0]?.reason ?? ''}.`,
        remedy: 'Run rladmin status shards by hand.',
      },
    ];
  }
  const alone = shards.filter(
    (shard) =>
      shard.nodeUid === plan.nodeUid &&
      !plan.options.acceptShards.includes(shard.uid) &&
      !shards.some(
        (other) =>
          other.nodeUid !== plan.nodeUid &&
          other.databaseUid === shard.databaseUid &&
          other.slots === shard.slots &&
          other.status === 'ok',
      ),
  );
  if (alone.length === 0) return [];
  const names = alone.map(({ uid, databaseName }) => `redis:${uid} of ${databaseName}`).join(', ');
  return [
    {
      code: 'SHARD_WITHOUT_REPLICA',
      message: `No other node has a healthy copy of ${names}, which would be offline meanwhile.`,
      remedy: 'Turn replication on, wait for it, or accept it with --accept-shards.',
    },
  ];
}

/** The gate before the lock is given back, and so before the next node: every shard OK, nothing running. */
export function judgeGate(_plan: Plan, { shards, unread }: ShardTable, running: RunningActions): Reason[] {
  const behind = shards.filter(({ status }) => status !== 'ok');
  if (unread.length > 0 || behind.length > 0) {
    return [
      {
        code: 'SHARDS_NOT_IN_SYNC',
        message: `Shards that are not OK: ${behind.map(({ uid, statusText }) => `redis:${uid} (${statusText})`).join(', ')}.`,
        remedy: 'RS copies what they missed; rladmin status shards shows how far it is.',
      },
    ];
  }
  if (running.actions.length + running.unread.length === 0) return [];
  return [
    {
      code: 'ACTION_RUNNING',
      message: `RS is at work: ${running.actions.join('; ')}.`,
      remedy: 'Wait until rladmin cluster running_actions shows none.',
    },
  ];
}
