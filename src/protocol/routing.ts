import * as v from 'valibot';
import { type Address, type Family, familyOf, isWithin, tryParseAddress } from './address.ts';
import { RlnetError } from './errors.ts';
import { addressSchema, familySchema, finiteSchema } from './schema.ts';

/*
 * Routes and rules in the words of iproute2 (ip-route(8), ip-rule(8)), read from `ip -j -d route show table all` and
 * `ip -j -d rule`, and given back as the arguments that make the same route or rule again.
 *
 * Members that are not known here are kept under `other`: such a route can be compared, and never be made again.
 */

/** A destination or source as iproute2 prints it: `default`, `all`, an address, or an address with a prefix length. */
const prefixSchema = v.pipe(v.string(), v.regex(/^(default|all|[0-9A-Fa-f:.]+(\/\d{1,3})?)$/));

/** What iproute2 calls a table, a protocol, a scope, a link: one word. */
const wordSchema = v.pipe(v.string(), v.regex(/^[^\s/]+$/));

const nexthopSchema = v.object({
  gateway: v.optional(addressSchema),
  /** Absent for `unreachable` and its like. */
  dev: v.optional(wordSchema),
  /** Only where there are several. */
  weight: v.optional(finiteSchema),
  realms: v.optional(wordSchema),
  /** `onlink`, `pervasive`. What tells of a state (`linkdown`, `dead`, `offload`) is left out. */
  flags: v.array(v.string()),
});
export type Nexthop = v.InferOutput<typeof nexthopSchema>;

const metricSchema = v.union([v.number(), v.string(), v.null()]);

export const routeSchema = v.object({
  family: familySchema,
  /** `unicast`, `local`, `broadcast`, `multicast`, `anycast`, `unreachable`, `blackhole`, `prohibit`, `throw`. */
  type: wordSchema,
  dst: prefixSchema,
  /** Source of a source-specific route (IPv6). */
  from: v.optional(prefixSchema),
  tos: v.optional(wordSchema),
  /** Its name in /etc/iproute2/rt_tables, else its number. */
  table: wordSchema,
  /** Who made it: `kernel`, `boot`, `static`, `ra`, `dhcp` … */
  protocol: wordSchema,
  scope: wordSchema,
  prefsrc: v.optional(addressSchema),
  /** The lower, the better. The kernel takes 0 for absent (IPv4). */
  metric: v.optional(finiteSchema),
  realms: v.optional(wordSchema),
  /** Preference of RFC 4191 (IPv6). */
  pref: v.optional(wordSchema),
  /** `mtu`, `advmss` … by iproute2's name; null where the name says it all (`ecn`). */
  metrics: v.optional(v.record(wordSchema, metricSchema)),
  /** Those of `metrics` that are locked; JSON does not tell (`withLocks`). */
  locked: v.optional(v.array(wordSchema)),
  /** Seconds that are left; never compared. */
  expires: v.optional(finiteSchema),
  /** One, or several for a multipath route; none for a type that goes nowhere. */
  nexthops: v.array(nexthopSchema),
  /** What this version has no word for: tunnels (`encap`), nexthop objects (`nhid`), `via` of the other family … */
  other: v.optional(v.record(v.string(), v.unknown())),
});
export type Route = v.InferOutput<typeof routeSchema>;

export const ruleSchema = v.object({
  family: familySchema,
  priority: finiteSchema,
  not: v.optional(v.literal(true)),
  /** `all`, an address, or an address with a prefix length. Host bits stay, as the kernel keeps them. */
  from: prefixSchema,
  to: v.optional(prefixSchema),
  /** The other selectors, by the word that `ip rule add` has for them: `fwmark`, `iif`, `ipproto` … */
  selectors: v.record(wordSchema, v.string()),
  /** What it does, in the words of `ip rule add`: `lookup main`, `blackhole`, `goto 100`, `l3mdev`. */
  action: v.string(),
  protocol: v.optional(wordSchema),
  other: v.optional(v.record(v.string(), v.unknown())),
});
export type Rule = v.InferOutput<typeof ruleSchema>;

