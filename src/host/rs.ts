import { RlnetError } from '../protocol/errors.ts';
import type { NodeTable, RsNode } from '../protocol/rs.ts';
import { commandFailed, type Exec } from './ports/exec.ts';
import type { Files } from './ports/files.ts';
import type { Rs } from './ports/rs.ts';
import { type NodeRow, parseNodeTable } from './rladmin.ts';

/** It takes up to 2 s on a busy cluster; without quorum it can hang for longer, and then it is of no use. */
const statusTimeoutMs = 20_000;

/** @param paths where RS is on this host: the program `rladmin`, and the file with the node's uid */
export function createRs(exec: Exec, files: Files, paths: { rladmin: string; nodeIdFile: string }): Rs {
  return {
    localUid: async () => {
      const text = await files.readIfExists(paths.nodeIdFile);
      return text === undefined ? undefined : parseNodeId(text, paths.nodeIdFile);
    },
    nodeTable: async () => {
      const result = await exec.run(paths.rladmin, ['status', 'nodes'], { timeoutMs: statusTimeoutMs });
      if (result.exitCode !== 0) {
        throw commandFailed(
          'rladmin status nodes',
          result,
          'Check that RS runs on this node and that its cluster has quorum.',
        );
      }
      return toNodeTable(result.stdout);
    },
  };
}

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

function toNode(row: NodeRow): RsNode {
  return {
    uid: row.uid,
    isLocal: row.isLocal,
    ...(row.role === undefined ? {} : { role: row.role }),
    ...(row.address === undefined ? {} : { address: row.address }),
    externalAddresses: row.externalAddresses,
    ...(row.hostname === '' ? {} : { hostname: row.hostname }),
    ...(row.version === undefined ? {} : { version: row.version }),
    status: row.status,
    statusText: row.statusText,
  };
}
