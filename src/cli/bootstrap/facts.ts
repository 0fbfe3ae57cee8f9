import type { Clock } from '../../host/ports/clock.ts';
import type { HostsFile } from '../../host/ports/hosts-file.ts';
import type { Interfaces } from '../../host/ports/interfaces.ts';
import type { Surroundings } from '../../host/ports/surroundings.ts';
import type { Reach } from '../../host/ports/wire.ts';
import { type Address, tryParseAddress } from '../../protocol/address.ts';
import { chooseFor } from '../../protocol/bootstrap/checks.ts';
import type {
  BootstrapFacts,
  Listener,
  MemberReach,
  PortReach,
  RsMember,
  Wish,
} from '../../protocol/bootstrap/facts.ts';
import { asRlnetError, type ErrorCode } from '../../protocol/errors.ts';
import type { Fact } from '../../protocol/renumbering/guard.ts';
import { nodePorts } from '../../protocol/rs-ports.ts';
import type { MeshAbout, MeshReach } from '../../protocol/state.ts';
import type { LocalBootstrap } from './session.ts';

export interface BootstrapFactDependencies {
  clock: Clock;
  interfaces: Pick<Interfaces, 'read'>;
  hostsFile: Pick<HostsFile, 'judge'>;
  surroundings: Pick<Surroundings, 'clockSynchronised'>;
  version: () => Promise<string>;
  listeners: () => Promise<Listener[]>;
  /** Asks the agent of this host; rejects where there is none. */
  mesh: () => Promise<MeshAbout>;
  /** The cluster that is joined, as a member has it. @param known addresses of nodes, by the mesh */
  cluster: (known: readonly Address[]) => Promise<RsMember[]>;
  /** A TCP connection from an address of this host. */
  reach: (source: Address, target: Address, port: number) => Promise<Reach>;
  /** Asks the agent of this host how nodes reach one of its addresses; rejects where there is none. */
  reachedFrom: (address: Address) => Promise<MeshReach>;
  restPort: number;
}

const notAsked = { unknown: 'it was not asked for' };

/** Reads everything that the checks go by, at once where nothing else has to be known. */
export async function readBootstrapFacts(
  deps: BootstrapFactDependencies,
  wish: Wish,
  local: LocalBootstrap,
  withoutMesh: boolean,
): Promise<BootstrapFacts> {
  const mesh: Promise<BootstrapFacts['mesh']> = withoutMesh
    ? Promise.resolve({ value: 'none' })
    : attempt(() => deps.mesh());
  const [interfaces, hostsFile, version, clockSynchronised, listeners] = await Promise.all([
    attempt(() => deps.interfaces.read()),
    attempt(() => deps.hostsFile.judge()),
    attempt(() => deps.version()),
    attempt(() => deps.surroundings.clockSynchronised()),
    attempt(() => deps.listeners()),
  ]);
  const offered = local.is === 'outside' ? local.offer : undefined;
  const known = nodesOf(await mesh);
  const facts: BootstrapFacts = {
    interfaces,
    hostsFile,
    version,
    clockSynchronised,
    listeners,
    mesh: await mesh,
    offer: offered === undefined ? { unknown: 'RS lists no addresses of this host' } : { value: offered },
    cluster: wish.action === 'join' ? await attempt(() => deps.cluster(known), calledWrongly) : notAsked,
    reach: notAsked,
    reachedFrom: notAsked,
  };
  if (wish.action === 'create') return facts;
  const choice = chooseFor(wish, facts);
  if (choice?.choice !== 'chosen') {
    const notChosen = { unknown: 'which address it would be is not clear' };
    return { ...facts, reach: notChosen, reachedFrom: withoutMesh ? { value: 'none' } : notChosen };
  }
  const [reach, reachedFrom] = await Promise.all([
    attempt(() => readReach(deps, wish, choice.internal)),
    withoutMesh
      ? { value: 'none' as const }
      : attempt(async () => (await deps.reachedFrom(choice.internal)).hosts),
  ]);
  return { ...facts, reach, reachedFrom };
}

async function readReach(
  { reach, restPort }: BootstrapFactDependencies,
  { members }: Wish,
  from: Address,
): Promise<MemberReach[]> {
  return await Promise.all(
    members
      .flatMap((text) => tryParseAddress(text) ?? [])
      .map(async (member) => {
        const tried = async (port: number): Promise<PortReach> => ({
          port,
          ...(await reach(from, member, port)),
        });
        const [rest, ports] = await Promise.all([tried(restPort), Promise.all(nodePorts.map(tried))]);
        return { member, from, rest, ports };
      }),
  );
}

/** The addresses of RS's nodes that the agents of the cluster name. */
function nodesOf(mesh: BootstrapFacts['mesh']): Address[] {
  if ('unknown' in mesh || mesh.value === 'none') return [];
  return mesh.value.hosts.flatMap((each) =>
    'about' in each ? (each.about.nodes ?? []).flatMap(({ address }) => address ?? []) : [],
  );
}

/** What no second reading would mend: something else has to be given. */
const calledWrongly: ReadonlySet<ErrorCode> = new Set([
  'RS_CERTIFICATE_UNKNOWN',
  'RS_SIGN_IN_REFUSED',
  'RS_REDIRECT_UNKNOWN',
]);

/** @throws RlnetError of these codes */
async function attempt<T>(read: () => Promise<T>, but: ReadonlySet<ErrorCode> = new Set()): Promise<Fact<T>> {
  try {
    return { value: await read() };
  } catch (thrown) {
    if (but.has(asRlnetError(thrown).code)) throw thrown;
    return { unknown: asRlnetError(thrown).message.replace(/\.$/, '') };
  }
}
