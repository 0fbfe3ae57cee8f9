import { type Address, type Family, familyOf, rangeOf } from './address.ts';
import { type BoundAddress, isActive, type NetworkInterface } from './interfaces.ts';

/** What an address is, in words that scripts may rely on; several can be true of one. */
export type AddressClass =
  | 'permanent'
  /** It has a lifetime: leased by DHCP, or from a router advertisement. */
  | 'dynamic'
  | Extract<Refusal, 'temporary' | 'deprecated' | 'tentative' | 'dadfailed' | 'unread'>
  | 'secondary'
  /** It has a label of its own (`eth0:vip`). */
  | 'labelled'
  | 'global'
  | Extract<Refusal, 'loopback' | 'link_local' | 'not_unicast' | 'ipv4_embedded' | 'not_global'>
  | LinkClass;

/** What it is bound to, where that is no plain NIC. */
export type LinkClass =
  | 'on_loopback'
  | 'dummy'
  | 'bridge'
  | 'docker'
  | 'virbr'
  | 'container_bridge'
  | 'bridge_port'
  | 'bond_port'
  | 'vrf_port'
  | 'tunnel';

/** Why an address is no candidate. Stable and append-only. */
export type Refusal =
  | 'unread'
  | 'loopback'
  | 'link_local'
  | 'not_unicast'
  | 'ipv4_embedded'
  | 'not_global'
  | Exclude<LinkClass, 'bridge'>
  | 'not_active'
  | 'dadfailed'
  | 'tentative'
  | 'temporary'
  | 'deprecated'
  | 'held_twice'
  | 'other_family'
  | 'not_bound'
  | 'no_candidate';

/** What speaks against a candidate without ruling it out. */
export type Warning = 'dynamic' | 'secondary' | Refusal;

export interface Reason<Word extends string> {
  reason: Word;
  /** One sentence with the evidence. */
  sentence: string;
}

export type Verdict =
  | { candidate: true; warnings: Reason<Warning>[] }
  | ({ candidate: false } & Reason<Refusal>);

/** One address of a host, what it is, and what it could be to a node. */
export interface JudgedAddress {
  interface: string;
  /** As `ip addr` shows it: `192.0.2.10/24`. */
  text: string;
  /** Absent where it could not be read. */
  address?: Address;
  class: AddressClass[];
  internal: Verdict;
  external: Verdict;
}

/** What is settled before the rules choose. */
export interface Wanted {
  /**
   * As RS has it: true for IPv6 inside, false for IPv4. Where it is not given, IPv6 is used on a host that has no IPv4, and IPv4 on
   * all others (RS/networking/multi-ip-ipv6).
   */
  useInternalIpv6?: boolean;
  internal?: Address;
  /** These need not be bound here (elastic IP, VIP of a load balancer). */
  external?: readonly Address[];
}

export type Choice =
  | {
      choice: 'chosen';
      family: Family;
      internal: Address;
      /** At least one; the internal address itself where it serves both. */
      external: Address[];
      why: string;
      warnings: Reason<Warning>[];
    }
  | {
      choice: 'ambiguous';
      family: Family;
      /** What a person has to choose; `internal` is settled where this is `external`. */
      use: 'internal' | 'external';
      internal?: Address;
      candidates: Address[];
      why: string;
    }
  | ({ choice: 'none' } & Reason<Refusal>);

/** Refusals that are about usual hosts: an operator who gives the address knows better, and is warned. */
const overruled: ReadonlySet<Refusal> = new Set([
  'on_loopback',
  'dummy',
  'docker',
  'virbr',
  'container_bridge',
  'tunnel',
  'deprecated',
]);

/** Kinds of link (`ip -d link`) that carry packets inside others. */
const tunnelKinds: ReadonlySet<string> = new Set(
  'tun sit ipip gre gretap ip6gre ip6gretap ip6tnl vti vti6 xfrm wireguard ppp vxlan geneve erspan ip6erspan'.split(
    ' ',
  ),
);

/** Bridges that lead to containers and virtual machines of this host and nowhere else, by the names their makers give them. */
const hostBridges: readonly { names: RegExp; is: LinkClass }[] = [
  { names: /^(docker\d+|docker_gwbridge|br-[0-9a-f]{12})$/, is: 'docker' },
  { names: /^virbr\d+$/, is: 'virbr' },
  { names: /^((lxc|lxd|incus)br\d+|podman\d+|cni\d+|cni-podman\d+)$/, is: 'container_bridge' },
];

interface Held {
  link: NetworkInterface;
  bound: BoundAddress;
  linkClass: LinkClass | undefined;
  /** Everything that speaks against it, the plainest first. */
  refusals: Reason<Refusal>[];
  warnings: Reason<Warning>[];
}

