import type { Address } from '../../protocol/address.ts';
import type { Neighbour, WireAnswer } from '../../protocol/wire.ts';

/**
 * The links of this host: who answers for an address there, and what passes. Answers about the wire are data, and what could not be
 * found out is `unknown` with the reason (also a tool that is missing); only cancellation rejects, with the signal's reason, and the
 * neighbour tables with what `ip` does not say.
 *
 * Whatever a method starts is gone when it settles. Questions for one address and interface must not overlap.
 */
export interface Wire {
  /**
   * Asks who has an address on an interface: ARP for IPv4, neighbour solicitations for IPv6. What others know of the address stays as it
   * is: an ARP probe has the sender 0.0.0.0 (RFC 5227), a solicitation the interface's link-local address. Settles at the first
   * answer of another host, in milliseconds; as `silent` after about 1.3 s and 7 questions, so that one is heard that answers only
   * every third. Where only a card of this host answers, others are waited for, up to 1.7 s more. A router that answers for
   * others (proxy ARP) looks like an owner. That the questions left is proven, that answers may come in is not: on a host that drops
   * them, or behind a switch port that does not forward yet, its gateway is silent too.
   */
  ask(question: WireQuestion, signal?: AbortSignal): Promise<WireAnswer>;

  /** Both neighbour tables of the kernel, with the fixed entries and those of multicast groups. One exec. @throws RlnetError COMMAND_FAILED, OUTPUT_UNREADABLE; what Exec throws. */
  neighbours(signal?: AbortSignal): Promise<Neighbour[]>;

  /**
   * Tells the segment that this host has an address that is bound on the interface. IPv4: gratuitous ARP, requests and
   * replies, to everybody, 1 s. IPv6: the kernel sends an unsolicited advertisement only where `ndisc_notify` is set and only as it
   * adds the address, so each of `neighbours` is solicited *from* the address, which makes it learn our card (RFC 4861, 7.2.3). Other
   * traffic to a neighbour may solicit it first, from another address, so each is asked for an echo, up to four times, 1 s each,
   * eight neighbours at a time. Whose echo comes back to the address has our card in its table; of the others nothing is known.
   */
  announce(claim: Announcement, signal?: AbortSignal): Promise<Announced | Unknown>;

  /**
   * Whether a TCP port answers to a connection from one of our addresses. A refusal is an answer. Up to 3 s.
   */
  reach(path: { source: Address; target: Address; port: number }, signal?: AbortSignal): Promise<Reach>;

  /**
   * Whether an ICMP echo request of `bytes`, IP header and all, passes unfragmented (DF); its answer may come in pieces. Up to 5 s.
   */
  passes(path: { source: Address; target: Address; bytes: number }, signal?: AbortSignal): Promise<Passage>;
}

export interface WireQuestion {
  interface: string;
  address: Address;
  /**
   * Asks as this address of the host instead, as a host asks for its gateway: the other side may then learn our card. For
   * gateways that answer to hosts of their subnet alone.
   */
  source?: Address;
}

export interface Announcement {
  interface: string;
  address: Address;
  /** The gateway and the peers of the subnet: whom IPv6 tells, and who is asked whether it has heard. */
  neighbours: readonly Address[];
}

export interface Announced {
  outcome: 'sent';
  /** Those of the neighbours whose answer came to this host's card. */
  answered: Address[];
}

export interface Unknown {
  outcome: 'unknown';
  why: string;
}

export type Reach =
  | { outcome: 'connected' | 'refused' }
  /** Nobody answered in time, or a host on the way said that it cannot be reached. */
  | { outcome: 'unreachable'; why: string }
  | Unknown;

export type Passage =
  | { outcome: 'passes' }
  /** This host or a router says that it is too big, and what is not; bytes. */
  | { outcome: 'too-big'; mtu: number }
  /** A small echo is answered, this one is not, and nobody says why. */
  | { outcome: 'lost' }
  | Unknown;
