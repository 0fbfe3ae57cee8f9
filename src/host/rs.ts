import { RlnetError } from '../protocol/errors.ts';
import type { NodeTable, RsNode, ShardTable } from '../protocol/rs.ts';
import { commandFailed, type Exec, type ExecResult } from './ports/exec.ts';
import type { Files } from './ports/files.ts';
import type { Rs } from './ports/rs.ts';
import { type NodeRow, parseNodeTable, parseRunningActions, parseShardTable } from './rladmin.ts';

/** It takes up to 2 s on a busy cluster; without quorum it can hang for longer, and then it is of no use. */
const statusTimeoutMs = 20_000;

/** @param paths where RS is on this host: the program `rladmin`, and the file with the node's uid */
export function createRs(
  exec: Pick<Exec, 'run'>,
  files: Files,
  paths: { rladmin: string; nodeIdFile: string },
): Rs {
  return {
    localUid: async () => {
      const text = await files.readIfExists(paths.nodeIdFile);
      return text === undefined ? undefined : parseNodeId(text, paths.nodeIdFile);
    },
    ...rladminCommands((args, timeoutMs) => exec.run(paths.rladmin, args, { timeoutMs })),
  };
}

/** All that needs rladmin, over whatever runs it: the real program, or the stand-in of a simulation. */
export function rladminCommands(
  run: (args: readonly string[], timeoutMs: number) => Promise<ExecResult>,
): Omit<Rs, 'localUid'> {
  const ask = async (args: readonly string[]): Promise<string> => {
    const result = await run(args, statusTimeoutMs);
    if (result.exitCode === 0) return result.stdout;
    throw commandFailed(
      `rladmin ${args.join(' ')}`,
      result,
      'Check that RS runs on this node and that its cluster has quorum.',
    );
  };

  /** @param success the last line that rladmin prints when it has worked (its reference has it literally) */
  const change = async (args: readonly string[], success: string, timeoutMs: number): Promise<void> => {
    const result = await run(args, timeoutMs);
    const said = result.stdout.trimEnd().split('\n').at(-1)?.trim();
    if (result.exitCode === 0 && said === success) return;
    throw commandFailed(
      `rladmin ${args.join(' ')}`,
      result,
      'Read what RS said; rladmin status nodes shows what became of it.',
    );
  };

  return {
    nodeTable: async () => toNodeTable(await ask(['status', 'nodes'])),
    shardTable: async () => toShardTable(await ask(['status', 'shards'])),
    runningActions: async () => {
      const { tasks, unread } = parseRunningActions(await ask(['cluster', 'running_actions']));
      return {
        actions: tasks.map(
          ({ name, uid, nodeUid, status }) =>
            `${name} (${uid})${nodeUid === undefined ? '' : ` node ${nodeUid}`}: ${status}`,
        ),
        unread: unread.map(({ line, reason }) => ({ line, reason })),
      };
    },
    replicaHaGraceSeconds: async () => {
      const [, seconds] =
        /^\s*slave_ha_grace_period:\s*(\d+)\s*$/m.exec(await ask(['info', 'cluster'])) ?? [];
      return seconds === undefined ? undefined : Number(seconds);
    },
    demote: (uid, timeoutMs) => change(['node', String(uid), 'enslave', 'demote_node'], 'OK', timeoutMs),
    setAddress: (uid, address, timeoutMs) =>
      change(['node', String(uid), 'addr', 'set', address], updated, timeoutMs),
    setExternalAddresses: (uid, addresses, timeoutMs) =>
      change(['node', String(uid), 'external_addr', 'set', ...addresses], updated, timeoutMs),
    addExternalAddress: (uid, address, timeoutMs) =>
      change(['node', String(uid), 'external_addr', 'add', address], updated, timeoutMs),
    removeExternalAddress: (uid, address, timeoutMs) =>
      change(['node', String(uid), 'external_addr', 'remove', address], updated, timeoutMs),
  };
}

const updated = 'Updated successfully.';

/**
 * The uid in a node.id file: one decimal number and no more.
 * @throws RlnetError OUTPUT_UNREADABLE
 */
export function parseNodeId(text: string, path: string): number {
  const digits = text.trim();
  const uid = /^[1-9]\d*$/.test(digits) ? Number(digits) : Number.NaN;
  if (Number.isSafeInteger(uid)) return uid;
  throw new RlnetError(
    'OUTPUT_UNREADABLE',
    `${path} holds ${JSON.stringify(text.slice(0, 40))}, which is no node uid.`,
    'Look at the file; rlnet takes its host for no node until it holds one number.',
  );
}

/**
 * What `rladmin status nodes` printed, as rlnet's own words.
 * @throws RlnetError OUTPUT_UNREADABLE where not one node could be read: every cluster has one.
 */
export function toNodeTable(text: string): NodeTable {
  const { nodes, unread } = parseNodeTable(text);
  if (nodes.length === 0) {
    const [first] = unread;
    throw new RlnetError(
      'OUTPUT_UNREADABLE',
      `rladmin status nodes printed no node table that can be read${
        first === undefined ? '' : `: ${first.reason} (${JSON.stringify(first.line.slice(0, 80))})`
      }.`,
      'Run rladmin status nodes by hand; if it does show a table, report it with that output.',
    );
  }
  return { nodes: nodes.map(toNode), unread: unread.map(({ line, reason }) => ({ line, reason })) };
}

/** What `rladmin status shards` printed. Without databases there are no rows, and the table says so by being empty. */
export function toShardTable(text: string): ShardTable {
  const { shards, unread } = parseShardTable(text);
  return {
    shards: shards.map(({ columns, ...shard }) => ({ ...shard, slots: columns['SLOTS'] ?? '' })),
    unread: unread.map(({ line, reason }) => ({ line, reason })),
  };
}

function toNode(row: NodeRow): RsNode {
  return {
    uid: row.uid,
    isLocal: row.isLocal,
    ...(row.role === undefined ? {} : { role: row.role }),
    ...(row.address === undefined ? {} : { address: row.address }),
    externalAddresses: row.externalAddresses,
    ...(row.shards === undefined ? {} : { shards: row.shards }),
    ...(row.hostname === '' ? {} : { hostname: row.hostname }),
    ...(row.version === undefined ? {} : { version: row.version }),
    status: row.status,
    statusText: row.statusText,
  };
}
