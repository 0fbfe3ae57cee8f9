import type { Address } from '../../protocol/address.ts';
import type { NodeTable, RunningActions, ShardTable } from '../../protocol/rs.ts';

/** Redis Enterprise Software on this host, through its own tools. */
export interface Rs {
  /** The uid in the node.id file; undefined where this host is not a node (no file). */
  localUid(): Promise<number | undefined>;
  /**
   * `rladmin status nodes`. Costs 0.1 to 2 seconds.
   * @throws RlnetError COMMAND_NOT_FOUND (RS is not installed), COMMAND_FAILED (non-zero exit status, with its text), COMMAND_TIMEOUT,
   *   OUTPUT_UNREADABLE (no node table in the answer).
   */
  nodeTable(): Promise<NodeTable>;
  /** `rladmin status shards`. A cluster without databases has an empty table. Costs and errors as `nodeTable`. */
  shardTable(): Promise<ShardTable>;
  /** `rladmin cluster running_actions`. Costs and errors as `nodeTable`. */
  runningActions(): Promise<RunningActions>;
  /**
   * After how many seconds RS replaces the replicas of a node that is down, of `rladmin info cluster`; undefined where it does not show
   * it. Costs and errors as `nodeTable`.
   */
  replicaHaGraceSeconds(): Promise<number | undefined>;

  /*
   * What changes the cluster. Each is one command, killed after `timeoutMs`; it resolves on exit status 0 together with the literal
   * line of success, and that alone does not make it so: read it back.
   * @throws RlnetError COMMAND_FAILED, with what rladmin said; COMMAND_TIMEOUT; COMMAND_NOT_FOUND
   */

  /** `rladmin node UID enslave demote_node`: shards and endpoints become replicas, the cluster's master role goes elsewhere. */
  demote(uid: number, timeoutMs: number): Promise<void>;
  /** `rladmin node UID addr set ADDRESS`. RS refuses it for a node that is up. */
  setAddress(uid: number, address: Address, timeoutMs: number): Promise<void>;
  /** `rladmin node UID external_addr set ADDRESS...`: the whole list, in this order; one at least. */
  setExternalAddresses(uid: number, addresses: readonly Address[], timeoutMs: number): Promise<void>;
  /** `rladmin node UID external_addr add ADDRESS`; the others stay. */
  addExternalAddress(uid: number, address: Address, timeoutMs: number): Promise<void>;
  /** `rladmin node UID external_addr remove ADDRESS`; the others stay. */
  removeExternalAddress(uid: number, address: Address, timeoutMs: number): Promise<void>;
}
