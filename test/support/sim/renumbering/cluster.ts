import type { Handlers } from '../../../../src/agent/call.ts';
import type { Log } from '../../../../src/agent/log.ts';
import { askGuardsOf } from '../../../../src/agent/renumbering/guards.ts';
import type { Peers } from '../../../../src/agent/renumbering/peers.ts';
import { Renumberings } from '../../../../src/agent/renumbering/renumberings.ts';
import { createExecutors } from '../../../../src/agent/renumbering/steps/steps.ts';
import { type Address, type Family, parseInterfaceAddress } from '../../../../src/protocol/address.ts';
import { asRlnetError, RlnetError } from '../../../../src/protocol/errors.ts';
import type { MethodName, Params, Result } from '../../../../src/protocol/methods.ts';
import { defaultBounds } from '../../../../src/protocol/renumbering/bounds.ts';
import type { MoveKind, Plan } from '../../../../src/protocol/renumbering/plan.ts';
import type { Progress } from '../../../../src/protocol/renumbering/progress.ts';
import type { JournalRecord, RenumberingOutcome } from '../../../../src/protocol/renumbering/records.ts';
import { rsUnit, type Service, SimHost } from '../host.ts';
import type { Kernel } from '../kernel.ts';
import { SimNetwork, transit } from '../network.ts';
import { CrashPoints } from '../points.ts';
import type { SimProcess } from '../process.ts';
import { SimRs } from '../rs.ts';
import { recordOf } from '../unit-control.ts';
import { SimDeadMan } from './dead-man.ts';
import { simFacts } from './facts.ts';
import {
  type HostFaults,
  type KernelChanges,
  simHostPower,
  simKernelAddresses,
  simNetworkOwner,
  simUnitControl,
  simWire,
} from './host-twins.ts';

const agentService = 'rlnet';
/** How often agents tell each other what they know of the lock, whether it is news or not. Milliseconds. */
const gossipMs = 15_000;

/** An agent that does nothing but renumberings, on a simulated host; started again for as long as the host is on. */
export class SimRenumberingAgent implements Service {
  readonly restartMs = 1_000;
  readonly host: SimHost;
  readonly faults: HostFaults = {};
  readonly deadMan: SimDeadMan;
  readonly #cluster: RenumberingCluster;
  readonly #kernelChanges: KernelChanges = { bootId: undefined, standing: undefined };
  /** Every record that any run of this agent wrote, in order. */
  readonly written: JournalRecord[] = [];
  /** How renumberings of this host ended, by plan. */
  readonly outcomes = new Map<string, RenumberingOutcome>();
  #running: Renumberings | undefined;
  #process: SimProcess | undefined;

  constructor(cluster: RenumberingCluster, host: SimHost) {
    this.#cluster = cluster;
    this.host = host;
    this.deadMan = new SimDeadMan(cluster.kernel, host, agentService);
    host.install(agentService, this);
  }

  get running(): Renumberings | undefined {
    return this.#running;
  }

  get process(): SimProcess | undefined {
    return this.#process;
  }

  kill(): void {
    this.host.kill(agentService);
  }

  start(process: SimProcess, host: SimHost): void {
    const { kernel, network, rs } = this.#cluster;
    const { clock, random } = process;
    this.#process = process;
    process.onExit(() => {
      this.#running = undefined;
    });
    const files = host.files(process);
    const rsPort = rs.port(process, host.plan.nodeUid, files);
    const deadMan = this.deadMan.port(process);
    const peers = this.#cluster.peers(this, process);
    const log = silentLog(kernel, process);
    const bootClock = host.bootClock(process);
    const ports = {
      rs: rsPort,
      deadMan,
      peers,
      clock,
      bootClock,
      random,
      kernel: simKernelAddresses(kernel, host, process, this.#kernelChanges, this.faults),
      interfaces: host.interfaces.port(process),
      wire: simWire(network, host, process),
      owner: simNetworkOwner(host, process, this.faults),
      units: simUnitControl(host, process, this.faults),
      power: simHostPower(host, process, this.faults),
    };
    Renumberings.begin({
      host: host.name,
      directory: '/var/lib/rlnet',
      files,
      ...ports,
      executors: (context) =>
        createExecutors({ ...ports, ...context, backupDirectory: ({ id }) => `/var/lib/rlnet/backup-${id}` }),
      askGuards: askGuardsOf(simFacts(ports, host)),
      waited: () => ({ rsMs: 0, ownerMs: 0 }),
      log,
      changed: (progress, record) => {
        if (progress === undefined || record === undefined) return;
        this.#note(progress, record);
        this.#cluster.onGrowth(process, progress.plan.id);
      },
    }).then(
      (renumberings) => {
        if (!process.isAlive) return;
        this.#running = renumberings;
        this.#gossip(process, renumberings);
        this.#cluster.onRun(host, process, renumberings);
      },
      (thrown: unknown) => {
        kernel.note(process.name, `could not start: ${asRlnetError(thrown).message}`);
        process.exit();
      },
    );
  }

  #note(progress: Progress, record: JournalRecord): void {
    this.written.push(record);
    this.#cluster.onRecord(progress.plan, record);
    if (record.type === 'closed') this.outcomes.set(progress.plan.id, record.outcome);
  }

