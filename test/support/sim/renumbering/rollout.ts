import type { Handlers } from '../../../../src/agent/call.ts';
import { createExternalHandlers } from '../../../../src/agent/external/handlers.ts';
import { createOperatorHandlers } from '../../../../src/agent/renumbering/operator-handlers.ts';
import type { Peers } from '../../../../src/agent/renumbering/peers.ts';
import { planMakerOf } from '../../../../src/agent/renumbering/plan-maker.ts';
import { PlanStore } from '../../../../src/agent/renumbering/plan-store.ts';
import type { Renumberings } from '../../../../src/agent/renumbering/renumberings.ts';
import { Rollouts } from '../../../../src/agent/rollout/rollouts.ts';
import { type Address, parseAddress, parseInterfaceAddress } from '../../../../src/protocol/address.ts';
import { defaultBounds } from '../../../../src/protocol/renumbering/bounds.ts';
import type { Declaration } from '../../../../src/protocol/rollout/declaration.ts';
import type { Rollout, RolloutSummary } from '../../../../src/protocol/rollout/record.ts';
import type { ClusterView } from '../../../../src/protocol/state.ts';
import { rsUnit, type SimHost } from '../host.ts';
import { Kernel } from '../kernel.ts';
import type { SimProcess } from '../process.ts';
import { RenumberingCluster, silentLog } from './cluster.ts';
import { simFacts } from './facts.ts';
import { simKernelAddresses, simNetworkOwner, simUnitControl } from './host-twins.ts';

const directory = '/var/lib/rlnet';
/** How long what an agent says of its rollout is on its way to the others: a slow network, so that two can begin at once. */
const toldMs = 300;

/** Where node `uid` is to be. */
export const target = (uid: number): Address => parseAddress(`192.0.2.${50 + uid}`);
export const outside = (uid: number): Address => parseAddress(`203.0.113.${uid}`);

/**
 * A cluster in simulation whose agents do renumberings, external changes and rollouts with the real handlers, over the twins of their hosts' ports.
 * What an agent says of its rollout is on its way for a while, what it says of its renumbering arrives at once; questions take their way over the simulated network.
 *
 * Held after every event: at most one node is out of service, and at most one renumbering is open.
 */
export class RolloutCluster {
  readonly kernel: Kernel;
  readonly renumbering: RenumberingCluster;
  /** Of every renumbering that was ever begun, its node. */
  readonly begun: number[] = [];
  /** The rollouts of the agents that run, by host. */
  readonly #running = new Map<string, Rollouts>();
  /** What the others were told of the rollout that an agent leads, by its host. */
  readonly #told = new Map<string, RolloutSummary | undefined>();
  readonly #handlers = new Map<string, Partial<Handlers>>();
  readonly #known = new Set<string>();
  /** The node of each renumbering that has not ended. */
  readonly #open = new Map<string, number>();

  static async up(seed: string, nodes: number): Promise<RolloutCluster> {
    const cluster = new RolloutCluster(seed, nodes);
    if (cluster.renumbering.rs.seed(['standin', 'seed-database', 'db', '2', 'replication']) !== 0)
      throw new Error('the database could not be seeded');
    cluster.renumbering.powerOn();
    await cluster.kernel.run(60_000);
    return cluster;
  }

