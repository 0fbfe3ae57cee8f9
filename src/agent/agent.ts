import type { Clock } from '../host/ports/clock.ts';
import type { Files } from '../host/ports/files.ts';
import type { HostsFile } from '../host/ports/hosts-file.ts';
import type { Interfaces } from '../host/ports/interfaces.ts';
import type { InventoryReader } from '../host/ports/inventory.ts';
import type { LocalSockets } from '../host/ports/local-sockets.ts';
import type { Random } from '../host/ports/random.ts';
import type { Rs } from '../host/ports/rs.ts';
import type { ServiceManager } from '../host/ports/service-manager.ts';
import type { Units } from '../host/ports/units.ts';
import { errnoOf } from '../protocol/errors.ts';
import type { HostIdentity } from '../protocol/identity.ts';
import { describeChanges } from '../protocol/interfaces.ts';
import { type Hello, protocolRange } from '../protocol/messages.ts';
import type { ClusterView, HostState } from '../protocol/state.ts';
import { callMethod, type Handlers } from './call.ts';
import { clusterViewOf, statusLineOf } from './cluster-view.ts';
import { type Control, openControl } from './control.ts';
import { createHandlers } from './handlers.ts';
import { hostStateOf } from './host-state.ts';
import type { Log } from './log.ts';
import { type Memory, memoryPath, readMemory, remember, writeMemory } from './memory.ts';
import type { Transport } from './mesh/channel.ts';
import { Mesh } from './mesh/mesh.ts';
import { isBindable, known, type Observations, ownAddress } from './observations.ts';
import { Observer } from './observer.ts';
import type { Schedule } from './schedule.ts';
import type { Settings } from './settings.ts';

/** How often each source is read without a hint, milliseconds. `rladmin` costs up to a second of a core, the others some milliseconds. */
const pace = {
  interfaces: 10_000,
  hostsFile: 10_000,
  unit: 2_000,
  nodeUid: 5_000,
  nodeTable: 15_000,
} as const;
/** The inventory is read at start and then hourly, spread over five minutes. */
const inventoryCron = { expression: '7 * * * *', maxDelayMs: 5 * 60_000 };

export interface AgentDependencies {
  settings: Settings;
  identity: HostIdentity;
  version: string;
  clock: Clock;
  random: Random;
  files: Files;
  interfaces: Interfaces;
  hostsFile: HostsFile;
  units: Units;
  rs: Rs;
  inventory: InventoryReader;
  sockets: LocalSockets;
  transport: Transport;
  schedule: Schedule;
  service: ServiceManager;
  log: Log;
}

/**
 * The daemon. Data flows one way: sources are read into observations; the host's state is a function of the observations; the
 * mesh, the control sockets, the memory on disk and systemd are told when it is another one.
 */
export class Agent {
  readonly #deps: AgentDependencies;
  readonly #observations: Observations = {};
  readonly #observers: Record<keyof typeof pace, { refresh(): Promise<void>; close(): void }>;
  readonly #handlers: Handlers;
  readonly #mesh: Mesh;
  readonly #hello: () => Hello;
  #memory: Memory;
  #state: HostState;
  #control: Control | undefined;
  #statusLine = '';
  /** Findings that the log has, as `CODE outcome`. */
  readonly #logged = new Set<string>();
  #settling = false;
  #writing: Promise<void> = Promise.resolve();
  #stopped = false;

