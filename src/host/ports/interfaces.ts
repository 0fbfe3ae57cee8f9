import type { NetworkInterface } from '../../protocol/interfaces.ts';

/** The network interfaces of this host. Truth is iproute2 (`ip -j -d addr`). */
export interface Interfaces {
  /**
   * Every interface, up or down, with every address, in the kernel's order. Costs one exec: 4 to 20 milliseconds, also for
   * 80 interfaces with 400 addresses; and for each NIC with a device the reading of a symbolic link.
   * @throws RlnetError OUTPUT_UNREADABLE where ip's answer is not understood; what Exec throws.
   */
  read(signal?: AbortSignal): Promise<NetworkInterface[]>;
  /**
   * Calls `onHint` when something may have changed (`ip monitor`). A hint only; when the monitor dies it is started again
   * and a hint is given, since something may have been missed meanwhile.
   */
  watch(onHint: () => void): { close(): void };
}
