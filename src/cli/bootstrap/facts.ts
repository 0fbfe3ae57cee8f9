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
  RsMember,
  Wish,
} from '../../protocol/bootstrap/facts.ts';
import { asRlnetError, type ErrorCode } from '../../protocol/errors.ts';
import type { Fact } from '../../protocol/renumbering/guard.ts';
import type { MeshAbout } from '../../protocol/state.ts';
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
  /** A TCP connection from an address of this host to a member's REST API. */
  reach: (source: Address, target: Address) => Promise<Reach>;
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
  };
  return wish.action === 'join' ? { ...facts, reach: await readReach(deps, wish, facts) } : facts;
}

async function readReach(
  deps: BootstrapFactDependencies,
  wish: Wish,
  facts: BootstrapFacts,
): Promise<Fact<readonly MemberReach[]>> {
  const choice = chooseFor(wish, facts);
  if (choice?.choice !== 'chosen') return { unknown: 'which address it would be from is not clear' };
  const from = choice.internal;
  const members = wish.members.flatMap((text) => tryParseAddress(text) ?? []);
  return await attempt(() =>
    Promise.all(members.map(async (member) => ({ member, from, ...(await deps.reach(from, member)) }))),
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
