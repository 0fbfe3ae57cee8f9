import type { Address } from '../address.ts';
import type { HostsJudgement } from '../hosts-file.ts';
import type { NetworkInterface } from '../interfaces.ts';
import type { Fact } from '../renumbering/guard.ts';
import type { MeshAbout, MeshReach, PortReach } from '../state.ts';

export type { PortReach };

export type BootstrapAction = 'create' | 'join';

/** What a person asks for; addresses as they were typed. */
export interface Wish {
  action: BootstrapAction;
  /** The cluster's name, for `create`. */
  name?: string;
  /** Internal addresses of nodes of the cluster, for `join`. */
  members: readonly string[];
  addr?: string;
  external: readonly string[];
  /** For `create` alone: RS takes it on a join for a contradiction. */
  useInternalIpv6: boolean;
  username: string;
}

/** An address that RS believes this host to have, and would offer. */
export interface OfferedAddress {
  address: Address;
  interface?: string;
}

/** A node of the cluster that is joined, as RS's REST API there has it. */
export interface RsMember {
  uid: number;
  address: Address;
  external: Address[];
  /** `active`, `decommissioning`, `down`, `provisioning`; another word as it is. */
  status: string;
  version?: string;
}

/** Who listens on a port of this host. */
export interface Listener {
  protocol: 'tcp' | 'udp';
  port: number;
  /** The program, and its process; undefined where the kernel does not say. */
  process?: string;
  pid?: number;
  /** Whether it is one of RS's own, by the control group of its unit. */
  ofRs: boolean;
}

/** What became of connections to the ports of a member from the address that is to be internal. */
export interface MemberReach {
  member: Address;
  from: Address;
  /** The REST API. */
  rest: PortReach;
  /** Others by which nodes talk to each other. */
  ports: readonly PortReach[];
}

/** Everything that a check may go by, freshly read on this host, from the member and from the mesh. */
export interface BootstrapFacts {
  interfaces: Fact<readonly NetworkInterface[]>;
  hostsFile: Fact<HostsJudgement>;
  /** RS's version on this host, by its package: `7.22.2-170`. */
  version: Fact<string>;
  offer: Fact<readonly OfferedAddress[]>;
  clockSynchronised: Fact<boolean>;
  listeners: Fact<readonly Listener[]>;
  /** For a join. */
  cluster: Fact<readonly RsMember[]>;
  reach: Fact<readonly MemberReach[]>;
  /** What the agents of nodes say of the way back; `none` where a person said that there are none. */
  reachedFrom: Fact<MeshReach['hosts'] | 'none'>;
  /** What the agents of the cluster say to this host's; `none` where a person said that there are none. */
  mesh: Fact<MeshAbout | 'none'>;
}
