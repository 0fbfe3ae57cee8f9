import type { HostPower } from '../../../../src/host/ports/host-power.ts';
import type { KernelAddresses, StandingChange } from '../../../../src/host/ports/kernel-addresses.ts';
import type { NetworkOwner } from '../../../../src/host/ports/network-owner.ts';
import type { UnitControl } from '../../../../src/host/ports/unit-control.ts';
import type { Wire } from '../../../../src/host/ports/wire.ts';
import type { Address } from '../../../../src/protocol/address.ts';
import type { AddressChange, HostAddress } from '../../../../src/protocol/address-change.ts';
import { RlnetError } from '../../../../src/protocol/errors.ts';
import { holdingOf } from '../../../../src/protocol/network-owner.ts';
import { ownerFile, type SimHost } from '../host.ts';
import type { Kernel } from '../kernel.ts';
import type { SimNetwork } from '../network.ts';
import type { SimProcess } from '../process.ts';
import { createSimUnitControl } from '../unit-control.ts';
import { createSimWire } from '../wire.ts';

/** The ports that a renumbering acts on its host through, over a simulated host. Each change has its crash points. */

const quick = { low: 5, high: 40 };
const link = 'eth0';

/** What goes wrong on a host, set by a story: consulted at every command. */
export interface HostFaults {
  /** Whether the unit comes up; it does where this is absent. */
  unitStarts?: (() => boolean) | undefined;
  /** Commands whose name has this in it fail, without effect. */
  failing?: RegExp | undefined;
  /** Commands whose name has this in it say that they worked, and did nothing. */
  lying?: RegExp | undefined;
  /** The owner takes the new address of a change away when it takes up its files, and says that it is there. */
  losing?: boolean | undefined;
  /** Commands whose name has this in it take so many milliseconds longer. */
  slow?: { commands: RegExp; ms: number } | undefined;
}

async function delayed(process: SimProcess, { slow }: HostFaults, what: string): Promise<void> {
  if (slow?.commands.test(what) === true) await process.call(slow.ms, `${what} is slow`, () => {});
}

function failed(what: string): RlnetError {
  return new RlnetError('COMMAND_FAILED', `${what} ended with exit status 1`, 'Run it by hand.');
}

/** Runs a command of a host, unless the story has it fail or lie. */
export async function command(
  host: SimHost,
  process: SimProcess,
  faults: HostFaults,
  what: string,
  act: () => void,
): Promise<void> {
  await delayed(process, faults, what);
  if (faults.failing?.test(what) === true) {
    await host.command(process, `${what} (fails)`, quick, () => {});
    throw failed(what);
  }
  const lies = faults.lying?.test(what) === true;
  await host.command(process, what, quick, lies ? () => {} : act);
}

/** systemd as its twin has it, and a unit that may not come up. */
export function simUnitControl(host: SimHost, process: SimProcess, faults: HostFaults): UnitControl {
  const units = createSimUnitControl(process, host);
  const unless = async (what: string, action: () => Promise<void>): Promise<void> => {
    await delayed(process, faults, what);
    if (faults.failing?.test(what) === true) throw failed(what);
    if (faults.lying?.test(what) !== true) await action();
  };
  return {
    state: (unit) => units.state(unit),
    record: (unit) => units.record(unit),
    disable: (unit) => unless('systemctl disable', () => units.disable(unit)),
    enable: (unit) => unless('systemctl enable', () => units.enable(unit)),
    flush: (unit) => units.flush(unit),
    start: (unit, options) =>
      unless('systemctl start', async () => {
        if (faults.unitStarts?.() === false) {
          await host.command(process, `systemctl start ${unit} (fails)`, quick, () => {});
          throw new RlnetError('UNIT_FAILED', `${unit} failed.`, `See journalctl -u ${unit}.`);
        }
        await units.start(unit, options);
      }),
    stop: (unit, options) => unless('systemctl stop', () => units.stop(unit, options)),
  };
}

export function simHostPower(host: SimHost, process: SimProcess, faults: HostFaults): HostPower {
  return { reboot: () => command(host, process, faults, 'systemctl reboot', () => host.restart()) };
}

/** What a swap or a rehearsal left in a kernel; gone with the boot, as the kernel's state is. */
export interface KernelChanges {
  bootId: string | undefined;
  standing: (StandingChange & { timer: { cancelled: boolean } }) | undefined;
}

const nothing = { links: [], addresses: [], routes: [], rules: [] };

