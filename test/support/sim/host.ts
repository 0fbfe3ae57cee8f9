import { dirname } from 'node:path';
import type { BootClock } from '../../../src/host/ports/boot-clock.ts';
import type { Files } from '../../../src/host/ports/files.ts';
import type { Units } from '../../../src/host/ports/units.ts';
import { type Address, type Family, familyOf, parseInterfaceAddress } from '../../../src/protocol/address.ts';
import type { UnitState } from '../../../src/protocol/unit.ts';
import { SimDisk } from './disk.ts';
import { createSimFiles } from './files.ts';
import { SimInterfaces } from './interfaces.ts';
import type { Kernel } from './kernel.ts';
import { SimLocalSockets } from './local-sockets.ts';
import type { Machine, SimNetwork } from './network.ts';
import { SimProcess } from './process.ts';
import { createSimRandom } from './random.ts';
import { nodeIdFile, type RsMachine } from './rs.ts';

/** When a simulation begins: 2026-01-01, 00:00 UTC. */
const epoch = Date.UTC(2026, 0, 1);
/** A machine that has just booted has been up for so long when its first service starts. */
const upAtStartMs = 3_000;
export const rsUnit = 'rlec_supervisor';

/** What a machine is, as its owner ordered it. */
export interface HostPlan {
  name: string;
  /** Counts from 1. */
  number: number;
  /** `ADDRESS/LENGTH` each, on eth0 after every boot. */
  addresses: readonly string[];
  /** The RS node on it, if it is one. */
  nodeUid?: number;
  machineId?: string;
}

/** A program that the service manager of a host runs and starts again. */
export interface Service {
  /** Begins in a process that was just made; calls `process.exit()` to end. */
  start(process: SimProcess, host: SimHost): void;
  /** RestartSec, milliseconds. */
  restartMs: number;
}

/**
 * One machine: clocks, disk, interfaces, units, processes, and power. What is under /run and /proc is gone with the power; so is all
 * on the disk that was not synced.
 */
export class SimHost implements Machine, RsMachine {
  readonly name: string;
  readonly plan: HostPlan;
  readonly disk = new SimDisk();
  readonly interfaces: SimInterfaces;
  readonly #kernel: Kernel;
  readonly #network: SimNetwork;
  readonly #services = new Map<
    string,
    { service: Service; process: SimProcess | undefined; stopped: boolean }
  >();
  readonly #processes = new Set<SimProcess>();
  readonly #units = new Map<string, UnitState>();
  #memoryDisk = new SimDisk();
  #localSockets = new SimLocalSockets();
  #power: 'off' | 'booting' | 'on' = 'off';
  #boots = 0;
  #bootedAt = 0;
  #wallOffset = 0;
  #starts = 0;

  constructor(kernel: Kernel, network: SimNetwork, plan: HostPlan) {
    this.name = plan.name;
    this.plan = plan;
    this.#kernel = kernel;
    this.#network = network;
    this.interfaces = new SimInterfaces(kernel, plan.name, plan.number, () => network.changed());
    network.attach(this);
    const machineId = plan.machineId ?? createSimRandom(kernel.random.split(`${plan.name}/machine-id`)).id();
    this.put('/etc/machine-id', `${machineId}\n`);
    this.put('/etc/hosts', '127.0.0.1 localhost\n::1 localhost\n');
    this.put('/var/lib/.keep', '');
    if (plan.nodeUid !== undefined) {
      this.put(nodeIdFile, `${plan.nodeUid}\n`);
      this.setUnit(rsUnit, { activeState: 'inactive', subState: 'dead' });
    }
    this.disk.syncAll();
  }

  // --- clocks

  /** Milliseconds since the epoch, as this machine believes. */
  readonly wall = (): number => epoch + this.#kernel.now + this.#wallOffset;

  /** CLOCK_MONOTONIC, and CLOCK_BOOTTIME too: the machine never sleeps. Milliseconds. */
  readonly monotonic = (): number => this.#kernel.now - this.#bootedAt + upAtStartMs;

