import type { IncomingHttpHeaders } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { PeerCertificate, TLSSocket } from 'node:tls';
import { type RawData, WebSocket, WebSocketServer } from 'ws';
import type { Clock } from '../../host/ports/clock.ts';
import { type Address, type Family, familyOf, hostPort, parseSocketAddress } from '../../protocol/address.ts';
import { errnoOf, RlnetError } from '../../protocol/errors.ts';
import { type HostIdentity, identityFromSubjectAltName } from '../../protocol/identity.ts';
import { closeCodes, maxMessageBytes, quoted, subprotocol } from '../../protocol/messages.ts';
import { Allowance, type Rate } from './allowance.ts';
import { type Channel, nobodyListens, type Refusal, type RefusalCode, type Transport } from './channel.ts';
import { releaseClientChains } from './client-chains.ts';

/** PEM texts, and who they say we are. */
export interface TlsMaterial {
  /** One certificate or, while a CA is being replaced, several, one after the other. */
  ca: string;
  certificate: string;
  key: string;
  identity: HostIdentity;
  /** Serial numbers of certificates that are not to be trusted any more, in upper case hexadecimal. */
  deniedSerials: ReadonlySet<string>;
}

/** A TLS or WebSocket handshake that takes longer is ended, by the listening side. */
const handshakeTimeoutMs = 5_000;
/** A dial that takes longer has failed: the next one is not held up by it. */
const dialTimeoutMs = 2_000;
/** Node looks that often for requests whose headers are overdue. */
const overdueCheckMs = 1_000;
/**
 * Of both sides. One that does not answer a close is cut off after `closeTimeout` milliseconds. Empty fragments and tiny TLS records cost
 * memory that `maxPayload` does not see. Pings of WebSocket's own are counted as messages are, so no other limit of theirs is needed.
 */
const websocketLimits = {
  perMessageDeflate: false,
  maxPayload: maxMessageBytes,
  maxFragments: 64,
  maxBufferedChunks: 1_024,
  maxPendingAutoPongs: 0,
  closeTimeout: 1_000,
};
/** Sockets at a time, with and without a finished handshake: a cluster has tens of nodes. */
const maxConnections = 512;
/** Sockets at a time from one address, so that one host cannot take them all: a link, and a few that are replacing it. */
const maxConnectionsEach = 16;
/** New sockets of one address. A peer whose link cannot be kept up dials about twice a second. */
const connectionRate = { perSecond: 4, atOnce: 16 };
/** Addresses whose new sockets are counted; of more, those that came first are forgotten. */
const maxAddressesCounted = 1_024;

/**
 * WebSocket over TLS 1.3 with certificates on both sides.
 * @param material the certificates as they are now; asked again for each dial, and on `renew`
 */
