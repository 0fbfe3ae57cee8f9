import * as v from 'valibot';
import {
  describeRoute,
  describeRule,
  entriesOf,
  present,
  type Route,
  routeSchema,
  ruleSchema,
  unreadable,
} from './routing.ts';
import { addressSchema, finiteSchema } from './schema.ts';

/** One address of one link with all that `ip addr add` could be told about it. */
export const kernelAddressSchema = v.object({
  link: v.string(),
  address: addressSchema,
  prefixLength: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(128)),
  /** The other end, on a point-to-point link; then `prefixLength` is that end's. */
  peer: v.optional(addressSchema),
  broadcast: v.optional(addressSchema),
  scope: v.string(),
  label: v.optional(v.string()),
  /** Of the route that the kernel makes for it; absent is 0 (IPv4) or 256 (IPv6). */
  metric: v.optional(finiteSchema),
  protocol: v.optional(v.string()),
  /** iproute2's words: `secondary`, `noprefixroute`, `nodad`, `dynamic`, `deprecated`, `tentative`, `dadfailed` … */
  flags: v.array(v.string()),
  /** Seconds; absent is forever. Never compared. */
  preferredLifetime: v.optional(finiteSchema),
  validLifetime: v.optional(finiteSchema),
});
export type KernelAddress = v.InferOutput<typeof kernelAddressSchema>;

export const kernelLinkSchema = v.object({
  name: v.string(),
  /** In lower case; absent where the link has none. */
  mac: v.optional(v.string()),
  /** Administratively up. Carrier comes and goes, and is no part of this. */
  up: v.boolean(),
  loopback: v.boolean(),
});
export type KernelLink = v.InferOutput<typeof kernelLinkSchema>;

/** What a host's kernel knows of addresses and routing: all links, all tables, both families, in the kernel's order. */
export const networkSnapshotSchema = v.object({
  links: v.array(kernelLinkSchema),
  addresses: v.array(kernelAddressSchema),
  routes: v.array(routeSchema),
  rules: v.array(ruleSchema),
});
export type NetworkSnapshot = v.InferOutput<typeof networkSnapshotSchema>;

const ipLinkSchema = v.object({
  ifname: v.string(),
  flags: v.array(v.string()),
  link_type: v.string(),
  address: v.optional(v.string()),
  addr_info: v.array(v.looseObject({ family: v.optional(v.string()) })),
});

/** What iproute2 calls forever. */
const forever = 2 ** 32 - 1;

const lifetimeSchema = v.pipe(
  v.optional(v.pipe(v.number(), v.integer(), v.minValue(0)), forever),
  v.transform((seconds) => (seconds === forever ? undefined : seconds)),
);

/** One element of `addr_info`; a flag is a member that is `true`. `address` is the other end of a point-to-point link. */
const ipAddressSchema = v.looseObject({
  local: addressSchema,
  address: v.optional(addressSchema),
  prefixlen: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(128)),
  broadcast: v.optional(addressSchema),
  scope: v.string(),
  label: v.optional(v.string()),
  metric: v.optional(finiteSchema),
  protocol: v.optional(v.string()),
  preferred_life_time: lifetimeSchema,
  valid_life_time: lifetimeSchema,
});

/**
 * The answer of `ip -j -d addr`.
 * @throws RlnetError OUTPUT_UNREADABLE, naming the entry that is not understood
 */
export function parseLinks(text: string): Pick<NetworkSnapshot, 'links' | 'addresses'> {
  const links = entriesOf(text, 'addr')
    // Where a link is filtered out, ip leaves an empty object.
    .filter((entry) => !v.is(v.strictObject({}), entry))
    .map((entry) => {
      const parsed = v.safeParse(ipLinkSchema, entry);
      if (!parsed.success) throw unreadable('addr', entry, v.summarize(parsed.issues));
      return parsed.output;
    });
  return {
    links: links.map(({ ifname, flags, link_type, address }) => ({
      name: ifname,
      ...present({ mac: link_type === 'ether' ? address?.toLowerCase() : undefined }),
      up: flags.includes('UP'),
      loopback: flags.includes('LOOPBACK'),
    })),
    addresses: links.flatMap(({ ifname, addr_info }) =>
      addr_info
        .filter(({ family }) => family === 'inet' || family === 'inet6')
        .map((info) => toKernelAddress(ifname, info)),
    ),
  };
}

