import { familyOf, networkOf } from './address.ts';
import type { AddressChange } from './address-change.ts';
import { RlnetError } from './errors.ts';
import { habitsOf, kernelRoutes } from './kernel-routes.ts';
import { type KernelAddress, type NetworkSnapshot, placeOf } from './network-snapshot.ts';
import { whyNotMakable } from './route-makable.ts';
import { describeRoute, type IpCommand, type Nexthop, type Route, routeCommand } from './routing.ts';
import type { ChangedAddresses } from './swap-addresses.ts';

export interface ChangedRoutes {
  /** What is to be there, each in the place of the one that it follows. */
  after: Route[];
  /** What is to be done before and after the addresses change. */
  forward: { first: IpCommand[]; last: IpCommand[] };
  back: { first: IpCommand[]; last: IpCommand[] };
}

/**
 * What becomes of the routes. Four kinds: those that the kernel makes for the addresses and takes with them (`kernelRoutes`); those that
 * hang on the old address and change; those that would go with an address that is away for a moment; and all others.
 * @param bound all addresses of the link and the family, before
 */
export function changeRoutes(
  before: NetworkSnapshot,
  change: AddressChange,
  bound: readonly KernelAddress[],
  addresses: ChangedAddresses,
): ChangedRoutes {
  const made = whatTheKernelMakes(before, change, bound, addresses);
  const { routes, changed } = whatIsWanted(before.routes, change, addresses, made);
  const taken = before.routes.filter(
    (route) =>
      changed.has(route) || isAtRisk(route, change, bound, addresses, made.before.has(textOf(route))),
  );

  const meanwhile = whatIsThereMeanwhile(before.routes, taken, made);
  const settled = settle(meanwhile, routes);

  const known = new Set(before.routes.map(textOf));
  const places = new Set([...taken.map(placeOf), ...settled.places, ...crowdedPlaces(before.routes, made)]);
  // Among IPv6 routes of one place there is no order that would ask for the others as well.
  const restored = before.routes.filter(
    (route) => taken.includes(route) || (route.family === 'ipv4' && places.has(placeOf(route))),
  );
  for (const route of restored) refuseUnmakable(route, before);
  const after = { addresses: [...before.addresses, addresses.to], routes };
  for (const route of settled.missing) refuseUnmakable(route, after);
  return {
    after: routes,
    forward: { first: taken.map((route) => routeCommand('del', route)), last: settled.commands },
    back: {
      first: routes
        .filter((route) => !known.has(textOf(route)) && !goesWithItsAddress(route, made))
        .map((route) => routeCommand('del', route)),
      last: [
        ...restored.map((route) => routeCommand('del', route)),
        ...gatewaysLast(restored).map((route) => routeCommand('append', route)),
      ],
    },
  };
}

interface KernelMade {
  /** Those of now that the kernel has made for addresses of the link. */
  before: ReadonlyMap<string, Route>;
  /** Those that it goes on to have while some of the addresses are away. */
  stay: ReadonlyMap<string, Route>;
  after: ReadonlyMap<string, Route>;
  /** Those that it makes when the addresses come, though they may be there. */
  anew: ReadonlyMap<string, Route>;
}

function whatTheKernelMakes(
  { routes, ...before }: NetworkSnapshot,
  change: AddressChange,
  bound: readonly KernelAddress[],
  { after, untouched, to }: ChangedAddresses,
): KernelMade {
  const habits = habitsOf({ routes, ...before }, change.link.name, familyOf(change.from.address));
  const now = new Set(routes.map(textOf));
  const derived = byText(kernelRoutes(bound, habits));
  // What the kernel has made and somebody has taken away stays away.
  const absent = [...derived.keys()].filter((text) => !now.has(text));
  const without = (made: Route[]): Map<string, Route> => {
    const map = byText(made);
    for (const text of absent) map.delete(text);
    return map;
  };
  const stay = without(kernelRoutes(untouched, habits));
  const all = without(kernelRoutes(after, habits));
  const own = byText(kernelRoutes([to], habits));
  return {
    before: without(kernelRoutes(bound, habits)),
    stay,
    after: all,
    anew: new Map([...all].filter(([text]) => !stay.has(text) || own.has(text))),
  };
}

