import type { NodeTable } from '../../protocol/rs.ts';

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
}