  #gossip(process: SimProcess, renumberings: Renumberings): void {
    this.#cluster.tell(this.host, renumberings.keeper.told);
    process.clock.after(gossipMs, () => this.#gossip(process, renumberings));
  }
}

/** A cluster of hosts with RS and an agent each, for stories about renumberings. */
export class RenumberingCluster {
  readonly kernel: Kernel;
  readonly network: SimNetwork;
  readonly hosts: SimHost[];
  readonly agents: SimRenumberingAgent[];
  readonly rs: SimRs;
  readonly points: CrashPoints;
  /** Addresses that a story gave to a host which has no business with them, `HOST ADDRESS`, and since when. */
  readonly foreign = new Map<string, number>();

  readonly family: Family;
  /** Called with every record that an agent has written. */
  onRecord: (plan: Plan, record: JournalRecord) => void = () => {};
  /** Called when an agent runs, and when one of its journals has one more record. */
  onRun: (host: SimHost, process: SimProcess, renumberings: Renumberings) => void = () => {};
  onGrowth: (process: SimProcess, planId: string) => void = () => {};
  /** What an agent answers beside what its renumberings do. */
  alsoAnswers: (host: SimHost) => Partial<Handlers> = () => ({});

  constructor(kernel: Kernel, size: number, family: Family = 'ipv4') {
    this.kernel = kernel;
    this.family = family;
    this.network = new SimNetwork(kernel);
    this.points = new CrashPoints(kernel, this.network);
    this.points.victim = (name) => {
      const { host, process } = this.agent(name);
      return { host, process };
    };
    this.hosts = Array.from({ length: size }, (_, index) => {
      const number = index + 1;
      const addresses = [this.#prefixed(number)];
      return new SimHost(
        kernel,
        this.network,
        { name: `n${number}`, number, addresses, nodeUid: number },
        this.points,
      );
    });
    this.rs = new SimRs(
      kernel,
      this.network,
      this.hosts.map((machine) => ({
        uid: machine.plan.number,
        address: parseInterfaceAddress(this.#prefixed(machine.plan.number)).address,
        machine,
      })),
    );
    this.agents = this.hosts.map((host) => new SimRenumberingAgent(this, host));
  }

  powerOn(): void {
    for (const host of this.hosts) host.powerOn();
  }

  host(name: string): SimHost {
    return this.agent(name).host;
  }

  agent(name: string): SimRenumberingAgent {
    const found = this.agents.find(({ host }) => host.name === name);
    if (found === undefined) throw new RangeError(`no host ${name}`);
    return found;
  }

  #prefixed(uid: number): string {
    return this.family === 'ipv6' ? `2001:db8::a${uid}/64` : `192.0.2.${uid}/24`;
  }

  /** Where node `uid` goes: in the network that it is in, or to another one. */
  #target(uid: number, kind: MoveKind): string {
    const isElsewhere = kind === 'dual_homed' || kind === 'cut_over';
    if (this.family === 'ipv6') return `2001:db8${isElsewhere ? ':1' : ''}::b${uid}/64`;
    return isElsewhere ? `198.51.100.${uid}/24` : `192.0.2.${50 + uid}/24`;
  }