/** Flags of a route that are configuration; all others tell of a state. */
const configuredFlags = new Set(['onlink', 'pervasive']);

const flagsSchema = v.pipe(
  v.optional(v.array(v.string()), []),
  v.transform((flags) => flags.filter((flag) => configuredFlags.has(flag))),
);
const flowSchema = v.pipe(
  v.object({ from: v.optional(wordSchema), to: v.optional(wordSchema) }),
  v.transform(({ from, to }) => realmsOf(from, to)),
);

const ipNexthopEntries = {
  gateway: v.optional(addressSchema),
  dev: v.optional(wordSchema),
  flow: v.optional(flowSchema),
  flags: flagsSchema,
};
const ipNexthopSchema = v.looseObject({ ...ipNexthopEntries, weight: v.optional(finiteSchema) });

/** One element of the answer of `ip -j -d route`. `uid` and `cache` come with a lookup, and with clones in the IPv6 cache. */
const ipRouteSchema = v.looseObject({
  ...ipNexthopEntries,
  type: v.optional(wordSchema, 'unicast'),
  dst: prefixSchema,
  from: v.optional(prefixSchema),
  // A number where it is that of a tunnel (`encap`), whose members stand beside the route's own.
  tos: v.optional(v.pipe(v.union([wordSchema, v.number()]), v.transform(String))),
  table: v.optional(wordSchema, 'main'),
  protocol: v.optional(wordSchema, 'boot'),
  scope: v.optional(wordSchema, 'global'),
  prefsrc: v.optional(addressSchema),
  metric: v.optional(finiteSchema),
  pref: v.optional(wordSchema),
  metrics: v.optional(v.array(v.record(wordSchema, metricSchema))),
  expires: v.optional(finiteSchema),
  nexthops: v.optional(v.array(ipNexthopSchema)),
  cache: v.optional(v.unknown()),
  uid: v.optional(v.unknown()),
});

const ipRuleSchema = v.looseObject({
  priority: finiteSchema,
  not: v.optional(v.null()),
  src: v.optional(v.string(), 'all'),
  srclen: v.optional(v.number()),
  dst: v.optional(v.string()),
  dstlen: v.optional(v.number()),
  tos: v.optional(wordSchema),
  fwmark: v.optional(wordSchema),
  fwmask: v.optional(wordSchema),
  iif: v.optional(wordSchema),
  oif: v.optional(wordSchema),
  uid_start: v.optional(v.number()),
  uid_end: v.optional(v.number()),
  ipproto: v.optional(wordSchema),
  sport: v.optional(v.number()),
  sport_start: v.optional(v.number()),
  sport_end: v.optional(v.number()),
  dport: v.optional(v.number()),
  dport_start: v.optional(v.number()),
  dport_end: v.optional(v.number()),
  suppress_prefixlen: v.optional(v.number()),
  suppress_ifgroup: v.optional(wordSchema),
  flow_from: v.optional(wordSchema),
  flow_to: v.optional(wordSchema),
  protocol: v.optional(wordSchema),
  table: v.optional(wordSchema),
  action: v.optional(wordSchema),
  goto: v.optional(v.number()),
  l3mdev: v.optional(v.null()),
  // States: the link of the rule, or the rule it goes to, is not there at the moment.
  iif_detached: v.optional(v.null()),
  oif_detached: v.optional(v.null()),
  unresolved: v.optional(v.null()),
});

/**
 * The answer of `ip -j -d -4 route show table all`, or of `-6`. Clones in the cache are left out.
 * @throws RlnetError OUTPUT_UNREADABLE, naming the entry that is not understood
 */
export function parseRoutes(text: string, family: Family): Route[] {
  return entriesOf(text, 'route').flatMap((entry) => {
    const parsed = v.safeParse(ipRouteSchema, entry);
    if (!parsed.success) throw unreadable('route', entry, v.summarize(parsed.issues));
    return parsed.output.cache === undefined ? [toRoute(parsed.output, family)] : [];
  });
}

