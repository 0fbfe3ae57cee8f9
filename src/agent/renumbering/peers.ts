import type { MethodName, Params, Result } from '../../protocol/methods.ts';

/** The other agents of the cluster, as a renumbering needs them. */
export interface Peers {
  /** The host of a node, where its agent is linked and this host's own RS table confirms the uid. */
  hostOf(uid: number): string | undefined;
  /**
   * Asks an agent; this host's own name asks its own handlers, without the mesh.
   * @throws RlnetError PEER_UNREACHABLE, REQUEST_TIMEOUT, or what the peer answered
   */
  call<M extends MethodName>(
    host: string,
    method: M,
    params: Params<M>,
    timeoutMs: number,
  ): Promise<Result<M>>;
}
