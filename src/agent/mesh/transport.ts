import { createServer } from 'node:https';
import type { PeerCertificate, TLSSocket } from 'node:tls';
import { type RawData, WebSocket, WebSocketServer } from 'ws';
import { type Address, familyOf, hostPort, parseSocketAddress } from '../../protocol/address.ts';
import { RlnetError } from '../../protocol/errors.ts';
import { type HostIdentity, identityFromSubjectAltName } from '../../protocol/identity.ts';
import { closeCodes, maxMessageBytes, subprotocol } from '../../protocol/messages.ts';
import type { Channel, Refusal, Transport } from './channel.ts';

/** PEM texts, and who they say we are. */
export interface TlsMaterial {
  ca: string;
  certificate: string;
  key: string;
  identity: HostIdentity;
}

/** A TLS or WebSocket handshake that takes longer is ended, on both sides. */
const handshakeTimeoutMs = 5_000;
/** Sockets at a time, with and without a finished handshake. A cluster has tens of nodes, each with one link and a few retries. */
const maxConnections = 256;

/** WebSocket over TLS 1.3 with certificates on both sides. */
export function createTransport(tls: TlsMaterial): Transport {
  const secure = {
    ca: tls.ca,
    cert: tls.certificate,
    key: tls.key,
    minVersion: 'TLSv1.3',
    rejectUnauthorized: true,
  } as const;

  return {
    listen: (at, onChannel, onRefusal) =>
      new Promise((resolve, reject) => {
        const server = createServer({ ...secure, requestCert: true, handshakeTimeout: handshakeTimeoutMs });
        server.maxConnections = maxConnections;
        server.headersTimeout = handshakeTimeoutMs;
        const upgrader = new WebSocketServer({
          noServer: true,
          perMessageDeflate: false,
          maxPayload: maxMessageBytes,
          handleProtocols: (offered) => (offered.has(subprotocol) ? subprotocol : false),
        });
        server.on('tlsClientError', (error, socket) => {
          onRefusal({ code: 'certificate', reason: error.message, from: socket.remoteAddress ?? 'unknown' });
        });
        server.on('request', (_request, response) => {
          response.writeHead(426, { connection: 'close' }).end();
        });
        server.on('upgrade', (request, socket, head) => {
          socket.on('error', () => socket.destroy());
          const verdict = admit(request.socket as TLSSocket, familyOf(at.address), tls.identity);
          const offered = request.headers['sec-websocket-protocol'] ?? '';
          if ('refusal' in verdict || !offered.split(/,\s*/).includes(subprotocol)) {
            const refusal =
              'refusal' in verdict
                ? verdict.refusal
                : { code: 'subprotocol', reason: `offers ${JSON.stringify(offered)}`, from: verdict.address };
            onRefusal(refusal);
            // The reason goes to the other side too: its operator has to know what to mend.
            socket.end(
              `HTTP/1.1 403 Forbidden\r\nconnection: close\r\nx-rlnet-refusal: ${refusal.code}\r\n\r\n`,
            );
            return;
          }
          upgrader.handleUpgrade(request, socket, head, (websocket) => {
            onChannel(channelOver(websocket, verdict.identity, verdict.address, 'them'));
          });
        });
        server.once('error', reject);
        server.listen({ host: at.address, port: at.port, ipv6Only: true }, () => {
          server.removeListener('error', reject);
          server.on('error', (error) =>
            onRefusal({ code: 'listener', reason: error.message, from: at.address }),
          );
          resolve({
            close: async () => {
              for (const client of upgrader.clients) client.terminate();
              server.closeAllConnections();
              await new Promise<void>((done) => server.close(() => done()));
            },
          });
        });
      }),

    dial: (to, from) =>
      new Promise((resolve, reject) => {
        const unreachable = (reason: string, cause?: unknown): void =>
          reject(
            new RlnetError(
              'PEER_UNREACHABLE',
              `${hostPort(to.address, to.port)}: ${reason}.`,
              'See whether rlnet runs there and TCP port 9470 is open between the hosts.',
              { cause },
            ),
          );
        const websocket = new WebSocket(`wss://${hostPort(to.address, to.port)}/`, subprotocol, {
          ...secure,
          perMessageDeflate: false,
          maxPayload: maxMessageBytes,
          handshakeTimeout: handshakeTimeoutMs,
          ...(from === undefined ? {} : { localAddress: from }),
          // Identity is the URI in the certificate. Node would compare with the address, which changes by design. The types of ws
          // say boolean; Node's tls wants an error or undefined (tls.checkServerIdentity), and ws hands it through.
          checkServerIdentity: ((_name: string, certificate: PeerCertificate) =>
            identityError(certificate, tls.identity)) as unknown as () => boolean,
        });
        let socket: TLSSocket | undefined;
        websocket.on('upgrade', (response) => {
          socket = response.socket as TLSSocket;
        });
        websocket.once('unexpected-response', (_request, response) => {
          const refusal = response.headers['x-rlnet-refusal'];
          websocket.terminate();
          unreachable(
            refusal === undefined ? `answered HTTP ${response.statusCode}` : `refused us: ${String(refusal)}`,
          );
        });
        websocket.on('error', (error) => unreachable(error.message, error));
        websocket.once('open', () => {
          const identity = socket && identityFromSubjectAltName(socket.getPeerCertificate().subjectaltname);
          if (identity === undefined) {
            websocket.terminate();
            unreachable('its certificate names no rlnet host');
            return;
          }
          resolve(channelOver(websocket, identity, to.address, 'us'));
        });
      }),
  };
}

