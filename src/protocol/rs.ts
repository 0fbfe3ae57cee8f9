import * as v from 'valibot';
import { addressSchema, finiteSchema, uidSchema } from './schema.ts';

/** One row of `rladmin status nodes`. */
export const rsNodeSchema = v.object({
  uid: uidSchema,
  /** The starred row: the node that rladmin ran on. Not the cluster's master. */
  isLocal: v.boolean(),
  role: v.optional(v.picklist(['master', 'slave'])),
  address: v.optional(addressSchema),
  externalAddresses: v.array(addressSchema),
  /** Shards on the node and the most that it takes: 0 of 0 in maintenance mode, and on a quorum-only node. */
  shards: v.optional(v.object({ used: finiteSchema, limit: finiteSchema })),
  hostname: v.optional(v.string()),
  version: v.optional(v.string()),
  /** `ok` only for the word OK. What is not understood is `unknown`, which is never healthy. */
  status: v.picklist(['ok', 'down', 'unknown']),
  statusText: v.string(),
});
export type RsNode = v.InferOutput<typeof rsNodeSchema>;

/** What `rladmin status nodes` said. A row that could not be read is in `unread`, never absent and never healthy. */
export const nodeTableSchema = v.object({
  nodes: v.array(rsNodeSchema),
  unread: v.array(v.object({ line: v.string(), reason: v.string() })),
});
export type NodeTable = v.InferOutput<typeof nodeTableSchema>;

/** One row of `rladmin status shards`. */
export interface RsShard {
  /** 14 of `redis:14`. */
  uid: number;
  databaseUid: number;
  databaseName: string;
  nodeUid: number;
  role: 'master' | 'slave';
  status: 'ok' | 'down' | 'unknown';
  statusText: string;
  /** The range of hash slots, as printed; shards of one database with the same one are replicas of each other. */
  slots: string;
}

/** What `rladmin status shards` said. */
export interface ShardTable {
  shards: RsShard[];
  unread: { line: string; reason: string }[];
}

/** What `rladmin cluster running_actions` said. Nothing runs only where both are empty. */
export interface RunningActions {
  /** Such as `maintenance_on (UID) node 2: running`. */
  actions: string[];
  unread: { line: string; reason: string }[];
}
