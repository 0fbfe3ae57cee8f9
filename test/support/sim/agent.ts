import { Agent } from '../../../src/agent/agent.ts';
import type { Log } from '../../../src/agent/log.ts';
import { decodeSettings, type Settings } from '../../../src/agent/settings.ts';
import { createHostsFile } from '../../../src/host/hosts-file.ts';
import type { FileEditor } from '../../../src/host/ports/file-editor.ts';
import type { Files } from '../../../src/host/ports/files.ts';
import { type Address, parseInterfaceAddress } from '../../../src/protocol/address.ts';
import { asRlnetError } from '../../../src/protocol/errors.ts';
import type { HostIdentity } from '../../../src/protocol/identity.ts';
import { vitalsInOrder } from '../vitals.ts';
import type { SimCertificate } from './frames.ts';
import type { Service, SimHost } from './host.ts';
import type { Kernel } from './kernel.ts';
import type { SimNetwork } from './network.ts';
import type { SimProcess } from './process.ts';
import { SimDeadMan } from './renumbering/dead-man.ts';
import { simFactsBeside } from './renumbering/facts.ts';
import {
  type KernelChanges,
  simHostPower,
  simKernelAddresses,
  simNetworkOwner,
  simUnitControl,
  simWire,
} from './renumbering/host-twins.ts';
import type { SimRs } from './rs.ts';
import { createSimSchedule } from './schedule.ts';
import { createSimTransport, type SimTls } from './transport.ts';

/** The name of the service on every host. */
export const agentService = 'rlnet';

/** One line that an agent logged. */
export interface LogEntry {
  level: 'debug' | 'info' | 'warn' | 'error';
  fields: object;
  text: string;
}

/** The real agent on a simulated host, started again by its service manager for as long as the host is on. */
export class SimAgent implements Service {
  readonly host: SimHost;
  readonly restartMs = 1_000;
  readonly #parts: { kernel: Kernel; network: SimNetwork; rs: SimRs; settings: Settings; tls: SimTls };
  readonly #listeners: ((entry: LogEntry) => void)[] = [];
  readonly #deadMan: SimDeadMan;
  readonly #kernelChanges: KernelChanges = { bootId: undefined, standing: undefined };
  #running: Agent | undefined;

  constructor(
    host: SimHost,
    parts: { kernel: Kernel; network: SimNetwork; rs: SimRs; settings: Settings; tls: SimTls },
  ) {
    this.host = host;
    this.#parts = parts;
    this.#deadMan = new SimDeadMan(parts.kernel, host, agentService);
    host.install(agentService, this);
  }

  /** The agent that runs now; undefined while there is none, or it is starting. */
  get running(): Agent | undefined {
    return this.#running;
  }

  /** Calls `listener` with whatever the agent logs. */
  onLog(listener: (entry: LogEntry) => void): void {
    this.#listeners.push(listener);
  }

  start(process: SimProcess, host: SimHost): void {
    const { kernel, network, rs, settings, tls } = this.#parts;
    const { clock, random } = process;
    process.onExit(() => {
      this.#running = undefined;
    });
    const files = host.files(process);
    const log = this.#log(process);
    Agent.start({
      settings,
      identity: tls.identity,
      version: '0.1.0',
      clock,
      bootClock: host.bootClock(process),
      random,
      files,
      interfaces: host.interfaces.port(process),
      hostsFile: createHostsFile(files, simFileEditor(files)),
      units: host.units(process),
      unitSignals: host.unitSignals(process),
      rs: rs.port(process, host.plan.nodeUid, files),
      persistences: {
        read: () =>
          process.call(50, 'persistence', () => ({
            outcome: 'persistent' as const,
            evidence: 'a simulated host keeps what it has',
          })),
        watch: () => ({ close: () => {} }),
      },
      wire: simWire(network, host, process),
      acting: {
        kernel: simKernelAddresses(kernel, host, process, this.#kernelChanges, {}),
        owner: () => simNetworkOwner(host, process, {}),
        units: simUnitControl(host, process, {}),
        facts: simFactsBeside(host, simNetworkOwner(host, process, {})),
        power: simHostPower(host, process, {}),
        deadMan: this.#deadMan.port(process),
      },
      paths: { read: () => process.call(5, 'ss', () => ({ mtus: new Map(), unanswered: new Set() })) },
      vitals: { read: () => process.call(1, 'vitals', () => vitalsInOrder) },
      certificates: () => [],
      collector: undefined,
      inventory: { read: () => process.call(900, 'inventory', () => ({ fileSystems: [], links: [] })) },
      sockets: host.sockets(process),
      transport: createSimTransport(process, host, network, () => tls),
      schedule: createSimSchedule(process),
      service: {
        ready: async () => {},
        status: async () => {},
        stopping: async () => {},
        keepAlive: async () => {},
        watchdogMs: undefined,
      },
      log,
    }).then(
      (agent) => {
        if (process.isAlive) this.#running = agent;
      },
      (thrown: unknown) => {
        log.error({}, `could not start: ${asRlnetError(thrown).message}`);
        process.exit();
      },
    );
  }

  stop(process: SimProcess): void {
    if (this.#running === undefined) process.exit();
    else void this.#running.stop('stopped by its service manager').then(() => process.exit());
  }

  #log(process: SimProcess): Log {
    const { kernel } = this.#parts;
    const at = (level: LogEntry['level']) => (fields: object, text: string) => {
      kernel.note(process.name, `${level} ${text} ${JSON.stringify(fields)}`);
      for (const listener of this.#listeners) listener({ level, fields, text });
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
}

/** On the simulated disk: it has neither links nor attributes, so that an atomic write is all. */
function simFileEditor(files: Files): FileEditor {
  return {
    async replace(path, _expected, content) {
      const backup = `${path}.before`;
      await files.writeAtomic(backup, await files.read(path), 0o600);
      await files.writeAtomic(path, new TextDecoder().decode(content), 0o644);
      return { file: path, backup, how: 'renamed' };
    },
  };
}

/** What an agent is configured with when nobody says otherwise: all defaults, and the seeds. */
export function settingsWith(seeds: readonly Address[]): Settings {
  const nowhere = { line: 1, column: 1 };
  return decodeSettings(
    { value: { mesh: { seeds } }, locate: () => nowhere, locateKey: () => nowhere },
    '/etc/rlnet/agent.yaml',
  );
}

/** Certificates of one CA that outlive every simulation. */
export function tlsFor(identity: HostIdentity): SimTls {
  const certificate: SimCertificate = {
    identity,
    authority: `${identity.cluster} CA`,
    serial: identity.host,
    validFrom: 0,
    validTo: Number.POSITIVE_INFINITY,
  };
  return { identity, certificate, authorities: [certificate.authority], deniedSerials: new Set() };
}

/** The internal address of a host: its first one of the family that the cluster has. */
export function firstAddress(host: SimHost): Address {
  const [first] = host.plan.addresses;
  if (first === undefined) throw new RangeError(`${host.name} has no address`);
  return parseInterfaceAddress(first).address;
}
