import type { Log } from '../../src/agent/log.ts';
import { Mesh } from '../../src/agent/mesh/mesh.ts';
import { createTransport, type TlsMaterial } from '../../src/agent/mesh/transport.ts';
import { createClock } from '../../src/host/clock.ts';
import { createRandom } from '../../src/host/random.ts';
import type { Address } from '../../src/protocol/address.ts';
import type { HostState } from '../../src/protocol/state.ts';

/** A Mesh on real sockets with real TLS, and nothing else of an agent. */
export interface Member {
  mesh: Mesh;
  /** What it says of its host; `mesh.publish()` sends it. */
  state: HostState;
  /** What happened to the hosts that are watched since the start, such as `n2 reachable` and `n2 linked`. */
  transitions: string[];
}

export interface MemberOptions {
  tls: TlsMaterial;
  address: Address;
  port: number;
  /** Whom it dials. */
  peers: readonly Address[];
  log: Log;
  /** The hosts whose links and verdicts go to `transitions`. */
  watched?: readonly string[];
  answer?: (method: string, params: unknown, signal: AbortSignal) => Promise<unknown>;
}

export function startMember({ tls, address, port, peers, log, watched = [], answer }: MemberOptions): Member {
  const { host, cluster } = tls.identity;
  const clock = createClock();
  const random = createRandom();
  const instance = random.id();
  const transitions: string[] = [];
  const last = new Map<string, string>();
  const state = stateOf(host, address);
  const note = (key: string, text: string): void => {
    if (last.get(key) === text) return;
    last.set(key, text);
    transitions.push(text);
  };
  const mesh: Mesh = new Mesh({
    transport: createTransport(() => tls, clock),
    clock,
    random,
    log,
    port,
    hello: () => ({
      type: 'hello',
      protocol: { min: 1, max: 1 },
      cluster,
      host,
      version: '0.1.0',
      machineId: `machine-${host}`,
      bootId: 'boot',
      instance,
      internalFamily: 'ipv4',
      internalAddress: address,
    }),
    state: () => state,
    nodes: () => undefined,
    pin: () => undefined,
    request: (_host, _standing, method, params, signal) =>
      answer === undefined ? Promise.resolve({}) : answer(method, params, signal),
    changed: () => {
      for (const peer of mesh.peers().filter(({ host: each }) => watched.includes(each))) {
        note(`${peer.host} link`, `${peer.host} ${peer.linked ? 'linked' : 'not linked'}`);
        note(`${peer.host} verdict`, `${peer.host} ${peer.reachability.status}`);
      }
    },
  });
  mesh.reconcile(address, true, 'ipv4', peers);
  return { mesh, state, transitions };
}

/** A state of the size that a host with a few addresses has. */
export function stateOf(host: string, address: Address): HostState {
  return {
    host,
    version: '0.1.0',
    mode: 'manage',
    revision: 1,
    internalAddress: address,
    internalFamily: 'ipv4',
    addresses: {
      listed: ['lo', 'eth0', 'eth1'].map((name) => ({
        interface: name,
        address,
        prefixLength: 24,
        usable: true,
      })),
      more: 0,
    },
    unit: { unknown: 'not read yet' },
    hostsFile: { localhostIpv6: 'present', evidence: '::1 localhost ip6-localhost' },
    findings: [],
    knows: [],
  };
}

/** Keeps nothing, for measurements of memory. */
export const silentLog: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLog,
};
