/** Restarts this host. */
export interface HostPower {
  /**
   * Asks for an orderly reboot, never a forced one. Resolves when it was accepted, which is not yet a reboot: whether it happens, only
   * another boot id tells (`hasRebooted`). May reject although it was accepted, as the shutdown can end the command that asked.
   *
   * @param reason for the journal and for everybody who is signed in
   * @throws RlnetError REBOOT_INHIBITED (somebody holds a lock against shutdown), REBOOT_REFUSED with what systemctl said; what
   *   Exec throws.
   */
  reboot(reason: string): Promise<void>;
}
