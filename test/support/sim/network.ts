import type { Address, Family } from '../../../src/protocol/address.ts';
import type { Kernel } from './kernel.ts';
import type { SimProcess } from './process.ts';
import type { Stream } from './random.ts';
import { acceptPair, type SimSocket } from './tcp.ts';

/** What the network needs to know of a machine. */
export interface Machine {
  readonly name: string;
  /** Whether it is on and a socket could bind to the address: on an active interface, duplicate address detection over. */
  holds(address: Address): boolean;
  /** Of the card that answers for an address, where it holds it. */
  macOf(address: Address): string | undefined;
  /** The address that a connection to another one of the family leaves from. */
  sourceAddress(family: Family): Address | undefined;
}

/** One direction between two machines. Changing it changes what is sent from now on. */
export interface Path {
  /** Cut: nothing arrives, and nobody is told. */
  isUp: boolean;
  /** The share of packets that get lost, 0 to 1. */
  loss: number;
  /** The share of packets of a connection that arrive a second time, 0 to 1; later, by as much as a packet takes. */
  duplication: number;
  /** How long a packet takes, milliseconds. */
  delay: (chance: Stream) => number;
  readonly chance: Stream;
}

/** A switched network: 0.15 to 0.4 ms, and now and then a few milliseconds more. */
export function lanDelay(chance: Stream): number {
  const usual = chance.between(0.15, 0.4);
  return chance.chance(0.01) ? usual + chance.between(0, 5) : usual;
}

/** Linux sends a SYN again after 1 s, then 2, 4, 8 … (tcp_syn_retries). */
const firstSynRetryMs = 1_000;
/** A neighbour that does not answer ARP or NS: three tries, a second each (mcast_solicit, retrans_time_ms), then EHOSTUNREACH. */
const neighbourTimeoutMs = 3_050;

interface ListeningSocket {
  process: SimProcess;
  machine: Machine;
  address: Address;
  port: number;
  onSocket: (socket: SimSocket) => void;
}

/** What the processes of a machine have sent so far: frames, and about the bytes that TLS makes of them. */
export interface Sent {
  frames: number;
  bytes: number;
}

/** The network between the machines, and the TCP of their kernels. */
export class SimNetwork {
  readonly kernel: Kernel;
  readonly #machines: Machine[] = [];
  readonly #paths = new Map<string, Path>();
  readonly #holders = new Map<Address, Machine | undefined>();
  readonly #listening = new Set<ListeningSocket>();
  readonly #sockets = new Map<Machine, Set<SimSocket>>();
  readonly #processes = new WeakSet<SimProcess>();
  readonly #sent = new Map<Machine, Sent>();

  constructor(kernel: Kernel) {
    this.kernel = kernel;
  }

  attach(machine: Machine): void {
    this.#machines.push(machine);
    this.#sockets.set(machine, new Set());
    this.#sent.set(machine, { frames: 0, bytes: 0 });
    this.changed();
  }

  /** An address came or went, or a machine did. */
  changed(): void {
    this.#holders.clear();
  }

