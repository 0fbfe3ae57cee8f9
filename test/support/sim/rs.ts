import type { Files } from '../../../src/host/ports/files.ts';
import type { Rs } from '../../../src/host/ports/rs.ts';
import { parseNodeId, rladminCommands } from '../../../src/host/rs.ts';
import { type Address, familyOf } from '../../../src/protocol/address.ts';
import { RlnetError } from '../../../src/protocol/errors.ts';
import {
  type ClusterConfig,
  defaultModelTimings,
  hasQuorum,
  housekeeping,
  type NodeRecord,
  type View,
} from '../standin/model.ts';
import { type RladminResult, runRladmin } from '../standin/rladmin.ts';
import type { Kernel } from './kernel.ts';
import type { SimNetwork } from './network.ts';
import type { SimProcess } from './process.ts';

export const nodeIdFile = '/etc/opt/redislabs/node.id';

/** RS's nodes tell each other that they are there at this pace. */
const heartbeatMs = 1_000;
/** What `rladmin` takes, milliseconds. */
const rladminMs = { low: 100, high: 1_000 };

/** What RS was told before its `rladmin` was killed it has done, or not, after so long. */
const landsWithinMs = 2_000;

/** What RS needs to know of the machine that a node runs on. */
export interface RsMachine {
  readonly name: string;
  readonly wall: () => number;
  /** Whether the unit runs. */
  isRsActive(): boolean;
  holds(address: Address): boolean;
  /** Runs a command that changes something, with its crash points; `took` in milliseconds. */
  command<T>(
    process: SimProcess,
    what: string,
    took: { low: number; high: number },
    act: () => T,
  ): Promise<T>;
}

/**
 * The stand-in for RS: one configuration for the whole cluster, and for each node what it has heard of the others over the
 * simulated network. Its rules are all in the stand-in's model.
 */
export class SimRs {
  readonly #kernel: Kernel;
  readonly #network: SimNetwork;
  readonly #machines = new Map<number, RsMachine>();
  readonly #liveness = new Map<number, Map<number, number>>();
  #config: ClusterConfig;
  /**
   * Commands whose name has this in it fail, or say that they worked; neither has an effect. Slow ones take so long, at most what they are
   * given; RS has what was sent to it by then, and may carry it out a little later all the same.
   */
  readonly faults: {
    failing?: RegExp | undefined;
    lying?: RegExp | undefined;
    slow?: { commands: RegExp; ms: number } | undefined;
  } = {};
  /** Commands that had an effect after whoever gave them was killed, or had been told that they were. */
  late = 0;
  /** How often its node table was read, on any host. */
  tablesRead = 0;

  constructor(
    kernel: Kernel,
    network: SimNetwork,
    nodes: readonly { uid: number; address: Address; machine: RsMachine }[],
  ) {
    this.#kernel = kernel;
    this.#network = network;
    this.#config = clusterOf(nodes.map(({ uid, address }) => nodeRecord(uid, address)));
    for (const { uid, machine } of nodes) {
      this.#machines.set(uid, machine);
      this.#liveness.set(uid, new Map(nodes.map((node) => [node.uid, kernel.now])));
    }
    this.#beat();
  }

  get config(): ClusterConfig {
    return this.#config;
  }

