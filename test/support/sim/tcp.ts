import type { Address } from '../../../src/protocol/address.ts';
import type { KernelEvent } from './event-queue.ts';
import { describeFrame, type Frame, sizeOf } from './frames.ts';
import { type Machine, type SimNetwork, transit } from './network.ts';
import type { SimProcess } from './process.ts';

/** What the kernel takes from a process before bytes pile up in the process itself. */
const sendBuffer = 64 * 1024;
/** What the kernel takes from the network before the process has read it. */
const receiveWindow = 128 * 1024;
/** Linux gives a connection up after 15 retransmissions without an answer (tcp_retries2), here with the probe before: after 924 s. */
const mostRetries = 16;

/**
 * When an unanswered segment is sent again, milliseconds after the time before: a tail loss probe after 200 ms (RFC 8985), then
 * retransmission timeouts from 200 ms (TCP_RTO_MIN of Linux), doubled each time (RFC 6298).
 */
function retransmissionMs(attempt: number): number {
  return attempt === 0 ? 200 : Math.min(120_000, 200 * 2 ** (attempt - 1));
}

export interface SocketHandlers {
  frame(frame: Frame): void;
  /** The other side ended it, or it broke. */
  closed(reason: string): void;
}

interface Place {
  process: SimProcess;
  machine: Machine;
  address: Address;
}

/** Two connected sockets: who asked, and who accepted. */
export function acceptPair(network: SimNetwork, client: Place, server: Place): [SimSocket, SimSocket] {
  const sockets: [SimSocket, SimSocket] = [
    new SimSocket(network, client, true, () => sockets[1]),
    new SimSocket(network, server, false, () => sockets[0]),
  ];
  return sockets;
}

/** One end of a TCP connection, as its process has it. */
export class SimSocket {
  readonly process: SimProcess;
  readonly machine: Machine;
  readonly address: Address;
  readonly isClient: boolean;
  readonly #network: SimNetwork;
  readonly #peer: () => SimSocket;
  #out: Pipe | undefined;
  #handlers: SocketHandlers | undefined;
  /** `ended`: this side has closed it, or learned that it is over. `vanished`: the machine forgot it all. */
  #state: 'open' | 'ended' | 'vanished' = 'open';
  #unread = 0;

  constructor(
    network: SimNetwork,
    { process, machine, address }: Place,
    isClient: boolean,
    peer: () => SimSocket,
  ) {
    this.#network = network;
    this.process = process;
    this.machine = machine;
    this.address = address;
    this.isClient = isClient;
    this.#peer = peer;
  }

