import { type Address, broadcastOf, type InterfaceAddress, networkOf } from '../../src/protocol/address.ts';
import type { AddressChange } from '../../src/protocol/address-change.ts';
import type { KernelAddress, NetworkSnapshot } from '../../src/protocol/network-snapshot.ts';

/**
 * What the kernel has to be when the change has been made to it, and nothing else: the address with its broadcast address and the routes that
 * the kernel makes for it, the source of routes, rules from it, and next hops that were the old gateway.
 *
 * For links of whose old network no other address remains where the network changes.
 */
export function renumbered(before: NetworkSnapshot, change: AddressChange): NetworkSnapshot {
  const { link, from, to, gateway } = change;
  const source = <A extends string>(word: A): A | Address => {
    const text: string = word;
    return text === from.address ? to.address : word;
  };
  const destinations = new Map<string, string | undefined>([
    [networkOf(from), networkOf(to)],
    [bare(networkOf(from)), bare(networkOf(to))],
    ...pairOf(broadcastOf(from), broadcastOf(to)),
    [from.address, to.address],
  ]);
  const isMoved = (bound: KernelAddress): boolean =>
    bound.link === link.name && bound.address === from.address;
  return {
    ...before,
    addresses: before.addresses.map((bound) => (isMoved(bound) ? moved(bound, to) : bound)),
    routes: before.routes.map((route) => {
      const own = route.protocol === 'kernel' && route.nexthops.some(({ dev }) => dev === link.name);
      return {
        ...route,
        dst: (own ? destinations.get(route.dst) : undefined) ?? route.dst,
        ...(route.prefsrc === undefined ? {} : { prefsrc: source(route.prefsrc) }),
        ...(route.from === undefined ? {} : { from: source(route.from) }),
        nexthops: route.nexthops.map((hop) =>
          gateway !== undefined && hop.gateway === gateway.from ? { ...hop, gateway: gateway.to } : hop,
        ),
      };
    }),
    rules: before.rules.map((rule) => ({ ...rule, from: source(rule.from) })),
  };
}

function moved(bound: KernelAddress, { address, prefixLength }: InterfaceAddress): KernelAddress {
  const { broadcast, ...rest } = bound;
  const next = broadcast === undefined ? undefined : broadcastOf({ address, prefixLength });
  return { ...rest, address, prefixLength, ...(next === undefined ? {} : { broadcast: next }) };
}

function bare(network: string): string {
  return network.replace(/\/\d+$/, '');
}

function pairOf(one: string | undefined, other: string | undefined): [string, string | undefined][] {
  return one === undefined ? [] : [[one, other]];
}