  /** What the node with this uid sees. */
  view(uid: number): View {
    const liveness = this.#liveness.get(uid) ?? new Map<number, number>();
    return { config: this.#config, liveness, self: uid, now: this.#kernel.now, timings: defaultModelTimings };
  }

  /** One command of the stand-in's own, before anything is on. @returns its exit status */
  seed(argv: readonly string[]): number {
    const first = this.#config.nodes[0]?.uid ?? 1;
    const result = runRladmin(argv, this.view(first));
    if (result.config !== undefined) this.#config = result.config;
    return result.exitCode;
  }

  /** One run of `rladmin` on the machine of a node. */
  rladmin(uid: number, argv: readonly string[]): RladminResult {
    if (this.#machines.get(uid)?.isRsActive() !== true) return runRladmin(argv, undefined);
    const result = runRladmin(argv, this.view(uid));
    if (result.config !== undefined) this.#config = result.config;
    return result;
  }

  /** What a process of the machine sees of it. */
  port(process: SimProcess, uid: number | undefined, files: Files): Rs {
    return {
      localUid: async () => {
        const text = await files.readIfExists(nodeIdFile);
        return text === undefined ? undefined : parseNodeId(text, nodeIdFile);
      },
      ...rladminCommands((argv, timeoutMs) => {
        const what = `rladmin ${argv.join(' ')}`;
        const { slow } = this.faults;
        const usual = process.latency.between(rladminMs.low, rladminMs.high);
        const needs = slow?.commands.test(what) === true ? slow.ms : usual;
        const took = Math.min(needs, timeoutMs);
        const machine = uid === undefined ? undefined : this.#machines.get(uid);
        if (uid === undefined || machine === undefined)
          return process.call(took, what, () => runRladmin(argv, undefined));
        if (argv.join(' ') === 'status nodes') this.tablesRead += 1;
        const run = (): RladminResult => this.rladmin(uid, argv);
        if (argv[0] !== 'node') return process.call(took, what, run);
        let ended = false;
        if (needs > usual) {
          process.onExit(() => {
            if (!ended) this.#mayLand(process, what, run);
            ended = true;
          });
        }
        return machine.command(process, what, { low: took, high: took }, () => {
          if (ended) return { exitCode: 1, stdout: '', stderr: '' };
          ended = true;
          if (needs > timeoutMs) {
            this.#mayLand(process, what, run);
            throw new RlnetError(
              'COMMAND_TIMEOUT',
              `${what} was killed after ${timeoutMs} ms.`,
              'Look at RS.',
            );
          }
          if (this.faults.failing?.test(what) === true)
            return { exitCode: 1, stdout: '', stderr: 'ERROR: made up by the simulation\n' };
          const isLying = this.faults.lying?.test(what) === true;
          return isLying ? { exitCode: 0, stdout: 'Updated successfully.\n', stderr: '' } : run();
        });
      }),
    };
  }

  /** A node that somebody joins without rlnet: a machine of its own with RS and no agent. */
  join(uid: number, address: Address): void {
    const machine: RsMachine = {
      name: `n${uid}`,
      wall: () => this.#kernel.now,
      isRsActive: () => true,
      holds: (held) => held === address,
      command: async (_process, _what, _took, act) => act(),
    };
    this.#config = {
      ...this.#config,
      version: this.#config.version + 1,
      nodes: [...this.#config.nodes, nodeRecord(uid, address)],
    };
    this.#machines.set(uid, machine);
    this.#liveness.set(uid, new Map(this.#config.nodes.map((node) => [node.uid, this.#kernel.now])));
    for (const liveness of this.#liveness.values()) liveness.set(uid, this.#kernel.now);
  }

  #mayLand(process: SimProcess, what: string, run: () => RladminResult): void {
    if (process.latency.chance(0.5)) return;
    this.#kernel.world(process.latency.between(0, landsWithinMs), `${what} lands late`, () => {
      this.late += 1;
      run();
    });
  }

  #beat(): void {
    for (const [uid, from] of this.#machines) {
      if (!from.isRsActive()) continue;
      const address = this.#config.nodes.find((node) => node.uid === uid)?.addr;
      if (address === undefined || !from.holds(address)) continue;
      for (const [viewer, liveness] of this.#liveness) {
        const to = this.#machines.get(viewer);
        if (to === undefined || !to.isRsActive()) continue;
        if (to !== from && !this.#network.path(from.name, to.name).isUp) continue;
        liveness.set(uid, this.#kernel.now);
      }
    }
    const master = this.#machines.get(this.#config.masterUid)?.isRsActive()
      ? this.#config.masterUid
      : undefined;
    const viewer = master ?? [...this.#machines.keys()].find((uid) => this.#isPart(uid));
    if (viewer !== undefined) this.#config = housekeeping(this.view(viewer));
    this.#kernel.world(heartbeatMs, 'rs heartbeats', () => this.#beat());
  }

  #isPart(uid: number): boolean {
    return this.#machines.get(uid)?.isRsActive() === true && hasQuorum(this.view(uid));
  }
}

function nodeRecord(uid: number, addr: Address): NodeRecord {
  return {
    uid,
    addr,
    externalAddr: [],
    hostname: `n${uid}`,
    softwareVersion: '8.2.0-25',
    versionSha: '5c2106',
    cores: 4,
    maxShards: 100,
    ram: { free: 14.91, total: 19.54, provisionalFree: 10.91, provisionalTotal: 16.02 },
    maintenanceActivations: 0,
  };
}

function clusterOf(nodes: NodeRecord[]): ClusterConfig {
  const [first] = nodes;
  if (first === undefined) throw new RangeError('a cluster has a node');
  const internalFamily = familyOf(first.addr);
  return {
    name: 'cluster.local',
    internalFamily,
    useInternalIpv6: internalFamily === 'ipv6',
    credentials: { username: 'admin', password: 'secret' },
    term: 1,
    version: 1,
    masterUid: first.uid,
    nodes,
    databases: [],
    shards: [],
    snapshots: [],
    actions: [],
    slaveHaGracePeriod: 600,
    failures: [0, 0, 0],
  };
}
