import { dirname } from 'node:path';
import type { BootClock } from '../../../src/host/ports/boot-clock.ts';
import type { Files } from '../../../src/host/ports/files.ts';
import type { HostPower } from '../../../src/host/ports/host-power.ts';
import type { UnitSignals, Units } from '../../../src/host/ports/units.ts';
import {
  type Address,
  type Family,
  familyOf,
  type InterfaceAddress,
  parseInterfaceAddress,
} from '../../../src/protocol/address.ts';
import { holdersOf } from '../../../src/protocol/interfaces.ts';
import type { Route } from '../../../src/protocol/routing.ts';
import { rsUnitNames, type UnitState } from '../../../src/protocol/unit.ts';
import { SimDisk } from './disk.ts';
import { createSimFiles } from './files.ts';
import { SimInterfaces } from './interfaces.ts';
import type { Kernel } from './kernel.ts';
import { SimLocalSockets } from './local-sockets.ts';
import type { Machine, SimNetwork } from './network.ts';
import { CrashPoints } from './points.ts';
import { SimProcess } from './process.ts';
import { createSimRandom } from './random.ts';
import { nodeIdFile, type RsMachine } from './rs.ts';

/** When a simulation begins: 2026-01-01, 00:00 UTC. */
const epoch = Date.UTC(2026, 0, 1);
/** A machine that has just booted has been up for so long when its first service starts. */
const upAtStartMs = 3_000;
const bootIdFile = '/proc/sys/kernel/random/boot_id';
export const rsUnit = 'rlec_supervisor.service';
/** From the order to restart until services are gone and the disk is synced. */
const goingDownMs = 1_000;
/** From a change of a unit to the hint: systemd's signals come in bursts, whose end is waited for. */
const signalMs = { low: 50, high: 250 };
/** A restart usually takes this long, and this long where a file system is checked or firmware thinks. */
const bootMs = { low: 15_000, high: 60_000 };
const slowBootMs = 20 * 60_000;

/** What the owner of an interface's configuration has in its files: a line `ADDRESS/LENGTH` for each address. */
export function ownerFile(name: string): string {
  return `/etc/network/interfaces.d/${name}`;
}

/** Where a unit's file lies. */
export const unitFiles = '/lib/systemd/system';

/** A unit is enabled while this link is there (here a file); like any name it is durable once its directory is synced. */
export function enablingLink(unit: string): string {
  return `/etc/systemd/system/multi-user.target.wants/${unit}`;
}

/** What a unit does when it is told to. */
export type UnitBehaviour = 'runs' | 'fails at once' | 'hangs on its way up' | 'hangs on its way down';

interface Unit {
  behaviour: UnitBehaviour;
  activeState: string;
  subState: string;
  result: string;
}

/** What a machine is, as its owner ordered it. */
export interface HostPlan {
  name: string;
  /** Counts from 1. */
  number: number;
  /** `ADDRESS/LENGTH` each: what is in the files of eth0's owner at first. */
  addresses: readonly string[];
  /** The RS node on it, if it is one. */
  nodeUid?: number;
  machineId?: string;
}

/** A program that the service manager of a host runs and starts again. */
export interface Service {
  /** Begins in a process that was just made; calls `process.exit()` to end. */
  start(process: SimProcess, host: SimHost): void;
  /** SIGTERM: is to call `process.exit()` soon. Without it the process ends at once. */
  stop?(process: SimProcess): void;
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
  readonly points: CrashPoints;
  /** Of its kernel: those that a story is about. */
  readonly routes: Route[] = [];
  /** How the next restarts go, shares of 1: the machine does not come back until somebody powers it on, or after 20 minutes only. */
  restartOdds = { never: 0, slow: 0 };
  readonly #kernel: Kernel;
  readonly #network: SimNetwork;
  readonly #services = new Map<
    string,
    { service: Service; process: SimProcess | undefined; stopped: boolean }
  >();
  readonly #processes = new Set<SimProcess>();
  readonly #units = new Map<string, Unit>();
  readonly #unitWatchers = new Set<(unit: string) => void>();
  #memoryDisk = new SimDisk();
  #localSockets = new SimLocalSockets();
  #power: 'off' | 'booting' | 'on' = 'off';
  #boots = 0;
  #bootedAt = 0;
  #wallOffset = 0;
  /** Since when it is suspended. Virtual time. */
  #asleepSince: number | undefined;
  /** For how long it was suspended since it booted, without the time that it is now. */
  #sleptMs = 0;
  #starts = 0;

