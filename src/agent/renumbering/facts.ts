import type { Clock } from '../../host/ports/clock.ts';
import type { HostsFile } from '../../host/ports/hosts-file.ts';
import type { Interfaces } from '../../host/ports/interfaces.ts';
import type { KernelAddresses } from '../../host/ports/kernel-addresses.ts';
import type { NetworkOwner } from '../../host/ports/network-owner.ts';
import type { Rs } from '../../host/ports/rs.ts';
import type { Surroundings } from '../../host/ports/surroundings.ts';
import type { UnitControl } from '../../host/ports/unit-control.ts';
import type { AddressChange } from '../../protocol/address-change.ts';
import { asRlnetError, RlnetError } from '../../protocol/errors.ts';
import type {
  AgentFact,
  Fact,
  FactName,
  Facts,
  FactValues,
  Move,
  OwnerFact,
} from '../../protocol/renumbering/guard.ts';
import type { Peers } from './peers.ts';

/** How long a peer may take to say what it knows. Milliseconds. */
const peerTimeoutMs = 5_000;

export interface FactDependencies {
  clock: Clock;
  rs: Rs;
  peers: Peers;
  interfaces: Interfaces;
  kernel: Pick<KernelAddresses, 'snapshot'>;
  hostsFile: Pick<HostsFile, 'judge'>;
  units: Pick<UnitControl, 'record'>;
  surroundings: Surroundings;
  /**
   * Who owns the configuration of the link that has the address.
   * @throws RlnetError OWNER_UNKNOWN and the other refusals of a detection
   */
  ownerOf: (change: AddressChange) => Promise<NetworkOwner>;
  /** The unit that runs RS, by its own name; the one of this agent. */
  rsUnit: () => Promise<string | undefined>;
  agentUnit: string;
  mode: 'manage' | 'observe';
  /** When the mesh certificate of this host ends; wall clock, milliseconds since the epoch. */
  certificateEnds: () => Promise<number>;
  /** Where journals and back-ups are kept, and where the owner's files are. */
  directories: readonly string[];
}

/** What is read of this host and of RS without anything else being known. */
export type ReadName = Exclude<
  FactName,
  'change' | 'kind' | 'external' | 'members' | 'estimate' | 'agents' | 'owner'
>;
export type ReadFacts = Pick<Facts, ReadName>;

/** Reads facts of this host and of RS, all at once; only those that are wanted. What cannot be read is unknown, with why. */
export async function readFacts(deps: FactDependencies, wanted: ReadonlySet<FactName>): Promise<ReadFacts> {
  const read = async <K extends ReadName>(
    name: K,
    from: () => Promise<FactValues[K]>,
  ): Promise<Fact<FactValues[K]>> => (wanted.has(name) ? attempt(from) : { unknown: 'it was not asked for' });
  const { rs, clock, surroundings } = deps;
  const ofRs = Promise.all([
    read('localUid', () => rs.localUid()),
    read('nodes', () => rs.nodeTable()),
    read('shards', () => rs.shardTable()),
    read('running', () => rs.runningActions()),
    read('replicaHaGraceSeconds', () => rs.replicaHaGraceSeconds()),
  ]);
  const ofNetwork = Promise.all([
    read('interfaces', () => deps.interfaces.read()),
    read('routes', async () => (await deps.kernel.snapshot()).routes),
    read('hostsFile', () => deps.hostsFile.judge()),
    read('unit', async () => deps.units.record(await requireUnit(deps))),
    read('agentUnit', () => deps.units.record(deps.agentUnit)),
  ]);
  const ofHost = Promise.all([
    read('mode', async () => deps.mode),
    read('clockSynchronised', () => surroundings.clockSynchronised()),
    read('freeBytes', () =>
      Promise.all(
        deps.directories.map(async (path) => ({ path, bytes: await surroundings.freeBytes(path) })),
      ),
    ),
    read('vendor', () => surroundings.vendor()),
    read('certificate', async () => ({ notAfter: await deps.certificateEnds(), now: clock.wall() })),
  ]);
  const [localUid, nodes, shards, running, replicaHaGraceSeconds] = await ofRs;
  const [interfaces, routes, hostsFile, unit, agentUnit] = await ofNetwork;
  const [mode, clockSynchronised, freeBytes, vendor, certificate] = await ofHost;
  return {
    ...{
      localUid,
      nodes,
      shards,
      running,
      replicaHaGraceSeconds,
      interfaces,
      routes,
      hostsFile,
      unit,
      agentUnit,
    },
    ...{ mode, clockSynchronised, freeBytes, vendor, certificate },
  };
}

