import type { HostsFile } from '../host/ports/hosts-file.ts';
import type { Paths } from '../host/ports/paths.ts';
import type { Wire } from '../host/ports/wire.ts';
import type { Address } from '../protocol/address.ts';
import { asRlnetError, RlnetError } from '../protocol/errors.ts';
import type { Caller, MethodName, Result } from '../protocol/methods.ts';
import { pageOf } from '../protocol/paging.ts';
import type {
  CheckReport,
  ClusterView,
  FixReport,
  HostState,
  InterfacesPage,
  Links,
  MeshView,
  PortReach,
} from '../protocol/state.ts';
import { maxNeighbours, type WireReport } from '../protocol/wire.ts';
import { decodeResult, type Handlers } from './call.ts';
import { linksOf } from './cluster-view.ts';
import type { createExternalHandlers } from './external/handlers.ts';
import type { Facts } from './findings/check.ts';
import { runChecks } from './findings/findings.ts';
import { localhostIpv6 } from './findings/localhost-ipv6.ts';
import type { Log } from './log.ts';
import type { Mesh } from './mesh/mesh.ts';
import { known, type Observations, whyUnknown } from './observations.ts';
import { reachAddress } from './reach.ts';
import type { createOperatorHandlers } from './renumbering/operator-handlers.ts';
import type { createPeerHandlers } from './renumbering/peer-handlers.ts';
import type { createRolloutHandlers } from './rollout/handlers.ts';

/** How long a peer may take to answer a question that was forwarded to it, milliseconds. */
const forwardTimeoutMs = 10_000;

export interface HandlerDependencies {
  renumbering: ReturnType<typeof createPeerHandlers> & ReturnType<typeof createOperatorHandlers>;
  external: ReturnType<typeof createExternalHandlers>;
  rollout: ReturnType<typeof createRolloutHandlers>;
  mesh: Mesh;
  hostsFile: HostsFile;
  log: Log;
  meshPort: number;
  paths: Paths;
  wire: Pick<Wire, 'neighbours' | 'reach' | 'passes'>;
  wireReport: (address: Address) => Promise<WireReport>;
  view: () => ClusterView;
  state: () => HostState;
  facts: () => Facts;
  /** Reads everything of this host afresh. */
  refresh: () => Promise<void>;
  /** Takes a host out of the memory on disk. */
  forget: (host: string) => Promise<void>;
  /** Takes the machine that a host is held to out of the memory on disk. */
  unpin: (host: string) => Promise<boolean>;
}

