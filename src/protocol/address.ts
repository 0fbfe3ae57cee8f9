import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { RlnetError } from './errors.ts';

declare const address: unique symbol;

/**
 * One host address in canonical text: dotted decimal for IPv4, RFC 5952 for IPv6, never with a prefix length,
 * never with a zone, never IPv4-mapped. Made by `parseAddress` alone, so two of them are the same address
 * exactly when the strings are equal; text from outside must never be compared.
 */
export type Address = string & { readonly [address]: true };

/** IP version as people and RS name it. */
export type Family = 'ipv4' | 'ipv6';

/** An address with the prefix length of its network, as `ip addr` prints it: `10.0.0.5/24` keeps the 5. */
export interface InterfaceAddress {
  address: Address;
  prefixLength: number;
}

function invalid(text: string, why: string, remedy: string): RlnetError {
  return new RlnetError('ADDRESS_INVALID', `${JSON.stringify(text)} ${why}.`, remedy);
}

/**
 * The numbers of an IPv6 address that `net.isIP` took. A dotted tail (`::192.0.2.1`) is written as two groups first, because
 * ipaddr.js takes `::` before one for `::ffff:`, which is another address.
 */
function parseIpv6(text: string): ipaddr.IPv6 {
  const [, head, ...octets] = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text) ?? [];
  if (head === undefined) return ipaddr.IPv6.parse(text);
  const [a = 0, b = 0, c = 0, d = 0] = octets.map(Number);
  return ipaddr.IPv6.parse(`${head}${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`);
}

/**
 * Reads one host address. Strict: `net.isIP` decides before ipaddr.js sees the text, because ipaddr.js takes
 * `010.0.0.1` as octal 8.0.0.1 and `10.1` as 10.0.0.1.
 *
 * @throws RlnetError ADDRESS_INVALID for anything else: a prefix (the vendor's own example for `addr` is one),
 *   a zone, an IPv4-mapped address, a name, an empty string.
 */
export function parseAddress(text: string): Address {
  const version = isIP(text);
  if (version === 0) {
    if (text.includes('/') && isIP(text.slice(0, text.indexOf('/'))) !== 0) {
      throw invalid(text, 'is a prefix, not a host address', 'Give the address without /length.');
    }
    throw invalid(
      text,
      'is not an IPv4 or IPv6 address',
      'Give one address, such as 192.0.2.10 or 2001:db8::10.',
    );
  }
  // net.isIP takes an IPv4 address in its one canonical form alone.
  if (version === 4) return text as Address;
  if (text.includes('%')) {
    throw invalid(text, 'names a zone', 'Give a global address; link-local ones cannot be used here.');
  }
  const parsed = parseIpv6(text);
  if (parsed.isIPv4MappedAddress()) {
    throw invalid(
      text,
      'is an IPv4-mapped IPv6 address',
      `Write it as IPv4: ${parsed.toIPv4Address().toString()}.`,
    );
  }
  return parsed.toRFC5952String() as Address;
}

/** Like `parseAddress`, for a caller to whom "not an address" is an answer and not an error. */
export function tryParseAddress(text: string): Address | undefined {
  try {
    return parseAddress(text);
  } catch (thrown) {
    if (thrown instanceof RlnetError && thrown.code === 'ADDRESS_INVALID') return undefined;
    throw thrown;
  }
}

/**
 * Reads `ADDRESS/LENGTH` and keeps the host bits.
 * @throws RlnetError ADDRESS_INVALID also where the length is missing, padded (`/08`) or too long for the family.
 */
