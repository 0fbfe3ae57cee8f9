import {
  type Channel,
  type Listener,
  nobodyListens,
  type Refusal,
  type RefusalCode,
  type Transport,
} from '../../../src/agent/mesh/channel.ts';
import { type Address, familyOf, hostPort } from '../../../src/protocol/address.ts';
import { RlnetError } from '../../../src/protocol/errors.ts';
import type { HostIdentity } from '../../../src/protocol/identity.ts';
import { closeCodes, maxMessageBytes } from '../../../src/protocol/messages.ts';
import { systemError } from './disk.ts';
import type { Frame, SimCertificate } from './frames.ts';
import type { Machine, SimNetwork } from './network.ts';
import type { SimProcess } from './process.ts';
import type { SimSocket } from './tcp.ts';

/** As the real transport has them. */
const handshakeTimeoutMs = 5_000;
const dialTimeoutMs = 2_000;
const closeTimeoutMs = 1_000;
const maxConnectionsEach = 16;
/** What a close frame holds of a reason, in bytes, as the real transport cuts it. */
const maxReasonBytes = 120;
/** RFC 6455, section 7.4.1: message too big. */
const tooBig = 1009;

/** What stands in this host's files. */
export interface SimTls {
  /** Who this host takes itself to be. */
  identity: HostIdentity;
  /** What it shows; undefined for a stranger without a certificate. */
  certificate: SimCertificate | undefined;
  /** The CAs that this host trusts; two during a rotation. */
  authorities: readonly string[];
  /** Serial numbers that are not to be trusted any more. */
  deniedSerials: ReadonlySet<string>;
}

type Objection = { code: RefusalCode; reason: string };
/** The other side, as its certificate says. */
type Party = { identity: HostIdentity; serial: string };

/**
 * The twin of the WebSocket transport: over simulated TCP, with the same flights, checks, time limits and words.
 * @param tls the certificates as they are now
 */