export function createTransport(material: () => TlsMaterial, clock: Pick<Clock, 'monotonic'>): Transport {
  releaseClientChains();
  return {
    listen: (at, onChannel, onRefusal) =>
      new Promise((resolve, reject) => {
        const server = createServer({
          ...secureOptions(material()),
          requestCert: true,
          handshakeTimeout: handshakeTimeoutMs,
          headersTimeout: handshakeTimeoutMs,
          connectionsCheckingInterval: overdueCheckMs,
        });
        const upgrader = new WebSocketServer({
          noServer: true,
          ...websocketLimits,
          handleProtocols: (offered) => (offered.has(subprotocol) ? subprotocol : false),
        });
        const sockets = limitSockets(server, onRefusal, clock);
        // What TLS finds wrong comes here too.
        server.on('clientError', (error, socket) => {
          const { authorizationError, remoteAddress } = socket as TLSSocket;
          // A socket that is gone does not say where it came from any more; the one below it, which has no public name, was asked before.
          const { _parent: below } = socket as { _parent?: Socket };
          socket.destroy();
          if (below !== undefined && sockets.isTurnedAway(below)) return;
          // A certificate that Node itself turned away is told by the socket; the error says only that it was closed.
          const why: unknown = authorizationError;
          const reason = typeof why === 'string' ? why : (errnoOf(error) ?? error.message);
          const from = remoteAddress ?? below?.remoteAddress ?? 'unknown';
          onRefusal({ code: refusalOf(reason), reason, from });
        });
        server.on('request', ({ socket }, response) => {
          onRefusal({
            code: 'handshake',
            reason: 'an HTTP request that is no upgrade',
            from: socket.remoteAddress ?? 'unknown',
          });
          response.writeHead(426, { connection: 'close' }).end();
        });
        upgrader.on('wsClientError', (error, socket, { socket: { remoteAddress } }) => {
          onRefusal({ code: 'handshake', reason: error.message, from: remoteAddress ?? 'unknown' });
          answerAndEnd(socket, '400 Bad Request', []);
        });
        server.on('upgrade', (request, socket, head) => {
          socket.on('error', () => socket.destroy());
          const verdict = admit(
            request.socket as TLSSocket,
            request.headers,
            familyOf(at.address),
            material(),
          );
          if ('refusal' in verdict) {
            onRefusal(verdict.refusal);
            // The reason goes to the other side too: its operator has to know what to mend.
            answerAndEnd(socket, '403 Forbidden', [`x-rlnet-refusal: ${verdict.refusal.code}`]);
            return;
          }
          upgrader.handleUpgrade(request, socket, head, (websocket) => {
            sockets.settled(request.socket);
            onChannel(channelOver(websocket, verdict.party, verdict.address, 'them'));
          });
        });
        server.once('error', reject);
        server.listen({ host: at.address, port: at.port, ipv6Only: true }, () => {
          server.removeListener('error', reject);
          server.on('error', (error) =>
            onRefusal({ code: 'listener', reason: error.message, from: at.address }),
          );
          resolve({
            renew: () => server.setSecureContext(secureOptions(material())),
            close: async () => {
              const closed = new Promise<void>((done) => server.close(() => done()));
              // Those in the midst of a handshake too, which the server would wait for.
              sockets.destroy();
              await closed;
            },
          });
        });
      }),

    dial: (to, from) =>
      new Promise((resolve, reject) => {
        const fail = (code: 'PEER_UNREACHABLE' | 'PEER_REFUSED', reason: string, cause?: unknown): void => {
          const place = hostPort(to.address, to.port);
          const remedy =
            code === 'PEER_REFUSED'
              ? 'Compare rlnet tls show on both hosts, and see the log of the other one.'
              : `See whether rlnet runs there and TCP port ${to.port} is open between the hosts.`;
          reject(new RlnetError(code, `${place}: ${reason}.`, remedy, { cause }));
        };
        let party: Party | undefined;
        let objected = false;
        const websocket = new WebSocket(`wss://${hostPort(to.address, to.port)}/`, subprotocol, {
          ...secureOptions(material()),
          ...websocketLimits,
          handshakeTimeout: dialTimeoutMs,
          ...(from === undefined ? {} : { localAddress: from }),
          // Identity is the URI in the certificate. Node would compare with the address, which changes by design. The types of ws
          // say boolean; Node's tls wants an error or undefined (tls.checkServerIdentity), and ws hands it through.
          checkServerIdentity: ((_name: string, certificate: PeerCertificate) => {
            const verdict = partyOf(certificate, material());
            if ('refusal' in verdict) {
              objected = true;
              return new Error(verdict.reason);
            }
            party = verdict;
            return undefined;
          }) as unknown as () => boolean,
        });
        websocket.once('unexpected-response', (_request, response) => {
          const refusal = response.headers['x-rlnet-refusal'];
          websocket.terminate();
          if (refusal === undefined) fail('PEER_REFUSED', `it answered HTTP ${response.statusCode}`);
          else fail('PEER_REFUSED', `it refused us: ${quoted(String(refusal))}`);
        });
        websocket.on('error', (error) => {
          // The server's verdict on our certificate comes after the handshake (TLS 1.3): OpenSSL's as an alert; Node, which looks at the
          // chain and the dates, only hangs up.
          const word = errnoOf(error) ?? '';
          const hungUp = party !== undefined && word === 'ECONNRESET';
          const refused =
            objected || word.includes('ALERT') || (party === undefined && isCertificateError(word));
          // Node names our own port, another one with each try, which would make the same trouble look like a new one.
          const said = error.message.replace(/ - Local \(.*\)$/, '');
          const reason = hungUp
            ? `it hung up once it had seen our certificate (${said})`
            : word === 'ECONNREFUSED'
              ? `${said}: ${nobodyListens}`
              : said;
          fail(refused ? 'PEER_REFUSED' : 'PEER_UNREACHABLE', reason, error);
        });
        websocket.once('open', () => {
          if (party !== undefined) resolve(channelOver(websocket, party, to.address, 'us'));
        });
      }),
  };
}