  private constructor(seed: string, nodes: number) {
    this.kernel = new Kernel(seed);
    this.renumbering = new RenumberingCluster(this.kernel, nodes);
    this.renumbering.onRun = (host, process, renumberings) => this.#run(host, process, renumberings);
    this.renumbering.alsoAnswers = (host) => this.#handlers.get(host.name) ?? {};
    this.renumbering.onRecord = ({ id, nodeUid }, record) => {
      if (!this.#known.has(id)) this.begun.push(nodeUid);
      this.#known.add(id);
      if (record.type === 'closed') this.#open.delete(id);
      else this.#open.set(id, nodeUid);
    };
    this.kernel.check(() => {
      const out = this.renumbering.hosts.filter((host) => host.unit(rsUnit)?.unitFileState !== 'enabled');
      if (out.length > 1) throw new Error(`${out.map(({ name }) => name).join(' and ')} are out of service`);
      if (this.#open.size > 1)
        throw new Error(`nodes ${[...this.#open.values()].join(' and ')} are renumbered at once`);
    });
  }

  /** Of the agent of a host that runs. */
  rollouts(host: string): Rollouts | undefined {
    return this.#running.get(host);
  }

  /** As the leader has it on its disk; undefined while its agent is away. */
  rolloutOf(host: string): Rollout | undefined {
    return this.#running.get(host)?.rollout;
  }

  /** Internal and external addresses, as RS has them. */
  get inRs(): { uid: number; address: Address; external: readonly Address[] }[] {
    return this.renumbering.rs.config.nodes.map(({ uid, addr, externalAddr }) => ({
      uid,
      address: addr,
      external: externalAddr,
    }));
  }

  /** Lets time pass until the rollout that a host leads has ended. @returns undefined where it does not within the time */
  async untilEnded(host: string, withinMs: number): Promise<Rollout | undefined> {
    await this.kernel.runUntil(() => this.rolloutOf(host)?.outcome !== undefined, withinMs);
    return this.rolloutOf(host);
  }

  /** All nodes are to move, and two of them to get an external address. */
  get declaration(): Declaration {
    return {
      nodes: this.renumbering.hosts.map(({ plan: { number: uid } }) => ({
        node: uid,
        internal: parseInterfaceAddress(`${target(uid)}/24`),
        ...(uid > 2 ? {} : { external: [outside(uid)] }),
      })),
      windows: [],
    };
  }

  #view(own: SimHost): ClusterView {
    const hosts = this.renumbering.agents.map(({ host, running }) => ({
      host: host.name,
      link: { status: host === own ? 'self' : running === undefined ? 'disconnected' : 'connected' },
      state: {
        nodeUid: host.plan.nodeUid,
        addresses: { listed: [], more: 0 },
        ...(running?.standing === undefined ? {} : { renumbering: running.standing }),
        ...(this.#told.get(host.name) === undefined ? {} : { rollout: this.#told.get(host.name) }),
      },
    }));
    return { cluster: 'demo', seenFrom: own.name, at: own.wall(), hosts } as unknown as ClusterView;
  }

  #run(host: SimHost, process: SimProcess, renumberings: Renumberings): void {
    const agent = this.renumbering.agent(host.name);
    const { clock, random } = process;
    const files = host.files(process);
    const rs = this.renumbering.rs.port(process, host.plan.nodeUid, files);
    const peers = this.renumbering.peers(agent, process);
    const call: Peers['call'] = (...question) => peers.call(...question);
    const log = silentLog(this.kernel, process);
    const view = (): ClusterView => this.#view(host);
    const openClaims = () => renumberings.keeper.openClaims();
    const ports = {
      clock,
      rs,
      peers,
      interfaces: host.interfaces.port(process),
      // Only looked at: what is changed there the steps change, which have their own.
      kernel: simKernelAddresses(
        this.kernel,
        host,
        process,
        { bootId: undefined, standing: undefined },
        agent.faults,
      ),
      owner: simNetworkOwner(host, process, agent.faults),
      units: simUnitControl(host, process, agent.faults),
    };
    const plans = new PlanStore(files, clock, `${directory}/plans`);
    const cluster = { random, files, cluster: 'demo', version: '0.1.0', seeds: [], bounds: defaultBounds };
    const common = { host: host.name, rs, view, ask: call, admit: () => {}, log };
    this.#handlers.set(host.name, {
      ...createOperatorHandlers({
        ...common,
        renumberings,
        plans,
        makePlan: planMakerOf({ ...simFacts(ports, host), ...cluster }),
        nodeUid: () => host.plan.nodeUid,
        resolve: () => host.name,
        others: () => [],
        clock,
      }),
      ...createExternalHandlers({ ...common, openClaims, forbidden: undefined }),
    });
    const rollouts = new Rollouts({
      ...common,
      directory,
      clock,
      random,
      files,
      call,
      openClaims,
      forbidden: undefined,
      changed: () =>
        this.kernel.world(toldMs, `is told of the rollout of ${host.name}`, () =>
          this.#told.set(host.name, rollouts.told),
        ),
    });
    process.onExit(() => this.#running.delete(host.name));
    rollouts.takeUp().then(
      () => {
        if (process.isAlive) this.#running.set(host.name, rollouts);
      },
      () => process.exit(),
    );
  }
}
