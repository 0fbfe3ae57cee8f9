import { type Address, familyOf } from './address.ts';
import type { NetworkSnapshot } from './network-snapshot.ts';
import { type Nexthop, type Route, takesIn } from './routing.ts';

/**
 * Why the kernel would not make the route today, though it may be there: what it was made with can have gone since.
 * @returns undefined where it would
 */
export function whyNotMakable(
  route: Route,
  { addresses, routes }: Pick<NetworkSnapshot, 'addresses' | 'routes'>,
): string | undefined {
  if (route.other !== undefined) return 'has what is not known here';
  const { prefsrc } = route;
  if (prefsrc !== undefined && !addresses.some(({ address }) => address === prefsrc)) {
    return `has the source ${prefsrc}, which no link has`;
  }
  const unreached = route.nexthops.find((hop) => !canUse(routes, hop));
  if (unreached === undefined) return undefined;
  return `goes through ${unreached.gateway}, which ${unreached.dev} does not reach`;
}

function canUse(routes: readonly Route[], { gateway, dev, flags }: Nexthop): boolean {
  if (gateway === undefined || dev === undefined) return true;
  if (!flags.includes('onlink')) return reaches(routes, dev, gateway);
  if (familyOf(gateway) === 'ipv4') return true;
  // To IPv6, `onlink` is no word against the route that says where the gateway is (ip6_route_check_nh_onlink() in net/ipv6/route.c).
  const best = routes
    .filter((route) => route.table === 'main' && route.dst !== 'default' && leadsTo(route, gateway))
    .toSorted((a, b) => lengthOf(b) - lengthOf(a) || (a.metric ?? 0) - (b.metric ?? 0))[0];
  return best === undefined || best.nexthops.some((hop) => hop.dev === dev);
}

function lengthOf({ dst }: Route): number {
  return Number(dst.split('/')[1] ?? 128);
}

/** Whether the network of the gateway is on the link. */
export function reaches(routes: readonly Route[], link: string, gateway: Address): boolean {
  return routes.some(
    (route) =>
      leadsTo(route, gateway) && route.nexthops.some((hop) => hop.dev === link && hop.gateway === undefined),
  );
}

function leadsTo({ family, type, dst }: Route, gateway: Address): boolean {
  return type === 'unicast' && family === familyOf(gateway) && takesIn(dst, gateway);
}
