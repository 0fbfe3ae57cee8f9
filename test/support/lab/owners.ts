import { familyOf, type InterfaceAddress } from '../../../src/protocol/address.ts';
import { assertNever } from '../../../src/protocol/errors.ts';
import type { HostPlan, InterfacePlan } from './plan.ts';

/** A file to put on a host. */
export interface HostFile {
  path: string;
  text: string;
  mode: number;
}

/** The unit that an owner's configuration needs at boot: netplan's is that of what it renders for. */
export function unitOf({ owner, renderer }: Pick<HostPlan, 'owner' | 'renderer'>): string {
  switch (owner) {
    case 'netplan':
      return unitOf({ owner: renderer, renderer });
    case 'networkd':
      return 'systemd-networkd.service';
    case 'NetworkManager':
      return 'NetworkManager.service';
    case 'ifupdown':
      return 'networking.service';
    default:
      return assertNever(owner);
  }
}

/** The network configuration of a host as its owner wants it written, as an operator would write it. */
export function networkFiles(host: HostPlan): HostFile[] {
  switch (host.owner) {
    case 'networkd':
      return host.interfaces.map((card) => ({
        path: `/etc/systemd/network/10-${card.name}.network`,
        text: networkdFile(card),
        mode: 0o644,
      }));
    case 'NetworkManager':
      return host.interfaces.map((card) => ({
        path: `/etc/NetworkManager/system-connections/${card.name}.nmconnection`,
        text: keyfile(card),
        // NetworkManager ignores a connection file that others may read.
        mode: 0o600,
      }));
    case 'netplan':
      return [{ path: '/etc/netplan/01-netcfg.yaml', text: netplanFile(host), mode: 0o600 }];
    case 'ifupdown':
      return [{ path: '/etc/network/interfaces', text: interfacesFile(host), mode: 0o644 }];
    default:
      return assertNever(host.owner);
  }
}

const written = ({ address, prefixLength }: InterfaceAddress) => `${address}/${prefixLength}`;

/** systemd.network(5) */
function networkdFile(card: InterfacePlan): string {
  return [
    '[Match]',
    `Name=${card.name}`,
    '',
    '[Network]',
    'IPv6AcceptRA=no',
    ...card.addresses.map((address) => `Address=${written(address)}`),
    ...card.gateways.map((gateway) => `Gateway=${gateway}`),
    '',
  ].join('\n');
}

/** nm-settings-keyfile(5) */
function keyfile(card: InterfacePlan): string {
  const section = (family: 'ipv4' | 'ipv6') => {
    const addresses = card.addresses.filter(({ address }) => familyOf(address) === family);
    const gateway = card.gateways.find((address) => familyOf(address) === family);
    const unused = family === 'ipv4' ? 'disabled' : 'link-local';
    return [
      `[${family}]`,
      `method=${addresses.length > 0 ? 'manual' : unused}`,
      ...addresses.map((address, index) => `address${index + 1}=${written(address)}`),
      ...(gateway === undefined ? [] : [`gateway=${gateway}`]),
      '',
    ];
  };
  return [
    '[connection]',
    `id=${card.name}`,
    'type=ethernet',
    `interface-name=${card.name}`,
    '',
    ...section('ipv4'),
    ...section('ipv6'),
  ].join('\n');
}

/** netplan(5) */
function netplanFile(host: HostPlan): string {
  return [
    'network:',
    '  version: 2',
    `  renderer: ${host.renderer}`,
    '  ethernets:',
    ...host.interfaces.flatMap((card) => [
      `    ${card.name}:`,
      '      accept-ra: false',
      ...(card.addresses.length === 0 ? [] : ['      addresses:']),
      ...card.addresses.map((address) => `        - "${written(address)}"`),
      ...(card.gateways.length === 0 ? [] : ['      routes:']),
      ...card.gateways.flatMap((gateway) => [
        `        - to: "${familyOf(gateway) === 'ipv4' ? '0.0.0.0/0' : '::/0'}"`,
        `          via: "${gateway}"`,
      ]),
    ]),
    '',
  ].join('\n');
}

/** interfaces(5): one stanza an address, the gateway with the first of its family. */
function interfacesFile(host: HostPlan): string {
  const stanzas = host.interfaces.flatMap((card) => [
    `auto ${card.name}`,
    ...(card.addresses.length === 0 ? [`iface ${card.name} inet manual`] : []),
    ...card.addresses.flatMap((address, index) => {
      const family = familyOf(address.address);
      const first = index === card.addresses.findIndex(({ address: other }) => familyOf(other) === family);
      const gateway = first ? card.gateways.find((next) => familyOf(next) === family) : undefined;
      return [
        `iface ${card.name} ${family === 'ipv4' ? 'inet' : 'inet6'} static`,
        `    address ${written(address)}`,
        ...(gateway === undefined ? [] : [`    gateway ${gateway}`]),
      ];
    }),
    '',
  ]);
  return ['auto lo', 'iface lo inet loopback', '', ...stanzas].join('\n');
}