function toKernelAddress(link: string, info: unknown): KernelAddress {
  const parsed = v.safeParse(ipAddressSchema, info);
  if (!parsed.success) throw unreadable('addr', info, v.summarize(parsed.issues));
  const { local, address: peer, prefixlen, scope, broadcast, label, metric, protocol } = parsed.output;
  const { preferred_life_time: preferredLifetime, valid_life_time: validLifetime } = parsed.output;
  return {
    link,
    address: local,
    prefixLength: prefixlen,
    ...present({ peer, broadcast }),
    scope,
    ...present({ label, metric, protocol }),
    flags: Object.entries(parsed.output)
      .filter(([, value]) => value === true)
      .map(([flag]) => flag),
    ...present({ preferredLifetime, validLifetime }),
  };
}

export interface Difference {
  kind: 'address' | 'route' | 'rule';
  change: 'missing' | 'unexpected' | 'order';
  /** The links that it is on; none for a rule and for a route that goes nowhere. */
  links: string[];
  /** For people: `10.0.0.5/24 dev eth0 …`, or the words of `ip route add`. */
  text: string;
}

/** What comes and goes by itself: duplicate address detection, and the age of an address that does not last. */
const passingFlags = new Set(['tentative', 'optimistic']);
const agingFlags = new Set(['deprecated']);

/**
 * What is not as expected, in words. Lifetimes and flags that come and go by themselves are left out. The order of addresses does
 * not count (their roles do, as the flag `secondary`), nor that of routes, but among IPv4 routes of the same table,
 * destination, TOS and metric, of which the kernel takes the first.
 */
export function compareSnapshots(expected: NetworkSnapshot, actual: NetworkSnapshot): Difference[] {
  return [
    ...compare('address', expected.addresses, actual.addresses, describeAddress, ({ link }) => [link]),
    ...compare('route', expected.routes, actual.routes, describeRoute, linksOf),
    ...comparePlaces(expected.routes, actual.routes),
    ...compare(
      'rule',
      expected.rules,
      actual.rules,
      (rule) => `${rule.family} ${describeRule(rule)}`,
      () => [],
    ),
  ];
}

export function describeDifference({ kind, change, text }: Difference): string {
  return change === 'order' ? `${kind} ${text}: in another order` : `${change} ${kind} ${text}`;
}

/** An address in the words of `ip addr`, without what passes. */
export function describeAddress(bound: KernelAddress): string {
  const { address, prefixLength, peer, broadcast, link, scope, label, metric, protocol, flags } = bound;
  const finite = bound.validLifetime !== undefined;
  const lasting = flags.filter((flag) => !passingFlags.has(flag) && !(finite && agingFlags.has(flag)));
  return [
    peer === undefined ? `${address}/${prefixLength}` : `${address} peer ${peer}/${prefixLength}`,
    ...(broadcast === undefined ? [] : ['brd', broadcast]),
    ...['dev', link, 'scope', scope],
    ...(label === undefined ? [] : ['label', label]),
    ...(metric === undefined ? [] : ['metric', `${metric}`]),
    ...(protocol === undefined ? [] : ['proto', protocol]),
    ...lasting.toSorted(),
  ].join(' ');
}

/** The links that a route goes out through. */
export function linksOf(route: Route): string[] {
  return [...new Set(route.nexthops.flatMap(({ dev }) => (dev === undefined ? [] : [dev])))];
}

/** Routes of one place have the same key to the kernel; the first of them is taken. */
export function placeOf({ family, table, dst, from = '', tos = '', metric = 0 }: Route): string {
  return [family, table, dst, from, tos, metric].join(' ');
}

function compare<T>(
  kind: Difference['kind'],
  expected: readonly T[],
  actual: readonly T[],
  describe: (item: T) => string,
  links: (item: T) => string[],
): Difference[] {
  const unmatched = Map.groupBy(actual, describe);
  const missing = expected.filter((item) => unmatched.get(describe(item))?.pop() === undefined);
  return [
    ...missing.map((item) => difference('missing', item)),
    ...[...unmatched.values()].flat().map((item) => difference('unexpected', item)),
  ];

  function difference(change: Difference['change'], item: T): Difference {
    return { kind, change, links: links(item), text: describe(item) };
  }
}

function comparePlaces(expected: readonly Route[], actual: readonly Route[]): Difference[] {
  const ipv4 = (routes: readonly Route[]) =>
    Map.groupBy(
      routes.filter(({ family }) => family === 'ipv4'),
      placeOf,
    );
  const places = ipv4(actual);
  return [...ipv4(expected)].flatMap(([place, routes]): Difference[] => {
    const wanted = routes.map(describeRoute);
    const found = (places.get(place) ?? []).map(describeRoute);
    const sameSet = wanted.toSorted().join('\n') === found.toSorted().join('\n');
    if (!sameSet || wanted.join('\n') === found.join('\n')) return [];
    return [{ kind: 'route', change: 'order', links: routes.flatMap(linksOf), text: found.join(', then ') }];
  });
}
