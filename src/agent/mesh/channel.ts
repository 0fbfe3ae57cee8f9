import type { Address } from '../../protocol/address.ts';
import type { HostIdentity } from '../../protocol/identity.ts';
import type { CloseReason } from '../../protocol/messages.ts';

/**
 * One authenticated connection to another agent that carries whole texts, in order. Made by a Transport; whether it is of use is
 * decided by the hellos that pass over it.
 */
export interface Channel {
  /** From the other side's certificate, which the transport has verified. */
  readonly identity: HostIdentity;
  /** Serial number of that certificate, in upper case hexadecimal. */
  readonly serial: string;
  /** The other side's address as this socket sees it. */
  readonly address: Address;
  /** Who opened it. */
  readonly opener: 'us' | 'them';
  /**
   * Texts that arrived earlier are handed over at once. `closed` is called exactly once, also after `terminate`; with a refusal where the
   * other side broke the rules of the channel itself. `control`: a ping or pong of the channel's own came. Call it once.
   */
  start(handlers: {
    text: (text: string) => void;
    control?: () => void;
    closed: (reason: string, refusal?: RefusalCode) => void;
  }): void;
  /** Queues the text. Does nothing once the channel is closed. */
  send(text: string): void;
  /** Bytes that were sent and have not left this host yet. */
  readonly queuedBytes: number;
  /** Says why, waits a moment for the other side, then ends it. */
  close(code: CloseReason, reason: string): void;
  /** Ends it now and tells nobody: for an other side that does not answer. */
  terminate(): void;
}

/** Why a peer is turned away: stable, counted and logged (docs/wire-protocol.md). */
export type RefusalCode =
  | 'no_certificate'
  | 'handshake'
  | 'unknown_ca'
  | 'expired'
  | 'denied'
  | 'identity'
  | 'cluster'
  | 'family'
  | 'subprotocol'
  | 'connections'
  | 'listener'
  | 'hello'
  | 'version'
  | 'message'
  | 'flood'
  | 'slow'
  | 'uid'
  | 'machine'
  | 'twin'
  | 'ourselves';

/** A connection that was turned away before it became a channel; for the log and for counting. */
export interface Refusal {
  code: RefusalCode;
  reason: string;
  from: string;
}

/** Added to ECONNREFUSED: where the address is of the other family there is nobody who could say that. */
export const nobodyListens = "nobody listens there; an agent does on its node's internal address alone";

/** How channels come to be. Identity is checked here (TLS 1.3, certificates on both sides, one cluster), never later. */
export interface Transport {
  /**
   * Listens on this one address. Rejects with the system's error (EADDRNOTAVAIL while the address is not bound, EADDRINUSE).
   */
  listen(
    at: { address: Address; port: number },
    onChannel: (channel: Channel) => void,
    onRefusal: (refusal: Refusal) => void,
  ): Promise<Listener>;
  /**
   * Connects from `from` where given. Rejects with RlnetError PEER_REFUSED where this side will not have the connection, or the other one
   * says that it will not; PEER_UNREACHABLE where nobody answers within 2 s, or the other side hangs up without a word. That is what it does
   * to a certificate of another CA or of another time.
   */
  dial(to: { address: Address; port: number }, from: Address | undefined): Promise<Channel>;
}

export interface Listener {
  /** Takes up renewed certificates for connections to come; those that are there stay. */
  renew(): void;
  /** Ends the listening and every channel that came of it. */
  close(): Promise<void>;
}