export function createSimTransport(
  process: SimProcess,
  machine: Machine,
  network: SimNetwork,
  tls: () => SimTls,
): Transport {
  /** What TLS itself finds wrong. */
  const distrust = (
    certificate: SimCertificate | undefined,
    authorities: readonly string[],
  ): Objection | undefined => {
    if (certificate === undefined) return { code: 'no_certificate', reason: 'certificate required' };
    if (!authorities.includes(certificate.authority)) {
      return { code: 'unknown_ca', reason: 'unable to get local issuer certificate' };
    }
    const now = process.clock.wall();
    if (now > certificate.validTo) return { code: 'expired', reason: 'certificate has expired' };
    if (now < certificate.validFrom) return { code: 'handshake', reason: 'certificate is not yet valid' };
    return undefined;
  };

  /** Whom a certificate names, or what is wrong with it although TLS is content. */
  const partyOf = (certificate: SimCertificate | undefined): Party | Objection => {
    const { identity: own, deniedSerials } = tls();
    const { identity, serial = '' } = certificate ?? {};
    if (deniedSerials.has(serial))
      return { code: 'denied', reason: `certificate ${serial} is on the deny-list` };
    if (identity === undefined) return { code: 'identity', reason: 'the certificate names no rlnet host' };
    if (identity.cluster === own.cluster) return { identity, serial };
    return { code: 'cluster', reason: `the certificate is of cluster ${identity.cluster}` };
  };

  /** The listening side of a handshake. */
  const accept = (
    socket: SimSocket,
    shown: () => SimTls,
    onChannel: (channel: SocketChannel) => void,
    onRefusal: (refusal: Refusal) => void,
  ): void => {
    const from = socket.peer.address;
    let greeted = false;
    const refuse = (answer: Frame | undefined, { code, reason }: Objection): void => {
      if (answer !== undefined) socket.send(answer);
      socket.destroy();
      onRefusal({ code, reason, from });
    };
    const timer = process.clock.after(handshakeTimeoutMs, () => {
      socket.destroy();
      if (!greeted) onRefusal({ code: 'handshake', reason: 'TLS handshake timeout', from });
    });
    socket.start({
      closed: (reason) => {
        timer.cancel();
        onRefusal({ code: 'handshake', reason, from });
      },
      frame: (frame) => {
        if (frame.kind === 'client hello') {
          greeted = true;
          socket.send({ kind: 'server hello', certificate: shown().certificate });
        }
        if (frame.kind !== 'upgrade') return;
        timer.cancel();
        const distrusted = distrust(frame.certificate, shown().authorities);
        const party = partyOf(frame.certificate);
        if (distrusted?.code === 'no_certificate') {
          refuse({ kind: 'alert', reason: 'tlsv13 alert certificate required' }, distrusted);
        } else if (distrusted !== undefined) {
          // OpenSSL asks for a certificate; Node looks at it once the handshake is over, and then only hangs up.
          refuse(undefined, distrusted);
        } else if ('code' in party) {
          refuse({ kind: 'forbidden', code: party.code }, party);
        } else {
          socket.send({ kind: 'switching protocols' });
          onChannel(new SocketChannel(process, socket, party, from, 'them'));
        }
      },
    });
  };

  return {
    async listen(at, onChannel, onRefusal): Promise<Listener> {
      const sockets = new Set<SimSocket>();
      // A server keeps the certificates that it was given, until it is given others; the deny-list is read each time.
      let shown = tls();
      const onSocket = (socket: SimSocket): void => {
        for (const each of sockets) if (!each.isOpen) sockets.delete(each);
        const from = socket.peer.address;
        if ([...sockets].filter(({ peer }) => peer.address === from).length >= maxConnectionsEach) {
          socket.destroy();
          const reason = `more than ${maxConnectionsEach} connections at a time`;
          onRefusal({ code: 'connections', reason, from });
          return;
        }
        sockets.add(socket);
        accept(socket, () => shown, onChannel, onRefusal);
      };
      const listening = await process.call(0.1, `listen ${hostPort(at.address, at.port)}`, () => {
        if (!machine.holds(at.address)) throw systemError('EADDRNOTAVAIL', at.address);
        const opened = network.listen(process, machine, at, onSocket);
        if (opened === undefined) throw systemError('EADDRINUSE', at.address);
        return opened;
      });
      return {
        renew: () => {
          shown = tls();
        },
        close: async () => {
          listening.close();
          for (const socket of sockets) socket.abort();
          await process.call(0.1, `close ${hostPort(at.address, at.port)}`, () => {});
        },
      };
    },

    dial: (to, from) =>
      new Promise((resolve, reject) => {
        let socket: SimSocket | undefined;
        let over = false;
        let abandon = (): void => {};
        const fail = (code: 'PEER_UNREACHABLE' | 'PEER_REFUSED', reason: string): void => {
          if (over) return;
          over = true;
          timer.cancel();
          abandon();
          socket?.destroy();
          const place = hostPort(to.address, to.port);
          reject(new RlnetError(code, `${place}: ${reason}.`, 'See the log of the other host.'));
        };
        const timer = process.clock.after(dialTimeoutMs, () =>
          fail('PEER_UNREACHABLE', 'Opening handshake has timed out'),
        );
        const failed = (errno: string): void => {
          const words = `connect ${errno} ${to.address}:${to.port}`;
          fail('PEER_UNREACHABLE', errno === 'ECONNREFUSED' ? `${words}: ${nobodyListens}` : words);
        };
        const source = from ?? machine.sourceAddress(familyOf(to.address));
        if (source === undefined || !machine.holds(source)) {
          const errno = source === undefined ? 'ENETUNREACH' : 'EADDRNOTAVAIL';
          process.io(0.1, `connect ${to.address} ${errno}`, () => failed(errno));
          return;
        }
        abandon = network.connect(process, machine, source, to, (outcome) => {
          if ('errno' in outcome) {
            failed(outcome.errno);
            return;
          }
          if (over) {
            outcome.destroy();
            return;
          }
          socket = outcome;
          let theirs: Party | undefined;
          outcome.start({
            closed: (reason) => {
              const word = reason === 'closed (1006)' ? 'socket hang up' : reason;
              const seen =
                theirs === undefined ? word : `it hung up once it had seen our certificate (${word})`;
              fail('PEER_UNREACHABLE', seen);
            },
            frame: (frame) => {
              if (over) return;
              switch (frame.kind) {
                case 'server hello': {
                  const party = partyOf(frame.certificate);
                  const refused =
                    distrust(frame.certificate, tls().authorities) ?? ('code' in party ? party : undefined);
                  if (refused !== undefined) fail('PEER_REFUSED', refused.reason);
                  if ('identity' in party) theirs = party;
                  outcome.send({ kind: 'upgrade', certificate: tls().certificate });
                  return;
                }
                case 'alert':
                  fail('PEER_REFUSED', frame.reason);
                  return;
                case 'forbidden':
                  fail('PEER_REFUSED', `it refused us: ${frame.code}`);
                  return;
                case 'switching protocols':
                  if (theirs === undefined) return;
                  over = true;
                  timer.cancel();
                  resolve(new SocketChannel(process, outcome, theirs, to.address, 'us'));
                  return;
                case 'client hello':
                case 'upgrade':
                case 'text':
                case 'close':
                  return;
              }
            },
          });
          outcome.send({ kind: 'client hello' });
        });
      }),
  };
}