  /** Somebody or NTP sets the clock. */
  jumpWall(ms: number): void {
    this.#kernel.note('fault', `the wall clock of ${this.name} jumps by ${ms} ms`);
    this.#wallOffset += ms;
  }

  /** What a process of this machine sees of CLOCK_BOOTTIME. */
  bootClock(process: SimProcess): BootClock {
    return {
      now: () =>
        process.call(0.05, 'read /proc/uptime', () => ({
          bootId: new TextDecoder().decode(this.#memoryDisk.read('/proc/sys/kernel/random/boot_id')).trim(),
          seconds: this.monotonic() / 1000,
        })),
    };
  }

  // --- power

  get isOn(): boolean {
    return this.#power === 'on';
  }

  /** @param bootMs how long it takes until addresses appear and services start */
  powerOn(bootMs = 0): void {
    if (this.#power !== 'off') return;
    this.#power = 'booting';
    this.#kernel.note(this.name, 'power on');
    const boot = ++this.#boots;
    this.#kernel.world(bootMs, `${this.name} has booted`, () => {
      if (this.#power === 'booting' && this.#boots === boot) this.#boot();
    });
  }

  /** The plug is pulled. Nobody is told, and what was not synced is lost, kept or torn. */
  powerOff(): void {
    if (this.#power === 'off') return;
    this.#kernel.note('fault', `${this.name} loses its power`);
    this.#goDown();
    this.disk.powerCut(this.#kernel.random.split(`${this.name}/power cut ${this.#boots}`));
  }

  /** A regular restart: services end, the disk is synced. */
  reboot(bootMs: number): void {
    if (!this.isOn) return;
    this.#kernel.note('fault', `${this.name} reboots`);
    for (const entry of this.#services.values()) entry.stopped = true;
    for (const process of this.#processes) process.exit();
    this.disk.syncAll();
    this.#goDown();
    this.powerOn(bootMs);
  }

  // --- network

  holds(address: Address): boolean {
    return this.isOn && this.interfaces.holds(address);
  }

  sourceAddress(family: Family): Address | undefined {
    return this.interfaces.links
      .flatMap(({ addresses }) => addresses)
      .find(({ address }) => familyOf(address) === family && this.holds(address))?.address;
  }

  // --- processes

  /** A process of its own, that nobody starts again: a command, say. */
  spawn(name: string): SimProcess {
    const process = new SimProcess(this.#kernel, `${this.name}/${name}#${++this.#starts}`, this);
    this.#processes.add(process);
    process.onExit(() => this.#processes.delete(process));
    return process;
  }

  /** Makes a service known; it starts with each boot, and at once where the machine is on. */
  install(name: string, service: Service): void {
    this.#services.set(name, { service, process: undefined, stopped: false });
    if (this.isOn) this.#startService(name);
  }

  /** The process of a service; undefined while there is none. */
  process(service: string): SimProcess | undefined {
    return this.#services.get(service)?.process;
  }

  /** kill -9; the service manager starts it again. */
  kill(service: string): void {
    this.#kernel.note('fault', `${service} on ${this.name} is killed`);
    this.process(service)?.exit();
  }

  /** `systemctl stop`, for a service that does not mind. */
  stop(service: string): void {
    const entry = this.#services.get(service);
    if (entry === undefined) return;
    entry.stopped = true;
    entry.process?.exit();
  }

  start(service: string): void {
    const entry = this.#services.get(service);
    if (entry === undefined || entry.process !== undefined) return;
    entry.stopped = false;
    this.#startService(service);
  }

  files(process: SimProcess): Files {
    return createSimFiles(process, (path) => this.#mount(path));
  }

  sockets(process: SimProcess): ReturnType<SimLocalSockets['port']> {
    return this.#localSockets.port(process);
  }

  // --- RS and its unit

  isRsActive(): boolean {
    return this.isOn && this.#units.get(rsUnit)?.activeState === 'active';
  }

  setUnit(unit: string, change: Partial<UnitState>): void {
    const before = this.#units.get(unit) ?? {
      unit,
      loadState: 'loaded',
      activeState: 'inactive',
      subState: 'dead',
      unitFileState: 'enabled',
      result: 'success',
    };
    this.#units.set(unit, { ...before, ...change });
  }

  units(process: SimProcess): Units {
    const ask = <T>(what: string, answer: () => T): Promise<T> =>
      process.call(process.latency.between(5, 30), `systemctl ${what}`, answer);
    const known = ['rlec_supervisor', 'rlec_supervisord'];
    return {
      discover: (configured) => ask('show', () => configured ?? known.find((unit) => this.#units.has(unit))),
      state: (unit) =>
        ask(`show ${unit}`, () => {
          const state = this.#units.get(unit);
          if (state !== undefined) return { ...state };
          const none = { activeState: 'inactive', subState: 'dead', unitFileState: '', result: 'success' };
          return { unit, loadState: 'not-found', ...none };
        }),
    };
  }

  /** Puts a file there as an installer would, durable. */
  put(path: string, content: string): void {
    const disk = this.#mount(path);
    makeParents(disk, path);
    const there = disk.exists(path) ? disk.find(path) : disk.create(path, 0o644);
    if (there.kind === 'file') disk.write(path, there, new TextEncoder().encode(content));
    disk.syncAll();
  }

  #mount(path: string): SimDisk {
    return /^\/(run|proc)(\/|$)/.test(path) ? this.#memoryDisk : this.disk;
  }

  #boot(): void {
    this.#power = 'on';
    this.#bootedAt = this.#kernel.now;
    this.#memoryDisk = new SimDisk();
    this.#localSockets = new SimLocalSockets();
    const chance = this.#kernel.random.split(`${this.name}/boot ${this.#boots}`);
    this.put('/proc/sys/kernel/random/boot_id', `${createSimRandom(chance).id()}\n`);
    this.put('/run/.keep', '');
    this.interfaces.addLink('lo');
    this.interfaces.addLink('eth0');
    const boot = this.#boots;
    const later = (delayMs: number, what: string, action: () => void): void => {
      this.#kernel.world(delayMs, `${this.name} ${what}`, () => {
        if (this.isOn && this.#boots === boot) action();
      });
    };
    // Addresses and services come in any order: nothing may hang on one of them.
    later(chance.between(0, 1_500), 'gets its addresses', () => {
      for (const text of this.plan.addresses) this.interfaces.add('eth0', parseInterfaceAddress(text));
    });
    for (const [name, entry] of this.#services) {
      entry.stopped = false;
      later(chance.between(0, 2_000), `starts ${name}`, () => this.#startService(name));
    }
    if (this.#units.get(rsUnit)?.unitFileState === 'enabled') {
      later(chance.between(2_000, 6_000), `starts ${rsUnit}`, () =>
        this.setUnit(rsUnit, { activeState: 'active', subState: 'running' }),
      );
    }
  }

  #goDown(): void {
    this.#power = 'off';
    this.#network.powerLost(this);
    for (const entry of this.#services.values()) entry.stopped = true;
    for (const process of this.#processes) process.exit();
    this.interfaces.clear();
    for (const unit of this.#units.keys()) this.setUnit(unit, { activeState: 'inactive', subState: 'dead' });
  }

  #startService(name: string): void {
    const entry = this.#services.get(name);
    if (entry === undefined || entry.process !== undefined || !this.isOn) return;
    const process = this.spawn(name);
    entry.process = process;
    const boot = this.#boots;
    process.onExit(() => {
      entry.process = undefined;
      if (entry.stopped) return;
      this.#kernel.world(entry.service.restartMs, `${this.name} starts ${name} again`, () => {
        if (!entry.stopped && this.#boots === boot) this.#startService(name);
      });
    });
    // A program takes its time until its first line runs.
    process.io(process.latency.between(100, 400), `${name} begins`, () => entry.service.start(process, this));
  }
}

function makeParents(disk: SimDisk, path: string): void {
  const parent = dirname(path);
  if (disk.exists(parent)) return;
  makeParents(disk, parent);
  disk.makeDirectory(parent, 0o755);
}
