import type { AddressPersistences } from '../host/ports/address-persistence.ts';
import type { BootClock } from '../host/ports/boot-clock.ts';
import type { Clock, Timer } from '../host/ports/clock.ts';
import type { DeadMan } from '../host/ports/dead-man.ts';
import type { Files } from '../host/ports/files.ts';
import type { HostPower } from '../host/ports/host-power.ts';
import type { HostsFile } from '../host/ports/hosts-file.ts';
import type { Interfaces } from '../host/ports/interfaces.ts';
import type { InventoryReader } from '../host/ports/inventory.ts';
import type { KernelAddresses } from '../host/ports/kernel-addresses.ts';
import type { LocalSockets } from '../host/ports/local-sockets.ts';
import type { NetworkOwner } from '../host/ports/network-owner.ts';
import type { Paths } from '../host/ports/paths.ts';
import type { Random } from '../host/ports/random.ts';
import type { Rs } from '../host/ports/rs.ts';
import type { ServiceManager } from '../host/ports/service-manager.ts';
import type { UnitControl } from '../host/ports/unit-control.ts';
import type { UnitSignals, Units } from '../host/ports/units.ts';
import type { VitalsReader } from '../host/ports/vitals.ts';
import type { Wire } from '../host/ports/wire.ts';
import { type Address, type Family, familyOf } from '../protocol/address.ts';
import type { HostIdentity } from '../protocol/identity.ts';
import { describeChanges } from '../protocol/interfaces.ts';
import { type Hello, protocolRange } from '../protocol/messages.ts';
import type { ToldLock } from '../protocol/renumbering/lock.ts';
import type { Snapshot } from '../protocol/reporting.ts';
import { type ClusterView, type HostState, maxKnownInState } from '../protocol/state.ts';
import { callMethod, decodeResult, type Handlers } from './call.ts';
import { clusterViewOf, comparable, statusLineOf } from './cluster-view.ts';
import { type Control, openControl } from './control.ts';
import { createExternalHandlers } from './external/handlers.ts';
import type { CertificateTerm, Facts } from './findings/check.ts';
import { checks, runChecks } from './findings/findings.ts';
import { stand, type Tracks } from './findings/standing.ts';
import { createHandlers, observes, resolveNode } from './handlers.ts';
import { hostStateOf } from './host-state.ts';
import type { Log } from './log.ts';
import { MemoryStore, memoryPath, readMemory, remember } from './memory.ts';
import type { Transport } from './mesh/channel.ts';
import { Mesh } from './mesh/mesh.ts';
import type { Measured } from './metrics.ts';
import { internalFamily, isBindable, known, type Observations, ownAddress } from './observations.ts';
import { admitsOf } from './operations.ts';
import { paced } from './paced.ts';
import type { FactDependencies } from './renumbering/facts.ts';
import { askGuardsOf } from './renumbering/guards.ts';
import { createOperatorHandlers } from './renumbering/operator-handlers.ts';
import type { Peers } from './renumbering/peers.ts';
import { planMakerOf } from './renumbering/plan-maker.ts';
import { PlanStore } from './renumbering/plan-store.ts';
import { Renumberings, type RenumberingsDependencies } from './renumbering/renumberings.ts';
import { createExecutors } from './renumbering/steps/steps.ts';
import { waitsForOwner, waitsForRs } from './renumbering/waits.ts';
import type { ReportConnector } from './report/channel.ts';
import { Reporter } from './report/reporter.ts';
import { Spool } from './report/spool.ts';
import { createRolloutHandlers } from './rollout/handlers.ts';
import { Rollouts } from './rollout/rollouts.ts';
import type { Schedule } from './schedule.ts';
import type { Settings } from './settings.ts';
import { observeHost } from './sources.ts';
import { isNews, onlyTurn, turnOf } from './table-turns.ts';
import { createWireReports } from './wire-reports.ts';

/**
 * The inventory is read first so long after the start, milliseconds: it is forty programs, and a host that has just booted needs its processors for
 * RS, or to get its new address.
 */
const firstInventoryMs = 20_000;
/** And then hourly, spread over five minutes. */
const inventoryCron = { expression: '7 * * * *', maxDelayMs: 5 * 60_000 };
/** Readings and messages that come within so long make one new state: in a large mesh they come by the hundred. */
const settleMs = 50;
/**
 * A new state goes to the peers at once, the one after it no sooner than this: while a mesh forms, each link makes another state of its two hosts,
 * and telling each to all would be the cube of the hosts.
 */
