import type { Address } from '../../src/protocol/address.ts';
import {
  type Choice,
  chooseAddresses,
  judgeAddresses,
  type Wanted,
} from '../../src/protocol/address-choice.ts';
import type { NetworkInterface } from '../../src/protocol/interfaces.ts';
import { openNetworkNamespace } from './netns.ts';

/** A host, what is asked of it, and what the rules are to say. */
export interface ChoiceHost {
  /** Also the name of its captured `ip -j -d addr` in test/fixtures/ip-addr/choice. */
  name: string;
  what: string;
  /**
   * How it is built in a network namespace: `nic NAME [unplugged|down]` makes a NIC with a MAC address of its own, `sysctl KEY=VALUE`, and all else is
   * for `ip`; what begins with `far:` is done at the other end of the wires. Absent: this kernel has no such link, and the capture was put together by hand.
   */
  build?: string;
  /** One line an address, without what every host has: loopback's own and link-local ones. */
  addresses: readonly string[];
  choices: readonly { wanted?: Wanted; is: string }[];
}

const address = (text: string): Address => text as Address;

/** One NIC with an IPv4 address, which most hosts have beside what makes them special. */
const eth0 = 'nic eth0\n addr add 192.0.2.10/24 dev eth0';
const eth0Line = 'eth0 192.0.2.10/24 permanent global: both';
const eth0Serves = 'ipv4 internal 192.0.2.10 external 192.0.2.10';