function whatIsWanted(
  before: readonly Route[],
  change: AddressChange,
  { to, untouched }: ChangedAddresses,
  made: KernelMade,
): { routes: Route[]; changed: ReadonlySet<Route> } {
  const news = new Map([...made.after].filter(([text]) => !made.before.has(text)));
  const changed = new Set<Route>();
  /** Routes that stay as they are, and by and by those that come. */
  const there = new Set(
    before.filter((route) => textOf(changeRoute(route, change, untouched)) === textOf(route)).map(textOf),
  );
  const routes = before.flatMap((route): Route[] => {
    const text = textOf(route);
    if (made.before.has(text)) {
      if (made.after.has(text)) return [route];
      const successor = [...news.values()].find((next) => follows(next, route));
      if (successor !== undefined) news.delete(textOf(successor));
      return successor === undefined ? [] : [successor];
    }
    const next = changeRoute(route, change, untouched);
    if (textOf(next) === text) {
      const another = routeOfNewNetwork(route, change, to);
      if (another === undefined || there.has(textOf(another))) return [next];
      there.add(textOf(another));
      return [next, another];
    }
    changed.add(route);
    // Another address has brought the route of the new network along already.
    if (there.has(textOf(next))) return [];
    there.add(textOf(next));
    return [next];
  });
  return { routes: [...routes, ...news.values()], changed };
}

function follows(next: Route, route: Route): boolean {
  return placeOf(next) === placeOf(route) && next.type === route.type;
}

/** The route as it is when the new address has taken the place of the old one. */
function changeRoute(route: Route, change: AddressChange, others: readonly KernelAddress[]): Route {
  const { from, to, gateway, link } = change;
  const network = networkOf(from);
  const ownNetwork =
    isRouteOfNetwork(route, link.name, network) &&
    (route.prefsrc === from.address ||
      (route.prefsrc === undefined && !others.some((other) => networkOf(other) === network)));
  const changeHop = (hop: Nexthop): Nexthop =>
    gateway !== undefined && hop.dev === link.name && hop.gateway === gateway.from
      ? { ...hop, gateway: gateway.to }
      : hop;
  return {
    ...route,
    ...(ownNetwork ? { dst: networkOf(to) } : {}),
    ...(route.prefsrc === from.address ? { prefsrc: to.address } : {}),
    ...(route.from === from.address ? { from: to.address } : {}),
    nexthops: route.nexthops.map(changeHop),
  };
}

/**
 * Where the owner of the network makes the routes of IPv6 networks (noprefixroute), one stands for all addresses of its network: it stays for those that
 * stay, and the new address has another one like it.
 */
function routeOfNewNetwork(
  route: Route,
  { from, to, link }: AddressChange,
  next: KernelAddress,
): Route | undefined {
  const [old, fresh] = [networkOf(from), networkOf(to)];
  const shared =
    route.family === 'ipv6' &&
    route.protocol === 'kernel' &&
    old !== fresh &&
    isRouteOfNetwork(route, link.name, old);
  return shared && next.flags.includes('noprefixroute') ? { ...route, dst: fresh } : undefined;
}

/** Whether it says that the network is on this link. */
function isRouteOfNetwork({ type, dst, nexthops }: Route, link: string, network: string): boolean {
  const [only, ...more] = nexthops;
  return (
    type === 'unicast' &&
    dst === network &&
    more.length === 0 &&
    only?.dev === link &&
    only.gateway === undefined
  );
}

/** The route of an IPv6 network stays while the network has another address, though that one's own has another metric. */
function goesWithItsAddress(route: Route, made: KernelMade): boolean {
  return made.after.has(textOf(route)) && (route.family === 'ipv4' || route.type !== 'unicast');
}

