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
  if (reaches(routes, dev, gateway)) return true;
  // To IPv6, `onlink` is no word against a route that says where the gateway is.
  const isElsewhere =
    familyOf(gateway) === 'ipv6' &&
    routes.some((route) => route.dst !== 'default' && leadsTo(route, gateway));
  return flags.includes('onlink') && !isElsewhere;
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
