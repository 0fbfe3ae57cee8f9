import type { AddressPersistences } from '../host/ports/address-persistence.ts';
import type { Clock } from '../host/ports/clock.ts';
import type { DeadMan } from '../host/ports/dead-man.ts';
import type { Files } from '../host/ports/files.ts';
import type { HostsFile } from '../host/ports/hosts-file.ts';
import type { Interfaces } from '../host/ports/interfaces.ts';
import type { Paths } from '../host/ports/paths.ts';
import type { Rs } from '../host/ports/rs.ts';
import type { Surroundings } from '../host/ports/surroundings.ts';
import type { UnitSignals, Units } from '../host/ports/units.ts';
import type { VitalsReader } from '../host/ports/vitals.ts';
import type { Wire } from '../host/ports/wire.ts';
import type { Address } from '../protocol/address.ts';
import type { AddressPersistence } from '../protocol/address-persistence.ts';
import { holdersOf, isActive } from '../protocol/interfaces.ts';
import { meshPort } from '../protocol/messages.ts';
import { rsUnitNames, type UnitState } from '../protocol/unit.ts';
import { known, type Observations } from './observations.ts';
import { Observer, type Source } from './observer.ts';
import type { Schedule } from './schedule.ts';
import type { Turn } from './table-turns.ts';

/**
 * How often each source is read without a hint, milliseconds. `rladmin` costs up to a second of a core, the owner of an address some programs, a program
 * of systemd or iproute2 some 10 ms, a file hardly anything. Where there are hints, this is how long a missing one can be wrong. The node table is the
 * same for all hosts, which read it in turns of their own (`table-turns.ts`): one reads every 4 s, and the others once it has found something new.
 */
const pace = {
  interfaces: 60_000,
  hostsFile: 30_000,
  unit: 60_000,
  nodeUid: 30_000,
  nodeTable: 12_000,
  persistence: 5 * 60_000,
  vitals: 3_000,
  deadMan: 3_000,
} as const;

/**
 * What costs more, or changes hardly ever, is read at the start, when a check is asked for, and by cron, each at a second of the minute of its own and
 * spread over a fleet. `wireAnswer` is seven packets to everybody and takes seconds, so no check waits for it.
 */
const scheduled = {
  paths: { cron: '* * * * *', maxDelayMs: 10_000 },
  clockSynchronised: { cron: '*/5 * * * *', maxDelayMs: 60_000 },
  peerClocks: { cron: '*/5 * * * *', maxDelayMs: 60_000 },
  agentUnit: { cron: '*/5 * * * *', maxDelayMs: 60_000 },
  wireAnswer: { cron: '*/10 * * * *', maxDelayMs: 5 * 60_000 },
  replicaHaGrace: { cron: '11,41 * * * *', maxDelayMs: 5 * 60_000 },
} as const;

export interface SourceDependencies {
  clock: Clock;
  schedule: Schedule;
  interfaces: Interfaces;
  hostsFile: HostsFile;
  units: Units;
  unitSignals: UnitSignals;
  rs: Rs;
  files: Pick<Files, 'watch'>;
  /** What `rs` reads the uid of this node from. */
  nodeIdFile: string;
  persistences: AddressPersistences;
  vitals: VitalsReader;
  paths: Paths;
  wire: Pick<Wire, 'ask'>;
  surroundings: Pick<Surroundings, 'clockSynchronised'>;
  deadMan: Pick<DeadMan, 'takenOver'>;
  /** The unit that the configuration names, if it names one. */
  configuredUnit: string | undefined;
  /** The unit of this agent. */
  agentUnit: string;
  /** How far the clocks of the hosts that are linked are ahead, milliseconds. */
  peerClocks: () => Promise<{ host: string; aheadMs: number }[]>;
  /** When it is this host's turn to read RS's node table. */
  tableTurn: () => Turn;
  /** Called when a file may have changed that says who keeps the internal address. */
  ownerFilesChanged: () => void;
  /** What is known by now: whose persistence is read. */
  internal: () => { address: Address | undefined; links: Observations['interfaces'] };
}

