import { broadcastOf, type Family, familyOf, networkOf } from './address.ts';
import type { KernelAddress, NetworkSnapshot } from './network-snapshot.ts';
import { describeRoute, type Route } from './routing.ts';

/*
 * The routes that the kernel makes by itself for the addresses of a link, and takes away with them: fib_add_ifaddr() of
 * net/ipv4/fib_frontend.c and addrconf_prefix_route() of net/ipv6/addrconf.c. What differs between kernels and hosts
 * is not guessed but taken from how this host's routes are now.
 */

/** What this host's kernel does for the addresses of one family of one link. */
export interface KernelHabits {
  /** A VRF has its own table for both. */
  localTable: string;
  connectedTable: string;
  /** Before Linux 5.14 the first address of an IPv4 network was a broadcast address too. */
  firstIsBroadcast: boolean;
  /** A host that forwards answers to the first address of each IPv6 network (RFC 4291, 2.6.1). */
  firstIsAnycast: boolean;
}

export function habitsOf({ routes, addresses }: NetworkSnapshot, link: string, family: Family): KernelHabits {
  const made = routes.filter((route) => route.family === family && route.protocol === 'kernel');
  const bound = addresses.filter((address) => address.link === link && familyOf(address.address) === family);
  const local = made.find(
    ({ type, dst, nexthops }) =>
      type === 'local' && nexthops[0]?.dev === link && bound.some(({ address }) => address === dst),
  );
  const localTable = local?.table ?? 'local';
  return {
    localTable,
    connectedTable: localTable === 'local' ? 'main' : localTable,
    firstIsBroadcast: made.some(({ type, dst }) => type === 'broadcast' && dst === '127.0.0.0'),
    firstIsAnycast: made.some(({ type, nexthops }) => type === 'anycast' && nexthops[0]?.dev === link),
  };
}

/**
 * @param bound all addresses of one link and one family, in the kernel's order; those with another end are left out, which the kernel
 *   treats in ways of their own
 * @returns each route once, in the order in which adding the addresses one by one makes them
 */
export function kernelRoutes(bound: readonly KernelAddress[], habits: KernelHabits): Route[] {
  const plain = bound.filter(({ peer }) => peer === undefined);
  const routes = plain.flatMap((address) =>
    familyOf(address.address) === 'ipv4' ? ipv4Routes(address, plain, habits) : ipv6Routes(address, habits),
  );
  return [...new Map(routes.map((route) => [describeRoute(route), route])).values()];
}

function ipv4Routes(
  bound: KernelAddress,
  all: readonly KernelAddress[],
  { localTable, connectedTable, firstIsBroadcast }: KernelHabits,
): Route[] {
  const network = networkOf(bound);
  const secondary = bound.flags.includes('secondary');
  const primary = secondary
    ? all.find((other) => !other.flags.includes('secondary') && networkOf(other) === network)
    : bound;
  const common = {
    family: 'ipv4' as const,
    protocol: 'kernel',
    prefsrc: (primary ?? bound).address,
    nexthops: [{ dev: bound.link, flags: [] }],
  };
  const last = broadcastOf(bound);
  const broadcasts = new Set([
    ...(bound.broadcast === undefined || bound.broadcast === '255.255.255.255' ? [] : [bound.broadcast]),
    ...(secondary || last === undefined ? [] : [last]),
    ...(secondary || last === undefined || !firstIsBroadcast ? [] : [network.split('/')[0] ?? network]),
  ]);
  const local: Route = { ...common, type: 'local', dst: bound.address, table: localTable, scope: 'host' };
  const connected: Route = {
    ...common,
    type: 'unicast',
    dst: network,
    table: connectedTable,
    scope: 'link',
    ...(bound.metric === undefined ? {} : { metric: bound.metric }),
  };
  const hasConnected = !secondary && bound.prefixLength < 32 && !bound.flags.includes('noprefixroute');
  return [
    local,
    ...[...broadcasts].map(
      (dst): Route => ({ ...common, type: 'broadcast', dst, table: localTable, scope: 'link' }),
    ),
    ...(hasConnected ? [connected] : []),
  ];
}

function ipv6Routes(
  bound: KernelAddress,
  { localTable, connectedTable, firstIsAnycast }: KernelHabits,
): Route[] {
  const network = networkOf(bound);
  const common = {
    family: 'ipv6' as const,
    protocol: 'kernel',
    scope: 'global',
    pref: 'medium',
    nexthops: [{ dev: bound.link, flags: [] }],
  };
  // Also for one of 128 bits.
  const hasConnected = !bound.flags.includes('noprefixroute');
  return [
    { ...common, type: 'local', dst: bound.address, table: localTable, metric: 0 },
    ...(firstIsAnycast && bound.prefixLength < 127
      ? [{ ...common, type: 'anycast', dst: network.split('/')[0] ?? network, table: localTable, metric: 0 }]
      : []),
    ...(hasConnected
      ? [{ ...common, type: 'unicast', dst: network, table: connectedTable, metric: bound.metric ?? 256 }]
      : []),
  ];
}