const publishEveryMs = 500;
/** From one STATUS line to the next, milliseconds: each is a process, and a host that boots has a dozen of them in two seconds. */
const statusEveryMs = 1_000;
/** From a read of the node table on the word of other hosts to the next one, milliseconds: `rladmin` is a second of a core. */
const followEveryMs = 2_000;
/** How long a peer may take to say what time it has, milliseconds. */
const peerClockTimeoutMs = 5_000;
/** What a snapshot and an event have room for. */
const maxReportedLinks = 256;
const maxReportedChanges = 100;

export interface AgentDependencies {
  settings: Settings;
  identity: HostIdentity;
  version: string;
  clock: Clock;
  bootClock: BootClock;
  random: Random;
  files: Files;
  interfaces: Interfaces;
  hostsFile: HostsFile;
  units: Units;
  unitSignals: UnitSignals;
  rs: Rs;
  persistences: AddressPersistences;
  paths: Paths;
  vitals: VitalsReader;
  /** The certificates that are in use, and their terms. Asked for with each new state: to be cheap. */
  certificates: () => readonly CertificateTerm[];
  wire: Wire;
  /** What renumberings of this host act through. */
  acting: ActingPorts;
  /** To the collector; undefined where none is configured. */
  collector: ReportConnector | undefined;
  inventory: InventoryReader;
  sockets: LocalSockets;
  transport: Transport;
  schedule: Schedule;
  service: ServiceManager;
  log: Log;
}

export interface ActingPorts {
  kernel: KernelAddresses;
  /** The owner that a plan names. @throws RlnetError OWNER_NOT_EDITABLE */
  owner: (kind: string) => NetworkOwner;
  units: UnitControl;
  power: HostPower;
  deadMan: DeadMan;
  /** What guards and plans go by, beside what the agent has anyway. */
  facts: Pick<
    FactDependencies,
    'surroundings' | 'ownerOf' | 'rsUnit' | 'agentUnit' | 'certificateEnds' | 'directories'
  >;
}

/**
 * The daemon. Data flows one way: sources are read into observations; the host's state is a function of the observations and the mesh; the
 * mesh, the control sockets, the memory on disk and systemd are told when it is another one.
 */
export class Agent {
  readonly #deps: AgentDependencies;
  readonly #observations: Observations = {};
  readonly #observers: ReturnType<typeof observeHost>;
  readonly #handlers: Handlers;
  readonly #mesh: Mesh;
  readonly #control: Control;
  readonly #memory: MemoryStore;
  readonly #renumberings: Renumberings;
  readonly #peers: Peers;
  readonly #rollouts: Rollouts;
  readonly #reporter: Reporter | undefined;
  /** What was reported of each peer last. */
  readonly #reported = new Map<string, string>();
  #state: HostState;
  readonly #startedAt: number;
  #tracks: Tracks = new Map();
  /** Runs until a finding is to be shown, or to go, by time alone. */
  #ripe: Timer | undefined;
  #statusLine = '';
  /** What was shown to people last, to tell them only what is new. */
  #shown = '';
  /** Findings that the log has, as `CODE outcome`. */
  readonly #logged = new Set<string>();
  readonly #heardLocks = new Map<string, ToldLock>();
  /** By the node table that was read last, also while none can be read: RS may come back on all hosts at once. */
  #tableTurn = onlyTurn;
  readonly #heardTables = new Map<string, string>();
  /** The mark of a table that another host has read, for which ours was not read yet. */
  #newTable: string | undefined;
  /** Whether our table is being read on another host's word, or was a moment ago: others that say the same are no reason to read it again. */
  #following = false;
  #followed: Timer | undefined;
  /** The hosts that could not be reached when that was looked at last. */
  #lost = '';
  #settling = false;
  readonly #published: ReturnType<typeof paced>;
  readonly #statusTold: ReturnType<typeof paced>;
  #telling: Promise<void> = Promise.resolve();
  #keptAlive: Timer | undefined;
  readonly #firstInventory: Timer;
  /** Whether something has changed since the persistence of the internal address was read. */
  #persistenceDue = false;
  #stopped = false;