  /** Where packets for an address go now; the machine that was attached first, where several have it. */
  holderOf(address: Address): Machine | undefined {
    if (!this.#holders.has(address)) {
      this.#holders.set(
        address,
        this.#machines.find((machine) => machine.holds(address)),
      );
    }
    return this.#holders.get(address);
  }

  /** The other machines that answer `asker` when it asks who has an address (ARP, NS): with two, the address is twice on the wire. */
  answering(asker: Machine, address: Address): Machine[] {
    return this.#machines.filter(
      (machine) =>
        machine !== asker &&
        machine.holds(address) &&
        this.paths(asker.name, machine.name).every(({ isUp }) => isUp),
    );
  }

  path(from: string, to: string): Path {
    const key = `${from}>${to}`;
    let path = this.#paths.get(key);
    if (path === undefined) {
      const chance = this.kernel.random.split(`path ${key}`);
      path = { isUp: true, loss: 0, duplication: 0, delay: lanDelay, chance };
      this.#paths.set(key, path);
    }
    return path;
  }

  /** Both directions between two machines. */
  paths(a: string, b: string): Path[] {
    return [this.path(a, b), this.path(b, a)];
  }

  /** Every direction between any two machines. */
  allPaths(): Path[] {
    const names = this.#machines.map(({ name }) => name);
    return names.flatMap((from) => names.filter((to) => to !== from).map((to) => this.path(from, to)));
  }

  /** Cuts a machine off from all others, silently. */
  isolate(name: string): void {
    this.kernel.note('fault', `${name} is cut off`);
    for (const path of this.#around(name)) path.isUp = false;
  }

  rejoin(name: string): void {
    this.kernel.note('fault', `${name} is no longer cut off`);
    for (const path of this.#around(name)) path.isUp = true;
  }

  /** Every connection that both ends still have, for invariants. */
  connections(): { a: SimSocket; b: SimSocket }[] {
    const found: { a: SimSocket; b: SimSocket }[] = [];
    for (const sockets of this.#sockets.values()) {
      for (const socket of sockets)
        if (socket.isClient && socket.isOpen && socket.peer.isOpen) found.push({ a: socket, b: socket.peer });
    }
    return found;
  }

  sentBy(machine: Machine): Sent {
    return { frames: 0, bytes: 0, ...this.#sent.get(machine) };
  }

  /** A process sends a frame. */
  count(machine: Machine, bytes: number): void {
    const sent = this.#sent.get(machine);
    if (sent === undefined) return;
    sent.frames += 1;
    sent.bytes += bytes;
  }

  /** A machine lost its power: its sockets are gone, and nobody is told. */
  powerLost(machine: Machine): void {
    for (const socket of this.#sockets.get(machine) ?? []) socket.vanish();
    for (const listening of this.#listening)
      if (listening.machine === machine) this.#listening.delete(listening);
    this.changed();
  }

  /** @returns undefined where somebody listens there already */
  listen(
    process: SimProcess,
    machine: Machine,
    at: { address: Address; port: number },
    onSocket: (socket: SimSocket) => void,
  ): { close(): void } | undefined {
    if (this.#listeningAt(machine, at) !== undefined) return undefined;
    const listening: ListeningSocket = { process, machine, ...at, onSocket };
    this.#listening.add(listening);
    const close = (): void => {
      this.#listening.delete(listening);
    };
    process.onExit(close);
    return { close };
  }

  /**
   * Connects as the kernel does: SYN, again after 1, 2, 4 … seconds for as long as nobody answers.
   * @param settled called once, as something that the process gets to see: a socket, or the system's word for what went wrong
   * @returns gives up
   */
  connect(
    process: SimProcess,
    machine: Machine,
    from: Address,
    to: { address: Address; port: number },
    settled: (outcome: SimSocket | { errno: string }) => void,
  ): () => void {
    let over = false;
    let retryMs = firstSynRetryMs;
    const settle = (delayMs: number, outcome: SimSocket | { errno: string }): void => {
      if (over) return;
      over = true;
      const what = 'errno' in outcome ? outcome.errno : 'connected';
      process.io(delayMs, `${machine.name} connect ${to.address} ${what}`, () => settled(outcome));
    };
    const neighbourMissing = (): void => {
      this.kernel.world(neighbourTimeoutMs, `${machine.name} asks for ${to.address}`, () => {
        if (this.holderOf(to.address) === undefined) settle(0, { errno: 'EHOSTUNREACH' });
      });
    };
    const syn = (): void => {
      if (over || !process.isAlive) return;
      this.kernel.world(retryMs, `${machine.name} SYN again ${to.address}`, syn);
      retryMs *= 2;
      if (!machine.holds(from)) return;
      const holder = this.holderOf(to.address);
      if (holder === undefined) {
        neighbourMissing();
        return;
      }
      const path = this.path(machine.name, holder.name);
      const delay = transit(path);
      if (delay === undefined) return;
      this.kernel.world(delay, `${machine.name}>${holder.name} SYN`, () => {
        if (over || this.holderOf(to.address) !== holder) return;
        const answer = transit(this.path(holder.name, machine.name));
        if (answer === undefined) return;
        const listening = this.#listeningAt(holder, to);
        if (listening === undefined) {
          settle(answer, { errno: 'ECONNREFUSED' });
          return;
        }
        const [client, server] = acceptPair(
          this,
          { process, machine, address: from },
          { process: listening.process, machine: holder, address: to.address },
        );
        for (const socket of [client, server]) this.#own(socket);
        listening.process.io(0, `accept ${from}`, () => {
          if (this.#listening.has(listening)) listening.onSocket(server);
          else server.destroy();
        });
        settle(answer, client);
      });
    };
    syn();
    return () => {
      over = true;
    };
  }

  /** The kernel has forgotten the socket. */
  forget(socket: SimSocket): void {
    this.#sockets.get(socket.machine)?.delete(socket);
  }

  #own(socket: SimSocket): void {
    this.#sockets.get(socket.machine)?.add(socket);
    const { process, machine } = socket;
    if (this.#processes.has(process)) return;
    this.#processes.add(process);
    process.onExit(() => {
      for (const each of this.#sockets.get(machine) ?? []) if (each.process === process) each.destroy();
    });
  }

  #listeningAt(machine: Machine, at: { address: Address; port: number }): ListeningSocket | undefined {
    for (const each of this.#listening) {
      if (each.machine === machine && each.address === at.address && each.port === at.port) return each;
    }
    return undefined;
  }

  #around(name: string): Path[] {
    const others = this.#machines.map((machine) => machine.name).filter((other) => other !== name);
    return others.flatMap((other) => this.paths(name, other));
  }
}

/** How long a packet sent now is under way, milliseconds; undefined where it is lost. */
export function transit({ isUp, loss, delay, chance }: Path): number | undefined {
  if (!isUp || (loss > 0 && chance.chance(loss))) return undefined;
  return delay(chance);
}
