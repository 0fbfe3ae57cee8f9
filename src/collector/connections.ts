/** A connection of an agent that carries whole texts, in order. Made by a listener, which has verified the certificate. */
export interface AgentConnection {
  readonly cluster: string;
  readonly host: string;
  /** Call it once; what came before is handed over at once. */
  start(handlers: { text: (text: string) => void; closed: () => void }): void;
  send(text: string): void;
  close(): void;
}

export interface AgentListener {
  close(): Promise<void>;
}