  /** @throws RlnetError AGENT_ALREADY_RUNNING; CONFIG_INVALID for a damaged identity file. */
  static async start(deps: AgentDependencies): Promise<Agent> {
    const { files, settings, identity, random, log } = deps;
    await files.makeDirectory(settings.directories.state, 0o700);
    await files.makeDirectory(settings.directories.runtime, 0o755);
    const path = memoryPath(settings.directories.state);
    const remembered = await readMemory(files, path, identity);
    const memory = new MemoryStore(files, path, remembered ?? { ...identity, peers: [] }, (thrown) =>
      log.error({ err: thrown }, 'the identity file could not be written'),
    );
    const machineId = (await files.read('/etc/machine-id')).trim();
    const bootId = (await files.read('/proc/sys/kernel/random/boot_id')).trim();
    // The sockets come first: where another agent has them, this one must not have begun anything.
    const started = Promise.withResolvers<Agent>();
    const control = await openControl({
      sockets: deps.sockets,
      runtimeDirectory: settings.directories.runtime,
      call: async (caller, method, params) =>
        callMethod((await started.promise).#handlers, { caller, host: identity.host }, method, params),
      view: () => agent.view(),
    });
    const spool =
      deps.collector === undefined
        ? undefined
        : await Spool.open(files, `${settings.directories.state}/spool`, bootId);
    // What was under way is gone on with from here on, and waits for its peers until there is a mesh.
    let begun = false;
    const renumberings = await beginRenumberings(deps, {
      peers: {
        hostOf: (uid) => (begun ? agent.#peers.hostOf(uid) : undefined),
        call: async (...question) => (await started.promise).#peers.call(...question),
      },
      changed: (progress) => {
        if (!begun) return;
        if (progress !== undefined) agent.#reporter?.journalGrew(progress.plan.id);
        agent.#readPersistence();
        agent.#settleSoon();
      },
    });
    const agent = new Agent(
      deps,
      memory,
      { machineId, bootId, instance: random.id() },
      control,
      renumberings,
      spool,
    );
    begun = true;
    await agent.#rollouts.takeUp();
    started.resolve(agent);
    await deps.service.ready(statusLineOf(agent.view()));
    agent.#keepAlive();
    const { host, cluster } = identity;
    log.info({ host, cluster, version: deps.version, mode: settings.mode }, 'agent is running');
    return agent;
  }

  private constructor(
    deps: AgentDependencies,
    memory: MemoryStore,
    run: Pick<Hello, 'machineId' | 'bootId' | 'instance'>,
    control: Control,
    renumberings: Renumberings,
    spool: Spool | undefined,
  ) {
    this.#deps = deps;
    this.#startedAt = deps.clock.wall();
    this.#renumberings = renumberings;
    this.#control = control;
    this.#memory = memory;
    this.#published = paced(deps.clock, publishEveryMs, () => this.#mesh.publish());
    this.#statusTold = paced(deps.clock, statusEveryMs, () => this.#tellStatus());
    this.#mesh = new Mesh({
      transport: deps.transport,
      clock: deps.clock,
      random: deps.random,
      log: deps.log.child({ component: 'mesh' }),
      port: deps.settings.mesh.port,
      hello: () => this.#hello(run),
      state: () => this.#state,
      // While this host's RS is off, its renumbering remembers whose node is which.
      nodes: () => known(this.#observations.nodeTable)?.nodes ?? renumberings.open?.plan.members,
      pin: (host) => memory.current.peers.find((peer) => peer.host === host),
      request: (host, standing, method, params) =>
        callMethod(this.#handlers, { caller: standing, host }, method, params),
      changed: () => this.#settleSoon(),
    });
    for (const { host } of memory.current.peers) this.#mesh.remember(host);
    this.#reporter =
      deps.collector === undefined || spool === undefined
        ? undefined
        : new Reporter({
            ...deps,
            connector: deps.collector,
            spool,
            bootId: run.bootId,
            journals: {
              list: async () => (await renumberings.history()).map(({ planId }) => planId),
              recordsOf: (planId) => renumberings.recordsOf(planId),
            },
            snapshot: () => this.#snapshot(),
            log: deps.log.child({ component: 'report' }),
            changed: () => this.#settleSoon(),
          });
    this.#reporter?.event('agent_started', { version: deps.version, instance: run.instance });
    this.#peers = {
      hostOf: (uid) =>
        uid === this.#state.nodeUid
          ? this.#state.host
          : this.#mesh.peers().find(({ linked, nodeUid }) => linked && nodeUid === uid)?.host,
      call: async (host, method, params, timeoutMs) => {
        const answer =
          host === this.#state.host
            ? await callMethod(this.#handlers, { caller: 'member', host }, method, params)
            : await this.#mesh.request(host, method, params, timeoutMs);
        return decodeResult(method, answer, host);
      },
    };
    this.#rollouts = new Rollouts({
      ...deps,
      host: deps.identity.host,
      directory: deps.settings.directories.state,
      view: () => this.view(),
      call: (...question) => this.#peers.call(...question),
      openClaims: () => renumberings.keeper.openClaims(),
      forbidden: deps.settings.mode === 'observe' ? observes(deps.identity.host) : undefined,
      log: deps.log.child({ component: 'rollout' }),
      changed: () => this.#settleSoon(),
    });
    this.#state = this.#nextState(undefined);
    const operatorLog = deps.log.child({ component: 'operator' });
    const { host } = deps.identity;
    const admit = admitsOf(host, deps.settings.remote_operations, operatorLog);
    this.#handlers = createHandlers({
      rollout: createRolloutHandlers({
        host,
        rs: deps.rs,
        rollouts: this.#rollouts,
        view: () => this.view(),
        ask: (...question) => this.#peers.call(...question),
        admit,
      }),
      external: createExternalHandlers({
        host,
        rs: deps.rs,
        view: () => this.view(),
        ask: (...question) => this.#peers.call(...question),
        openClaims: () => renumberings.keeper.openClaims(),
        admit,
        forbidden: deps.settings.mode === 'observe' ? observes(host) : undefined,
        log: operatorLog,
      }),
      renumbering: {
        ...renumberings.handlers,
        ...createOperatorHandlers({
          host,
          renumberings,
          plans: new PlanStore(deps.files, deps.clock, `${deps.settings.directories.state}/plans`),
          makePlan: planMakerOf({
            ...factsOf(deps, this.#peers),
            ...deps.identity,
            version: deps.version,
            random: deps.random,
            files: deps.files,
            seeds: deps.settings.mesh.seeds,
            bounds: deps.settings.renumbering.bounds,
          }),
          nodeUid: () => this.#state.nodeUid,
          admit,
          resolve: (node) => resolveNode(this.view(), node),
          others: () => this.#mesh.peers(),
          clock: deps.clock,
          ask: (...question) => this.#peers.call(...question),
          log: operatorLog,
        }),
      },
      mesh: this.#mesh,
      hostsFile: deps.hostsFile,
      log: deps.log,
      meshPort: deps.settings.mesh.port,
      paths: deps.paths,
      wire: deps.wire,
      wireReport: createWireReports(deps.identity.host, deps.interfaces, deps.wire),
      view: () => this.view(),
      state: () => this.#state,
      facts: () => this.#facts(),
      refresh: async () => {
        const { wireAnswer: _, ...quick } = this.#observers;
        await Promise.all(Object.values(quick).map((observer) => observer.refresh()));
        this.#settle();
      },
      forget: (host) => this.#changePeers((peers) => peers.filter((peer) => peer.host !== host)),
      unpin: async (host) => {
        const pinned = memory.current.peers.some(
          (peer) => peer.host === host && peer.machineId !== undefined,
        );
        await this.#changePeers((peers) =>
          peers.map(({ machineId, ...peer }) =>
            peer.host === host || machineId === undefined ? peer : { ...peer, machineId },
          ),
        );
        return pinned;
      },
    });
    this.#observers = observeHost(
      {
        ...deps,
        ...deps.acting,
        ...deps.acting.facts,
        units: deps.units,
        configuredUnit: deps.settings.rs.unit,
        nodeIdFile: deps.settings.rs.node_id_file,
        peerClocks: () => this.#readPeerClocks(),
        tableTurn: () => this.#tableTurn,
        ownerFilesChanged: () => {
          this.#persistenceDue = true;
          this.#readPersistence();
        },
        internal: () => ({ address: this.#internalAddress(), links: this.#observations.interfaces }),
      },
      (key, reading) => this.#observe(key, reading),
    );
    const readInventory = async (): Promise<void> => {
      this.#observe('inventory', { at: deps.clock.wall(), value: await deps.inventory.read() });
    };
    deps.schedule.every(inventoryCron.expression, 'inventory', inventoryCron.maxDelayMs, readInventory);
    this.#firstInventory = deps.clock.after(firstInventoryMs, () => {
      readInventory().catch((thrown: unknown) =>
        deps.log.warn({ err: thrown }, 'the inventory could not be read'),
      );
    });
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

  /** What is measured, as it is now. */
  get measured(): Measured {
    return {
      cluster: this.#deps.identity.cluster,
      state: this.#state,
      facts: this.#facts(),
      peers: this.#mesh.peers(),
      refusals: this.#mesh.refusals(),
      startedAt: this.#startedAt,
    };
  }

  /** Takes up renewed certificates: new connections use them, links stay but for those whose certificate is denied now. */
  renewCertificates(deniedSerials: ReadonlySet<string>): void {
    this.#mesh.renew(deniedSerials);
    this.#deps.log.info({ denied: deniedSerials.size }, 'took up the certificates anew');
  }

  async stop(reason: string): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    const { service, schedule, log } = this.#deps;
    this.#keptAlive?.cancel();
    this.#firstInventory.cancel();
    this.#published.cancel();
    this.#statusTold.cancel();
    this.#followed?.cancel();
    this.#ripe?.cancel();
    await service.stopping();
    for (const observer of Object.values(this.#observers)) observer.close();
    await schedule.stop();
    await this.#rollouts.close();
    await this.#renumberings.close();
    this.#reporter?.event('agent_stopped', { reason });
    await this.#reporter?.stop();
    await this.#mesh.close(reason);
    await this.#control.close();
    await this.#memory.set(this.#memory.current);
    log.info({}, `agent stopped: ${reason}`);
  }

  #hello(run: Pick<Hello, 'machineId' | 'bootId' | 'instance'>): Hello {
    const { identity, version } = this.#deps;
    const { nodeUid, internalFamily: family, internalAddress } = this.#state;
    return {
      type: 'hello',
      protocol: { ...protocolRange },
      cluster: identity.cluster,
      host: identity.host,
      version,
      ...run,
      ...(nodeUid === undefined ? {} : { nodeUid }),
      ...(family === undefined ? {} : { internalFamily: family }),
      ...(internalAddress === undefined ? {} : { internalAddress }),
    };
  }

  #facts(): Facts {
    const { identity, version, clock, certificates } = this.#deps;
    const observations = this.#observations;
    const internalAddress = this.#internalAddress();
    const peers = this.#mesh.peers();
    const said = peers.find(({ linked, state }) => linked && state?.internalFamily !== undefined)?.state;
    return {
      now: clock.wall(),
      host: identity.host,
      version,
      observations,
      internalAddress,
      clusterFamily:
        internalFamily(observations, internalAddress) ?? said?.internalFamily ?? this.#familyOfSeeds(),
      peers: peers.map(({ state, ...peer }) => ({
        ...peer,
        version: state?.version,
        renumbering: state?.renumbering,
      })),
      unreached: this.#mesh.unreached(),
      troubles: this.#mesh.troubles(),
      lock: this.#renumberings.keeper.told,
      renumbering: this.#renumberings.standing,
      certificates: certificates(),
      report: this.#reporter?.status,
      rollout: this.#rollouts.told,
      declared: this.#rollouts.declared,
    };
  }

  #snapshot(): Snapshot {
    const rs = known(this.#observations.nodeTable);
    return {
      state: this.#state,
      ...(rs === undefined ? {} : { rs }),
      links: this.#mesh
        .peers()
        .slice(0, maxReportedLinks)
        .map(({ host, linked, address, reachability }) => ({
          host,
          linked,
          reachability,
          ...(address === undefined ? {} : { address }),
        })),
    };
  }

  /** What is another matter with the links since it was told last. */
  #reportLinks(): void {
    if (this.#reporter === undefined) return;
    for (const { host, linked, reachability } of this.#mesh.peers()) {
      const { status } = reachability;
      const now = `${linked ? 'linked' : 'not linked'}, ${status}`;
      const before = this.#reported.get(host);
      if (before === now) continue;
      this.#reported.set(host, now);
      this.#reporter.stateChanged();
      // A link that comes and goes within a verdict is told by the state alone.
      if (before === undefined || before.endsWith(` ${status}`)) continue;
      this.#reporter.event('peer', {
        host,
        status,
        ...('why' in reachability ? { why: reachability.why } : {}),
      });
    }
  }

  async #readPeerClocks(): Promise<{ host: string; aheadMs: number }[]> {
    const { clock } = this.#deps;
    const asked = this.#mesh
      .peers()
      .filter(({ linked }) => linked)
      .map(async ({ host }) => {
        const sent = clock.wall();
        const started = clock.monotonic();
        const { clock: theirs } = await this.#peers.call(host, 'about', {}, peerClockTimeoutMs);
        return { host, aheadMs: Math.round(theirs - sent - (clock.monotonic() - started) / 2) };
      });
    // Who does not answer has a finding of its own.
    return (await Promise.allSettled(asked)).flatMap((each) =>
      each.status === 'fulfilled' ? each.value : [],
    );
  }

  /** All that a host can go by which is no node yet and has no address among the seeds, perhaps as it lacks the family. */
  #familyOfSeeds(): Family | undefined {
    const families = new Set(this.#deps.settings.mesh.seeds.map(familyOf));
    const [only] = families;
    return families.size === 1 ? only : undefined;
  }

  #internalAddress(): Address | undefined {
    const { settings } = this.#deps;
    return ownAddress(
      this.#observations,
      this.#memory.current.internalAddress,
      settings.mesh.seeds,
      movingBetween(this.#renumberings.standing),
    );
  }

  #nextState(before: HostState | undefined): HostState {
    const { settings, identity, version, clock } = this.#deps;
    const knows = this.#mesh
      .peers()
      .flatMap(({ host, address }) => (address === undefined ? [] : { host, address }))
      .slice(0, maxKnownInState);
    const facts = this.#facts();
    const now = { monotonic: clock.monotonic(), wall: facts.now };
    const { tracks, findings, changesInMs } = stand(this.#tracks, checks, runChecks(facts), now);
    this.#tracks = tracks;
    this.#ripe?.cancel();
    this.#ripe = changesInMs === undefined ? undefined : clock.after(changesInMs, () => this.#settleSoon());
    return hostStateOf({ ...identity, version, mode: settings.mode }, facts, findings, knows, before);
  }

  #observe<K extends keyof Observations>(key: K, reading: NonNullable<Observations[K]>): void {
    const before: Observations = { ...this.#observations };
    const address = this.#internalAddress();
    this.#observations[key] = reading;
    this.#tableTurn = turnOf(this.#observations) ?? this.#tableTurn;
    this.#logChange(before);
    // Whose it is is known by now, or on which link.
    const isFirst = key === 'interfaces' && known(before.interfaces) === undefined;
    if (isFirst || address !== this.#internalAddress()) this.#persistenceDue = true;
    this.#readPersistence();
    this.#settleSoon();
  }

  /** Each look is some programs of the owner of the network configuration: where the agent itself changes addresses, one look once it has done. */
  #readPersistence(): void {
    if (!this.#persistenceDue || this.#renumberings.isChangingAddress) return;
    this.#persistenceDue = false;
    void this.#observers.persistence.refresh();
  }

  #logChange(before: Observations): void {
    const { log } = this.#deps;
    const [old, fresh] = [before, this.#observations].map(({ interfaces }) => known(interfaces));
    if (old !== undefined && fresh !== undefined && old !== fresh) {
      const changes = describeChanges(old, fresh);
      for (const change of changes) log.info({}, change);
      if (changes.length > 0)
        this.#reporter?.event('interfaces', { changes: changes.slice(0, maxReportedChanges) });
      if (changes.length > 0) this.#persistenceDue = true;
    }
    // RS learns of a stop or start of its unit before anybody else does; its table is worth a look then.
    const [was, is] = [before, this.#observations].map(({ unit }) => known(unit)?.activeState);
    if (was !== undefined && was !== is) {
      log.info({ before: was, now: is }, 'the RS unit changed');
      this.#reporter?.event('unit', { before: was, now: is });
      void this.#observers.nodeTable.refresh();
    }
  }

  /** Several readings that come together make one new state. */
  #settleSoon(): void {
    if (this.#settling || this.#stopped) return;
    this.#settling = true;
    this.#deps.clock.after(settleMs, () => {
      this.#settling = false;
      if (!this.#stopped) this.#settle();
    });
  }

  #settle(): void {
    const before = this.#state;
    this.#state = this.#nextState(before);
    const own = this.#state.internalAddress;
    const links = known(this.#observations.interfaces) ?? [];
    // RS keeps a node's family for good. Before, the host's own seed is all there is to go by, and its peers know better.
    const family = own === undefined || this.#state.nodeUid === undefined ? undefined : familyOf(own);
    this.#mesh.reconcile(own, own !== undefined && isBindable(links, own), family, this.#candidates());
    if (this.#state.revision !== before.revision) {
      this.#published.ask();
      this.#reporter?.stateChanged();
    }
    this.#hearLocks();
    this.#hearTables();
    this.#followLosses();
    this.#reportLinks();
    this.#logFindings();
    this.#remember();
    const view = this.view();
    const shown = comparable(view);
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#control.changed();
    this.#statusTold.ask();
  }

  /** One after the other, as each is a process, and an older one could overtake it. */
  #tellStatus(): void {
    const line = statusLineOf(this.view());
    if (line === this.#statusLine) return;
    this.#statusLine = line;
    this.#telling = this.#telling.then(() => this.#deps.service.status(line));
  }

  /** Where peers may be: RS says, they were there before, other peers say; on a host that is no node yet, the seeds. */
  #candidates(): Address[] {
    const { seeds } = this.#deps.settings.mesh;
    const { peers: remembered } = this.#memory.current;
    // Every peer names nearly the same ones, hence a set.
    const found = new Set<Address>();
    for (const { address } of known(this.#observations.nodeTable)?.nodes ?? [])
      if (address !== undefined) found.add(address);
    for (const { address } of remembered) found.add(address);
    for (const { linked, state } of this.#mesh.peers())
      if (linked) for (const { address } of state?.knows ?? []) found.add(address);
    // Whichever of the two a host that is being renumbered has now.
    for (const { state } of this.#mesh.peers())
      for (const address of movingBetween(state?.renumbering) ?? []) found.add(address);
    // Also on a node that has just been given its agent, while RS does not answer.
    if (this.#state.nodeUid === undefined || remembered.length === 0)
      for (const seed of seeds) found.add(seed);
    return [...found];
  }

  /** What the others know of the lock is worth reading when it is other than what was read last. */
  #hearLocks(): void {
    for (const { host, state } of this.#mesh.peers()) {
      if (state?.lock === undefined || this.#heardLocks.get(host) === state.lock) continue;
      this.#heardLocks.set(host, state.lock);
      this.#renumberings.keeper.hear(host, state.lock).catch((thrown: unknown) => {
        this.#heardLocks.delete(host);
        this.#deps.log.error({ err: thrown }, 'what another host knows of the lock could not be noted');
      });
    }
  }

  /** Where another host reads something new in RS's table, it is there for this host to read as well. */
  #hearTables(): void {
    for (const { host, state } of this.#mesh.peers()) {
      const told = state?.rsTable;
      if (isNews(told, this.#heardTables.get(host), this.#state.rsTable)) this.#newTable = told;
      if (told !== undefined) this.#heardTables.set(host, told);
    }
    this.#followTable();
  }

  #followTable(): void {
    if (this.#newTable === this.#state.rsTable) this.#newTable = undefined;
    const isFirstOnItsWay = this.#observations.nodeTable === undefined;
    if (this.#newTable === undefined || this.#following || isFirstOnItsWay) return;
    this.#newTable = undefined;
    this.#following = true;
    void this.#observers.nodeTable.refresh().then(() => {
      if (this.#stopped) return;
      this.#followed = this.#deps.clock.after(followEveryMs, () => {
        this.#following = false;
        this.#followTable();
      });
    });
  }

  /** RS learns of a host that is lost, or back, a little later than the mesh; its table is worth a look then. */
  #followLosses(): void {
    const lost = this.#mesh
      .peers()
      .flatMap(({ host, reachability }) => (reachability.status === 'unreachable' ? host : []))
      .join(' ');
    if (lost === this.#lost) return;
    this.#lost = lost;
    void this.#observers.nodeTable.refresh();
  }

  #logFindings(): void {
    const { log } = this.#deps;
    const seen = new Set<string>();
    for (const { code, outcome, severity, evidence } of this.#state.findings) {
      seen.add(`${code} ${outcome}`);
      // Right after the start nothing was read yet, which is no news.
      if (!this.#hasReadAll() || this.#logged.has(`${code} ${outcome}`)) continue;
      this.#logged.add(`${code} ${outcome}`);
      log.warn({ finding: code, outcome }, evidence);
      this.#reporter?.event('finding', { code, outcome, severity, evidence });
    }
    for (const finding of this.#logged) {
      if (seen.has(finding)) continue;
      this.#logged.delete(finding);
      log.info({ finding }, 'the finding is gone');
      this.#reporter?.event('finding_gone', { code: finding.split(' ')[0] });
    }
  }

  /** Whether every source has answered once since the start, well or not. */
  #hasReadAll(): boolean {
    return Object.keys(this.#observers).every((source) => Object.hasOwn(this.#observations, source));
  }

  #remember(): void {
    const { nodeUid, internalAddress } = this.#state;
    const peers = this.#mesh
      .peers()
      .flatMap(({ host, address, machineId, nodeUid: uid }) =>
        address === undefined ? [] : { host, address, machineId, nodeUid: uid },
      );
    const at = this.#deps.clock.wall();
    void this.#memory.set(remember(this.#memory.current, { nodeUid, internalAddress, peers, at }));
  }

  #changePeers(
    change: (peers: MemoryStore['current']['peers']) => MemoryStore['current']['peers'],
  ): Promise<void> {
    const { current } = this.#memory;
    return this.#memory.set({ ...current, peers: change(current.peers) });
  }

  #keepAlive(): void {
    const { service, clock } = this.#deps;
    const { watchdogMs } = service;
    if (watchdogMs === undefined || this.#stopped) return;
    // Sent by a timer of this loop on purpose: a loop that is blocked sends none, and systemd ends the process.
    void service.keepAlive();
    this.#keptAlive = clock.after(watchdogMs / 2, () => this.#keepAlive());
  }
}