export function parseInterfaceAddress(text: string): InterfaceAddress {
  const slash = text.indexOf('/');
  if (slash < 0)
    throw invalid(text, 'has no prefix length', 'Write it as ADDRESS/LENGTH, such as 192.0.2.10/24.');
  const parsed = parseAddress(text.slice(0, slash));
  const digits = text.slice(slash + 1);
  const prefixLength = /^(0|[1-9]\d{0,2})$/.test(digits) ? Number(digits) : Number.NaN;
  const longest = familyOf(parsed) === 'ipv4' ? 32 : 128;
  if (!(prefixLength <= longest)) {
    throw invalid(
      text,
      `has no prefix length between 0 and ${longest}`,
      'Write it as ADDRESS/LENGTH, such as 192.0.2.10/24.',
    );
  }
  return { address: parsed, prefixLength };
}

/**
 * The far end of a socket as Node reports it, which on a dual-stack listener can be IPv4-mapped
 * (`::ffff:192.0.2.1`) and for link-local carries a zone. `mapped` says that it came as mapped: such a peer
 * speaks IPv4 to an IPv6 socket, and the mesh refuses it.
 */
export function parseSocketAddress(text: string): { address: Address; mapped: boolean } | undefined {
  const bare = text.split('%')[0] ?? '';
  const version = isIP(bare);
  if (version === 0) return undefined;
  if (version === 4) return { address: bare as Address, mapped: false };
  const parsed = parseIpv6(bare);
  if (parsed.isIPv4MappedAddress())
    return { address: parsed.toIPv4Address().toString() as Address, mapped: true };
  return { address: parsed.toRFC5952String() as Address, mapped: false };
}

export function familyOf(value: Address): Family {
  return value.includes(':') ? 'ipv6' : 'ipv4';
}

/** What kind of address it is, in the words of the IANA registries as ipaddr.js knows them. */
export function rangeOf(value: Address): string {
  return ipaddr.parse(value).range();
}

/** `host:port` as URLs want it: IPv6 in brackets. */
export function hostPort(value: Address, port: number): string {
  return familyOf(value) === 'ipv6' ? `[${value}]:${port}` : `${value}:${port}`;
}

/** Whether the address is of the network that an interface's address and prefix length say; never across families. */
export function isWithin(value: Address, network: InterfaceAddress): boolean {
  const [one, other] = [ipaddr.parse(value), ipaddr.parse(network.address)];
  return one.kind() === other.kind() && one.match(other, network.prefixLength);
}

/** A stable order for lists that people read: IPv4 first, then by the bytes of the address. */
export function compareAddresses(a: Address, b: Address): number {
  const left = ipaddr.parse(a).toByteArray();
  const right = ipaddr.parse(b).toByteArray();
  if (left.length !== right.length) return left.length - right.length;
  for (const [index, byte] of left.entries()) {
    const other = right[index] ?? 0;
    if (byte !== other) return byte - other;
  }
  return 0;
}

/** The network of an address as iproute2 prints it: `192.0.2.0/24`; a network of one address has no length. */
export function networkOf({ address, prefixLength }: InterfaceAddress): string {
  const parsed = ipaddr.parse(address);
  if (prefixLength === (parsed instanceof ipaddr.IPv4 ? 32 : 128)) return address;
  if (prefixLength === 0) return 'default';
  const cidr = `${address}/${prefixLength}`;
  return parsed instanceof ipaddr.IPv4
    ? `${ipaddr.IPv4.networkAddressFromCIDR(cidr).toString()}/${prefixLength}`
    : `${ipaddr.IPv6.networkAddressFromCIDR(cidr).toRFC5952String()}/${prefixLength}`;
}

/** The last address of an IPv4 network; undefined where it has none to spare (/31, RFC 3021, and /32). */
export function broadcastOf({ address, prefixLength }: InterfaceAddress): Address | undefined {
  if (familyOf(address) === 'ipv6' || prefixLength > 30) return undefined;
  return ipaddr.IPv4.broadcastAddressFromCIDR(`${address}/${prefixLength}`).toString() as Address;
}

/** Whether two lists hold the same addresses, in any order. */
export function isSameSet(a: readonly Address[], b: readonly Address[]): boolean {
  const all = new Set([...a, ...b]);
  return all.size === new Set(a).size && all.size === new Set(b).size;
}