/** What the agent answers to its peers and to the command line. */
export function createHandlers(deps: HandlerDependencies): Handlers {
  const { mesh } = deps;

  const ask = async <M extends MethodName>(host: string, method: M, params: object): Promise<Result<M>> => {
    const answer = await mesh.request(host, method, params, forwardTimeoutMs);
    return decodeResult(method, answer, host);
  };

  /** Asks the host that `node` means. A peer asks about this host alone, so that a question is forwarded once at most. */
  const at = async <M extends MethodName>(
    node: string | undefined,
    caller: Caller,
    method: M,
    params: object,
    here: () => Result<M> | Promise<Result<M>>,
  ): Promise<Result<M>> => {
    const own = deps.state().host;
    const host = caller === 'member' ? own : resolveNode(deps.view(), node);
    return host === own ? await here() : await ask(host, method, params);
  };

  const ownLinks = async (): Promise<Links> =>
    linksOf(deps.state().host, mesh.peers(), await deps.paths.read(deps.meshPort), mesh.refusals());

  const checkReport = (): CheckReport => {
    const { host, nodeUid } = deps.state();
    return { host, ...(nodeUid === undefined ? {} : { nodeUid }), results: runChecks(deps.facts()) };
  };

  return {
    ...deps.renumbering,
    ...deps.external,
    ...deps.rollout,
    about: async () => {
      const { internalFamily, version } = deps.state();
      const family = internalFamily === undefined ? {} : { internalFamily };
      const openRenumberings = deps.view().hosts.flatMap(({ state }) => state?.renumbering?.planId ?? []);
      const { rs } = deps.view();
      const nodes =
        'nodes' in rs
          ? {
              nodes: rs.nodes.map(({ uid, address }) => ({
                uid,
                ...(address === undefined ? {} : { address }),
              })),
            }
          : {};
      return { version, clock: deps.view().at, openRenumberings, ...family, ...nodes };
    },
    mesh_about: async () => ({
      hosts: await Promise.all(
        mesh.peers().map(async ({ host }) => {
          try {
            const sent = deps.view().at;
            const about = await ask(host, 'about', {});
            return { host, about, clockAheadMs: about.clock - (sent + deps.view().at) / 2 };
          } catch (thrown) {
            return { host, unknown: asRlnetError(thrown).message };
          }
        }),
      ),
    }),
    reach_ports: async ({ address, ports }, { host }) => {
      const asking = deps.view().hosts.find((each) => each.host === host);
      // Nobody has this host knock on the doors of others.
      if (asking?.state?.addresses.listed.some((own) => own.address === address) !== true) {
        throw new RlnetError(
          'NOT_PERMITTED',
          `${address} is no address of ${host}, as far as its agent says.`,
          'A host may ask about its own addresses alone.',
        );
      }
      const source = deps.state().internalAddress;
      const tried = ports.map(async (port): Promise<PortReach> => {
        if (source === undefined)
          return { port, outcome: 'unknown', why: `${deps.state().host} has no internal address` };
        return { port, ...(await deps.wire.reach({ source, target: address, port })) };
      });
      return { ports: await Promise.all(tried) };
    },
    mesh_reach: async (params) => ({
      hosts: await Promise.all(
        deps
          .view()
          .hosts.filter(({ link, state }) => link.status === 'connected' && state?.nodeUid !== undefined)
          .map(async ({ host }) => {
            try {
              return { host, ...(await ask(host, 'reach_ports', params)) };
            } catch (thrown) {
              return { host, unknown: asRlnetError(thrown).message };
            }
          }),
      ),
    }),
    status: async () => deps.view(),
    watch: async () => deps.view(),
    interfaces: ({ node, after = 0 }, { caller }) =>
      at(node, caller, 'interfaces', { after }, () =>
        interfacesPage(deps.state(), deps.facts().observations, after),
      ),
    check: ({ node }, { caller }) =>
      at(node, caller, 'check', {}, async () => {
        await deps.refresh();
        return checkReport();
      }),
    fix: async ({ node }) => {
      const { host, mode } = deps.state();
      const asked = resolveNode(deps.view(), node);
      if (asked !== host) {
        throw new RlnetError(
          'LOCAL_ONLY',
          `What is wrong on ${asked} is mended there, and this is ${host}.`,
          `Run it on ${asked}.`,
        );
      }
      if (mode === 'observe') throw observes(host);
      await deps.refresh();
      const wrong = runChecks(deps.facts()).filter(({ outcome }) => outcome === 'fail');
      const fixed: FixReport['fixed'] = {};
      if (wrong.some(({ code }) => code === localhostIpv6.code)) {
        const mend = await deps.hostsFile.mend();
        deps.log.warn({ ...mend.change }, 'the hosts file was mended, as asked');
        fixed.HOSTS_LOCALHOST_IPV6_MISSING = mend;
        await deps.refresh();
      }
      return { fixed, ...checkReport() };
    },
    reaches: async ({ host }) => {
      const echoAgeMs = mesh.echoAgeMs(host);
      return echoAgeMs === undefined ? {} : { echoAgeMs };
    },
    links: ownLinks,
    mesh: async () => {
      const { at: now, seenFrom } = deps.view();
      const others = mesh.peers().map(async ({ host }): Promise<MeshView['hosts'][number]> => {
        try {
          return await ask(host, 'links', {});
        } catch (thrown) {
          return { host, unknown: asRlnetError(thrown).message };
        }
      });
      return { seenFrom, at: now, hosts: await Promise.all([ownLinks(), ...others]) };
    },
    forget: async ({ host }) => {
      const forgotten = mesh.forget(host);
      if (forgotten) await deps.forget(host);
      return { forgotten };
    },
    unpin: async ({ host }) => {
      mesh.unpin(host);
      return { unpinned: await deps.unpin(host) };
    },
    wire: async ({ address }) => deps.wireReport(address),
    reach: async (target) => {
      const source = deps.state().internalAddress;
      if (source === undefined)
        return { outcome: 'unknown', why: 'this host has no internal address', macs: [] };
      return await reachAddress(deps.wire, known(deps.facts().observations.interfaces) ?? [], source, target);
    },
    neighbours: async ({ address }) => {
      const entries = await deps.wire.neighbours();
      return { neighbours: entries.filter((entry) => entry.address === address).slice(0, maxNeighbours) };
    },
  };
}

/** Why an agent in `mode: observe` does nothing. */
export function observes(host: string): RlnetError {
  return new RlnetError(
    'MODE_OBSERVE',
    `The agent of ${host} looks and reports, and changes nothing (mode: observe).`,
    'Do it by hand, or set mode: manage in /etc/rlnet/agent.yaml and restart the agent.',
  );
}

function interfacesPage(
  { host, internalFamily, internalAddress }: HostState,
  { interfaces, inventory }: Observations,
  after: number,
): InterfacesPage {
  if (interfaces !== undefined && 'error' in interfaces) throw interfaces.error;
  if (interfaces === undefined) {
    throw new RlnetError(
      'REQUEST_TIMEOUT',
      `The interfaces of ${host} are ${whyUnknown(interfaces)}.`,
      'Try again in a second.',
    );
  }
  const page = { host, at: interfaces.at, ...pageOf(interfaces.value, after) };
  if (after > 0) return page;
  const slow = known(inventory);
  return {
    ...page,
    ...(internalFamily === undefined ? {} : { internalFamily }),
    ...(internalAddress === undefined ? {} : { internalAddress }),
    ...(slow === undefined ? {} : { inventory: slow }),
  };
}

/**
 * The host that a person means by a node uid or a host's name; the answering one where nothing is said.
 * @throws RlnetError PEER_UNKNOWN, with those that are known.
 */
export function resolveNode({ hosts, seenFrom }: ClusterView, node: string | undefined): string {
  if (node === undefined) return seenFrom;
  const found = hosts.find(({ host, state }) => host === node || String(state?.nodeUid) === node);
  if (found !== undefined) return found.host;
  const names = hosts.map(({ host, state }) =>
    state?.nodeUid === undefined ? host : `${state.nodeUid} (${host})`,
  );
  throw new RlnetError(
    'PEER_UNKNOWN',
    `No host with an agent is node ${node} or has that name.`,
    `Known here: ${names.join(', ')}.`,
  );
}