/** Whether it may go when addresses do, so that it is better taken away in so many words. */
function isAtRisk(
  route: Route,
  { from, to, link }: AddressChange,
  bound: readonly KernelAddress[],
  { untouched }: ChangedAddresses,
  isKernels: boolean,
): boolean {
  // The kernel goes by its rules about the other addresses of the network, and takes the first such route that it finds for the
  // address's own, when it deletes an address and also when it changes the flags of one.
  const networks = [networkOf(from), networkOf(to)];
  if (route.family === 'ipv6' && networks.some((network) => isRouteOfNetwork(route, link.name, network)))
    return true;
  // What has an address as its source goes with the address, or stays and is of no use: kernels differ, and tables.
  const goes = bound.some((address) => address.address === route.prefsrc && !untouched.includes(address));
  return goes && !isKernels;
}

/** What the kernel has, in its order, when the addresses have changed. */
function whatIsThereMeanwhile(before: readonly Route[], taken: readonly Route[], made: KernelMade): Route[] {
  const left = before.filter(
    (route) => !taken.includes(route) && (!made.before.has(textOf(route)) || made.stay.has(textOf(route))),
  );
  const there = new Set(left.map(textOf));
  return [...left, ...[...made.anew].filter(([text]) => !there.has(text)).map(([, route]) => route)];
}

/** From what is there to what is wanted; only where IPv4 routes share a place does their order count. */
function settle(
  there: readonly Route[],
  wanted: readonly Route[],
): { commands: IpCommand[]; missing: Route[]; places: string[] } {
  const found = Map.groupBy(there, placeOf);
  const surplus: Route[] = [];
  const missing: Route[] = [];
  const wantedPlaces = Map.groupBy(wanted, placeOf);
  for (const place of new Set([...found.keys(), ...wantedPlaces.keys()])) {
    const have = found.get(place) ?? [];
    const want = wantedPlaces.get(place) ?? [];
    const same = commonLength(have.map(textOf), want.map(textOf));
    const ordered = (want[0] ?? have[0])?.family === 'ipv4';
    const texts = (routes: readonly Route[]) => new Set(routes.map(textOf));
    const [haveTexts, wantTexts] = [texts(have), texts(want)];
    surplus.push(...(ordered ? have.slice(same) : have.filter((route) => !wantTexts.has(textOf(route)))));
    missing.push(...(ordered ? want.slice(same) : want.filter((route) => !haveTexts.has(textOf(route)))));
  }
  return {
    commands: [
      ...surplus.map((route) => routeCommand('del', route)),
      ...gatewaysLast(missing).map((route) => routeCommand('append', route)),
    ],
    missing,
    places: [...surplus, ...missing].map(placeOf),
  };
}

function commonLength(a: readonly string[], b: readonly string[]): number {
  const differs = a.findIndex((text, index) => text !== b[index]);
  return differs < 0 ? a.length : differs;
}

/** Where the kernel would make a route again behind another one. Among IPv6 routes there is no such order. */
function crowdedPlaces(before: readonly Route[], made: KernelMade): string[] {
  const places = Map.groupBy(before, placeOf);
  return [...made.before]
    .filter(([text, { family }]) => family === 'ipv4' && !made.stay.has(text))
    .map(([, route]) => placeOf(route))
    .filter((place) => (places.get(place)?.length ?? 0) > 1);
}

/** A gateway must be on the link before a route can go through it. */
function gatewaysLast(routes: readonly Route[]): Route[] {
  const hasGateway = ({ nexthops }: Route): boolean => nexthops.some(({ gateway }) => gateway !== undefined);
  return [...routes.filter((route) => !hasGateway(route)), ...routes.filter(hasGateway)];
}

const textOf = describeRoute;

function byText(routes: readonly Route[]): Map<string, Route> {
  return new Map(routes.map((route) => [textOf(route), route]));
}

function refuseUnmakable(route: Route, snapshot: Parameters<typeof whyNotMakable>[1]): void {
  const why = whyNotMakable(route, snapshot);
  if (why === undefined) return;
  throw new RlnetError(
    'ADDRESS_CHANGE_REFUSED',
    `The address cannot be changed: the route ${describeRoute(route)} would have to be made again, and ${why}.`,
    'Name the new gateway in the change, or remove that route first.',
  );
}
