import { createServer } from 'node:https';
import type { DetailedPeerCertificate, TLSSocket } from 'node:tls';
import { type RawData, type WebSocket, WebSocketServer } from 'ws';
import type { Address } from '../protocol/address.ts';
import { identityFromSubjectAltName } from '../protocol/identity.ts';
import { maxReportBytes, reportSubprotocol } from '../protocol/reporting.ts';
import type { AgentConnection, AgentListener } from './connections.ts';

/** PEM texts: the collector's own, and of each cluster the CA of its hosts. */
export interface CollectorTls {
  certificate: string;
  key: string;
  clusters: ReadonlyMap<string, { ca: string; fingerprints: ReadonlySet<string> }>;
}

const handshakeTimeoutMs = 10_000;
/** Of ws: empty fragments cost memory that `maxPayload` does not see, and one that does not answer a close is cut off. */
const websocketLimits = {
  perMessageDeflate: false,
  maxPayload: maxReportBytes,
  maxFragments: 64,
  closeTimeout: 1_000,
};
/** Connections at a time. The next one is asked to come again later. */
const maxConnections = 20_000;
const retryAfterSeconds = 30;

/**
 * Where agents connect: TLS 1.3 with certificates on both sides. Which cluster an agent is of is what its certificate says, and that it may say so
 * is decided by who signed it: the CA of that cluster and no other.
 */
export function listenForAgents(
  tls: CollectorTls,
  at: { address: Address; port: number },
  onConnection: (connection: AgentConnection) => void,
  onRefusal: (why: string, from: string) => void,
): Promise<AgentListener> {
  const server = createServer({
    cert: tls.certificate,
    key: tls.key,
    ca: [...tls.clusters.values()].map(({ ca }) => ca),
    minVersion: 'TLSv1.3',
    requestCert: true,
    rejectUnauthorized: true,
    handshakeTimeout: handshakeTimeoutMs,
    headersTimeout: handshakeTimeoutMs,
  });
  const upgrader = new WebSocketServer({
    noServer: true,
    ...websocketLimits,
    handleProtocols: (offered) => (offered.has(reportSubprotocol) ? reportSubprotocol : false),
  });
  server.on('tlsClientError', (error, { remoteAddress }) =>
    onRefusal(error.message, remoteAddress ?? 'unknown'),
  );
  server.on('clientError', (_error, socket) => socket.destroy());
  server.on('request', (_request, response) => {
    response.writeHead(426, { connection: 'close' }).end();
  });
  server.on('upgrade', (request, socket, head) => {
    socket.on('error', () => socket.destroy());
    const end = (status: string, headers: readonly string[] = []): void => {
      socket.once('finish', () => socket.destroy());
      socket.end([`HTTP/1.1 ${status}`, 'connection: close', ...headers, '', ''].join('\r\n'));
    };
    const tlsSocket = request.socket as TLSSocket;
    const identity = identityOf(tlsSocket.getPeerCertificate(true), tls);
    if ('why' in identity) {
      onRefusal(identity.why, tlsSocket.remoteAddress ?? 'unknown');
      end('403 Forbidden');
    } else if (upgrader.clients.size >= maxConnections) {
      end('503 Service Unavailable', [`retry-after: ${retryAfterSeconds}`]);
    } else {
      upgrader.handleUpgrade(request, socket, head, (websocket) =>
        onConnection(connectionOver(websocket, identity)),
      );
    }
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: at.address, port: at.port }, () => {
      server.removeListener('error', reject);
      server.on('error', (error) => onRefusal(error.message, at.address));
      resolve({
        close: async () => {
          const closed = new Promise<void>((done) => server.close(() => done()));
          for (const websocket of upgrader.clients) websocket.terminate();
          server.closeAllConnections();
          await closed;
        },
      });
    });
  });
}

/** @returns who it is, or why it may not be that */
export function identityOf(
  certificate: Pick<DetailedPeerCertificate, 'subjectaltname' | 'fingerprint256' | 'issuerCertificate'>,
  { clusters }: Pick<CollectorTls, 'clusters'>,
): { cluster: string; host: string } | { why: string } {
  const identity = identityFromSubjectAltName(certificate.subjectaltname);
  if (identity === undefined) return { why: 'the certificate names no rlnet host' };
  const cluster = clusters.get(identity.cluster);
  if (cluster === undefined) return { why: `no cluster ${identity.cluster} is configured` };
  type Chain = Pick<DetailedPeerCertificate, 'fingerprint256' | 'issuerCertificate'> | undefined;
  let link: Chain = certificate.issuerCertificate;
  let below: Chain = certificate;
  while (link !== undefined && link !== below) {
    if (cluster.fingerprints.has(link.fingerprint256)) return identity;
    [below, link] = [link, link.issuerCertificate];
  }
  return {
    why: `the certificate says ${identity.cluster}, and the CA of ${identity.cluster} has not signed it`,
  };
}

function connectionOver(
  websocket: WebSocket,
  { cluster, host }: { cluster: string; host: string },
): AgentConnection {
  const early: string[] = [];
  let onText = (text: string): void => {
    early.push(text);
  };
  let onClosed = (): void => {};
  let closed = false;
  websocket.on('message', (data: RawData, isBinary: boolean) =>
    onText(isBinary ? '' : (data as Buffer).toString()),
  );
  // ws closes after it; without a listener the process would end.
  websocket.on('error', () => {});
  websocket.on('close', () => {
    closed = true;
    onClosed();
  });
  return {
    cluster,
    host,
    start(handlers) {
      onText = handlers.text;
      onClosed = handlers.closed;
      for (const text of early.splice(0)) onText(text);
      if (closed) onClosed();
    },
    send(text) {
      if (websocket.readyState === websocket.OPEN) websocket.send(text, () => {});
    },
    close() {
      websocket.terminate();
    },
  };
}