  /** @throws RlnetError AGENT_ALREADY_RUNNING; CONFIG_INVALID for a damaged identity file. */
  static async start(deps: AgentDependencies): Promise<Agent> {
    const { files, settings, identity, random } = deps;
    await files.makeDirectory(settings.directories.state, 0o700);
    await files.makeDirectory(settings.directories.runtime, 0o755);
    const memory = (await readMemory(files, memoryPath(settings.directories.state), identity)) ?? {
      ...identity,
      peers: [],
    };
    const machineId = (await files.read('/etc/machine-id')).trim();
    const bootId = (await files.read('/proc/sys/kernel/random/boot_id')).trim();
    const agent = new Agent(deps, memory, { machineId, bootId, instance: random.id() });
    agent.#control = await openControl({
      sockets: deps.sockets,
      runtimeDirectory: settings.directories.runtime,
      call: (caller, method, params) => callMethod(agent.#handlers, caller, method, params),
      view: () => agent.view(),
    });
    await deps.service.ready(statusLineOf(agent.view()));
    agent.#keepAlive();
    deps.log.info(
      { host: identity.host, cluster: identity.cluster, version: deps.version, mode: settings.mode },
      'agent is running',
    );
    return agent;
  }

  private constructor(
    deps: AgentDependencies,
    memory: Memory,
    run: Pick<Hello, 'machineId' | 'bootId' | 'instance'>,
  ) {
    this.#deps = deps;
    this.#memory = memory;
    this.#state = this.#nextState(undefined);
    this.#hello = () => ({
      type: 'hello',
      protocol: { ...protocolRange },
      cluster: deps.identity.cluster,
      host: deps.identity.host,
      version: deps.version,
      ...run,
      ...(this.#state.nodeUid === undefined ? {} : { nodeUid: this.#state.nodeUid }),
      ...(this.#state.internalFamily === undefined ? {} : { internalFamily: this.#state.internalFamily }),
      ...(this.#state.internalAddress === undefined ? {} : { internalAddress: this.#state.internalAddress }),
    });
    this.#mesh = new Mesh({
      transport: deps.transport,
      clock: deps.clock,
      random: deps.random,
      log: deps.log.child({ component: 'mesh' }),
      port: deps.settings.mesh.port,
      hello: this.#hello,
      state: () => this.#state,
      request: (_host, method, params) => callMethod(this.#handlers, 'peer', method, params),
      changed: () => this.#settleSoon(),
    });
    for (const { host } of memory.peers) this.#mesh.remember(host);
    this.#handlers = createHandlers({
      mesh: this.#mesh,
      view: () => this.view(),
      state: () => this.#state,
      observations: () => this.#observations,
      refresh: async () => {
        await Promise.all(Object.values(this.#observers).map((observer) => observer.refresh()));
        this.#settle();
      },
    });
    const { clock, settings, interfaces, hostsFile, units, rs } = deps;
    const into =
      <K extends keyof Observations>(key: K) =>
      (reading: NonNullable<Observations[K]>) => {
        this.#observe(key, reading);
      };
    const unit = async () => {
      const name = await units.discover(settings.rs.unit);
      return name === undefined ? undefined : await units.state(name);
    };
    this.#observers = {
      interfaces: new Observer(
        clock,
        { everyMs: pace.interfaces, read: () => interfaces.read(), watch: (hint) => interfaces.watch(hint) },
        into('interfaces'),
      ),
      hostsFile: new Observer(
        clock,
        { everyMs: pace.hostsFile, read: () => hostsFile.judge(), watch: (hint) => hostsFile.watch(hint) },
        into('hostsFile'),
      ),
      unit: new Observer(clock, { everyMs: pace.unit, read: unit }, into('unit')),
      nodeUid: new Observer(clock, { everyMs: pace.nodeUid, read: () => rs.localUid() }, into('nodeUid')),
      nodeTable: new Observer(
        clock,
        { everyMs: pace.nodeTable, read: () => rs.nodeTable() },
        into('nodeTable'),
      ),
    };
    const readInventory = async (): Promise<void> => {
      into('inventory')({ at: clock.wall(), value: await deps.inventory.read() });
    };
    deps.schedule.every(inventoryCron.expression, 'inventory', inventoryCron.maxDelayMs, readInventory);
    readInventory().catch((thrown: unknown) =>
      deps.log.warn({ err: thrown }, 'the inventory could not be read'),
    );
  }

  view(): ClusterView {
    const { clock, identity } = this.#deps;
    return clusterViewOf(
      identity.cluster,
      this.#state,
      this.#observations,
      this.#mesh.peers(),
      this.#mesh.unreached(),
      clock.wall(),
    );
  }

  async stop(reason: string): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    const { service, schedule, log } = this.#deps;
    await service.stopping();
    for (const observer of Object.values(this.#observers)) observer.close();
    await schedule.stop();
    await this.#mesh.close(reason);
    await this.#control?.close();
    await this.#writing;
    log.info({}, `agent stopped: ${reason}`);
  }

  #observe<K extends keyof Observations>(key: K, reading: NonNullable<Observations[K]>): void {
    const before: Observations = { ...this.#observations };
    this.#observations[key] = reading;
    this.#logChange(before);
    this.#settleSoon();
  }

  #logChange(before: Observations): void {
    const { log } = this.#deps;
    const links = [before, this.#observations].map((observations) => known(observations.interfaces));
    const [old, fresh] = links;
    if (old !== undefined && fresh !== undefined && old !== fresh) {
      for (const change of describeChanges(old, fresh)) log.info({}, change);
    }
    // RS learns of a stop or start of its unit before anybody else does; its table is worth a look then.
    const states = [before, this.#observations].map((observations) => known(observations.unit)?.activeState);
    if (states[0] !== undefined && states[0] !== states[1]) {
      log.info({ before: states[0], now: states[1] }, 'the RS unit changed');
      void this.#observers.nodeTable.refresh();
    }
  }

  /** Several readings that come together make one new state. */
  #settleSoon(): void {
    if (this.#settling || this.#stopped) return;
    this.#settling = true;
    this.#deps.clock.after(0, () => {
      this.#settling = false;
      if (!this.#stopped) this.#settle();
    });
  }

  #settle(): void {
    const { settings, service, clock } = this.#deps;
    const before = this.#state;
    this.#state = this.#nextState(before);
    const own = this.#state.internalAddress;
    const links = known(this.#observations.interfaces) ?? [];
    const table = known(this.#observations.nodeTable)?.nodes ?? [];
    const candidates = [
      ...table.flatMap(({ address }) => address ?? []),
      ...this.#memory.peers.map(({ address }) => address),
      ...(this.#state.nodeUid === undefined ? settings.mesh.seeds : []),
    ];
    this.#mesh.reconcile(own, own !== undefined && isBindable(links, own), candidates);
    if (this.#state.revision !== before.revision) this.#mesh.publish();
    this.#logFindings();
    this.#remember(clock.wall());
    this.#control?.changed();
    const line = statusLineOf(this.view());
    if (line !== this.#statusLine) void service.status(line);
    this.#statusLine = line;
  }

  #nextState(before: HostState | undefined): HostState {
    const { settings, identity, version, clock } = this.#deps;
    const own = ownAddress(this.#observations, this.#memory.internalAddress, settings.mesh.seeds);
    return hostStateOf(
      { ...identity, version, mode: settings.mode },
      this.#observations,
      own,
      before,
      clock.wall(),
    );
  }

  #logFindings(): void {
    const { log } = this.#deps;
    const seen = new Set<string>();
    for (const { code, outcome, evidence } of this.#state.findings) {
      seen.add(`${code} ${outcome}`);
      // Right after the start nothing was read yet, which is no news.
      if (this.#observations.nodeTable === undefined || this.#logged.has(`${code} ${outcome}`)) continue;
      this.#logged.add(`${code} ${outcome}`);
      log.warn({ finding: code, outcome }, evidence);
    }
    for (const finding of this.#logged) {
      if (seen.has(finding)) continue;
      this.#logged.delete(finding);
      log.info({ finding }, 'the finding is gone');
    }
  }

  #remember(now: number): void {
    const peers = this.#mesh
      .peers()
      .flatMap(({ host, link, address }) =>
        link.status === 'connected' && address !== undefined ? [{ host, address }] : [],
      );
    const { nodeUid, internalAddress } = this.#state;
    const next = remember(this.#memory, { nodeUid, internalAddress, peers, at: now });
    if (next === this.#memory) return;
    this.#memory = next;
    const { files, settings, log } = this.#deps;
    this.#writing = this.#writing
      .then(() => writeMemory(files, memoryPath(settings.directories.state), next))
      .catch((thrown: unknown) =>
        log.error({ err: thrown, errno: errnoOf(thrown) }, 'the identity file could not be written'),
      );
  }

  #keepAlive(): void {
    const { service, clock } = this.#deps;
    const { watchdogMs } = service;
    if (watchdogMs === undefined || this.#stopped) return;
    // Sent by a timer of this loop on purpose: a loop that is blocked sends none, and systemd ends the process.
    void service.keepAlive();
    clock.after(watchdogMs / 3, () => this.#keepAlive());
  }
}