  constructor(
    kernel: Kernel,
    network: SimNetwork,
    plan: HostPlan,
    points = new CrashPoints(kernel, network),
  ) {
    this.points = points;
    this.name = plan.name;
    this.plan = plan;
    this.#kernel = kernel;
    this.#network = network;
    this.interfaces = new SimInterfaces(
      kernel,
      plan.name,
      plan.number,
      () => network.changed(),
      (address) => network.answering(this, address).length > 0,
    );
    network.attach(this);
    const machineId = plan.machineId ?? createSimRandom(kernel.random.split(`${plan.name}/machine-id`)).id();
    this.put('/etc/machine-id', `${machineId}\n`);
    this.put('/etc/hosts', '127.0.0.1 localhost\n::1 localhost\n');
    this.put('/var/lib/.keep', '');
    this.put(ownerFile('eth0'), plan.addresses.map((text) => `${text}\n`).join(''));
    if (plan.nodeUid !== undefined) {
      this.put(nodeIdFile, `${plan.nodeUid}\n`);
      this.installUnit(rsUnit);
    }
    this.disk.syncAll();
  }

  // --- clocks

  /** Milliseconds since the epoch, as this machine believes. */
  readonly wall = (): number => epoch + this.#kernel.now + this.#wallOffset;

  /** CLOCK_BOOTTIME, milliseconds: since boot, also while it was suspended. */
  readonly boottime = (): number => this.#kernel.now - this.#bootedAt + upAtStartMs;