export const choiceHosts: readonly ChoiceHost[] = [
  {
    name: 'ipv4-one',
    what: 'one IPv4 address',
    build: eth0,
    addresses: [eth0Line],
    choices: [
      { is: eth0Serves },
      { wanted: { useInternalIpv6: false }, is: eth0Serves },
      { wanted: { useInternalIpv6: true }, is: 'none no_candidate' },
      { wanted: { internal: address('192.0.2.10') }, is: eth0Serves },
      { wanted: { internal: address('192.0.2.99') }, is: 'none not_bound' },
      { wanted: { internal: address('2001:db8::10') }, is: 'none other_family' },
      {
        wanted: { external: [address('198.51.100.7'), address('2001:db8::7')] },
        is: 'ipv4 internal 192.0.2.10 external 198.51.100.7 2001:db8::7',
      },
      { wanted: { external: [address('fe80::1')] }, is: 'none link_local' },
      { wanted: { external: [address('127.0.0.1')] }, is: 'none loopback' },
    ],
  },
  {
    name: 'ipv6-one',
    what: 'one IPv6 address',
    build: 'nic eth0\n addr add 2001:db8::10/64 dev eth0',
    addresses: ['eth0 2001:db8::10/64 permanent global: both'],
    choices: [
      { is: 'ipv6 internal 2001:db8::10 external 2001:db8::10' },
      { wanted: { useInternalIpv6: true }, is: 'ipv6 internal 2001:db8::10 external 2001:db8::10' },
      { wanted: { useInternalIpv6: false }, is: 'none no_candidate' },
    ],
  },
  {
    name: 'dual-stack',
    what: 'one address of each family',
    build: `${eth0}\n addr add 2001:db8::10/64 dev eth0`,
    addresses: [eth0Line, 'eth0 2001:db8::10/64 permanent global: external (other_family)'],
    choices: [
      { is: eth0Serves },
      { wanted: { useInternalIpv6: true }, is: 'ipv6 internal 2001:db8::10 external 2001:db8::10' },
      { wanted: { internal: address('2001:db8::10') }, is: 'none other_family' },
      {
        wanted: { useInternalIpv6: true, external: [address('192.0.2.10')] },
        is: 'ipv6 internal 2001:db8::10 external 192.0.2.10',
      },
    ],
  },
  {
    name: 'docker',
    what: 'Docker with a container',
    build: `${eth0}
      link add docker0 type bridge
      link add veth1 type veth peer name c1
      link set veth1 master docker0 up
      link set c1 up
      link set docker0 up
      addr add 172.17.0.1/16 dev docker0
      addr add fd00:17::1/64 dev docker0`,
    addresses: [
      eth0Line,
      'docker0 172.17.0.1/16 permanent global docker: no, docker',
      'docker0 fd00:17::1/64 permanent global docker: no, docker',
    ],
    choices: [
      { is: eth0Serves },
      {
        wanted: { internal: address('172.17.0.1') },
        is: 'ipv4 internal 172.17.0.1 external 192.0.2.10 with docker',
      },
    ],
  },
  {
    name: 'docker-ipv6-only',
    what: 'IPv6 outside, and IPv4 in Docker alone',
    build: `nic eth0
      addr add 2001:db8::10/64 dev eth0
      link add br-0123456789ab type bridge
      link add veth1 type veth peer name c1
      link set veth1 master br-0123456789ab up
      link set c1 up
      link set br-0123456789ab up
      addr add 172.18.0.1/16 dev br-0123456789ab`,
    addresses: [
      'eth0 2001:db8::10/64 permanent global: both',
      'br-0123456789ab 172.18.0.1/16 permanent global docker: no, docker',
    ],
    choices: [{ is: 'ipv6 internal 2001:db8::10 external 2001:db8::10' }],
  },
  {
    name: 'libvirt',
    what: 'libvirt with a machine',
    build: `${eth0}
      link add virbr0 type bridge
      link add vnet0 type veth peer name vm
      link set vnet0 master virbr0 up
      link set vm up
      link set virbr0 up
      addr add 192.168.122.1/24 dev virbr0`,
    addresses: [eth0Line, 'virbr0 192.168.122.1/24 permanent global virbr: no, virbr'],
    choices: [{ is: eth0Serves }],
  },
  {
    name: 'podman',
    what: 'Podman and LXD',
    build: `${eth0}
      link add podman0 type bridge
      link set podman0 up
      addr add 10.88.0.1/16 dev podman0
      link add lxdbr0 type bridge
      link set lxdbr0 up
      addr add 10.99.0.1/24 dev lxdbr0`,
    addresses: [
      eth0Line,
      'podman0 10.88.0.1/16 permanent global container_bridge: no, container_bridge',
      'lxdbr0 10.99.0.1/24 permanent global container_bridge: no, container_bridge',
    ],
    choices: [{ is: eth0Serves }],
  },
  {
    name: 'bridge-uplink',
    what: 'its address on a bridge over its NIC',
    build: `nic eth0
      link add br0 type bridge
      link set eth0 master br0
      link set br0 up
      addr add 192.0.2.10/24 dev br0`,
    addresses: ['br0 192.0.2.10/24 permanent global bridge: both'],
    choices: [{ is: eth0Serves }],
  },
  {
    name: 'bridge-port',
    what: 'an address left on the port of a bridge',
    build: `nic eth0
      addr add 192.0.2.10/24 dev eth0
      link add br0 type bridge
      link set eth0 master br0
      link set br0 up
      addr add 192.0.2.11/24 dev br0`,
    addresses: [
      'eth0 192.0.2.10/24 permanent global bridge_port: no, bridge_port',
      'br0 192.0.2.11/24 permanent global bridge: both',
    ],
    choices: [
      { is: 'ipv4 internal 192.0.2.11 external 192.0.2.11' },
      { wanted: { internal: address('192.0.2.10') }, is: 'none bridge_port' },
    ],
  },
  {
    name: 'bond',
    what: 'a bond, and an address left on its port',
    addresses: [
      'eth0 192.0.2.10/24 permanent global bond_port: no, bond_port',
      'bond0 192.0.2.11/24 permanent global: both',
    ],
    choices: [{ is: 'ipv4 internal 192.0.2.11 external 192.0.2.11' }],
  },
  {
    name: 'vlan',
    what: 'its address on a VLAN',
    addresses: ['eth0.100 192.0.2.10/24 permanent global: both'],
    choices: [{ is: eth0Serves }],
  },
  {
    name: 'vrf',
    what: 'a NIC in a VRF',
    addresses: [eth0Line, 'eth1 198.51.100.10/24 permanent global vrf_port: no, vrf_port'],
    choices: [{ is: eth0Serves }],
  },
  {
    name: 'wireguard',
    what: 'a tunnel',
    addresses: [eth0Line, 'wg0 10.66.0.1/24 permanent global tunnel: no, tunnel'],
    choices: [
      { is: eth0Serves },
      {
        wanted: { internal: address('10.66.0.1'), external: [address('192.0.2.10')] },
        is: 'ipv4 internal 10.66.0.1 external 192.0.2.10 with tunnel',
      },
    ],
  },
  {
    name: 'macvlan',
    what: 'its address on a macvlan',
    build: `nic eth0
      link add mac0 link eth0 type macvlan mode bridge
      link set mac0 up
      addr add 192.0.2.10/24 dev mac0`,
    addresses: ['mac0 192.0.2.10/24 permanent global: both'],
    choices: [{ is: eth0Serves }],
  },
  {
    name: 'dhcp',
    what: 'a DHCP lease',
    build: 'nic eth0\n addr add 192.0.2.10/24 dev eth0 valid_lft 86400 preferred_lft 86400',
    addresses: ['eth0 192.0.2.10/24 dynamic global: both, dynamic'],
    choices: [{ is: `${eth0Serves} with dynamic` }],
  },
  {
    name: 'dhcp-and-static',
    what: 'a DHCP lease beside an address of its own',
    build: `nic eth0
      addr add 10.0.2.15/24 dev eth0 valid_lft 86400 preferred_lft 86400
      nic eth1
      addr add 192.0.2.11/24 dev eth1`,
    addresses: [
      'eth0 10.0.2.15/24 dynamic global: both, dynamic',
      'eth1 192.0.2.11/24 permanent global: both',
    ],
    choices: [
      { is: 'ipv4 ask internal: 10.0.2.15 192.0.2.11' },
      {
        wanted: { internal: address('192.0.2.11') },
        is: 'ipv4 internal 192.0.2.11 external 10.0.2.15 with dynamic',
      },
    ],
  },
  {
    name: 'slaac-privacy',
    what: 'an address from a router, and privacy addresses',
    build: `nic eth0
      sysctl net.ipv6.conf.eth0.use_tempaddr=2
      addr add 2001:db8::ff:fe00:1/64 dev eth0 mngtmpaddr valid_lft 86400 preferred_lft 14400`,
    addresses: [
      'eth0 temporary/64 dynamic global temporary: no, temporary',
      'eth0 2001:db8::ff:fe00:1/64 dynamic global: both, dynamic',
    ],
    choices: [{ is: 'ipv6 internal 2001:db8::ff:fe00:1 external 2001:db8::ff:fe00:1 with dynamic' }],
  },
  {
    name: 'dual-stack-privacy',
    what: 'an IPv4 address of its own, and IPv6 from a router',
    build: `${eth0}
      sysctl net.ipv6.conf.eth0.use_tempaddr=2
      addr add 2001:db8::ff:fe00:1/64 dev eth0 mngtmpaddr valid_lft 86400 preferred_lft 14400`,
    addresses: [
      eth0Line,
      'eth0 temporary/64 dynamic global temporary: no, temporary',
      'eth0 2001:db8::ff:fe00:1/64 dynamic global: external (other_family), dynamic',
    ],
    choices: [{ is: eth0Serves }],
  },
  {
    name: 'deprecated',
    what: 'deprecated addresses of both families',
    build: `nic eth0
      addr add 192.0.2.10/24 dev eth0
      addr add 198.51.100.10/24 dev eth0 preferred_lft 0
      addr add 2001:db8::10/64 dev eth0 preferred_lft 0`,
    addresses: [
      eth0Line,
      'eth0 198.51.100.10/24 permanent global deprecated: no, deprecated',
      'eth0 2001:db8::10/64 permanent global deprecated: no, deprecated',
    ],
    choices: [
      { is: eth0Serves },
      {
        wanted: { internal: address('198.51.100.10') },
        is: 'ipv4 internal 198.51.100.10 external 192.0.2.10 with deprecated',
      },
    ],
  },
  {
    name: 'five-addresses',
    what: 'one NIC with five addresses',
    build: `${eth0}
      addr add 192.0.2.11/24 dev eth0
      addr add 198.51.100.10/24 dev eth0
      addr add 2001:db8::10/64 dev eth0
      addr add 2001:db8::11/64 dev eth0`,
    addresses: [
      eth0Line,
      'eth0 198.51.100.10/24 permanent global: both',
      'eth0 192.0.2.11/24 permanent global secondary: both, secondary',
      'eth0 2001:db8::11/64 permanent global: external (other_family)',
      'eth0 2001:db8::10/64 permanent global: external (other_family)',
    ],
    choices: [
      { is: 'ipv4 ask internal: 192.0.2.10 198.51.100.10 192.0.2.11' },
      { wanted: { useInternalIpv6: true }, is: 'ipv6 ask internal: 2001:db8::11 2001:db8::10' },
      {
        wanted: { internal: address('192.0.2.10') },
        is: 'ipv4 ask external beside 192.0.2.10: 198.51.100.10 192.0.2.11',
      },
      {
        wanted: { internal: address('192.0.2.11'), external: [address('192.0.2.10')] },
        is: 'ipv4 internal 192.0.2.11 external 192.0.2.10 with secondary',
      },
      {
        wanted: { useInternalIpv6: true, internal: address('2001:db8::10') },
        is: 'ipv6 internal 2001:db8::10 external 2001:db8::11',
      },
    ],
  },
  {
    name: 'two-nics',
    what: 'two equal NICs',
    build: `${eth0}
      nic eth1
      addr add 198.51.100.10/24 dev eth1`,
    addresses: [eth0Line, 'eth1 198.51.100.10/24 permanent global: both'],
    choices: [
      { is: 'ipv4 ask internal: 192.0.2.10 198.51.100.10' },
      {
        wanted: { internal: address('198.51.100.10') },
        is: 'ipv4 internal 198.51.100.10 external 192.0.2.10',
      },
      {
        wanted: { internal: address('198.51.100.10'), external: [address('198.51.100.10')] },
        is: 'ipv4 internal 198.51.100.10 external 198.51.100.10',
      },
    ],
  },
  {
    name: 'link-down',
    what: 'a second NIC that is set down',
    build: `${eth0}
      nic eth1 down
      addr add 198.51.100.10/24 dev eth1`,
    addresses: [eth0Line, 'eth1 198.51.100.10/24 permanent global: no, not_active'],
    choices: [{ is: eth0Serves }, { wanted: { internal: address('198.51.100.10') }, is: 'none not_active' }],
  },
  {
    name: 'no-carrier',
    what: 'a second NIC without carrier',
    build: `${eth0}
      nic eth1 unplugged
      addr add 198.51.100.10/24 dev eth1`,
    addresses: [eth0Line, 'eth1 198.51.100.10/24 permanent global: no, not_active'],
    choices: [{ is: eth0Serves }],
  },
  {
    name: 'all-down',
    what: 'its only NIC without carrier',
    build: 'nic eth0 unplugged\n addr add 192.0.2.10/24 dev eth0',
    addresses: ['eth0 192.0.2.10/24 permanent global: no, not_active'],
    choices: [{ is: 'none no_candidate' }],
  },
  {
    name: 'label',
    what: 'a labelled address of the same subnet',
    build: `${eth0}
      addr add 192.0.2.20/24 dev eth0 label eth0:vip`,
    addresses: [eth0Line, 'eth0 192.0.2.20/24 permanent global secondary labelled: both, secondary'],
    choices: [{ is: 'ipv4 ask internal: 192.0.2.10 192.0.2.20' }],
  },
  {
    name: 'tentative',
    what: 'an IPv6 address that is still being checked',
    build: `nic eth0
      sysctl net.ipv6.conf.eth0.accept_dad=1
      sysctl net.ipv6.conf.eth0.dad_transmits=600
      addr add 2001:db8::10/64 dev eth0`,
    addresses: ['eth0 2001:db8::10/64 permanent global tentative: no, tentative'],
    choices: [
      { is: 'none no_candidate' },
      { wanted: { internal: address('2001:db8::10') }, is: 'none tentative' },
    ],
  },
  {
    name: 'dadfailed',
    what: 'an IPv6 address that another host has',
    build: `${eth0}
      far: addr add 2001:db8::10/64 dev eth0 nodad
      sysctl net.ipv6.conf.eth0.accept_dad=1
      addr add 2001:db8::10/64 dev eth0
      until eth0 dadfailed`,
    addresses: [eth0Line, 'eth0 2001:db8::10/64 permanent global tentative dadfailed: no, dadfailed'],
    choices: [
      { is: eth0Serves },
      { wanted: { useInternalIpv6: true, internal: address('2001:db8::10') }, is: 'none dadfailed' },
    ],
  },
  {
    name: 'link-local',
    what: 'link-local addresses alone, of both families',
    build: 'nic eth0\n addr add 169.254.7.7/16 dev eth0',
    addresses: ['eth0 169.254.7.7/16 permanent link_local: no, link_local'],
    choices: [{ is: 'none no_candidate' }],
  },
  {
    name: 'on-loopback',
    what: 'an address on lo, as routing daemons announce it',
    build: `${eth0}
      addr add 203.0.113.5/32 dev lo
      addr add 2001:db8:5::5/128 dev lo`,
    addresses: [
      'lo 203.0.113.5/32 permanent global on_loopback: no, on_loopback',
      'lo 2001:db8:5::5/128 permanent global on_loopback: no, on_loopback',
      eth0Line,
    ],
    choices: [
      { is: eth0Serves },
      {
        wanted: { internal: address('203.0.113.5') },
        is: 'ipv4 internal 203.0.113.5 external 192.0.2.10 with on_loopback',
      },
    ],
  },
  {
    name: 'point-to-point',
    what: 'a gateway as point-to-point peer, as some providers have it',
    build: 'nic eth0\n addr add 192.0.2.10 peer 172.31.1.1/32 dev eth0',
    addresses: ['eth0 192.0.2.10/32 permanent global: both'],
    choices: [{ is: eth0Serves }],
  },
  {
    name: 'narrow-scopes',
    what: 'addresses of narrower scopes',
    build: `${eth0}
      addr add 198.51.100.10/24 dev eth0 scope link
      addr add 203.0.113.10/24 dev eth0 scope 77
      addr add fec0::10/64 dev eth0`,
    addresses: [
      'eth0 198.51.100.10/24 permanent not_global: no, not_global',
      'eth0 203.0.113.10/24 permanent not_global: no, not_global',
      eth0Line,
      'eth0 fec0::10/64 permanent not_global: no, not_global',
    ],
    choices: [{ is: eth0Serves }, { wanted: { internal: address('198.51.100.10') }, is: 'none not_global' }],
  },
  {
    name: 'ipv4-in-ipv6',
    what: 'IPv6 addresses that hold an IPv4 address',
    build: `${eth0}
      addr add ::1.2.3.4/64 dev eth0
      addr add ::ffff:1.2.3.4/96 dev eth0
      addr add 64:ff9b::1.2.3.4/96 dev eth0`,
    addresses: [
      eth0Line,
      'eth0 64:ff9b::102:304/96 permanent ipv4_embedded: no, ipv4_embedded',
      'eth0 ::102:304/64 permanent ipv4_embedded: no, ipv4_embedded',
      'eth0 ::ffff:1.2.3.4/96 unread: no, unread',
    ],
    choices: [{ is: eth0Serves }],
  },
  {
    name: 'held-twice',
    what: 'one address on two NICs',
    build: `${eth0}
      nic eth1
      addr add 192.0.2.10/24 dev eth1
      addr add 198.51.100.10/24 dev eth1`,
    addresses: [
      'eth0 192.0.2.10/24 permanent global: no, held_twice',
      'eth1 192.0.2.10/24 permanent global: no, held_twice',
      'eth1 198.51.100.10/24 permanent global: both',
    ],
    choices: [
      { is: 'ipv4 internal 198.51.100.10 external 198.51.100.10' },
      { wanted: { internal: address('192.0.2.10') }, is: 'none held_twice' },
    ],
  },
  {
    name: 'held-twice-once-dead',
    what: 'one address on two NICs, of which one is down',
    build: `${eth0}
      nic eth1 down
      addr add 192.0.2.10/24 dev eth1`,
    addresses: [eth0Line, 'eth1 192.0.2.10/24 permanent global: no, not_active'],
    choices: [{ is: eth0Serves }, { wanted: { internal: address('192.0.2.10') }, is: eth0Serves }],
  },
  {
    name: 'nothing',
    what: 'loopback alone',
    build: 'link set lo up',
    addresses: [],
    choices: [{ is: 'none no_candidate' }, { wanted: { useInternalIpv6: true }, is: 'none no_candidate' }],
  },
];

