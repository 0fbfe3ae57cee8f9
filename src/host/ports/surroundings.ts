/** What a renumbering asks of the host beside its network: small things, each read when asked. */
export interface Surroundings {
  /**
   * Bytes that root can still write in a directory's file system (`df`). Costs an exec, milliseconds.
   * @throws RlnetError COMMAND_FAILED (no such directory), OUTPUT_UNREADABLE; what Exec throws
   */
  freeBytes(path: string): Promise<number>;
  /**
   * Whether a time source keeps the clock, as systemd knows from the kernel (`timedatectl show -p NTPSynchronized`): true for any of
   * chronyd, ntpd and systemd-timesyncd.
   * @throws RlnetError COMMAND_FAILED, OUTPUT_UNREADABLE (a systemd before 239); what Exec throws
   */
  clockSynchronised(): Promise<boolean>;
  /** Who made the machine, from its firmware (/sys/class/dmi/id); undefined where there is no DMI. The system's error else. */
  vendor(): Promise<string | undefined>;
  /**
   * The rules of the packet filter, one line each, as its own tools print them: `nft list ruleset`, and where there is none `iptables-save` with
   * `ip6tables-save`. None where neither tool is there, which means that nobody looked.
   * @throws RlnetError COMMAND_FAILED; what Exec throws
   */
  firewallRules(): Promise<{ tool: string; lines: string[] }[]>;
}