function factsOf(deps: AgentDependencies, peers: Peers): FactDependencies {
  const { clock, rs, interfaces, hostsFile, acting, settings } = deps;
  const { kernel, units, facts } = acting;
  return { ...facts, clock, rs, interfaces, hostsFile, kernel, units, peers, mode: settings.mode };
}

/** Where the files of the network's owner are backed up for a plan. */
export function backupDirectoryOf({ directories }: Settings, planId: string): string {
  return `${directories.state}/network/${planId}`;
}

/** The renumberings of this host over its own ports and the mesh. */
function beginRenumberings(
  deps: AgentDependencies,
  agent: Pick<RenumberingsDependencies, 'peers' | 'changed'>,
): Promise<Renumberings> {
  const { settings, identity, acting, log } = deps;
  const { state: directory } = settings.directories;
  const { owner: _owner, facts: _, ...ports } = acting;
  const { rs, peers, total: rsTotal } = waitsForRs(deps.clock, { rs: deps.rs, peers: agent.peers });
  const { ownerOf, total: ownerTotal } = waitsForOwner(deps.clock, acting.owner);
  return Renumberings.begin({
    ...deps,
    ...agent,
    rs,
    peers,
    waited: () => ({ rsMs: rsTotal(), ownerMs: ownerTotal() }),
    host: identity.host,
    directory,
    deadMan: acting.deadMan,
    forbidden: settings.mode === 'observe' ? observes(identity.host) : undefined,
    executors: (context, plan) =>
      createExecutors({
        ...deps,
        rs,
        ...context,
        ...ports,
        owner: ownerOf(plan.owner),
        backupDirectory: ({ id }) => backupDirectoryOf(settings, id),
      }),
    askGuards: askGuardsOf(factsOf({ ...deps, rs }, peers)),
    log: log.child({ component: 'renumbering' }),
  });
}

function movingBetween(
  renumbering: HostState['renumbering'],
): readonly [from: Address, to: Address] | undefined {
  return renumbering === undefined ? undefined : [renumbering.from.address, renumbering.to.address];
}
