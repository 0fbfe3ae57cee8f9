import {
  type Address,
  type Family,
  type InterfaceAddress,
  parseAddress,
  parseInterfaceAddress,
} from '../../../src/protocol/address.ts';
import { RlnetError } from '../../../src/protocol/errors.ts';

/** What may own the network configuration of a host. */
export const owners = ['networkd', 'NetworkManager', 'netplan', 'ifupdown'] as const;
export type Owner = (typeof owners)[number];

/** What netplan can have the links configured by. */
export type Renderer = 'networkd' | 'NetworkManager';

/** The two networks of a lab, which are also its two bridges. */
export const networks = ['internal', 'external'] as const;
export type Network = (typeof networks)[number];

/** What a caller may choose about one host. */
export interface HostSpec {
  /** networkd unless told. */
  owner?: Owner;
  /** What netplan writes configuration for; networkd unless told. */
  renderer?: Renderer;
  /** Families of the addresses on each network; both unless told, none for an interface without addresses. */
  internal?: readonly Family[];
  external?: readonly Family[];
  /** More addresses, as `ADDRESS/LENGTH`. */
  extraInternal?: readonly string[];
  extraExternal?: readonly string[];
  /** Whether /etc/hosts has `::1 localhost`; it has unless told. */
  localhost6?: boolean;
  /** Whether the package of rlnet is installed; it is unless told. */
  rlnet?: boolean;
}

/** One network card of a host and what its owner is to configure on it. */
export interface InterfacePlan {
  network: Network;
  name: string;
  mac: string;
  addresses: InterfaceAddress[];
  /** Next hops of the default routes through this card, at most one of each family. */
  gateways: Address[];
}

/** One host, with nothing left to decide. */
export interface HostPlan {
  name: string;
  owner: Owner;
  renderer: Renderer;
  localhost6: boolean;
  rlnet: boolean;
  interfaces: InterfacePlan[];
}

/**
 * The address plan. Host 1 ends in 21 in every network, host 2 in 22. No host's address contains the text `::1`:
 * RS builds before the fix of RS188659 take any such address for loopback. The gateway is the lab's end of the bridge.
 */
const addressPlan = {
  internal: {
    interface: 'eth0',
    mac: '52:54:00:77:00',
    ipv4: '10.77.0.',
    ipv6: 'fd77:0:0:1::',
    gateways: { ipv4: '10.77.0.1', ipv6: 'fd77:0:0:1::fe01' },
  },
  external: {
    interface: 'eth1',
    mac: '52:54:00:88:00',
    ipv4: '10.88.0.',
    ipv6: 'fd88:0:0:1::',
    gateways: { ipv4: '10.88.0.1', ipv6: 'fd88:0:0:1::fe01' },
  },
} as const;

/** Addresses end in 21 … 99: decimal digits that read the same in both families. */
export const mostHosts = 79;

/**
 * Decides everything about the hosts n1, n2 …: pure, so that the same choices give the same lab.
 * The default route of a family goes through the external network where the host has that family there.
 *
 * @throws RlnetError USAGE for too many hosts, ADDRESS_INVALID for an extra address.
 */
export function planHosts(specs: readonly HostSpec[]): HostPlan[] {
  if (specs.length < 1 || specs.length > mostHosts) {
    throw new RlnetError(
      'USAGE',
      `A lab of ${specs.length} hosts is not possible.`,
      `Ask for 1 to ${mostHosts}.`,
    );
  }
  return specs.map((spec, index) => {
    const families = { internal: spec.internal ?? bothFamilies, external: spec.external ?? bothFamilies };
    const extra = { internal: spec.extraInternal ?? [], external: spec.extraExternal ?? [] };
    const suffix = String(21 + index);
    const card = (network: Network): InterfacePlan => {
      const plan = addressPlan[network];
      const routed =
        network === 'external'
          ? families.external
          : families.internal.filter((family) => !families.external.includes(family));
      return {
        network,
        name: plan.interface,
        mac: `${plan.mac}:${suffix}`,
        addresses: [
          ...families[network].map((family) =>
            parseInterfaceAddress(`${plan[family]}${suffix}/${family === 'ipv4' ? 24 : 64}`),
          ),
          ...extra[network].map(parseInterfaceAddress),
        ],
        gateways: routed.map((family) => parseAddress(plan.gateways[family])),
      };
    };
    return {
      name: `n${index + 1}`,
      owner: spec.owner ?? 'networkd',
      renderer: spec.renderer ?? 'networkd',
      localhost6: spec.localhost6 ?? true,
      rlnet: spec.rlnet ?? true,
      interfaces: networks.map(card),
    };
  });
}

const bothFamilies: readonly Family[] = ['ipv4', 'ipv6'];

/** /etc/hosts of one host: its own names of loopback, then every host of the lab by its internal addresses. */
export function hostsFile(host: HostPlan, all: readonly HostPlan[]): string {
  const loopback = host.localhost6 ? ['127.0.0.1 localhost', '::1 localhost'] : ['127.0.0.1 localhost'];
  const peers = all.flatMap((peer) =>
    peer.interfaces
      .filter((card) => card.network === 'internal')
      .flatMap((card) => card.addresses.map(({ address }) => `${address} ${peer.name}`)),
  );
  return `${[...loopback, ...peers].join('\n')}\n`;
}