export function simKernelAddresses(
  kernel: Kernel,
  host: SimHost,
  process: SimProcess,
  changes: KernelChanges,
  faults: HostFaults,
): KernelAddresses {
  const run = (what: string, act: () => void): Promise<void> => command(host, process, faults, what, act);
  const has = (address: Address): boolean => addressesOf(host).includes(address);
  const current = (): KernelChanges['standing'] => {
    if (changes.bootId !== host.bootId) {
      changes.standing = undefined;
      changes.bootId = host.bootId;
    }
    return changes.standing;
  };
  const undo = ({ kind, change }: StandingChange): void => {
    if (has(change.to.address)) host.interfaces.remove(link, change.to.address);
    if (kind === 'swap' && !has(change.from.address)) host.interfaces.add(link, change.from);
  };
  const arm = async (kind: StandingChange['kind'], change: AddressChange, seconds: number): Promise<void> => {
    if (current() !== undefined) {
      throw new RlnetError('ADDRESS_CHANGE_UNDER_WAY', 'There is a change already.', 'Take it back.');
    }
    if (!has(change.from.address)) {
      throw new RlnetError(
        'ADDRESS_CHANGE_REFUSED',
        `No link has ${change.from.address}.`,
        'Look at ip addr.',
      );
    }
    const boot = host.bootId;
    await run(`systemd-run take-back of ${kind}`, () => {
      const standing = { kind, change, before: nothing, expected: nothing, takenBack: false };
      const timer = kernel.world(seconds * 1000, `${host.name} takes the ${kind} back`, () => {
        if (host.bootId !== boot || changes.standing?.timer !== timer) return;
        undo(standing);
        changes.standing = { ...standing, takenBack: true, timer };
      });
      changes.bootId = boot;
      changes.standing = { ...standing, timer };
    });
  };
  /** Forward does not begin once the detached timer has taken it back. */
  const requireStanding = (): void => {
    if (current()?.takenBack === false) return;
    throw new RlnetError('ADDRESS_CHANGE_TAKEN_BACK', 'It was taken back before it began.', 'Try again.');
  };
  const takeBack: KernelAddresses['takeBack'] = async () => {
    const standing = current();
    if (standing === undefined) return { elsewhere: [] };
    await run('ip -batch take back', () => {
      if (!standing.takenBack) undo(standing);
      standing.timer.cancelled = true;
      changes.standing = undefined;
    });
    return { elsewhere: [] };
  };
  const armUntilFree = async (
    kind: StandingChange['kind'],
    change: AddressChange,
    seconds: number,
    free: Promise<void> = Promise.resolve(),
  ): Promise<void> => {
    free.catch(() => {});
    await arm(kind, change, seconds);
    try {
      await free;
    } catch (thrown) {
      await takeBack();
      throw thrown;
    }
  };
  return {
    snapshot: async () => ({ ...nothing, routes: host.routes }),
    standing: () => process.call(1, 'read /run/rlnet', () => current()),
    rehearse: async (change, seconds, free) => {
      await armUntilFree('rehearsal', change, seconds, free);
      await run(`ip addr add ${change.to.address}/32`, () => {
        requireStanding();
        if (!has(change.to.address)) host.interfaces.add(link, change.to, false);
      });
      return { elsewhere: [] };
    },
    swap: async (change, seconds, free) => {
      await armUntilFree('swap', change, seconds, free);
      await run(`ip -batch swap to ${change.to.address}`, () => {
        requireStanding();
        if (has(change.from.address)) host.interfaces.remove(link, change.from.address);
        if (!has(change.to.address)) host.interfaces.add(link, change.to, false);
      });
      return { elsewhere: [] };
    },
    extend: async () => {},
    keep: async () => {
      const standing = current();
      if (standing?.takenBack === true) {
        throw new RlnetError('ADDRESS_CHANGE_TAKEN_BACK', 'It was taken back.', 'Try again.');
      }
      if (standing === undefined) return;
      await run('systemctl stop take-back', () => {
        standing.timer.cancelled = true;
        changes.standing = undefined;
      });
    },
    takeBack,
  };
}

function addressesOf(host: SimHost): Address[] {
  return host.interfaces.links.flatMap(({ addresses }) => addresses.map(({ address }) => address));
}

/** An owner with one file of one address a line. */
export function simNetworkOwner(host: SimHost, process: SimProcess, faults: HostFaults): NetworkOwner {
  const files = host.files(process);
  const file = ownerFile(link);
  const lineOf = ({ address, prefixLength }: HostAddress): string => `${address}/${prefixLength}\n`;
  const backUp: NetworkOwner['backUp'] = async (_change, into) => {
    await files.makeDirectory(into, 0o700);
    if ((await files.readIfExists(`${into}/manifest`)) !== undefined) return;
    await files.writeAtomic(`${into}/original`, await files.read(file), 0o600);
    await files.writeAtomic(`${into}/manifest`, file, 0o600);
  };
  const holding = async ({ from, to }: AddressChange) => {
    const text = await files.read(file);
    return holdingOf(text.includes(lineOf(from)), text.includes(lineOf(to)));
  };
  return {
    kind: 'ifupdown',
    locate: async (_link, address) =>
      (await files.read(file))
        .split('\n')
        .flatMap((text, index) =>
          text.startsWith(`${address}/`) ? [{ path: file, line: index + 1, text, sets: true }] : [],
        ),
    plan: async () => ({ files: [], warnings: [] }),
    backUp,
    persist: async (change, into) => {
      await backUp(change, into);
      const text = await files.read(file);
      if (faults.failing?.test('persist') === true)
        throw new RlnetError('OWNER_WRITE_FAILED', 'ENOSPC', 'Make room.');
      if (text.includes(lineOf(change.from))) {
        await files.writeAtomic(file, text.replace(lineOf(change.from), lineOf(change.to)), 0o644);
      }
    },
    activate: async (change) => {
      await command(host, process, faults, 'activate', () => {
        host.activate(link);
        if (faults.losing === true) host.interfaces.remove(link, change.to.address);
      });
      if (!addressesOf(host).includes(change.to.address)) {
        throw new RlnetError('OWNER_NOT_TAKEN_UP', 'The owner did nothing.', 'Look at the link.');
      }
    },
    readBack: async (change) => ({ files: await holding(change), owner: 'unknown', evidence: [] }),
    restore: async (from) => {
      if ((await files.readIfExists(`${from}/manifest`)) === undefined) {
        throw new RlnetError(
          'OWNER_BACKUP_INVALID',
          'There is no whole back-up.',
          'Restore the files by hand.',
        );
      }
      const original = await files.read(`${from}/original`);
      if ((await files.read(file)) !== original) await files.writeAtomic(file, original, 0o644);
    },
  };
}

/** The wire as its twin has it. Neighbours learn a new address with its first packet. */
export function simWire(network: SimNetwork, host: SimHost, process: SimProcess): Wire {
  return {
    ...createSimWire(process, host, network),
    announce: () => process.call(1_000, 'announces', () => ({ outcome: 'sent', answered: [] })),
  };
}