/** Every address of a host with what it is, and whether it is a candidate, for which use. */
export function judgeAddresses(links: readonly NetworkInterface[], wanted: Wanted = {}): JudgedAddress[] {
  const all = heldBy(links);
  const family = familyFor(all, wanted);
  const judged = new Map(all.map((held) => [held.bound, judge(held, family)]));
  return links.flatMap((link) => [
    ...link.addresses.flatMap((bound) => judged.get(bound) ?? []),
    ...(link.unread?.listed ?? []).map(({ text, why }): JudgedAddress => {
      const verdict = {
        candidate: false,
        reason: 'unread',
        sentence: `It is no address that a node could use (${why}).`,
      } as const;
      return { interface: link.name, text, class: ['unread'], internal: verdict, external: verdict };
    }),
  ]);
}

/**
 * The addresses for a node, by the rules of RS/networking/multi-ip-ipv6: one address serves both; several need one internal and at
 * least one other, external. Between equally good ones nothing is guessed. Only addresses of the internal family are
 * taken as external unasked: those of the other one are offered by `judgeAddresses`, and have to be given.
 */
export function chooseAddresses(links: readonly NetworkInterface[], wanted: Wanted = {}): Choice {
  const all = heldBy(links);
  const family = familyFor(all, wanted);
  if (wanted.internal !== undefined && familyOf(wanted.internal) !== family) {
    return none(
      'other_family',
      `${wanted.internal} is given, and internal addresses are ${nameOf(family)} here: ${whyFamily(all, wanted)}.`,
    );
  }
  const candidates = all.filter(({ bound, refusals }) => refusals.length === 0 && isOf(family, bound));
  const internal = wanted.internal === undefined ? candidates : givenInternal(all, wanted.internal);
  if (!Array.isArray(internal)) return internal;
  const [first, ...others] = internal;
  if (first === undefined) {
    return none(
      'no_candidate',
      `None of ${all.length} addresses can be the internal one over ${nameOf(family)} (${whyFamily(all, wanted)}).`,
    );
  }
  if (others.length > 0) {
    return {
      choice: 'ambiguous',
      family,
      use: 'internal',
      candidates: internal.map(({ bound }) => bound.address),
      why: `${internal.length} addresses are equally good as the internal one over ${nameOf(family)}.`,
    };
  }
  const chosen = first.bound.address;
  const external = externalFor(all, candidates, chosen, wanted.external ?? []);
  if ('reason' in external) return external;
  if (external.addresses.length > 1 && !external.given) {
    return {
      choice: 'ambiguous',
      family,
      use: 'external',
      internal: chosen,
      candidates: external.addresses,
      why: `${chosen} is the internal address; ${external.addresses.length} others are equally good as external ones.`,
    };
  }
  const both = external.addresses.includes(chosen);
  return {
    choice: 'chosen',
    family,
    internal: chosen,
    external: external.addresses,
    why: [
      `${nameOf(family)} inside: ${whyFamily(all, wanted)}.`,
      wanted.internal === undefined
        ? `${chosen} is the only candidate of that family${both ? ', and serves both' : ''}.`
        : `${chosen} is given${both ? ', and serves both' : ''}.`,
    ].join(' '),
    warnings: [...first.warnings, ...external.warnings].filter(
      (each, index, list) => list.findIndex(({ sentence }) => sentence === each.sentence) === index,
    ),
  };
}

function judge(held: Held, family: Family): JudgedAddress {
  const { link, bound, refusals, warnings } = held;
  const [refusal] = refusals;
  const external: Verdict =
    refusal === undefined ? { candidate: true, warnings } : { candidate: false, ...refusal };
  const internal: Verdict =
    refusal === undefined && !isOf(family, bound)
      ? {
          candidate: false,
          reason: 'other_family',
          sentence: `Internal addresses are ${nameOf(family)} here.`,
        }
      : external;
  return {
    interface: link.name,
    text: `${bound.address}/${bound.prefixLength}`,
    address: bound.address,
    class: classOf(held),
    internal,
    external,
  };
}

function classOf({ link, bound, linkClass }: Held): AddressClass[] {
  const { flags, label } = bound;
  const has = <W extends AddressClass>(word: W): W[] => (flags.includes(word) ? [word] : []);
  return [
    flags.includes('dynamic') ? 'dynamic' : 'permanent',
    rangeRefusal(bound)?.reason ?? (bound.scope === 'global' ? 'global' : 'not_global'),
    ...has('secondary'),
    ...has('temporary'),
    ...has('deprecated'),
    ...has('tentative'),
    ...has('dadfailed'),
    ...(label === undefined || label === link.name ? [] : ['labelled' as const]),
    ...(linkClass === undefined ? [] : [linkClass]),
  ];
}

