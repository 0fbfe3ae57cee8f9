/** A connection over a Unix socket that carries lines of text. */
export interface LineChannel {
  /** Lines that arrived earlier are handed over at once. `closed` is called exactly once. Call it once. */
  start(handlers: { line: (line: string) => void; closed: () => void }): void;
  /** `line` must hold no newline. Does nothing once the channel is closed. */
  send(line: string): void;
  /** Ends it once what was sent has been taken. */
  close(): void;
  /** Ends it now; what was not taken is lost. */
  drop(): void;
  /** Bytes that the other side has not taken yet. */
  readonly queuedBytes: number;
}

export interface LocalSockets {
  /**
   * Listens on a Unix socket. A socket file that nobody listens on any more is replaced; nobody may connect before owner, group
   * and mode are set.
   * @param group name of the group that the socket is given to; undefined leaves it to root alone
   * @throws RlnetError AGENT_ALREADY_RUNNING where somebody listens on it.
   */
  listen(
    path: string,
    access: { mode: number; group: string | undefined },
    onChannel: (channel: LineChannel) => void,
  ): Promise<{ close(): Promise<void> }>;

  /** @throws RlnetError AGENT_NOT_RUNNING where nobody listens, NOT_PERMITTED where the socket is not open to this user. */
  connect(path: string): Promise<LineChannel>;
}