async function requireUnit({ rsUnit }: FactDependencies): Promise<string> {
  const unit = await rsUnit();
  if (unit !== undefined) return unit;
  throw new RlnetError(
    'UNIT_NOT_FOUND',
    'systemd knows neither rlec_supervisor nor rlec_supervisord.',
    'Name the unit that runs RS as rs.unit in /etc/rlnet/agent.yaml.',
  );
}

/** What the agents of the nodes say of themselves and of the lock, this host's own included. */
export async function readAgents(deps: FactDependencies, uids: readonly number[]): Promise<AgentFact[]> {
  return await Promise.all(uids.map((uid) => readAgent(deps, uid)));
}

async function readAgent({ peers, clock }: FactDependencies, uid: number): Promise<AgentFact> {
  const none = { uid, openRenumberings: [] };
  const host = peers.hostOf(uid);
  if (host === undefined) return { ...none, silent: 'there is no link to it' };
  try {
    const sent = clock.wall();
    const about = await peers.call(host, 'about', {}, peerTimeoutMs);
    const clockAheadMs = about.clock - (sent + clock.wall()) / 2;
    const told = {
      ...none,
      host,
      version: about.version,
      clockAheadMs,
      openRenumberings: about.openRenumberings,
    };
    try {
      return { ...told, lock: (await peers.call(host, 'lock', {}, peerTimeoutMs)).told };
    } catch (thrown) {
      const { code, message } = asRlnetError(thrown);
      return code === 'METHOD_UNKNOWN' ? { ...told, tooOld: true } : { ...told, silent: asClause(message) };
    }
  } catch (thrown) {
    return { ...none, host, silent: asClause(asRlnetError(thrown).message) };
  }
}

/** What the owner of the configuration makes of the change. Reads its files, writes nothing. */
export async function readOwner(
  { ownerOf }: FactDependencies,
  move: Move,
  change: Facts['change'],
  kind: Facts['kind'],
): Promise<Facts['owner']> {
  if ('unknown' in change) return change;
  if ('unknown' in kind) return kind;
  try {
    const owner = await ownerOf(change.value);
    if (kind.value !== 'already_bound') {
      return found({ is: 'found', kind: owner.kind, edit: await owner.plan(change.value), hasNew: false });
    }
    const places = await owner.locate(change.value.link, move.to.address);
    const hasNew = owner.kind === 'hook' || owner.kind === 'manual' || places.some(({ sets }) => sets);
    return found({ is: 'found', kind: owner.kind, edit: { files: [], warnings: [] }, hasNew });
  } catch (thrown) {
    const error = asRlnetError(thrown);
    // The owner's own refusals are findings; a tool that does not answer only leaves it open.
    return error.code.startsWith('OWNER_')
      ? found({ is: 'refused', reason: error.report() })
      : { unknown: asClause(error.message) };
  }
}

function found(value: OwnerFact): Facts['owner'] {
  return { value };
}

async function attempt<T>(read: () => Promise<T>): Promise<Fact<T>> {
  try {
    return { value: await read() };
  } catch (thrown) {
    return { unknown: asClause(asRlnetError(thrown).message) };
  }
}

function asClause(sentence: string): string {
  return sentence.replace(/\.$/, '');
}
