import { agentService, firstAddress, SimAgent, settingsWith, tlsFor } from './agent.ts';
import { SimHost } from './host.ts';
import type { Kernel } from './kernel.ts';
import { SimNetwork } from './network.ts';
import { CrashPoints } from './points.ts';
import { SimRs } from './rs.ts';

/** What a cluster is like. */
export interface ClusterPlan {
  hosts: number;
  /** Which families the hosts have; the first one is the internal family of RS. */
  families: readonly ('ipv4' | 'ipv6')[];
}

/** A whole cluster: hosts with RS and the real agent on them, and the network between. All off until `powerOn`. */
export class World {
  readonly kernel: Kernel;
  readonly network: SimNetwork;
  readonly hosts: readonly SimHost[];
  readonly agents: readonly SimAgent[];
  readonly rs: SimRs;
  /** Of all hosts. */
  readonly points: CrashPoints;

  constructor(kernel: Kernel, plan: ClusterPlan) {
    this.kernel = kernel;
    this.network = new SimNetwork(kernel);
    this.points = new CrashPoints(kernel, this.network);
    this.hosts = Array.from({ length: plan.hosts }, (_, index) => {
      const number = index + 1;
      const addresses = plan.families.map((family) =>
        family === 'ipv4' ? `192.0.2.${number}/24` : `2001:db8::${number}/64`,
      );
      const host = { name: `n${number}`, number, addresses, nodeUid: number };
      return new SimHost(kernel, this.network, host, this.points);
    });
    this.rs = new SimRs(
      kernel,
      this.network,
      this.hosts.map((machine) => ({
        uid: machine.plan.number,
        address: firstAddress(machine),
        machine,
      })),
    );
    const settings = settingsWith(this.hosts.map(firstAddress));
    this.agents = this.hosts.map((host) => {
      const tls = tlsFor({ cluster: 'demo', host: host.name });
      return new SimAgent(host, { kernel, network: this.network, rs: this.rs, settings, tls });
    });
  }

  powerOn(): void {
    for (const host of this.hosts) host.powerOn();
  }

  host(name: string): SimHost {
    const found = this.hosts.find((host) => host.name === name);
    if (found === undefined) throw new RangeError(`no host ${name}`);
    return found;
  }

  agent(name: string): SimAgent {
    const found = this.agents.find((agent) => agent.host.name === name);
    if (found === undefined) throw new RangeError(`no agent on ${name}`);
    return found;
  }

  /** Whether the agent of a host would answer now: its host is on, and its event loop turns. */
  answers(name: string): boolean {
    return (
      this.agent(name).running !== undefined && this.host(name).process(agentService)?.isRunning === true
    );
  }

  /** `a>b` for each pair where `a` has no link to `b`. Empty: a full mesh. */
  missingLinks(): string[] {
    return this.agents.flatMap(({ host, running }) => {
      const linked = new Set(
        running?.view().hosts.flatMap((peer) => (peer.link.status === 'connected' ? [peer.host] : [])),
      );
      return this.hosts
        .filter(({ name }) => name !== host.name && !linked.has(name))
        .map(({ name }) => `${host.name}>${name}`);
    });
  }
}