function identityError(certificate: PeerCertificate, own: HostIdentity): Error | undefined {
  const identity = identityFromSubjectAltName(certificate.subjectaltname);
  if (identity === undefined) return new Error('its certificate names no rlnet host');
  if (identity.cluster !== own.cluster) return new Error(`its certificate is of cluster ${identity.cluster}`);
  return undefined;
}

function admit(
  socket: TLSSocket,
  family: 'ipv4' | 'ipv6',
  own: HostIdentity,
): { identity: HostIdentity; address: Address } | { refusal: Refusal } {
  const from = socket.remoteAddress ?? '';
  const remote = parseSocketAddress(from);
  const refuse = (code: string, reason: string): { refusal: Refusal } => ({
    refusal: { code, reason, from },
  });
  if (remote === undefined) return refuse('family', 'the other side has no address');
  if (remote.mapped || familyOf(remote.address) !== family) {
    return refuse(
      'family',
      `speaks ${familyOf(remote.address)}, this cluster's internal family is ${family}`,
    );
  }
  const identity = identityFromSubjectAltName(socket.getPeerCertificate().subjectaltname);
  if (identity === undefined) return refuse('identity', 'its certificate names no rlnet host');
  if (identity.cluster !== own.cluster)
    return refuse('cluster', `its certificate is of cluster ${identity.cluster}`);
  return { identity, address: remote.address };
}

function channelOver(
  websocket: WebSocket,
  identity: HostIdentity,
  address: Address,
  opener: Channel['opener'],
): Channel {
  const early: string[] = [];
  let onText = (text: string): void => {
    early.push(text);
  };
  let closedBecause: string | undefined;
  let onClosed = (_reason: string): void => {};

  websocket.on('message', (data: RawData, isBinary: boolean) => {
    // Only texts are messages; a binary frame becomes a text that no decoder takes.
    // ws gives texts as one Buffer unless it is told otherwise (binaryType).
    onText(isBinary ? '' : (data as Buffer).toString());
  });
  // ws reports what went wrong here and then closes; without a listener the process would end.
  websocket.on('error', (error) => {
    closedBecause ??= error.message;
  });
  websocket.on('close', (code, reason) => {
    closedBecause ??= reason.length > 0 ? String(reason) : `closed (${code})`;
    onClosed(closedBecause);
  });

  return {
    identity,
    address,
    opener,
    start(handlers) {
      onText = handlers.text;
      onClosed = handlers.closed;
      for (const text of early.splice(0)) onText(text);
      if (websocket.readyState === WebSocket.CLOSED) onClosed(closedBecause ?? 'closed');
    },
    send(text) {
      if (websocket.readyState === WebSocket.OPEN) websocket.send(text, () => {});
    },
    get queuedBytes() {
      return websocket.bufferedAmount;
    },
    close(code, reason) {
      closedBecause ??= reason;
      // RFC 6455 gives the reason 123 bytes.
      websocket.close(closeCodes[code], Buffer.from(reason).subarray(0, 123).toString());
    },
    terminate() {
      websocket.terminate();
    },
  };
}