  /** CLOCK_MONOTONIC, milliseconds: stands still while the machine is suspended. */
  readonly monotonic = (): number => {
    const asleep = this.#asleepSince === undefined ? 0 : this.#kernel.now - this.#asleepSince;
    return this.boottime() - this.#sleptMs - asleep;
  };

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
          bootId: this.#read(bootIdFile).trim(),
          seconds: this.boottime() / 1000,
        })),
    };
  }

  // --- power

  get isOn(): boolean {
    return this.#power === 'on';
  }

  /** New with each boot; undefined while it is off. */
  get bootId(): string | undefined {
    return this.isOn ? this.#read(bootIdFile).trim() : undefined;
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

  /** `systemctl reboot`, with the odds that this machine has. */
  restart(): void {
    const chance = this.#kernel.random.split(`${this.name}/restart ${this.#boots}`);
    const { never, slow } = this.restartOdds;
    const fate = chance.fraction();
    if (fate < never) this.reboot(undefined);
    else this.reboot(fate < never + slow ? slowBootMs : chance.between(bootMs.low, bootMs.high));
  }

  /**
   * A regular restart: services are told to end, then the disk is synced.
   * @param bootMs as for `powerOn`; undefined: it hangs there, off
   */
  reboot(bootMs: number | undefined): void {
    if (!this.isOn) return;
    this.#kernel.note('fault', `${this.name} reboots`);
    for (const entry of this.#services.values()) {
      entry.stopped = true;
      const { process, service } = entry;
      if (process !== undefined && service.stop !== undefined) service.stop(process);
      else process?.exit();
    }
    const boot = this.#boots;
    this.#kernel.world(goingDownMs, `${this.name} goes down`, () => {
      if (!this.isOn || this.#boots !== boot) return;
      this.#goDown();
      this.disk.syncAll();
      if (bootMs !== undefined) this.powerOn(bootMs);
    });
  }

  /** Suspends the machine for `ms` milliseconds: nothing of it happens, and it answers nobody. */
  suspend(ms: number): void {
    if (!this.isOn || this.#asleepSince !== undefined) return;
    this.#kernel.note('fault', `${this.name} is suspended for ${ms} ms`);
    this.#asleepSince = this.#kernel.now;
    this.#network.changed();
    for (const process of this.#processes) process.sleep(true);
    const boot = this.#boots;
    this.#kernel.world(ms, `${this.name} resumes`, () => {
      if (!this.isOn || this.#boots !== boot) return;
      this.#asleepSince = undefined;
      this.#sleptMs += ms;
      this.#network.changed();
      for (const process of this.#processes) process.sleep(false);
    });
  }

  // --- network

  holds(address: Address): boolean {
    return this.#isAwake && this.interfaces.holds(address);
  }

  macOf(address: Address): string | undefined {
    return holdersOf(this.interfaces.links, address)[0]?.link.mac;
  }

  /** What the owner's files say of an interface; lines that are torn or nonsense say nothing. */
  configured(name: string): InterfaceAddress[] {
    return this.#read(ownerFile(name)).split('\n').flatMap(interfaceAddressIn);
  }

  /** The owner takes up its files, as `networkctl reconfigure` does: what is not in them goes, also what others have added. */
  activate(name: string): void {
    const wanted = this.configured(name);
    const bound = this.interfaces.links.find((link) => link.name === name)?.addresses ?? [];
    const has = (list: readonly { address: Address }[], address: Address): boolean =>
      list.some((each) => each.address === address);
    for (const { address } of [...bound]) if (!has(wanted, address)) this.interfaces.remove(name, address);
    for (const each of wanted) if (!has(bound, each.address)) this.interfaces.add(name, each);
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
    if (this.#asleepSince !== undefined) process.sleep(true);
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

  /** `systemctl kill -s KILL`, and it stays down until `start` or the next boot. */
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
    return createSimFiles(
      process,
      (path) => this.#mount(path),
      (what, when) => this.points.pass(this, process, what, when),
    );
  }

  /**
   * A command that changes something, for the twins of ports: it acts at its end, with a crash point before and one after.
   * @param took how long it takes, milliseconds
   */
  async command<T>(
    process: SimProcess,
    what: string,
    took: { low: number; high: number },
    act: () => T,
  ): Promise<T> {
    await this.points.pass(this, process, what, 'before');
    const result = await process.call(process.latency.between(took.low, took.high), what, act);
    await this.points.pass(this, process, what, 'after');
    return result;
  }

  /** The twin of `systemctl reboot`: accepted, and then it happens or not. */
  hostPower(process: SimProcess): HostPower {
    return {
      reboot: () => this.command(process, 'systemctl reboot', { low: 10, high: 50 }, () => this.restart()),
    };
  }

  sockets(process: SimProcess): ReturnType<SimLocalSockets['port']> {
    return this.#localSockets.port(process);
  }

  // --- RS and units

  isRsActive(): boolean {
    return this.#isAwake && this.#units.get(rsUnit)?.activeState === 'active';
  }

  /** As its package brings it: enabled, and inactive until the next boot. Durable. */
  installUnit(unit: string, behaviour: UnitBehaviour = 'runs'): void {
    this.put(enablingLink(unit), '');
    this.#units.set(unit, { behaviour, activeState: 'inactive', subState: 'dead', result: 'success' });
  }

  /** Undefined where there is no such unit. */
  unit(unit: string): UnitState | undefined {
    const found = this.#units.get(unit);
    if (found === undefined) return undefined;
    const { activeState, subState, result } = found;
    const unitFileState = this.disk.exists(enablingLink(unit)) ? 'enabled' : 'disabled';
    return { unit, loadState: 'loaded', activeState, subState, unitFileState, result };
  }

  /** What `systemctl start` brings about; nothing where it runs, or is on its way, already. */
  startUnit(unit: string): void {
    const { behaviour, activeState } = this.#units.get(unit) ?? {};
    if (activeState !== 'inactive' && activeState !== 'failed') return;
    if (behaviour === 'fails at once') this.#unitIs(unit, 'failed', 'failed', 'exit-code');
    else if (behaviour === 'hangs on its way up') this.#unitIs(unit, 'activating', 'start');
    else this.#unitIs(unit, 'active', 'running');
  }

  /** What `systemctl stop` brings about. */
  stopUnit(unit: string): void {
    const { behaviour, activeState } = this.#units.get(unit) ?? {};
    if (activeState === 'active' && behaviour === 'hangs on its way down')
      this.#unitIs(unit, 'deactivating', 'stop-sigterm');
    else if (activeState !== 'failed') this.#unitIs(unit, 'inactive', 'dead');
  }

  /** `systemctl enable` or `disable`: at once, and durable only once synced. */
  setEnabled(unit: string, enabled: boolean): void {
    const link = enablingLink(unit);
    if (this.disk.exists(link) === enabled) return;
    makeParents(this.disk, link);
    if (enabled) this.disk.create(link, 0o777);
    else this.disk.unlink(link);
    this.#signal(unit);
  }

  units(process: SimProcess): Units {
    const ask = <T>(what: string, answer: () => T): Promise<T> =>
      process.call(process.latency.between(5, 30), `systemctl ${what}`, answer);
    const known = rsUnitNames.map((name) => `${name}.service`);
    return {
      discover: (configured) => ask('show', () => configured ?? known.find((unit) => this.#units.has(unit))),
      state: (unit) =>
        ask(`show ${unit}`, () => {
          const none = { activeState: 'inactive', subState: 'dead', unitFileState: '', result: 'success' };
          return this.unit(unit) ?? { unit, loadState: 'not-found', ...none };
        }),
    };
  }

  /** The twin of systemd's signals. */
  unitSignals(process: SimProcess): UnitSignals {
    return {
      watch: (units, onHint) => {
        const watcher = (unit: string): void => {
          if (!units().some((name) => unit.startsWith(name))) return;
          process.io(process.latency.between(signalMs.low, signalMs.high), 'a signal of systemd', () => {
            if (this.#unitWatchers.has(watcher)) onHint();
          });
        };
        this.#unitWatchers.add(watcher);
        const close = (): void => {
          this.#unitWatchers.delete(watcher);
        };
        process.onExit(close);
        return { close };
      },
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

  #unitIs(unit: string, activeState: string, subState: string, result = 'success'): void {
    const found = this.#units.get(unit);
    if (found === undefined) return;
    Object.assign(found, { activeState, subState, result });
    this.#kernel.note(this.name, `${unit} ${activeState}`);
    this.#signal(unit);
  }

  #signal(unit: string): void {
    for (const watcher of this.#unitWatchers) watcher(unit);
  }

  get #isAwake(): boolean {
    return this.isOn && this.#asleepSince === undefined;
  }

  /** Empty where there is no such file. */
  #read(path: string): string {
    const disk = this.#mount(path);
    return disk.exists(path) ? new TextDecoder().decode(disk.read(path)) : '';
  }

  #mount(path: string): SimDisk {
    return /^\/(run|proc)(\/|$)/.test(path) ? this.#memoryDisk : this.disk;
  }

  #boot(): void {
    this.#power = 'on';
    this.#bootedAt = this.#kernel.now;
    this.#sleptMs = 0;
    this.#memoryDisk = new SimDisk();
    this.#localSockets = new SimLocalSockets();
    const chance = this.#kernel.random.split(`${this.name}/boot ${this.#boots}`);
    this.put(bootIdFile, `${createSimRandom(chance).id()}\n`);
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
      this.activate('eth0');
    });
    for (const [name, entry] of this.#services) {
      entry.stopped = false;
      later(chance.between(0, 2_000), `starts ${name}`, () => this.#startService(name));
    }
    for (const unit of this.#units.keys()) {
      if (this.unit(unit)?.unitFileState !== 'enabled') continue;
      later(chance.between(2_000, 6_000), `starts ${unit}`, () => this.startUnit(unit));
    }
  }

  #goDown(): void {
    this.#power = 'off';
    this.#asleepSince = undefined;
    this.#network.powerLost(this);
    for (const entry of this.#services.values()) entry.stopped = true;
    for (const process of this.#processes) process.exit();
    this.interfaces.clear();
    for (const unit of this.#units.keys()) this.#unitIs(unit, 'inactive', 'dead');
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

function interfaceAddressIn(line: string): InterfaceAddress[] {
  try {
    return [parseInterfaceAddress(line)];
  } catch {
    return [];
  }
}

function makeParents(disk: SimDisk, path: string): void {
  const parent = dirname(path);
  if (disk.exists(parent)) return;
  makeParents(disk, parent);
  disk.makeDirectory(parent, 0o755);
}
