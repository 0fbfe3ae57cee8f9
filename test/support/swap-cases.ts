import { parseInterfaceAddress } from '../../src/protocol/address.ts';
import type { AddressChange } from '../../src/protocol/address-change.ts';

/** `eth0 10.0.0.5/24 10.0.0.7/24 10.0.0.1 10.0.0.254`: link, old, new, and old and new gateway where there is a new one. */
export function changeOf(text: string): AddressChange {
  const [name = '', from = '', to = '', old, gateway] = text.split(' ');
  const address = (given: string) => parseInterfaceAddress(`${given}/1`).address;
  return {
    link: { name },
    from: parseInterfaceAddress(from),
    to: parseInterfaceAddress(to),
    ...(old === undefined || gateway === undefined
      ? {}
      : { gateway: { from: address(old), to: address(gateway) } }),
  };
}

/** A change of an address on a host, and by hand what it comes to. */
export interface SwapCase {
  title: string;
  /** `ip` commands, on a host with eth0 and eth1. */
  host: string;
  /** As `changeOf` reads it. */
  change: string;
  /** Every line that goes (`-`) and comes (`+`), but for those of the table `local`, which the kernel keeps. */
  changes: string;
}

export const ipv4Cases: SwapCase[] = [
  {
    title: 'the subnet and the gateway stay',
    host: `
      addr add 10.1.0.5/24 brd + dev eth0
      route add default via 10.1.0.1
      route add 10.50.0.0/16 via 10.1.0.2 src 10.1.0.5 metric 10
      rule add from 10.1.0.5 lookup 100 priority 1000`,
    change: 'eth0 10.1.0.5/24 10.1.0.7/24',
    changes: `
      - 10.1.0.5/24 brd 10.1.0.255 dev eth0 scope global label eth0
      - unicast 10.1.0.0/24 dev eth0 table main protocol kernel scope link src 10.1.0.5
      - unicast 10.50.0.0/16 via 10.1.0.2 dev eth0 table main protocol boot scope global src 10.1.0.5 metric 10
      - ipv4 rule priority 1000 from 10.1.0.5 protocol unspec lookup 100
      + 10.1.0.7/24 brd 10.1.0.255 dev eth0 scope global label eth0
      + unicast 10.1.0.0/24 dev eth0 table main protocol kernel scope link src 10.1.0.7
      + unicast 10.50.0.0/16 via 10.1.0.2 dev eth0 table main protocol boot scope global src 10.1.0.7 metric 10
      + ipv4 rule priority 1000 from 10.1.0.7 protocol unspec lookup 100`,
  },
  {
    title: 'the first of three takes the others of its subnet with it, and all come back behind the new one',
    host: `
      addr add 10.1.0.5/24 brd + dev eth0
      addr add 10.1.0.6/24 dev eth0 label eth0:vip
      addr add 10.1.0.8/24 dev eth0 preferred_lft 0
      addr add 10.3.0.8/24 dev eth0
      route add default via 10.1.0.1
      route add default via 10.1.0.1 src 10.1.0.6 table 100
      rule add from 10.1.0.6 lookup 100 priority 1000
      rule add from 10.1.0.5 lookup 101 priority 1000
      rule add from 10.1.0.8 lookup 102 priority 1000`,
    change: 'eth0 10.1.0.5/24 10.1.0.7/24 10.1.0.1 10.1.0.254',
    changes: `
      - 10.1.0.5/24 brd 10.1.0.255 dev eth0 scope global label eth0
      - unicast 10.1.0.0/24 dev eth0 table main protocol kernel scope link src 10.1.0.5
      - unicast default via 10.1.0.1 dev eth0 table 100 protocol boot scope global src 10.1.0.6
      - unicast default via 10.1.0.1 dev eth0 table main protocol boot scope global
      - ipv4 rule priority 1000 from 10.1.0.5 protocol unspec lookup 101
      + 10.1.0.7/24 brd 10.1.0.255 dev eth0 scope global label eth0
      + unicast 10.1.0.0/24 dev eth0 table main protocol kernel scope link src 10.1.0.7
      + unicast default via 10.1.0.254 dev eth0 table 100 protocol boot scope global src 10.1.0.6
      + unicast default via 10.1.0.254 dev eth0 table main protocol boot scope global
      + ipv4 rule priority 1000 from 10.1.0.7 protocol unspec lookup 101`,
  },
  {
    title: 'the first of two leaves its subnet to the second, which becomes the first',
    host: `
      addr add 10.1.0.5/24 brd + dev eth0
      addr add 10.1.0.6/24 dev eth0
      route add default via 10.1.0.1 proto static
      route add 10.51.0.0/16 via 10.1.0.99
      route add 10.50.0.0/16 via 10.1.0.1 src 10.1.0.5 metric 10 mtu lock 1400 initcwnd 20`,
    change: 'eth0 10.1.0.5/24 10.2.0.7/16 10.1.0.1 10.2.0.1',
    changes: `
      - 10.1.0.5/24 brd 10.1.0.255 dev eth0 scope global label eth0
      - 10.1.0.6/24 dev eth0 scope global label eth0 secondary
      - unicast 10.1.0.0/24 dev eth0 table main protocol kernel scope link src 10.1.0.5
      - unicast 10.50.0.0/16 via 10.1.0.1 dev eth0 table main protocol boot scope global src 10.1.0.5 metric 10 mtu lock 1400 initcwnd 20
      - unicast default via 10.1.0.1 dev eth0 table main protocol static scope global
      + 10.1.0.6/24 dev eth0 scope global label eth0
      + 10.2.0.7/16 brd 10.2.255.255 dev eth0 scope global label eth0
      + unicast 10.1.0.0/24 dev eth0 table main protocol kernel scope link src 10.1.0.6
      + unicast 10.2.0.0/16 dev eth0 table main protocol kernel scope link src 10.2.0.7
      + unicast 10.50.0.0/16 via 10.2.0.1 dev eth0 table main protocol boot scope global src 10.2.0.7 metric 10 mtu lock 1400 initcwnd 20
      + unicast default via 10.2.0.1 dev eth0 table main protocol static scope global`,
  },
  {
    title: 'a secondary address changes within its subnet',
    host: `
      addr add 10.1.0.4/24 dev eth0
      addr add 10.1.0.5/24 dev eth0 label eth0:rs preferred_lft 0
      addr add 10.1.0.6/24 dev eth0
      route add default via 10.1.0.1 src 10.1.0.5`,
    change: 'eth0 10.1.0.5/24 10.1.0.7/24',
    changes: `
      - 10.1.0.5/24 dev eth0 scope global label eth0:rs deprecated secondary
      - unicast default via 10.1.0.1 dev eth0 table main protocol boot scope global src 10.1.0.5
      + 10.1.0.7/24 dev eth0 scope global label eth0:rs deprecated secondary
      + unicast default via 10.1.0.1 dev eth0 table main protocol boot scope global src 10.1.0.7`,
  },
  {
    title: 'a secondary address goes to the subnet of another address, and the gateway stays with the first',
    host: `
      addr add 10.1.0.4/24 dev eth0
      addr add 10.1.0.5/24 dev eth0
      addr add 10.2.0.4/24 dev eth0
      route add default via 10.1.0.1`,
    change: 'eth0 10.1.0.5/24 10.2.0.7/24',
    changes: `
      - 10.1.0.5/24 dev eth0 scope global label eth0 secondary
      + 10.2.0.7/24 dev eth0 scope global label eth0 secondary`,
  },
  {
    title:
      'the connected route is of the owner of the network and not of the kernel (noprefixroute, as NetworkManager does)',
    host: `
      addr add 10.1.0.5/24 brd + dev eth0 noprefixroute
      addr add 10.1.0.6/24 dev eth0 noprefixroute
      route add 10.1.0.0/24 dev eth0 proto kernel scope link src 10.1.0.5 metric 100
      route append 10.1.0.0/24 dev eth0 proto kernel scope link src 10.1.0.6 metric 100
      route add default via 10.1.0.1 proto static metric 100`,
    change: 'eth0 10.1.0.5/24 10.2.0.5/24 10.1.0.1 10.2.0.1',
    changes: `
      - 10.1.0.5/24 brd 10.1.0.255 dev eth0 scope global label eth0 noprefixroute
      - 10.1.0.6/24 dev eth0 scope global label eth0 noprefixroute secondary
      - unicast 10.1.0.0/24 dev eth0 table main protocol kernel scope link src 10.1.0.5 metric 100
      - unicast default via 10.1.0.1 dev eth0 table main protocol static scope global metric 100
      + 10.1.0.6/24 dev eth0 scope global label eth0 noprefixroute
      + 10.2.0.5/24 brd 10.2.0.255 dev eth0 scope global label eth0 noprefixroute
      + unicast 10.2.0.0/24 dev eth0 table main protocol kernel scope link src 10.2.0.5 metric 100
      + unicast default via 10.2.0.1 dev eth0 table main protocol static scope global metric 100`,
  },
  {
    title: 'another NIC is in the same subnet, and its connected route comes after ours as before',
    host: `
      addr add 10.1.0.5/24 dev eth0
      addr add 10.1.0.9/24 dev eth1
      route add default via 10.1.0.1 dev eth0
      route append default via 10.1.0.1 dev eth1`,
    change: 'eth0 10.1.0.5/24 10.1.0.7/24 10.1.0.1 10.1.0.254',
    changes: `
      - 10.1.0.5/24 dev eth0 scope global label eth0
      - unicast 10.1.0.0/24 dev eth0 table main protocol kernel scope link src 10.1.0.5
      - unicast default via 10.1.0.1 dev eth0 table main protocol boot scope global
      + 10.1.0.7/24 dev eth0 scope global label eth0
      + unicast 10.1.0.0/24 dev eth0 table main protocol kernel scope link src 10.1.0.7
      + unicast default via 10.1.0.254 dev eth0 table main protocol boot scope global`,
  },
  {
    title:
      'tables of its own, several next hops, routes that go nowhere, a route on another NIC with this source',
    host: `
      addr add 10.1.0.5/24 dev eth0 metric 50
      addr add 10.4.0.5/24 dev eth1
      route add default via 10.1.0.1 dev eth0 onlink table 100
      route add 10.1.0.0/24 dev eth0 table 100 scope link src 10.1.0.5
      route add unreachable 10.60.0.0/16 table 100
      route add blackhole 10.61.0.0/16
      route add 10.62.0.0/16 nexthop via 10.1.0.1 dev eth0 weight 2 nexthop via 10.4.0.1 dev eth1 weight 3
      route add 10.63.0.0/16 via 10.4.0.1 dev eth1 src 10.1.0.5 tos 0x10
      rule add from 10.1.0.5 fwmark 0x5/0xff lookup 100 priority 1000
      rule add from 10.1.0.0/24 lookup 100 priority 1001
      rule add to 10.1.0.5 lookup 100 priority 1002`,
    change: 'eth0 10.1.0.5/24 10.2.0.5/24 10.1.0.1 10.2.0.1',
    changes: `
      - 10.1.0.5/24 dev eth0 scope global label eth0 metric 50
      - unicast 10.1.0.0/24 dev eth0 table 100 protocol boot scope link src 10.1.0.5
      - unicast 10.1.0.0/24 dev eth0 table main protocol kernel scope link src 10.1.0.5 metric 50
      - unicast 10.62.0.0/16 table main protocol boot scope global nexthop via 10.1.0.1 dev eth0 weight 2 nexthop via 10.4.0.1 dev eth1 weight 3
      - unicast 10.63.0.0/16 tos 0x10 via 10.4.0.1 dev eth1 table main protocol boot scope global src 10.1.0.5
      - unicast default via 10.1.0.1 dev eth0 onlink table 100 protocol boot scope global
      - ipv4 rule priority 1000 from 10.1.0.5 fwmark 0x5/0xff protocol unspec lookup 100
      + 10.2.0.5/24 dev eth0 scope global label eth0 metric 50
      + unicast 10.2.0.0/24 dev eth0 table 100 protocol boot scope link src 10.2.0.5
      + unicast 10.2.0.0/24 dev eth0 table main protocol kernel scope link src 10.2.0.5 metric 50
      + unicast 10.62.0.0/16 table main protocol boot scope global nexthop via 10.2.0.1 dev eth0 weight 2 nexthop via 10.4.0.1 dev eth1 weight 3
      + unicast 10.63.0.0/16 tos 0x10 via 10.4.0.1 dev eth1 table main protocol boot scope global src 10.2.0.5
      + unicast default via 10.2.0.1 dev eth0 onlink table 100 protocol boot scope global
      + ipv4 rule priority 1000 from 10.2.0.5 fwmark 0x5/0xff protocol unspec lookup 100`,
  },
  {
    title: 'addresses of 32 bits with a gateway that is on the link by a route alone',
    host: `
      addr add 10.1.0.5/32 dev eth0
      route add 10.1.0.1 dev eth0 scope link
      route add default via 10.1.0.1 src 10.1.0.5`,
    change: 'eth0 10.1.0.5/32 10.9.0.5/32',
    changes: `
      - 10.1.0.5/32 dev eth0 scope global label eth0
      - unicast default via 10.1.0.1 dev eth0 table main protocol boot scope global src 10.1.0.5
      + 10.9.0.5/32 dev eth0 scope global label eth0
      + unicast default via 10.1.0.1 dev eth0 table main protocol boot scope global src 10.9.0.5`,
  },
  {
    title: 'the prefix length alone becomes another',
    host: `
      addr add 10.1.0.5/24 brd + dev eth0
      addr add 10.1.0.6/24 dev eth0
      route add default via 10.1.0.1`,
    change: 'eth0 10.1.0.5/24 10.1.0.7/23',
    changes: `
      - 10.1.0.5/24 brd 10.1.0.255 dev eth0 scope global label eth0
      - 10.1.0.6/24 dev eth0 scope global label eth0 secondary
      - unicast 10.1.0.0/24 dev eth0 table main protocol kernel scope link src 10.1.0.5
      + 10.1.0.6/24 dev eth0 scope global label eth0
      + 10.1.0.7/23 brd 10.1.1.255 dev eth0 scope global label eth0
      + unicast 10.1.0.0/23 dev eth0 table main protocol kernel scope link src 10.1.0.7
      + unicast 10.1.0.0/24 dev eth0 table main protocol kernel scope link src 10.1.0.6`,
  },
];

