import type { Address } from '../../protocol/address.ts';

export interface Credentials {
  username: string;
  password: string;
}

/**
 * How the node at the other end is known. `pins`: SHA-256 fingerprints of certificates, in lower case without colons, of which it has to show
 * one before anything is sent. `anybody`: whoever answers; nothing that is secret may be sent, and nothing that is said may be believed alone.
 */
export type Trust = { pins: ReadonlySet<string>; credentials?: Credentials } | { anybody: true };

export interface RestQuestion {
  address: Address;
  port: number;
  method: 'GET' | 'POST';
  /** From the root: `/v1/bootstrap`. */
  path: string;
  /** Sent as JSON. */
  body?: object;
  trust: Trust;
  timeoutMs: number;
}

export interface RestReply {
  status: number;
  /** Parsed; undefined where there is none, or where it is not JSON. */
  body: unknown;
  location?: string;
  /** Of the certificate that was shown, as in `Trust`. */
  fingerprint: string;
}

/** RS's REST API of a node, over TLS. One connection a question. Redirects are answers, and never followed here. */
export interface RsRest {
  /**
   * @throws RlnetError RS_REST_UNREACHABLE (nobody answers, or not in time), RS_CERTIFICATE_UNKNOWN (with the fingerprint that was shown; nothing was
   *   sent), OUTPUT_UNREADABLE (an answer that is too long)
   */
  ask(question: RestQuestion): Promise<RestReply>;
}
