import type { AddressPersistences } from '../host/ports/address-persistence.ts';
import type { Clock } from '../host/ports/clock.ts';
import type { HostsFile } from '../host/ports/hosts-file.ts';
import type { Interfaces } from '../host/ports/interfaces.ts';
import type { Rs } from '../host/ports/rs.ts';
import type { Units } from '../host/ports/units.ts';
import type { Address } from '../protocol/address.ts';
import type { AddressPersistence } from '../protocol/address-persistence.ts';
import { holdersOf } from '../protocol/interfaces.ts';
import type { UnitState } from '../protocol/unit.ts';
import { known, type Observations } from './observations.ts';
import { Observer } from './observer.ts';

/** How often each source is read without a hint, milliseconds. `rladmin` costs up to a second of a core, the owner of an address some programs, the others some milliseconds. */
const pace = {
  interfaces: 10_000,
  hostsFile: 10_000,
  unit: 5_000,
  nodeUid: 5_000,
  nodeTable: 15_000,
  persistence: 5 * 60_000,
} as const;

export interface SourceDependencies {
  clock: Clock;
  interfaces: Interfaces;
  hostsFile: HostsFile;
  units: Units;
  rs: Rs;
  persistences: AddressPersistences;
  /** The unit that the configuration names, if it names one. */
  configuredUnit: string | undefined;
  /** What is known by now: whose persistence is read. */
  internal: () => { address: Address | undefined; links: Observations['interfaces'] };
}

type Observers = Record<keyof typeof pace, Pick<Observer<unknown>, 'refresh' | 'close'>>;

/** Starts to read everything of this host; each reading is handed over as it comes. */
export function observeHost(
  { clock, interfaces, hostsFile, units, rs, persistences, configuredUnit, internal }: SourceDependencies,
  onReading: <K extends keyof Observations>(key: K, reading: NonNullable<Observations[K]>) => void,
): Observers {
  const watched = {
    interfaces: (hint: () => void) => interfaces.watch(hint),
    hostsFile: (hint: () => void) => hostsFile.watch(hint),
  };
  return {
    interfaces: new Observer(
      clock,
      { everyMs: pace.interfaces, read: () => interfaces.read(), watch: watched.interfaces },
      (reading) => onReading('interfaces', reading),
    ),
    hostsFile: new Observer(
      clock,
      { everyMs: pace.hostsFile, read: () => hostsFile.judge(), watch: watched.hostsFile },
      (reading) => onReading('hostsFile', reading),
    ),
    unit: new Observer(clock, { everyMs: pace.unit, read: unitReader(units, configuredUnit) }, (reading) =>
      onReading('unit', reading),
    ),
    nodeUid: new Observer(clock, { everyMs: pace.nodeUid, read: () => rs.localUid() }, (reading) =>
      onReading('nodeUid', reading),
    ),
    nodeTable: new Observer(clock, { everyMs: pace.nodeTable, read: () => rs.nodeTable() }, (reading) =>
      onReading('nodeTable', reading),
    ),
    persistence: new Observer(
      clock,
      {
        everyMs: pace.persistence,
        read: () => readPersistence(persistences, internal()),
        watch: (hint) => persistences.watch(hint),
      },
      (reading) => onReading('persistence', reading),
    ),
  };
}

/** Finds the unit once, and again when systemd does not know it any more. */
function unitReader(units: Units, configured: string | undefined): () => Promise<UnitState | undefined> {
  let found: string | undefined;
  return async () => {
    found ??= await units.discover(configured);
    if (found === undefined) return undefined;
    const state = await units.state(found);
    if (state.loadState === 'not-found') found = undefined;
    return state;
  };
}

async function readPersistence(
  persistences: AddressPersistences,
  { address, links }: ReturnType<SourceDependencies['internal']>,
): Promise<AddressPersistence> {
  if (address === undefined) return { outcome: 'unknown', evidence: 'the internal address is not known' };
  const [holder] = holdersOf(known(links) ?? [], address);
  if (holder === undefined) return { outcome: 'unknown', evidence: `${address} is on no interface` };
  const { name, mac } = holder.link;
  return persistences.read({ name, ...(mac === undefined ? {} : { mac }) }, address);
}