export const ipv6Cases: SwapCase[] = [
  {
    title: 'the subnet and the gateway stay',
    host: `
      addr add fd01::5/64 dev eth0
      -6 route add default via fd01::1
      -6 route add fd50::/64 via fd01::1 src fd01::5 metric 10
      -6 rule add from fd01::5 lookup 100 priority 1000`,
    change: 'eth0 fd01::5/64 fd01::7/64',
    changes: `
      - fd01::5/64 dev eth0 scope global
      - unicast fd50::/64 via fd01::1 dev eth0 table main protocol boot src fd01::5 metric 10 pref medium
      - ipv6 rule priority 1000 from fd01::5 protocol unspec lookup 100
      + fd01::7/64 dev eth0 scope global
      + unicast fd50::/64 via fd01::1 dev eth0 table main protocol boot src fd01::7 metric 10 pref medium
      + ipv6 rule priority 1000 from fd01::7 protocol unspec lookup 100`,
  },
  {
    title: 'one of several moves to another subnet with a new gateway',
    host: `
      addr add fd01::5/64 dev eth0
      addr add fd01::6/64 dev eth0 nodad
      addr add fd03::6/64 dev eth0 preferred_lft 0
      -6 route add default via fd01::1 pref high
      -6 route add fd51::/64 nexthop via fd01::1 weight 2 nexthop via fd01::9
      -6 route add fd52::/64 from fd01::5 via fd01::1
      -6 route add unreachable fd53::/64`,
    change: 'eth0 fd01::5/64 fd02::7/64 fd01::1 fd02::1',
    changes: `
      - fd01::5/64 dev eth0 scope global
      - unicast default via fd01::1 dev eth0 table main protocol boot metric 1024 pref high
      - unicast fd51::/64 table main protocol boot metric 1024 pref medium nexthop via fd01::1 dev eth0 weight 2 nexthop via fd01::9 dev eth0 weight 1
      - unicast fd52::/64 from fd01::5 via fd01::1 dev eth0 table main protocol boot metric 1024 pref medium
      + fd02::7/64 dev eth0 scope global
      + unicast default via fd02::1 dev eth0 table main protocol boot metric 1024 pref high
      + unicast fd02::/64 dev eth0 table main protocol kernel metric 256 pref medium
      + unicast fd51::/64 table main protocol boot metric 1024 pref medium nexthop via fd02::1 dev eth0 weight 2 nexthop via fd01::9 dev eth0 weight 1
      + unicast fd52::/64 from fd02::7 via fd02::1 dev eth0 table main protocol boot metric 1024 pref medium`,
  },
  {
    title:
      'the only one moves to another subnet, with default routes of several metrics and a link-local gateway',
    host: `
      addr add fd01::5/64 dev eth0 metric 77
      addr add fe80::5/64 dev eth0
      -6 route add default via fd01::1 metric 100
      -6 route add default via fe80::1 dev eth0 metric 200
      -6 route add fd01::/64 dev eth0 metric 5 proto static`,
    change: 'eth0 fd01::5/64 fd02::7/56 fd01::1 fd02::1',
    changes: `
      - fd01::5/64 dev eth0 scope global metric 77
      - unicast default via fd01::1 dev eth0 table main protocol boot metric 100 pref medium
      - unicast fd01::/64 dev eth0 table main protocol kernel metric 77 pref medium
      - unicast fd01::/64 dev eth0 table main protocol static metric 5 pref medium
      + fd02::7/56 dev eth0 scope global metric 77
      + unicast default via fd02::1 dev eth0 table main protocol boot metric 100 pref medium
      + unicast fd02::/56 dev eth0 table main protocol kernel metric 77 pref medium
      + unicast fd02::/56 dev eth0 table main protocol static metric 5 pref medium`,
  },
  {
    title:
      'the connected route is of the owner of the network and not of the kernel (noprefixroute, as NetworkManager does)',
    host: `
      addr add fd01::5/64 dev eth0 noprefixroute
      addr add fd01::6/64 dev eth0 noprefixroute nodad
      -6 route add fd01::/64 dev eth0 proto kernel metric 100
      -6 route add default via fd01::1 proto static metric 100`,
    change: 'eth0 fd01::6/64 fd01::7/64',
    changes: `
      - fd01::6/64 dev eth0 scope global nodad noprefixroute
      + fd01::7/64 dev eth0 scope global nodad noprefixroute`,
  },
  {
    title:
      'the new subnet has an address already, and the owner of the network has made its route (noprefixroute)',
    host: `
      addr add fd01::5/64 dev eth0 noprefixroute nodad
      addr add fd02::6/64 dev eth0 noprefixroute nodad
      -6 route add fd01::/64 dev eth0 proto kernel metric 100
      -6 route add fd02::/64 dev eth0 proto kernel metric 100
      -6 route add default via fd01::1 proto static metric 100`,
    change: 'eth0 fd01::5/64 fd02::7/64 fd01::1 fd02::1',
    changes: `
      - fd01::5/64 dev eth0 scope global nodad noprefixroute
      - unicast fd01::/64 dev eth0 table main protocol kernel metric 100 pref medium
      - unicast default via fd01::1 dev eth0 table main protocol static metric 100 pref medium
      + fd02::7/64 dev eth0 scope global nodad noprefixroute
      + unicast default via fd02::1 dev eth0 table main protocol static metric 100 pref medium`,
  },
  {
    title:
      'one of two addresses leaves the subnet, whose route the owner of the network has made for both (noprefixroute)',
    host: `
      addr add fd01::5/64 dev eth0 noprefixroute nodad
      addr add fd01::6/64 dev eth0 noprefixroute nodad
      -6 route add fd01::/64 dev eth0 proto kernel metric 100
      -6 route add default via fd01::1 proto static metric 100`,
    change: 'eth0 fd01::6/64 fd02::7/64 fd01::1 fd02::1',
    changes: `
      - fd01::6/64 dev eth0 scope global nodad noprefixroute
      - unicast default via fd01::1 dev eth0 table main protocol static metric 100 pref medium
      + fd02::7/64 dev eth0 scope global nodad noprefixroute
      + unicast fd02::/64 dev eth0 table main protocol kernel metric 100 pref medium
      + unicast default via fd02::1 dev eth0 table main protocol static metric 100 pref medium`,
  },
  {
    title: 'two addresses of one subnet with routes of different metrics',
    host: `
      addr add fd01::5/64 dev eth0
      addr add fd01::6/64 dev eth0 metric 77
      addr add fd01::8/64 dev eth1`,
    change: 'eth0 fd01::6/64 fd02::7/64',
    changes: `
      - fd01::6/64 dev eth0 scope global metric 77
      - unicast fd01::/64 dev eth0 table main protocol kernel metric 77 pref medium
      + fd02::7/64 dev eth0 scope global metric 77
      + unicast fd02::/64 dev eth0 table main protocol kernel metric 77 pref medium`,
  },
  {
    title: 'the new subnet has an address already, whose route has another metric',
    host: `
      addr add fd01::5/64 dev eth0
      addr add fd02::6/64 dev eth0 metric 50
      -6 route add default via fd01::1`,
    change: 'eth0 fd01::5/64 fd02::7/64 fd01::1 fd02::1',
    changes: `
      - fd01::5/64 dev eth0 scope global
      - unicast default via fd01::1 dev eth0 table main protocol boot metric 1024 pref medium
      + unicast default via fd02::1 dev eth0 table main protocol boot metric 1024 pref medium
      - unicast fd01::/64 dev eth0 table main protocol kernel metric 256 pref medium
      + fd02::7/64 dev eth0 scope global
      + unicast fd02::/64 dev eth0 table main protocol kernel metric 256 pref medium`,
  },
  {
    title: 'an address that both NICs have stays on both',
    host: `
      addr add fd01::5/64 dev eth0
      addr add fd02::6/64 dev eth1
      addr add fd02::6/64 dev eth0`,
    change: 'eth0 fd01::5/64 fd02::7/64',
    changes: `
      - fd01::5/64 dev eth0 scope global
      - unicast fd01::/64 dev eth0 table main protocol kernel metric 256 pref medium
      + fd02::7/64 dev eth0 scope global`,
  },
  {
    title: 'addresses of 128 bits',
    host: `
      addr add fd01::5/128 dev eth0
      -6 route add fe80::/64 dev eth0
      -6 route add default via fe80::1 dev eth0 src fd01::5`,
    change: 'eth0 fd01::5/128 fd09::5/128',
    changes: `
      - fd01::5/128 dev eth0 scope global
      - unicast fd01::5 dev eth0 table main protocol kernel metric 256 pref medium
      - unicast default via fe80::1 dev eth0 table main protocol boot src fd01::5 metric 1024 pref medium
      + fd09::5/128 dev eth0 scope global
      + unicast fd09::5 dev eth0 table main protocol kernel metric 256 pref medium
      + unicast default via fe80::1 dev eth0 table main protocol boot src fd09::5 metric 1024 pref medium`,
  },
];