export type SourceName = keyof typeof pace | keyof typeof scheduled;
type Observers = Record<SourceName, Pick<Observer<unknown>, 'refresh' | 'close'>>;

/** Starts to read everything of this host; each reading is handed over as it comes. */
export function observeHost(
  deps: SourceDependencies,
  onReading: <K extends SourceName>(key: K, reading: NonNullable<Observations[K]>) => void,
): Observers {
  const { clock, schedule, interfaces, hostsFile, units, rs, persistences } = deps;
  const rsUnit = unitReader(units, deps.configuredUnit);
  type Value<K extends SourceName> = Extract<NonNullable<Observations[K]>, { value: unknown }>['value'];
  const observe = <K extends SourceName>(
    key: K,
    read: () => Promise<Value<K>>,
    more: Pick<Source<Value<K>>, 'turn' | 'watch'> = {},
  ): Observer<Value<K>> => {
    const everyMs = key in pace ? pace[key as keyof typeof pace] : undefined;
    const observer = new Observer<Value<K>>(clock, { everyMs, read, ...more }, (reading) =>
      onReading(key, reading as NonNullable<Observations[K]>),
    );
    if (everyMs === undefined) {
      const { cron, maxDelayMs } = scheduled[key as keyof typeof scheduled];
      schedule.every(cron, key, maxDelayMs, () => observer.refresh());
    }
    return observer;
  };
  return {
    interfaces: observe('interfaces', () => interfaces.read(), { watch: (hint) => interfaces.watch(hint) }),
    hostsFile: observe('hostsFile', () => hostsFile.judge(), { watch: (hint) => hostsFile.watch(hint) }),
    unit: observe('unit', rsUnit.read, { watch: (hint) => deps.unitSignals.watch(rsUnit.names, hint) }),
    nodeUid: observe('nodeUid', () => rs.localUid(), {
      watch: (hint) => deps.files.watch(deps.nodeIdFile, hint),
    }),
    nodeTable: observe('nodeTable', () => rs.nodeTable(), { turn: deps.tableTurn }),
    persistence: observe('persistence', () => readPersistence(persistences, deps.internal()), {
      watch: () => persistences.watch(deps.ownerFilesChanged),
    }),
    vitals: observe('vitals', () => deps.vitals.read()),
    deadMan: observe('deadMan', () => deps.deadMan.takenOver()),
    paths: observe('paths', () => deps.paths.read(meshPort)),
    clockSynchronised: observe('clockSynchronised', () => deps.surroundings.clockSynchronised()),
    peerClocks: observe('peerClocks', deps.peerClocks),
    agentUnit: observe('agentUnit', () => units.state(deps.agentUnit)),
    wireAnswer: observe('wireAnswer', () => askWire(deps.wire, deps.internal())),
    replicaHaGrace: observe('replicaHaGrace', () => rs.replicaHaGraceSeconds()),
  };
}

/** Finds the unit once, and again when systemd does not know it any more. `names`: what it may be called, as far as that is known. */
function unitReader(
  units: Units,
  configured: string | undefined,
): { read: () => Promise<UnitState | undefined>; names: () => readonly string[] } {
  const likely = configured === undefined ? rsUnitNames : [configured];
  let found: string | undefined;
  return {
    names: () => (found === undefined ? likely : [found]),
    read: async () => {
      found ??= await units.discover(configured);
      if (found === undefined) return undefined;
      const state = await units.state(found);
      if (state.loadState === 'not-found') found = undefined;
      return state;
    },
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

async function askWire(
  wire: Pick<Wire, 'ask'>,
  { address, links }: ReturnType<SourceDependencies['internal']>,
): Promise<NonNullable<Extract<Observations['wireAnswer'], { value: unknown }>>['value']> {
  const holder = address === undefined ? undefined : holdersOf(known(links) ?? [], address)[0];
  if (address === undefined || holder === undefined || !isActive(holder.link)) return 'not_asked';
  return await wire.ask({ interface: holder.link.name, address });
}