function heldBy(links: readonly NetworkInterface[]): Held[] {
  const all = links.flatMap((link) => {
    const linkClass = linkClassOf(link, links);
    return link.addresses.map(
      (bound): Held => ({
        link,
        bound,
        linkClass,
        refusals: [
          ...[rangeRefusal(bound) ?? []].flat(),
          ...linkRefusals(link, linkClass),
          ...flagRefusals(bound),
        ],
        warnings: warningsOf(bound),
      }),
    );
  });
  return all.map((held) => {
    const twice = all.filter(
      ({ bound, refusals }) => bound.address === held.bound.address && refusals.length === 0,
    );
    if (held.refusals.length > 0 || twice.length < 2) return held;
    const names = twice.map(({ link }) => link.name).join(' and ');
    return {
      ...held,
      refusals: [{ reason: 'held_twice', sentence: `${held.bound.address} is on ${names} at once.` }],
    };
  });
}

/** Why an address is none that others can reach, wherever it is bound; undefined for one that they can. */
export function unfitForOthers(address: Address): string | undefined {
  return rangeRefusal({ address, prefixLength: 0, scope: 'global', flags: [] })?.sentence;
}

function rangeRefusal({ address, scope }: BoundAddress):
  | (Reason<Refusal> & {
      reason: 'loopback' | 'link_local' | 'not_unicast' | 'ipv4_embedded' | 'not_global';
    })
  | undefined {
  switch (rangeOf(address)) {
    case 'loopback':
      return { reason: 'loopback', sentence: 'It is a loopback address.' };
    case 'linkLocal':
      return { reason: 'link_local', sentence: 'It is a link-local address.' };
    case 'multicast':
    case 'unspecified':
    case 'broadcast':
      return { reason: 'not_unicast', sentence: 'It is not the address of one host.' };
    case 'rfc6052':
    case 'rfc6145':
      return { reason: 'ipv4_embedded', sentence: 'It stands for an IPv4 address, for translators.' };
  }
  // RFC 4291, 2.5.5.1: ::/96 holds the deprecated IPv4-compatible addresses.
  if (/^::([0-9a-f]{1,4}:)?[0-9a-f]{1,4}$/.test(address))
    return { reason: 'ipv4_embedded', sentence: 'It is an IPv4-compatible IPv6 address (RFC 4291).' };
  if (scope !== 'global')
    return { reason: 'not_global', sentence: `Its scope is ${scope}; other networks are not told of it.` };
  return undefined;
}

function linkClassOf(link: NetworkInterface, links: readonly NetworkInterface[]): LinkClass | undefined {
  const { name, kind, flags, controller } = link;
  if (flags.includes('LOOPBACK')) return 'on_loopback';
  if (controller !== undefined) {
    const controlledBy = links.find((each) => each.name === controller)?.kind;
    if (controlledBy === 'bond' || controlledBy === 'team') return 'bond_port';
    return controlledBy === 'vrf' ? 'vrf_port' : 'bridge_port';
  }
  if (kind === 'dummy') return 'dummy';
  if (kind === 'bridge') return hostBridges.find(({ names }) => names.test(name))?.is ?? 'bridge';
  const isTunnel = (kind !== undefined && tunnelKinds.has(kind)) || flags.includes('POINTOPOINT');
  return isTunnel ? 'tunnel' : undefined;
}

function linkRefusals(link: NetworkInterface, linkClass: LinkClass | undefined): Reason<Refusal>[] {
  const { name, controller } = link;
  const sentences: Record<Exclude<LinkClass, 'bridge'>, string> = {
    on_loopback: `It is on ${name}, which no wire is connected to.`,
    dummy: `It is on ${name}, a dummy, which no wire is connected to.`,
    docker: `${name} is a bridge of Docker; only containers of this host are behind it.`,
    virbr: `${name} is a bridge of libvirt; only virtual machines of this host are behind it.`,
    container_bridge: `${name} is a bridge for containers of this host.`,
    bridge_port: `${name} is a port of ${controller}, which takes all that comes in there.`,
    bond_port: `${name} is a port of ${controller}; addresses belong there.`,
    vrf_port: `${name} is in ${controller}, a routing domain of its own.`,
    tunnel: `${name} is a tunnel.`,
  };
  const found: Reason<Refusal>[] = [];
  if (linkClass !== undefined && linkClass !== 'bridge')
    found.push({ reason: linkClass, sentence: sentences[linkClass] });
  if (!isActive(link)) {
    const carrier = link.flags.includes('UP') ? 'without carrier' : 'set down';
    const why = link.flags.includes('LOWER_UP') ? link.operState : carrier;
    found.push({
      reason: 'not_active',
      sentence: `${name} is not active (${why}).`,
    });
  }
  return found;
}

