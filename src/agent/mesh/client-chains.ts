import { Socket } from 'node:net';
import { type PeerCertificate, TLSSocket } from 'node:tls';

/** What Node's TLS server asks of the native half of a socket, and no API shows. */
interface TlsHandle {
  getPeerCertificate(detailed: boolean): PeerCertificate | undefined;
  getPeerX509Certificate?(): unknown;
}

/**
 * Keeps Node's TLS server from losing memory with each client certificate.
 *
 * Once a client has shown a good certificate, Node 24.21 calls `getPeerX509Certificate` of the handle, only to see that there is one
 * (`onServerSocketSecure` in lib/internal/tls/wrap.js). Native code then takes the rest of the client's chain out of the session and never
 * frees it: 3.6 kB for each CA certificate that comes along, which an OpenSSL client sends unasked. A peer that is turned away after its
 * handshake and comes again every ten seconds would cost some 40 MB a day, and whoever holds a certificate can ask for more
 * (measured with heaptrack; `scripts/bench flood` watches it). `getPeerCertificate` answers the same question and loses nothing.
 *
 * Of all TLS sockets of this process; doing it twice changes nothing. A Node without that method is left as it is.
 */
export function releaseClientChains(): void {
  const { _handle: handle } = new TLSSocket(new Socket()) as unknown as { _handle: TlsHandle };
  const shared = Object.getPrototypeOf(handle) as TlsHandle;
  if (shared.getPeerX509Certificate === undefined) return;
  shared.getPeerX509Certificate = function (this: TlsHandle) {
    return this.getPeerCertificate(false);
  };
}