function secureOptions({ ca, certificate, key }: TlsMaterial) {
  return { ca, cert: certificate, key, minVersion: 'TLSv1.3', rejectUnauthorized: true } as const;
}

/** A last answer before the WebSocket. The other side need not end its half, and may not want to. */
function answerAndEnd(socket: Duplex, status: string, headers: readonly string[]): void {
  socket.once('finish', () => socket.destroy());
  socket.end([`HTTP/1.1 ${status}`, 'connection: close', ...headers, '', ''].join('\r\n'));
}

/** Whether one more of an address is within a rate of its own. */
function allowances(rate: Rate, clock: Pick<Clock, 'monotonic'>): (from: string) => boolean {
  const each = new Map<string, Allowance>();
  return (from) => {
    const now = clock.monotonic();
    if (!each.has(from) && each.size >= maxAddressesCounted) {
      for (const [address, allowance] of each) if (allowance.isFull(now)) each.delete(address);
      const [oldest] = each.keys();
      if (each.size >= maxAddressesCounted && oldest !== undefined) each.delete(oldest);
    }
    const allowance = each.get(from) ?? new Allowance(rate, now);
    each.set(from, allowance);
    return allowance.take(now);
  };
}

/**
 * Keeps the sockets of a listener within the caps, before any handshake. Where one address has too many, or too many new ones, its newest is turned away. Where
 * there are too many in all, the one gives way that has been shaking hands for longest: strangers that fill every place keep no member out,
 * whose own handshake takes a moment.
 */
function limitSockets(
  server: Server,
  onRefusal: (refusal: Refusal) => void,
  clock: Pick<Clock, 'monotonic'>,
): { settled: (socket: Socket) => void; isTurnedAway: (socket: Socket) => boolean; destroy: () => void } {
  const sockets = new Set<Socket>();
  /** What TLS says of these later is no news. */
  const turnedAway = new WeakSet<Socket>();
  /** In the midst of a handshake by both ends of their path, the oldest first: a TLS socket and the one below it are different objects. */
  const unsettled = new Map<string, Socket>();
  const pathOf = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress} ${remotePort}`;
  const turnAway = (socket: Socket, reason: string): void => {
    onRefusal({ code: 'connections', reason, from: socket.remoteAddress ?? 'unknown' });
    turnedAway.add(socket);
    socket.destroy();
  };
  const open = new Map<string, number>();
  const allowed = allowances(connectionRate, clock);
  server.on('connection', (socket: Socket) => {
    const from = socket.remoteAddress ?? 'unknown';
    const path = pathOf(socket);
    const count = (open.get(from) ?? 0) + 1;
    if (count > maxConnectionsEach) {
      turnAway(socket, `more than ${maxConnectionsEach} connections at a time`);
      return;
    }
    if (!allowed(from)) {
      turnAway(socket, `more than ${connectionRate.perSecond} new connections a second`);
      return;
    }
    if (sockets.size >= maxConnections) {
      const [oldest = socket] = unsettled.values();
      turnAway(oldest, `more than ${maxConnections} connections at a time in all`);
      if (oldest === socket) return;
      sockets.delete(oldest);
      unsettled.delete(pathOf(oldest));
    }
    sockets.add(socket);
    unsettled.set(path, socket);
    open.set(from, count);
    socket.once('close', () => {
      sockets.delete(socket);
      if (unsettled.get(path) === socket) unsettled.delete(path);
      const left = (open.get(from) ?? 1) - 1;
      if (left > 0) open.set(from, left);
      else open.delete(from);
    });
  });
  return {
    settled: (socket) => unsettled.delete(pathOf(socket)),
    isTurnedAway: (socket) => turnedAway.has(socket),
    destroy: () => {
      for (const socket of sockets) {
        turnedAway.add(socket);
        socket.destroy();
      }
    },
  };
}

/** OpenSSL's and Node's words for what is wrong with a client's certificate, as codes. */
function refusalOf(word: string): RefusalCode {
  if (word.includes('PEER_DID_NOT_RETURN_A_CERTIFICATE')) return 'no_certificate';
  if (word.includes('EXPIRED')) return 'expired';
  return /ISSUER|LEAF_SIGNATURE|SELF_SIGNED/.test(word) ? 'unknown_ca' : 'handshake';
}

function isCertificateError(word: string): boolean {
  return /CERT|SELF_SIGNED|ISSUER|UNABLE_TO/.test(word);
}

/** The other side, as its certificate says. */
interface Party {
  identity: HostIdentity;
  serial: string;
}

function partyOf(
  certificate: PeerCertificate,
  { identity: own, deniedSerials }: TlsMaterial,
): Party | { refusal: RefusalCode; reason: string } {
  const serial = certificate.serialNumber.toUpperCase();
  if (deniedSerials.has(serial))
    return { refusal: 'denied', reason: `certificate ${serial} is on the deny-list` };
  const identity = identityFromSubjectAltName(certificate.subjectaltname);
  if (identity === undefined) return { refusal: 'identity', reason: 'the certificate names no rlnet host' };
  if (identity.cluster !== own.cluster) {
    return { refusal: 'cluster', reason: `the certificate is of cluster ${identity.cluster}` };
  }
  return { identity, serial };
}

function admit(
  socket: TLSSocket,
  headers: IncomingHttpHeaders,
  family: Family,
  material: TlsMaterial,
): { party: Party; address: Address } | { refusal: Refusal } {
  const from = socket.remoteAddress ?? '';
  const remote = parseSocketAddress(from);
  const refuse = (code: RefusalCode, reason: string): { refusal: Refusal } => ({
    refusal: { code, reason, from },
  });
  if (remote === undefined) return refuse('family', 'the other side has no address');
  if (remote.mapped || familyOf(remote.address) !== family) {
    return refuse(
      'family',
      `it speaks ${familyOf(remote.address)}, this cluster's internal family is ${family}`,
    );
  }
  const party = partyOf(socket.getPeerCertificate(), material);
  if ('refusal' in party) return refuse(party.refusal, party.reason);
  const offered = headers['sec-websocket-protocol'] ?? '';
  if (!offered.split(/,\s*/).includes(subprotocol)) {
    return refuse('subprotocol', `it offers ${JSON.stringify(offered.slice(0, 64))}`);
  }
  return { party, address: remote.address };
}

