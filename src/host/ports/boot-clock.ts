import type { BootTime } from '../../protocol/renumbering/records.ts';

/**
 * Time that neither a clock adjustment nor a suspended host falsifies, and that says when the host has booted in between. For
 * bounds that another host, or this one after a restart, has to reckon with.
 */
export interface BootClock {
  /** Costs two reads of files under /proc. */
  now(): Promise<BootTime>;
}
