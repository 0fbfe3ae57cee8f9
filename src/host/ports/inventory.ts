import type { Inventory } from '../../protocol/inventory.ts';

/** What the host is made of: slow facts, at a slow pace. */
export interface InventoryReader {
  /**
   * Runs systeminformation in a child process of its own, because it blocks the event loop and keeps memory. Takes about
   * a second. All of it is optional: what could not be found out is undefined.
   */
  read(): Promise<Inventory>;
}