  get peer(): SimSocket {
    return this.#peer();
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  get hasVanished(): boolean {
    return this.#state === 'vanished';
  }

  /** Bytes that wait in the process because the kernel does not take them. */
  get queuedBytes(): number {
    return Math.max(0, this.#pipe.bytes - sendBuffer);
  }

  /** Call it before any event can come: right after the connection came about. */
  start(handlers: SocketHandlers): void {
    this.#handlers = handlers;
  }

  send(frame: Frame): void {
    if (!this.isOpen) return;
    const bytes = sizeOf(frame);
    this.#network.count(this.machine, bytes);
    this.#pipe.send({ content: frame, bytes, delivered: false, acknowledged: false });
  }

  /** close(2): what was sent still goes out, then FIN; or a reset where something is unread. `closed` is not called. */
  destroy(): void {
    if (!this.isOpen) return;
    this.#state = 'ended';
    if (this.#unread > 0) {
      this.#pipe.stop();
      this.resetPeer();
      return;
    }
    this.#pipe.send({ content: 'FIN', bytes: 0, delivered: false, acknowledged: false });
  }

  /** Like `destroy`; and `closed` is called. */
  abort(): void {
    if (!this.isOpen) return;
    this.destroy();
    this.process.io(0, 'socket closed', () => this.#handlers?.closed('closed (1006)'));
  }

  /** The machine has lost its power. */
  vanish(): void {
    this.#state = 'vanished';
    this.#out?.stop();
    this.#network.forget(this);
  }

  /** Tells the other end that there is no such connection here, if that gets through. */
  resetPeer(): void {
    const { peer } = this;
    const delay = transit(this.#network.path(this.machine.name, peer.machine.name));
    if (delay === undefined) return;
    this.#network.kernel.world(delay, `${this.machine.name}>${peer.machine.name} RST`, () =>
      peer.broken('read ECONNRESET'),
    );
  }

  /** The kernel gives the connection up. */
  broken(reason: string): void {
    if (this.#state === 'vanished') return;
    this.#out?.stop();
    this.#network.forget(this);
    this.process.io(0, `${this.machine.name} ${reason}`, () => this.#ended(reason));
  }

  /** Whether there is room; if so, the process gets to see it. */
  take(segment: Segment): boolean {
    if (this.#unread > 0 && this.#unread + segment.bytes > receiveWindow) return false;
    this.#unread += segment.bytes;
    const { content, bytes } = segment;
    const what = content === 'FIN' ? 'FIN' : describeFrame(content);
    this.process.io(0, `${this.peer.machine.name}>${this.machine.name} ${what}`, () => {
      this.#unread -= bytes;
      this.peer.#out?.roomAgain();
      if (content !== 'FIN') {
        if (this.isOpen) this.#handlers?.frame(content);
        return;
      }
      // Both sides have ended it: the kernels forget it.
      this.#network.forget(this);
      this.#ended('closed (1006)');
    });
    return true;
  }

  #ended(reason: string): void {
    if (!this.isOpen) return;
    this.#state = 'ended';
    this.#out?.stop();
    this.#handlers?.closed(reason);
  }

  get #pipe(): Pipe {
    this.#out ??= new Pipe(this.#network, this);
    return this.#out;
  }
}

interface Segment {
  /** Place in the stream, from 0; given when it is sent. */
  sequence?: number;
  readonly content: Frame | 'FIN';
  readonly bytes: number;
  delivered: boolean;
  acknowledged: boolean;
}

/**
 * One direction of a connection: a reliable, ordered stream. A lost segment is not a lost message but a late one, and holds up what is
 * behind it. It goes on only while the acknowledgements come back: where one direction of the network is cut, the
 * stream in the other one comes to a halt as well, after what was under way.
 */
class Pipe {
  readonly #network: SimNetwork;
  readonly #from: SimSocket;
  readonly #to: SimSocket;
  /** Sent, or to be sent, and not acknowledged. */
  #queue: Segment[] = [];
  bytes = 0;
  #sent = 0;
  /** The sequence that the other side has to see next. */
  #expected = 0;
  #lastArrival = 0;
  /** Retransmissions of the head; undefined while all goes well. */
  #attempt: number | undefined;
  /** What was sent again last; its acknowledgement ends the halt. */
  #retried: Segment | undefined;
  #timer: KernelEvent | undefined;
  #starved = false;
  #stopped = false;

  constructor(network: SimNetwork, from: SimSocket) {
    this.#network = network;
    this.#from = from;
    this.#to = from.peer;
  }

  send(segment: Segment): void {
    if (this.#stopped) return;
    segment.sequence = this.#sent++;
    this.#queue.push(segment);
    this.bytes += segment.bytes;
    if (this.#attempt === undefined) this.#transmit(segment);
  }

  /** Nothing of it will ever arrive any more, but what is on the wire. */
  stop(): void {
    this.#stopped = true;
    this.#queue = [];
    this.bytes = 0;
    this.#cancelTimer();
  }

  /** The reader has read. */
  roomAgain(): void {
    if (!this.#starved) return;
    this.#starved = false;
    this.#flush();
  }

  #transmit(segment: Segment): boolean {
    const { kernel } = this.#network;
    const { machine, address } = this.#from;
    const to = this.#to.machine;
    // A packet from an address that the machine no longer has finds no route out.
    const delay = machine.holds(address) ? transit(this.#network.path(machine.name, to.name)) : undefined;
    if (delay === undefined) {
      this.#halt();
      return false;
    }
    this.#lastArrival = Math.max(kernel.now + delay, this.#lastArrival);
    kernel.world(this.#lastArrival - kernel.now, `${machine.name}>${to.name} wire`, () =>
      this.#arrive(segment),
    );
    const path = this.#network.path(machine.name, to.name);
    if (path.duplication > 0 && path.chance.chance(path.duplication)) {
      const again = this.#lastArrival - kernel.now + path.delay(path.chance);
      kernel.world(again, `${machine.name}>${to.name} wire again`, () => this.#arrive(segment));
    }
    return true;
  }

  #arrive(segment: Segment): void {
    if (segment.acknowledged) return;
    const to = this.#to;
    const holder = this.#network.holderOf(to.address);
    if (holder === undefined) {
      this.#halt();
      return;
    }
    // Another machine has the address, or the same one has forgotten the connection.
    if (holder !== to.machine || to.hasVanished || (!to.isOpen && segment.content !== 'FIN')) {
      if (!this.#from.hasVanished) to.resetPeer();
      return;
    }
    if (!segment.delivered) {
      // What is before it found no room or nobody: it is sent again together with that.
      if (segment.sequence !== this.#expected) return;
      if (!to.take(segment)) {
        this.#starved = true;
        this.#halt();
        return;
      }
      segment.delivered = true;
      this.#expected += 1;
    }
    if (this.#network.path(to.machine.name, this.#from.machine.name).isUp) this.#acknowledge(segment);
    else this.#halt();
  }

  #acknowledge(segment: Segment): void {
    segment.acknowledged = true;
    const index = this.#queue.indexOf(segment);
    if (index < 0) return;
    this.#queue.splice(index, 1);
    this.bytes -= segment.bytes;
    if (segment === this.#retried) this.#flush();
    if (segment.content === 'FIN') this.#network.forget(this.#from);
  }

  /** Goes on with all that has waited. */
  #flush(): void {
    this.#attempt = undefined;
    this.#retried = undefined;
    this.#cancelTimer();
    for (const segment of this.#queue) if (!this.#transmit(segment)) return;
  }

  #halt(): void {
    if (this.#attempt !== undefined || this.#stopped) return;
    this.#attempt = 0;
    this.#retryLater();
  }

  #retryLater(): void {
    const { kernel } = this.#network;
    const wait = retransmissionMs(this.#attempt ?? 0);
    this.#timer = kernel.world(wait, `${this.#from.machine.name} RTO`, () => this.#retry());
  }

  #retry(): void {
    const [head] = this.#queue;
    if (head === undefined) {
      this.#attempt = undefined;
      return;
    }
    this.#attempt = (this.#attempt ?? 0) + 1;
    if (this.#attempt > mostRetries) {
      this.#from.broken('read ETIMEDOUT');
      return;
    }
    this.#retryLater();
    this.#retried = head;
    this.#transmit(head);
  }

  #cancelTimer(): void {
    if (this.#timer !== undefined) this.#timer.cancelled = true;
  }
}
