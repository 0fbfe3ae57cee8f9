/** What the kernel and a few files say at once, without a program being run. */
export interface Vitals {
  /** `net.ipv4.ip_local_port_range`, which holds for IPv6 too: the ports that connections of this host are given. */
  localPorts: PortRange;
  /** `net.ipv4.ip_local_reserved_ports`: those of them that are not handed out. */
  reservedPorts: readonly PortRange[];
  /** `absent`: the kernel has no IPv6. `disabled`: by `disable_ipv6` of all interfaces, or of the loopback alone. */
  ipv6: 'enabled' | 'absent' | 'disabled' | 'disabled_on_loopback';
  /** Whether the stub resolver of systemd-resolved has port 53 of 127.0.0.53 (UDP). */
  stubResolver: boolean;
  /** Whether packages of the system ask for a restart of the host (Debian and Ubuntu: /run/reboot-required). */
  rebootRequired: boolean;
  /** Bytes that root can still write, and the size of the file system, by the directories that were asked about. */
  room: readonly { path: string; free: number; size: number }[];
}

/** Both ends are part of it. */
export interface PortRange {
  first: number;
  last: number;
}

export interface VitalsReader {
  /**
   * Eight small files and a statfs for each directory: a millisecond, off the event loop.
   * @throws RlnetError OUTPUT_UNREADABLE where the kernel says something else than it does today; the system's error where it says nothing
   */
  read(): Promise<Vitals>;
}
