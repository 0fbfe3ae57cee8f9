import * as v from 'valibot';
import { addressSchema, uidSchema } from './schema.ts';

/** One row of `rladmin status nodes`. */
export const rsNodeSchema = v.object({
  uid: uidSchema,
  /** The starred row: the node that rladmin ran on. Not the cluster's master. */
  isLocal: v.boolean(),
  role: v.optional(v.picklist(['master', 'slave'])),
  address: v.optional(addressSchema),
  externalAddresses: v.array(addressSchema),
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
