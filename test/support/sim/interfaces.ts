import type { Interfaces } from '../../../src/host/ports/interfaces.ts';
import { type Address, familyOf, type InterfaceAddress } from '../../../src/protocol/address.ts';
import { holdersOf, isActive, isUsable, type NetworkInterface } from '../../../src/protocol/interfaces.ts';
import { systemError } from './disk.ts';
import type { Kernel } from './kernel.ts';
import type { SimProcess } from './process.ts';

/** What iproute2 costs, and how long `ip monitor` with its debouncing takes to hint. Milliseconds. */
const readMs = { low: 4, high: 20 };
const hintMs = { low: 50, high: 200 };
/** Duplicate address detection: a random wait of up to a second, then one solicitation (RFC 4862, RetransTimer 1 s). */
const detectionMs = { low: 1_000, high: 2_000 };

/** The interfaces of a machine, as its kernel has them. */
export class SimInterfaces {
  readonly #kernel: Kernel;
  readonly #machine: string;
  readonly #onChange: () => void;
  readonly #isTaken: (address: Address) => boolean;
  readonly #watchers = new Set<() => void>();
  readonly #number: number;
  #links: NetworkInterface[] = [];

  /**
   * @param number   of the machine, for its MAC addresses
   * @param onChange called at once, for the network: an address is there, or no longer
   * @param isTaken whether another machine answers for an address: what duplicate address detection finds
   */
  constructor(
    kernel: Kernel,
    machine: string,
    number: number,
    onChange: () => void,
    isTaken: (address: Address) => boolean,
  ) {
    this.#kernel = kernel;
    this.#machine = machine;
    this.#number = number;
    this.#onChange = onChange;
    this.#isTaken = isTaken;
  }

  get links(): readonly NetworkInterface[] {
    return this.#links;
  }

  holds(address: Address): boolean {
    return holdersOf(this.#links, address).some(({ link, bound }) => isActive(link) && isUsable(bound));
  }

  /** Everything goes: the machine is off. */
  clear(): void {
    this.#links = [];
    this.#watchers.clear();
    this.#onChange();
  }

  /** Adds an active link, `lo` with its addresses. */
  addLink(name: string): void {
    const index = this.#links.length + 1;
    const loopback = name === 'lo';
    this.#links.push({
      index,
      name,
      ...(loopback ? {} : { mac: `02:00:00:00:${hex(this.#number)}:${hex(index)}` }),
      mtu: loopback ? 65_536 : 1_500,
      operState: loopback ? 'unknown' : 'up',
      flags: [...(loopback ? ['LOOPBACK'] : ['BROADCAST', 'MULTICAST']), 'UP', 'LOWER_UP'],
      addresses: [],
    });
    this.#changed(`${name} is there`);
  }

  setCarrier(name: string, carrier: boolean): void {
    const link = this.#link(name);
    link.operState = carrier ? 'up' : 'down';
    link.flags = link.flags.filter((flag) => flag !== 'LOWER_UP' && flag !== 'NO-CARRIER');
    link.flags.push(carrier ? 'LOWER_UP' : 'NO-CARRIER');
    this.#changed(`${name} carrier ${carrier}`);
  }

  /** `ip addr add`. An IPv6 address is tentative for a while, and a socket cannot bind to it. */
  add(name: string, { address, prefixLength }: InterfaceAddress, detect = true): void {
    const link = this.#link(name);
    const tentative = detect && familyOf(address) === 'ipv6';
    const bound = { address, prefixLength, scope: 'global', flags: tentative ? ['tentative'] : [] };
    link.addresses.push(bound);
    this.#changed(`${name} +${address}/${prefixLength}`);
    if (!tentative) return;
    const chance = this.#kernel.random.split(`${this.#machine}/detection/${address}/${this.#kernel.now}`);
    this.#kernel.world(chance.between(detectionMs.low, detectionMs.high), `${this.#machine} DAD`, () => {
      if (!link.addresses.includes(bound) || !this.#links.includes(link)) return;
      // A failed one stays tentative, for good (ip-address(8)).
      bound.flags = this.#isTaken(address) ? ['tentative', 'dadfailed'] : [];
      this.#changed(`${name} ${address} is ${bound.flags.join(' ') || 'no longer tentative'}`);
    });
  }

  /** `ip addr del` */
  remove(name: string, address: Address): void {
    const link = this.#link(name);
    link.addresses = link.addresses.filter((bound) => bound.address !== address);
    this.#changed(`${name} -${address}`);
  }

  /** What a process of the machine sees of them. */
  port(process: SimProcess): Interfaces {
    return {
      read: (signal) =>
        process.call(process.latency.between(readMs.low, readMs.high), 'ip addr', () => {
          signal?.throwIfAborted();
          return structuredClone(this.#links);
        }),
      watch: (onHint) => {
        let pending = false;
        const watcher = (): void => {
          if (pending) return;
          pending = true;
          process.io(process.latency.between(hintMs.low, hintMs.high), 'ip monitor', () => {
            pending = false;
            if (this.#watchers.has(watcher)) onHint();
          });
        };
        this.#watchers.add(watcher);
        const close = (): void => {
          this.#watchers.delete(watcher);
        };
        process.onExit(close);
        return { close };
      },
    };
  }

  #link(name: string): NetworkInterface {
    const link = this.#links.find((each) => each.name === name);
    if (link === undefined) throw systemError('ENODEV', name);
    return link;
  }

  #changed(what: string): void {
    this.#kernel.note(this.#machine, what);
    this.#onChange();
    for (const watcher of this.#watchers) watcher();
  }
}

function hex(value: number): string {
  return value.toString(16).padStart(2, '0');
}