function flagRefusals({ flags }: BoundAddress): Reason<Refusal>[] {
  const found: Reason<Refusal>[] = [];
  if (flags.includes('dadfailed'))
    found.push({ reason: 'dadfailed', sentence: 'Another host on the link has it (duplicate address).' });
  else if (flags.includes('tentative'))
    found.push({ reason: 'tentative', sentence: 'Duplicate address detection has not ended yet.' });
  if (flags.includes('temporary'))
    found.push({ reason: 'temporary', sentence: 'It is a privacy address, which changes every day.' });
  if (flags.includes('deprecated'))
    found.push({ reason: 'deprecated', sentence: 'It is deprecated: being phased out, or kept for others.' });
  return found;
}

function warningsOf({ address, flags, validLifetime }: BoundAddress): Reason<Warning>[] {
  const found: Reason<Warning>[] = [];
  if (flags.includes('dynamic')) {
    const left = validLifetime === undefined ? '' : ` for ${validLifetime} s more`;
    const source = familyOf(address) === 'ipv4' ? 'by DHCP' : 'by DHCP or a router';
    found.push({
      reason: 'dynamic',
      sentence: `${address} is leased ${source}${left}; make sure that it never changes.`,
    });
  }
  if (flags.includes('secondary')) {
    found.push({
      reason: 'secondary',
      sentence: `${address} is secondary; it can go when the first address of its subnet goes.`,
    });
  }
  return found;
}

/** The internal family. A given address counts as one that the host has. */
function familyFor(all: readonly Held[], { useInternalIpv6, internal }: Wanted): Family {
  if (useInternalIpv6 !== undefined) return useInternalIpv6 ? 'ipv6' : 'ipv4';
  const has = familiesOf(all);
  if (internal !== undefined) has.add(familyOf(internal));
  return has.has('ipv6') && !has.has('ipv4') ? 'ipv6' : 'ipv4';
}

function familiesOf(all: readonly Held[]): Set<Family> {
  return new Set(
    all.filter(({ refusals }) => refusals.length === 0).map(({ bound }) => familyOf(bound.address)),
  );
}

function whyFamily(all: readonly Held[], { useInternalIpv6, internal }: Wanted): string {
  if (useInternalIpv6 !== undefined) return `use_internal_ipv6 is ${useInternalIpv6}`;
  const has = familiesOf(all);
  if (has.size === 2) return 'the host has both families, and use_internal_ipv6 is not set';
  const [only] = has;
  if (only !== undefined) return `the host has ${nameOf(only)} candidates alone`;
  return internal === undefined ? 'the host has no candidate' : `${internal} is given`;
}

/** @returns the holder of the address that is given, in a list of one; or why it cannot be used */
function givenInternal(all: readonly Held[], given: Address): Held[] | Extract<Choice, { choice: 'none' }> {
  const holders = all.filter(({ bound }) => bound.address === given);
  if (holders.length === 0) return none('not_bound', `${given} is given, and it is on no interface here.`);
  const rated = holders
    .map((held) => ({ held, hard: held.refusals.filter(({ reason }) => !overruled.has(reason)) }))
    .toSorted((a, b) => a.held.refusals.length - b.held.refusals.length);
  const good = rated.find(({ hard }) => hard.length === 0);
  if (good !== undefined) return [{ ...good.held, warnings: [...good.held.refusals, ...good.held.warnings] }];
  const [why] = rated.flatMap(({ hard }) => hard);
  return none(why?.reason ?? 'not_bound', `${given} is given, and cannot be used: ${why?.sentence}`);
}

function externalFor(
  all: readonly Held[],
  candidates: readonly Held[],
  internal: Address,
  given: readonly Address[],
):
  | { given: boolean; addresses: Address[]; warnings: Reason<Warning>[] }
  | Extract<Choice, { choice: 'none' }> {
  if (given.length === 0) {
    const others = candidates.filter(({ bound }) => bound.address !== internal);
    const addresses = others.map(({ bound }) => bound.address);
    return {
      given: false,
      addresses: addresses.length === 0 ? [internal] : addresses,
      warnings: others.flatMap(({ warnings }) => warnings),
    };
  }
  for (const address of given) {
    const refusal = rangeRefusal({ address, prefixLength: 0, scope: 'global', flags: [] });
    if (refusal !== undefined)
      return none(refusal.reason, `${address} is given as external, and cannot be used: ${refusal.sentence}`);
  }
  const bound = all.filter((held) => given.includes(held.bound.address) && held.bound.address !== internal);
  return {
    given: true,
    addresses: [...new Set(given)],
    warnings: bound.flatMap(({ refusals, warnings }) => [...refusals, ...warnings]),
  };
}

function none(reason: Refusal, sentence: string): Extract<Choice, { choice: 'none' }> {
  return { choice: 'none', reason, sentence };
}

function isOf(family: Family, bound: BoundAddress): boolean {
  return familyOf(bound.address) === family;
}

function nameOf(family: Family): string {
  return family === 'ipv4' ? 'IPv4' : 'IPv6';
}
