/** A moment on the boot clock: which boot, and how long since it (CLOCK_BOOTTIME, which goes on while the host sleeps). */
export interface BootTime {
  bootId: string;
  seconds: number;
}

/**
 * Time that neither a clock adjustment nor a suspended host falsifies, and that says when the host has booted in between. For
 * bounds that another host, or this one after a restart, has to reckon with.
 */
export interface BootClock {
  /** Costs two reads of files under /proc. */
  now(): Promise<BootTime>;
}