function toRoute(entry: v.InferOutput<typeof ipRouteSchema>, family: Family): Route {
  const { type, dst, from, tos, table, protocol, scope, prefsrc, metric, pref, expires, flow } = entry;
  const hops: v.InferOutput<typeof ipNexthopSchema>[] =
    entry.nexthops ??
    (entry.gateway === undefined && entry.dev === undefined ? [] : [{ ...entry, weight: undefined }]);
  const other = Object.assign(
    otherMembers(entry, ipRouteSchema),
    ...(entry.nexthops ?? []).map((hop) => otherMembers(hop, ipNexthopSchema)),
  ) as Record<string, unknown>;
  return {
    family,
    type,
    dst,
    table,
    protocol,
    scope,
    ...present({ from, tos, prefsrc, metric, pref, expires }),
    ...present({ realms: flow, metrics: joined(entry.metrics) }),
    nexthops: hops.map(({ gateway, dev, weight, flow: realms, flags }) => ({
      ...present({ gateway, dev, weight, realms: entry.nexthops === undefined ? undefined : realms }),
      flags,
    })),
    ...present({ other: hasMembers(other) ? other : undefined }),
  };
}

/** What the answer has beside the members that the schema names. */
function otherMembers(entry: object, { entries }: { entries: object }): Record<string, unknown> {
  return Object.fromEntries(Object.entries(entry).filter(([name]) => !Object.hasOwn(entries, name)));
}

function hasMembers(record: object): boolean {
  return Object.keys(record).length > 0;
}

function joined(metrics: Record<string, v.InferOutput<typeof metricSchema>>[] | undefined) {
  return metrics === undefined ? undefined : Object.assign({}, ...metrics);
}