  /** Node `uid` moves from .uid to .(50 + uid), or to the same of another network. */
  plan(uid: number, change: Partial<Plan> = {}, gateway?: { from: Address; to: Address }): Plan {
    const { host } = this.agent(`n${uid}`);
    const mac = host.interfaces.links.find(({ name }) => name === 'eth0')?.mac;
    return {
      id: `${uid}`.padStart(12, '0'),
      version: '0.1.0',
      madeAt: host.wall(),
      cluster: 'demo',
      host: host.name,
      nodeUid: uid,
      family: this.family,
      kind: 'same_subnet',
      change: {
        link: { name: 'eth0', mac },
        from: parseInterfaceAddress(this.#prefixed(uid)),
        to: parseInterfaceAddress(this.#target(uid, change.kind ?? 'same_subnet')),
        ...(gateway === undefined ? {} : { gateway }),
      },
      members: this.hosts.map(({ name, plan: { number } }) => ({
        uid: number,
        host: name,
        address: parseInterfaceAddress(this.#prefixed(number)).address,
      })),
      unit: recordOf(host, rsUnit),
      owner: 'ifupdown',
      options: { reboot: true, cutOver: false, proveByReboot: false, acceptOutage: false, acceptShards: [] },
      bounds: defaultBounds,
      effects: [],
      references: [],
      files: [],
      estimateSeconds: 120,
      ...change,
    };
  }

  /** What an agent says of the lock arrives at every other that can be reached. */
  tell(from: SimHost, told: Result<'lock'>['told']): void {
    for (const { host, running, process } of this.agents) {
      if (host === from || process === undefined || running === undefined) continue;
      const delay = this.#delay(from, host);
      if (delay === undefined) continue;
      process.io(delay, `hears the lock of ${from.name}`, () => {
        running.keeper.hear(from.name, told).catch(() => {});
      });
    }
  }

  /** The mesh as one agent sees it: requests and answers over the simulated network. */
  peers(self: SimRenumberingAgent, process: SimProcess): Peers {
    return {
      hostOf: (uid) => this.hosts.find(({ plan }) => plan.number === uid)?.name,
      call: <M extends MethodName>(host: string, method: M, params: Params<M>, timeoutMs: number) =>
        new Promise<Result<M>>((resolve, reject) => {
          const target = this.agent(host);
          const timer = process.clock.after(timeoutMs, () => {
            reject(new RlnetError('REQUEST_TIMEOUT', `${host} did not answer ${method}.`, 'Look at it.'));
          });
          const settle = (action: () => void): void => {
            timer.cancel();
            action();
          };
          const there = this.#delay(self.host, target.host);
          if (target.running === undefined) {
            process.io(1, `no link to ${host}`, () =>
              settle(() =>
                reject(new RlnetError('PEER_UNREACHABLE', `There is no link to ${host}.`, 'Look at it.')),
              ),
            );
            return;
          }
          if (there === undefined) return;
          target.process?.io(there, `${self.host.name} asks ${method}`, () => {
            const { running, process: answering } = target;
            if (running === undefined || answering === undefined) return;
            this.#answer(running, target, self.host.name, method, params).then(
              (result) => {
                const back = this.#delay(target.host, self.host);
                if (back !== undefined)
                  process.io(back, `${host} answers ${method}`, () => settle(() => resolve(result)));
              },
              (thrown: unknown) => {
                const back = this.#delay(target.host, self.host);
                const error = asRlnetError(thrown);
                if (back !== undefined)
                  process.io(back, `${host} refuses ${method}`, () => settle(() => reject(error)));
              },
            );
          });
        }),
    };
  }

  async #answer<M extends MethodName>(
    running: Renumberings,
    { host, process }: SimRenumberingAgent,
    from: string,
    method: M,
    params: Params<M>,
  ): Promise<Result<M>> {
    if (process === undefined) throw new RangeError('an agent that runs has a process');
    const wire = simWire(this.network, host, process);
    const handlers: Partial<Handlers> = {
      ...this.alsoAnswers(host),
      ...running.handlers,
      about: async () => ({ version: '0.1.0', clock: host.wall(), openRenumberings: [] }),
      wire: async ({ address }) => ({
        host: host.name,
        bound: host.holds(address) ? ['eth0'] : [],
        asked: [{ interface: 'eth0', answer: await wire.ask({ interface: 'eth0', address }) }],
      }),
      reach: async ({ address }) => {
        const source = addressesOf(host)[0];
        if (source === undefined) return { outcome: 'unknown', why: 'no address', macs: [] };
        const reach = await wire.reach({ source, target: address, port: 9470 });
        return { ...reach, macs: [] };
      },
    };
    const handler = handlers[method] as
      | ((params: Params<M>, asker: object) => Promise<Result<M>>)
      | undefined;
    if (handler === undefined) throw new RangeError(`no handler for ${method}`);
    return await handler(params, { caller: 'member', host: from });
  }

  /** Undefined where it does not arrive: the path is cut, or one of them has no address. */
  #delay(from: SimHost, to: SimHost): number | undefined {
    if (from === to) return 0.01;
    if (addressesOf(from).length === 0 || addressesOf(to).length === 0) return undefined;
    return transit(this.network.path(from.name, to.name));
  }
}

function addressesOf(host: SimHost): Address[] {
  return host.interfaces.links
    .filter(({ name }) => name !== 'lo')
    .flatMap(({ addresses }) => addresses.map(({ address }) => address))
    .filter((address) => host.holds(address));
}

/** Into the trace alone. */
export function silentLog(kernel: Kernel, process: SimProcess): Log {
  const at = (level: string) => (fields: object, text: string) => {
    const error = 'err' in fields ? ` ${asRlnetError(fields.err).message}` : '';
    kernel.note(process.name, `${level} ${text}${error}`);
  };
  const log: Log = {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: () => log,
  };
  return log;
}
