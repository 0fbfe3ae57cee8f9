import { onTestFinished } from 'vitest';
import { Mesh, type Pin } from '../../src/agent/mesh/mesh.ts';
import { createTransport, type TlsMaterial } from '../../src/agent/mesh/transport.ts';
import { createClock } from '../../src/host/clock.ts';
import type { Clock } from '../../src/host/ports/clock.ts';
import { createRandom } from '../../src/host/random.ts';
import { type Address, parseAddress } from '../../src/protocol/address.ts';
import { RlnetError } from '../../src/protocol/errors.ts';
import type { Hello } from '../../src/protocol/messages.ts';
import type { RsNode } from '../../src/protocol/rs.ts';
import type { HostState } from '../../src/protocol/state.ts';
import { type RecordedLog, recordLog } from './agents.ts';

/** The mesh of an agent on real sockets with real TLS, whose every word to others the test may choose. */
export interface TestAgent {
  mesh: Mesh;
  log: RecordedLog;
  /** What its hello says; may change. */
  own: Address;
  state: HostState;
  calls: string[];
  tls: TlsMaterial;
  pins: Map<string, Pin>;
}

/** Loopback addresses and a port of a test file's own. */
export interface Place {
  /** The first three bytes: agents are at `${network}.N`. */
  network: string;
  port: number;
}

export interface TestAgentOptions extends Partial<Hello> {
  /** Whom it dials, by the last bytes of their addresses. */
  peers?: readonly number[];
  /** The name that its hello says. */
  name?: string;
  nodes?: readonly RsNode[];
  clock?: Clock;
}

export function stateOf(host: string, revision: number): HostState {
  return {
    host,
    version: '0.1.0',
    mode: 'manage',
    revision,
    addresses: { listed: [], more: 0 },
    unit: { unknown: 'not read yet' },
    hostsFile: { localhostIpv6: 'unknown', evidence: 'not read yet' },
    findings: [],
    knows: [],
  };
}

/** An agent at `${network}.${last}`; it ends with the test. */
export function startTestAgent(
  { network, port }: Place,
  tls: TlsMaterial,
  last: number,
  options: TestAgentOptions = {},
): TestAgent {
  const { host, cluster } = tls.identity;
  const own = parseAddress(`${network}.${last}`);
  const log = recordLog();
  const random = createRandom();
  const instance = random.id();
  const agent: TestAgent = {
    log,
    own,
    state: stateOf(host, 1),
    calls: [],
    tls,
    pins: new Map(),
    mesh: undefined as never,
  };
  agent.mesh = new Mesh({
    transport: createTransport(() => agent.tls, createClock()),
    clock: options.clock ?? createClock(),
    random,
    log,
    port,
    hello: () => ({
      type: 'hello',
      protocol: options.protocol ?? { min: 1, max: 1 },
      cluster,
      host: options.name ?? host,
      version: '0.1.0',
      machineId: options.machineId ?? `machine-${host}`,
      bootId: options.bootId ?? 'boot',
      instance,
      ...(options.nodeUid === undefined ? {} : { nodeUid: options.nodeUid }),
      ...(options.internalFamily === undefined ? {} : { internalFamily: options.internalFamily }),
      internalAddress: agent.own,
    }),
    state: () => agent.state,
    nodes: () => options.nodes,
    pin: (peer) => agent.pins.get(peer),
    request: async (from, standing, method, params, signal) => {
      agent.calls.push(`${method} from ${from}, a ${standing}`);
      if (method === 'slow') await new Promise((resolve) => signal.addEventListener('abort', resolve));
      if (method === 'slow') agent.calls.push('slow was cancelled');
      if (method === 'reaches') return {};
      if (method === 'fail') throw new RlnetError('PEER_UNKNOWN', 'No such thing.', 'Ask another.');
      return { method, params };
    },
    changed: () => {},
  });
  agent.mesh.reconcile(
    own,
    true,
    'ipv4',
    (options.peers ?? [1, 2, 3]).map((each) => parseAddress(`${network}.${each}`)),
  );
  onTestFinished(() => agent.mesh.close('the test is over'));
  return agent;
}

/** The hosts that it is linked to, in order. */
export function linked({ mesh }: TestAgent): string[] {
  return mesh
    .peers()
    .filter(({ linked: isLinked }) => isLinked)
    .map(({ host }) => host)
    .sort();
}
