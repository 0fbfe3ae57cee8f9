import { RlnetError } from '../protocol/errors.ts';
import { decodeWith } from '../protocol/messages.ts';
import { type Caller, type MethodName, methods, type Result } from '../protocol/methods.ts';
import { pageOf } from '../protocol/paging.ts';
import type { CheckReport, ClusterView, HostState, InterfacesPage } from '../protocol/state.ts';
import type { Handlers } from './call.ts';
import { runChecks } from './findings/findings.ts';
import type { Mesh } from './mesh/mesh.ts';
import { known, type Observations, whyUnknown } from './observations.ts';

/** How long a peer may take to answer a question that was forwarded to it, milliseconds. */
const forwardTimeoutMs = 10_000;

export interface HandlerDependencies {
  mesh: Pick<Mesh, 'request'>;
  view: () => ClusterView;
  state: () => HostState;
  observations: () => Observations;
  /** Reads everything of this host afresh. */
  refresh: () => Promise<void>;
}

/** What the agent answers to its peers and to the command line. */
export function createHandlers(deps: HandlerDependencies): Handlers {
  /** Asks the host that `node` means. A peer asks about this host alone, so that a question is forwarded once at most. */
  const at = async <M extends MethodName>(
    node: string | undefined,
    caller: Caller,
    method: M,
    params: object,
    here: () => Result<M> | Promise<Result<M>>,
  ): Promise<Result<M>> => {
    const own = deps.state().host;
    const host = caller === 'peer' ? own : resolveNode(deps.view(), node);
    if (host === own) return await here();
    const answer = await deps.mesh.request(host, method, params, forwardTimeoutMs);
    return decodeWith<unknown>(methods[method].result, answer, `the ${method} of ${host}`) as Result<M>;
  };

  return {
    status: async () => deps.view(),
    watch: async () => deps.view(),
    interfaces: ({ node, after = 0 }, caller) =>
      at(node, caller, 'interfaces', { after }, () =>
        interfacesPage(deps.state().host, deps.observations(), after),
      ),
    check: ({ node }, caller) =>
      at(node, caller, 'check', {}, async () => {
        await deps.refresh();
        return checkReport(deps.state(), deps.observations());
      }),
  };
}

function interfacesPage(
  host: string,
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
  const slow = after === 0 ? known(inventory) : undefined;
  return {
    host,
    at: interfaces.at,
    ...pageOf(interfaces.value, after),
    ...(slow === undefined ? {} : { inventory: slow }),
  };
}

function checkReport({ host, nodeUid, internalAddress }: HostState, observations: Observations): CheckReport {
  const results = runChecks({ observations, internalAddress });
  return { host, ...(nodeUid === undefined ? {} : { nodeUid }), results };
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
