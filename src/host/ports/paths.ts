import type { Address } from '../../protocol/address.ts';

/** What the kernel knows of the ways to the other ends of this host's sockets. */
export interface KnownPaths {
  /** Bytes of the greatest packet, by the other end's address; addresses whose sockets tell none are absent. */
  mtus: ReadonlyMap<Address, number>;
  /**
   * Other ends that want to connect and have not taken up the answer: where that lasts, their packets arrive here, and ours do not arrive
   * there. A connection in the making is among them for a moment too.
   */
  unanswered: ReadonlySet<Address>;
}

export interface Paths {
  /** @param port the local or the remote port of the sockets. Where the kernel cannot be asked nothing is known. */
  read(port: number): Promise<KnownPaths>;
}