type Handlers = Parameters<Channel['start']>[0];

/** A WebSocket over a socket: RFC 6455's closing, and ws's habits. */
class SocketChannel implements Channel {
  readonly identity: Channel['identity'];
  readonly serial: string;
  readonly address: Address;
  readonly opener: Channel['opener'];
  readonly #process: SimProcess;
  readonly #socket: SimSocket;
  #early: string[] = [];
  #handlers: Pick<Handlers, 'text' | 'closed'> | undefined;
  #state: 'open' | 'closing' | 'closed' = 'open';
  #because: string | undefined;
  #refusal: RefusalCode | undefined;

  constructor(
    process: SimProcess,
    socket: SimSocket,
    { identity, serial }: Party,
    address: Address,
    opener: Channel['opener'],
  ) {
    this.#process = process;
    this.#socket = socket;
    this.identity = identity;
    this.serial = serial;
    this.address = address;
    this.opener = opener;
    socket.start({ frame: (frame) => this.#receive(frame), closed: (reason) => this.#closed(reason) });
  }

  get queuedBytes(): number {
    return this.#socket.queuedBytes;
  }

  start(handlers: Handlers): void {
    this.#handlers = handlers;
    for (const text of this.#early.splice(0)) handlers.text(text);
    if (this.#state === 'closed') handlers.closed(this.#because ?? 'closed', this.#refusal);
  }

  send(text: string): void {
    if (this.#state === 'open') this.#socket.send({ kind: 'text', text, bytes: Buffer.byteLength(text) });
  }

  close(code: Parameters<Channel['close']>[0], reason: string): void {
    if (this.#state !== 'open') return;
    this.#state = 'closing';
    this.#because ??= reason;
    const said = Buffer.from(reason).subarray(0, maxReasonBytes).toString();
    this.#socket.send({ kind: 'close', code: closeCodes[code], reason: said });
    this.#process.clock.after(closeTimeoutMs, () => this.terminate());
  }

  terminate(): void {
    this.#socket.abort();
  }

  #receive(frame: Frame): void {
    if (frame.kind === 'text') {
      if (frame.bytes > maxMessageBytes) {
        this.#because ??= 'Max payload size exceeded';
        this.#refusal = 'message';
        this.#socket.send({ kind: 'close', code: tooBig, reason: '' });
        this.terminate();
      } else if (this.#handlers === undefined) this.#early.push(frame.text);
      else this.#handlers.text(frame.text);
      return;
    }
    if (frame.kind !== 'close') return;
    // The answer to a close frame is a close frame; after both the connection ends.
    if (this.#state === 'open') this.#socket.send(frame);
    this.#because ??= frame.reason === '' ? `closed (${frame.code})` : frame.reason;
    this.terminate();
  }

  #closed(reason: string): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#because ??= reason;
    this.#handlers?.closed(this.#because, this.#refusal);
  }
}