function channelOver(
  websocket: WebSocket,
  { identity, serial }: Party,
  address: Address,
  opener: Channel['opener'],
): Channel {
  const early: string[] = [];
  let onText = (text: string): void => {
    early.push(text);
  };
  let closedBecause: string | undefined;
  let refusal: RefusalCode | undefined;
  let onControl = (): void => {};
  let onClosed = (_reason: string, _refusal?: RefusalCode): void => {};

  websocket.on('message', (data: RawData, isBinary: boolean) => {
    // Only texts are messages; a binary frame becomes a text that no decoder takes.
    // ws gives texts as one Buffer unless it is told otherwise (binaryType).
    onText(isBinary ? '' : (data as Buffer).toString());
  });
  websocket.on('ping', () => onControl());
  websocket.on('pong', () => onControl());
  // ws reports what went wrong here and then closes; without a listener the process would end.
  websocket.on('error', (error) => {
    if (closedBecause === undefined && errnoOf(error)?.startsWith('WS_ERR_')) refusal = 'message';
    closedBecause ??= error.message;
  });
  websocket.on('close', (code, reason) => {
    closedBecause ??= reason.length > 0 ? String(reason) : `closed (${code})`;
    onClosed(closedBecause, refusal);
  });

  return {
    identity,
    serial,
    address,
    opener,
    start(handlers) {
      onText = handlers.text;
      onControl = handlers.control ?? onControl;
      onClosed = handlers.closed;
      for (const text of early.splice(0)) onText(text);
      if (websocket.readyState === WebSocket.CLOSED) onClosed(closedBecause ?? 'closed', refusal);
    },
    send(text) {
      // As bytes, which ws masks into the frame they go in: one write to the socket where a text takes two.
      if (websocket.readyState === WebSocket.OPEN)
        websocket.send(Buffer.from(text), { binary: false }, () => {});
    },
    get queuedBytes() {
      return websocket.bufferedAmount;
    },
    close(code, reason) {
      closedBecause ??= reason;
      // RFC 6455 gives the reason 123 bytes; a character cut in half becomes one of three bytes.
      websocket.close(closeCodes[code], Buffer.from(reason).subarray(0, 120).toString());
    },
    terminate() {
      websocket.terminate();
    },
  };
}
