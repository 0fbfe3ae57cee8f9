/** One connection to a collector that carries whole texts, in order. */
export interface ReportChannel {
  /** `closed` is called exactly once. Call it once; what came before is handed over at once. */
  start(handlers: { text: (text: string) => void; closed: (reason: string) => void }): void;
  /** Queues the text. Does nothing once the channel is closed. */
  send(text: string): void;
  /** Ends it now. */
  close(): void;
}

/** Why there is no channel, and how long the other side wants to be left alone, milliseconds. */
export class ReportRefusal extends Error {
  readonly retryAfterMs: number | undefined;

  constructor(reason: string, retryAfterMs?: number) {
    super(reason);
    this.retryAfterMs = retryAfterMs;
  }
}

export interface ReportConnector {
  /**
   * Connects to the configured collector, by its name anew each time. Certificates on both sides; the collector's must name a collector
   * (`rlnet://CLUSTER/collector/NAME`), whatever its address is.
   * Rejects with ReportRefusal within 10 s; the reason is a clause for people.
   */
  connect(): Promise<ReportChannel>;
}
