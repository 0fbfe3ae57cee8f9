/**
 * What the service manager that started us wants to hear: sd_notify(3). Without `NOTIFY_SOCKET` every call does nothing.
 * A notification that fails is reported to the log by the adapter and is never an error: the work goes on.
 */
export interface ServiceManager {
  ready(status: string): Promise<void>;
  /** The STATUS line of `systemctl status`. */
  status(text: string): Promise<void>;
  stopping(): Promise<void>;
  /** One keep-alive for the watchdog. */
  keepAlive(): Promise<void>;
  /** How often systemd wants a keep-alive at least (WATCHDOG_USEC), milliseconds; undefined when there is no watchdog. */
  readonly watchdogMs: number | undefined;
}