/** The judgement of each address as the table has it: what it is, then what it could be and why not. */
export function judgementLines(links: readonly NetworkInterface[], wanted?: Wanted): string[] {
  return judgeAddresses(links, wanted).flatMap(
    ({ interface: name, text, class: words, internal, external }) => {
      if (/^(127\.0\.0\.1|::1|fe80:.*)\//.test(text)) return [];
      const shown = words.includes('temporary') ? text.replace(/^.*\//, 'temporary/') : text;
      const verdict = external.candidate
        ? [
            internal.candidate ? 'both' : `external (${internal.reason})`,
            ...external.warnings.map(({ reason }) => reason),
          ].join(', ')
        : `no, ${external.reason}`;
      return [`${name} ${shown} ${words.join(' ')}: ${verdict}`];
    },
  );
}

/** A choice as the table has it. */
export function choiceLine(choice: Choice): string {
  switch (choice.choice) {
    case 'chosen': {
      const warnings = choice.warnings.map(({ reason }) => reason);
      return [
        `${choice.family} internal ${choice.internal} external ${choice.external.join(' ')}`,
        ...(warnings.length === 0 ? [] : [`with ${warnings.join(' ')}`]),
      ].join(' ');
    }
    case 'ambiguous': {
      const beside = choice.internal === undefined ? '' : ` beside ${choice.internal}`;
      return `${choice.family} ask ${choice.use}${beside}: ${choice.candidates.join(' ')}`;
    }
    case 'none':
      return `none ${choice.reason}`;
  }
}

/** Everything that the table says of a host. */
export function expectedOf({ addresses, choices }: ChoiceHost): {
  addresses: readonly string[];
  choices: string[];
} {
  return { addresses, choices: choices.map(({ is }) => is) };
}

export function foundOn(
  { choices }: ChoiceHost,
  links: readonly NetworkInterface[],
): { addresses: string[]; choices: string[] } {
  return {
    addresses: judgementLines(links),
    choices: choices.map(({ wanted }) => choiceLine(chooseAddresses(links, wanted))),
  };
}

/** Builds a host of the table in a network namespace, and gives the answer of `ip -j -d addr` there. */
export async function buildHost(commands: string): Promise<string> {
  await using here = await openNetworkNamespace();
  await using far = await openNetworkNamespace();
  const run = async (namespace: typeof here, file: string, args: string[]): Promise<string> => {
    const { exitCode, stdout, stderr } = await namespace.exec.run(file, args, { timeoutMs: 10_000 });
    if (exitCode !== 0) throw new Error(`${file} ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  const addresses = (): Promise<string> => run(here, 'ip', ['-j', '-d', 'addr']);
  // Otherwise every address is tentative for a second or two.
  await run(here, 'sysctl', ['-qw', 'net.ipv6.conf.default.accept_dad=0', 'net.ipv6.conf.all.accept_dad=0']);
  let nics = 0;
  for (const line of commands.split('\n').map((command) => command.trim())) {
    const [word = '', name = '', state] = line.split(/ +/);
    if (word === 'nic') {
      nics += 1;
      await here.ip(`
        link add ${name} address 02:00:00:00:00:0${nics} type veth peer name ${name} netns ${far.pid}
        link set ${name} ${state === 'down' ? 'down' : 'up'}`);
      if (state !== 'unplugged') await far.ip(`link set ${name} up`);
    } else if (word === 'far:') await far.ip(line.slice(word.length));
    else if (word === 'sysctl') await run(here, 'sysctl', ['-qw', name]);
    else if (word === 'until') {
      while (!(await addresses()).includes(`"${state}":true`))
        await new Promise((next) => setTimeout(next, 100));
    } else await here.ip(line);
  }
  return await addresses();
}
