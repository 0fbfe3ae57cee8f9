import type { Address } from '../../protocol/address.ts';

/** What the kernel has found to be the greatest packet on the way to the other ends of this host's sockets. */
export interface PathMtus {
  /**
   * @param port the local or the remote port of the sockets
   * @returns bytes by the other end's address; addresses whose sockets tell none are absent
   */
  read(port: number): Promise<Map<Address, number>>;
}
