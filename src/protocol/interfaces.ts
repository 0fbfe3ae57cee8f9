import * as v from 'valibot';
import { type Address, rangeOf } from './address.ts';
import { addressSchema, finiteSchema } from './schema.ts';

/** One address on an interface, in iproute2's words. Lifetimes in seconds; absent means forever. */
export const boundAddressSchema = v.object({
  address: addressSchema,
  prefixLength: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(128)),
  /** `global`, `link`, `host`, `site`, or what the routing tables of the host call it. */
  scope: v.string(),
  label: v.optional(v.string()),
  /** iproute2's flags that are set: `dynamic`, `secondary`, `tentative`, `dadfailed`, `deprecated`, `temporary`, `noprefixroute` … */
  flags: v.array(v.string()),
  preferredLifetime: v.optional(finiteSchema),
  validLifetime: v.optional(finiteSchema),
});
export type BoundAddress = v.InferOutput<typeof boundAddressSchema>;

/** So many addresses of an interface that could not be read are shown as they stood; the others are a count. */
export const maxUnreadListed = 16;

/** One network interface of a host, up or down. */
export const networkInterfaceSchema = v.object({
  index: finiteSchema,
  name: v.string(),
  /** The MAC address in lower case; absent where the link has none (tunnels). */
  mac: v.optional(v.string()),
  mtu: finiteSchema,
  /** The kernel's operational state (RFC 2863) in lower case: `up`, `down`, `unknown`, `lowerlayerdown`, `dormant` … */
  operState: v.string(),
  /** The link's flags as iproute2 prints them: `UP`, `LOWER_UP`, `LOOPBACK`, `NO-CARRIER` … */
  flags: v.array(v.string()),
  /** What kind of link it is, where the kernel says (`bridge`, `veth`, `vlan` …). A physical NIC says nothing. */
  kind: v.optional(v.string()),
  /** The bridge, bond or VRF that it is a port of. */
  controller: v.optional(v.string()),
  /**
   * Where the device is in the machine: its place below /sys/devices, such as `pci0000:00/0000:00:03.0/virtio0`. With the MAC address it tells one
   * NIC from another after a reboot has given them other names. Absent for links without a device of their own.
   */
  path: v.optional(v.string()),
  addresses: v.array(boundAddressSchema),
  /** What is bound too, and is not an address to rlnet: an IPv4-mapped one, or an entry of another shape. Absent where all was read. */
  unread: v.optional(
    v.object({
      listed: v.pipe(v.array(v.object({ text: v.string(), why: v.string() })), v.maxLength(maxUnreadListed)),
      more: finiteSchema,
    }),
  ),
});
export type NetworkInterface = v.InferOutput<typeof networkInterfaceSchema>;

/**
 * Whether traffic can pass: administratively up, with carrier, and not known to be down. Loopback and tunnels report
 * `unknown`, which RFC 2863 means as "cannot tell", and with carrier they do work.
 */
export function isActive(link: NetworkInterface): boolean {
  return (
    link.flags.includes('UP') &&
    link.flags.includes('LOWER_UP') &&
    (link.operState === 'up' || link.operState === 'unknown')
  );
}

/** Whether a socket can bind to it: duplicate address detection has ended, and well (IPv6). */
export function isUsable(bound: BoundAddress): boolean {
  return !bound.flags.includes('tentative') && !bound.flags.includes('dadfailed');
}

/** Whether duplicate address detection is still under way, a second or two where the link has carrier (RFC 4862). */
export function isBeingDetected(bound: BoundAddress): boolean {
  return bound.flags.includes('tentative') && !bound.flags.includes('dadfailed');
}

/** The interfaces that hold the address; more than one is possible, and a mistake. */
export function holdersOf(
  links: readonly NetworkInterface[],
  address: Address,
): { link: NetworkInterface; bound: BoundAddress }[] {
  return links.flatMap((link) =>
    link.addresses.filter((bound) => bound.address === address).map((bound) => ({ link, bound })),
  );
}

/** What changed between two readings, in words for people and logs: `eth0: +192.0.2.9/24`, `eth1: up -> down`. */
export function describeChanges(
  before: readonly NetworkInterface[],
  after: readonly NetworkInterface[],
): string[] {
  const old = new Map(before.map((link) => [link.name, link]));
  const changes: string[] = [];
  for (const link of after) {
    const was = old.get(link.name);
    old.delete(link.name);
    if (was === undefined) {
      changes.push(`${link.name}: new`, ...addressesOf(link).map((text) => `${link.name}: +${text}`));
      continue;
    }
    if (isActive(was) !== isActive(link)) {
      changes.push(`${link.name}: ${isActive(link) ? 'active' : 'not active'} (${link.operState})`);
    }
    if (was.mtu !== link.mtu) changes.push(`${link.name}: mtu ${was.mtu} -> ${link.mtu}`);
    if (was.mac !== link.mac) changes.push(`${link.name}: mac ${was.mac ?? 'none'} -> ${link.mac ?? 'none'}`);
    const had = new Set(addressesOf(was));
    const has = new Set(addressesOf(link));
    changes.push(
      ...[...had].filter((text) => !has.has(text)).map((text) => `${link.name}: -${text}`),
      ...[...has].filter((text) => !had.has(text)).map((text) => `${link.name}: +${text}`),
    );
  }
  changes.push(...[...old.keys()].map((name) => `${name}: gone`));
  return changes;
}

/** Lifetimes are left out on purpose: they count down all the time and would make every reading a change. */
function addressesOf(link: NetworkInterface): string[] {
  const read = link.addresses.map(({ address, prefixLength, flags }) =>
    [`${address}/${prefixLength}`, ...flags].join(' '),
  );
  return [...read, ...(link.unread?.listed ?? []).map(({ text }) => text)];
}

/** Addresses that other hosts can use: neither loopback nor link-local nor multicast. */
export function isRoutable(address: Address): boolean {
  const range = rangeOf(address);
  return range !== 'loopback' && range !== 'linkLocal' && range !== 'multicast' && range !== 'unspecified';
}