/** Without the members that are undefined: absent and undefined are not the same to a comparison, nor to JSON. */
export function present<T extends object>(members: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

/**
 * The answer of `ip -j -d -4 rule`, or of `-6`.
 * @throws RlnetError OUTPUT_UNREADABLE, naming the entry that is not understood
 */
export function parseRules(text: string, family: Family): Rule[] {
  return entriesOf(text, 'rule').map((entry) => {
    const parsed = v.safeParse(ipRuleSchema, entry);
    if (!parsed.success) throw unreadable('rule', entry, v.summarize(parsed.issues));
    return toRule(parsed.output, family);
  });
}

function toRule(entry: v.InferOutput<typeof ipRuleSchema>, family: Family): Rule {
  const { priority, not, src, srclen, dst, dstlen, protocol } = entry;
  const other = otherMembers(entry, ipRuleSchema);
  return {
    family,
    priority,
    ...present({ not: not === undefined ? undefined : (true as const) }),
    from: withLength(src, srclen, family),
    ...present({ to: dst === undefined ? undefined : withLength(dst, dstlen, family) }),
    selectors: selectorsOf(entry),
    action: actionOf(entry),
    ...present({ protocol }),
    ...present({ other: hasMembers(other) ? other : undefined }),
  };
}

function selectorsOf(entry: v.InferOutput<typeof ipRuleSchema>): Record<string, string> {
  const { tos, fwmark, fwmask, iif, oif, ipproto, sport, dport, suppress_ifgroup } = entry;
  return present({
    tos,
    fwmark: fwmark === undefined || fwmask === undefined ? fwmark : `${fwmark}/${fwmask}`,
    iif,
    oif,
    uidrange: range(entry.uid_start, entry.uid_end),
    ipproto,
    sport: sport?.toString() ?? range(entry.sport_start, entry.sport_end),
    dport: dport?.toString() ?? range(entry.dport_start, entry.dport_end),
    suppress_prefixlength: entry.suppress_prefixlen?.toString(),
    suppress_ifgroup,
    realms: realmsOf(entry.flow_from, entry.flow_to),
  }) as Record<string, string>;
}

function realmsOf(from: string | undefined, to: string | undefined): string | undefined {
  return from === undefined || to === undefined ? to : `${from}/${to}`;
}

function actionOf(entry: v.InferOutput<typeof ipRuleSchema>): string {
  const { goto, l3mdev, action, table } = entry;
  if (goto !== undefined) return `goto ${goto}`;
  if (l3mdev !== undefined) return 'l3mdev';
  if (action !== undefined) return action;
  if (table !== undefined) return `lookup ${table}`;
  throw unreadable('rule', entry, 'it does nothing that is known here');
}

function withLength(prefix: string, length: number | undefined, family: Family): string {
  // Kernels leave the length out, or give it, where it is the whole address.
  return length === undefined || length === (family === 'ipv4' ? 32 : 128) ? prefix : `${prefix}/${length}`;
}

function range(start: number | undefined, end: number | undefined): string | undefined {
  return start === undefined || end === undefined ? undefined : `${start}-${end}`;
}

/**
 * The routes with their locked metrics: `mtu lock 1400` keeps the kernel from learning another. JSON is silent about it, so this
 * reads the text of the same command (`ip -d route show table all`), a route a line; more lines of one are indented.
 * @returns undefined where text and routes do not go together: something changed between the two
 */
export function withLocks(routes: readonly Route[], text: string): Route[] | undefined {
  const lines = text.split('\n').filter((line) => /^\S/.test(line));
  if (lines.length !== routes.length) return undefined;
  const together = routes.every(({ dst, other }, index) => {
    // What is not known here can hold a `dst` of its own, which then stands in the place of the route's.
    return other !== undefined || lines[index]?.split(/ +/)[1] === dst;
  });
  if (!together) return undefined;
  return routes.map((route, index) => {
    const locked = [...(lines[index] ?? '').matchAll(/ (\S+) lock /g)].map(([, metric = '']) => metric);
    // The minimum of the retransmission timeout has no other form.
    const told = locked.filter((metric) => metric !== 'rto_min');
    return told.length === 0 ? route : { ...route, locked: told };
  });
}

/**
 * One command for `ip -4` or `ip -6`, whichever the change is about, without these (a line of `ip -batch` has no options). No word has
 * white space or anything that a shell or `ip -batch` takes for its own.
 */
export type IpCommand = readonly string[];

export type RouteVerb = 'add' | 'append' | 'replace' | 'del';

/** `route append default via …`: exactly this route, every word given that would have a default. */
export function routeCommand(verb: RouteVerb, route: Route): IpCommand {
  return command('route', verb, ...routeWords(route), ...expiresWords(verb, route));
}

export function ruleCommand(verb: 'add' | 'del', rule: Rule): IpCommand {
  return command('rule', verb, ...ruleWords(rule));
}

/** Links may be named by any characters but `/` and white space; those that do not fit into a script are refused. */
const plainWord = /^[A-Za-z0-9_.:/@%+,-]+$/;

/**
 * @throws RlnetError ADDRESS_CHANGE_REFUSED where a word, such as the name of a link, cannot stand in a script as it is
 */
export function command(...words: string[]): IpCommand {
  for (const word of words) {
    if (plainWord.test(word)) continue;
    throw new RlnetError(
      'ADDRESS_CHANGE_REFUSED',
      `${JSON.stringify(word)}, which ip would have to be given, has characters other than letters, digits and _.:/@%+,-`,
      'Give the link or the table another name, or change the address by hand.',
    );
  }
  return words;
}

/** A route for people, and the text by which two of them are compared: lifetimes are left out. */
export function describeRoute(route: Route): string {
  const { other, locked = [], ...rest } = route;
  return [...routeWords({ ...rest, locked }), ...(other === undefined ? [] : [JSON.stringify(other)])].join(
    ' ',
  );
}

export function describeRule(rule: Rule): string {
  return [...ruleWords(rule), ...(rule.other === undefined ? [] : [JSON.stringify(rule.other)])].join(' ');
}

/** Whether a destination takes the address in; the family of `default` is the route's. */
export function takesIn(dst: string, address: Address): boolean {
  if (dst === 'default') return true;
  const [base = '', length] = dst.split('/');
  const network = tryParseAddress(base);
  if (network === undefined) return false;
  const whole = familyOf(network) === 'ipv4' ? 32 : 128;
  return isWithin(address, { address: network, prefixLength: Number(length ?? whole) });
}

function routeWords(route: Route): string[] {
  const { family, type, dst, from, tos, table, protocol, scope, prefsrc, metric, realms, pref, nexthops } =
    route;
  const [only, ...more] = nexthops;
  const legs =
    only === undefined
      ? []
      : more.length === 0
        ? nexthopWords(only)
        : nexthops.flatMap((hop) => [
            'nexthop',
            ...nexthopWords(hop),
            ...pair('weight', hop.weight),
            ...pair('realms', hop.realms),
          ]);
  return [
    ...[type, dst],
    ...pair('from', from),
    ...pair('tos', tos),
    ...(more.length === 0 ? legs : []),
    ...['table', table, 'protocol', protocol],
    // IPv6 has none; ip prints one all the same.
    ...(family === 'ipv4' ? ['scope', scope] : []),
    ...pair('src', prefsrc),
    ...pair('metric', metric),
    ...pair('realms', realms),
    ...pair('pref', pref),
    ...metricWords(route),
    ...(more.length === 0 ? [] : legs),
  ];
}

function nexthopWords({ gateway, dev, flags }: Nexthop): string[] {
  return [...pair('via', gateway), ...pair('dev', dev), ...flags];
}

/** What JSON names in another way than the command line does. */
const metricNames: Readonly<Record<string, string>> = { congestion: 'congctl' };

/** Flags among the metrics, which the command line has after `features`. */
const featureNames = new Set(['ecn', 'tcp_usec_ts']);

/** Times come in milliseconds, a smoothed one eight or four times as long on the command line without a unit. */
const timeNames = new Set(['rtt', 'rttvar', 'rto_min']);

function metricWords({ metrics = {}, locked = [] }: Route): string[] {
  return Object.entries(metrics).flatMap(([name, value]) => {
    if (featureNames.has(name)) return ['features', name];
    const text = value === null ? [] : [timeNames.has(name) ? `${value}ms` : `${value}`];
    return [metricNames[name] ?? name, ...(locked.includes(name) ? ['lock'] : []), ...text];
  });
}

function expiresWords(verb: RouteVerb, { expires }: Route): string[] {
  return verb === 'del' ? [] : pair('expires', expires);
}

function ruleWords({ priority, not, from, to, selectors, action, protocol }: Rule): string[] {
  return [
    ...['priority', `${priority}`, ...(not === true ? ['not'] : []), 'from', from],
    ...pair('to', to),
    ...Object.entries(selectors).flat(),
    ...pair('protocol', protocol),
    ...action.split(' '),
  ];
}

function pair(word: string, value: string | number | undefined): string[] {
  return value === undefined ? [] : [word, `${value}`];
}

/** Elements of a list that `ip -j` printed. */
export function entriesOf(text: string, what: string): unknown[] {
  let answer: unknown;
  try {
    // With nothing to show, some versions print nothing at all.
    answer = text.trim() === '' ? [] : JSON.parse(text);
  } catch (cause) {
    throw unreadable(what, text.slice(0, 80), 'the answer is not JSON', cause);
  }
  if (!Array.isArray(answer)) throw unreadable(what, answer, 'the answer is not a list');
  return answer;
}

export function unreadable(what: string, entry: unknown, why: string, cause?: unknown): RlnetError {
  return new RlnetError(
    'OUTPUT_UNREADABLE',
    `ip -j -d ${what} is not understood: ${JSON.stringify(entry)?.slice(0, 300)}: ${why.replaceAll(/\s+/g, ' ')}`,
    `Report this with the output of ip -j -d ${what}.`,
    { cause },
  );
}
