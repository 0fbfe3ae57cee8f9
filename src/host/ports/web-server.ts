import type { Address } from '../../protocol/address.ts';

export interface WebRequest {
  /** Without the query, as it came; begins with `/`. */
  path: string;
  query: ReadonlyMap<string, string>;
}

export interface WebAnswer {
  status: number;
  /** The media type, such as `application/json`. */
  type: string;
  body: string;
}

/** Answers GET requests of those who may read: on the loopback by plain HTTP, elsewhere by TLS 1.3 with certificates on both sides. */
export interface WebServer {
  /**
   * @param tls PEM; `ca` is of those who may read. Without it `at` must be an address of the loopback.
   * Rejects with the system's error (EADDRINUSE, EADDRNOTAVAIL).
   */
  listen(
    at: { address: Address; port: number },
    tls: { certificate: string; key: string; ca: string } | undefined,
    answer: (request: WebRequest) => WebAnswer | Promise<WebAnswer>,
  ): Promise<{ close(): Promise<void> }>;
}
