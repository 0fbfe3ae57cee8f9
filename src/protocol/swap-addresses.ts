import { broadcastOf, familyOf, networkOf } from './address.ts';
import type { AddressChange } from './address-change.ts';
import type { KernelAddress } from './network-snapshot.ts';
import { command, type IpCommand } from './routing.ts';

export interface ChangedAddresses {
  /** The new one, as it is to be. */
  to: KernelAddress;
  /** Of the link and the family, in the places of those of before. */
  after: KernelAddress[];
  /** Of before, without those that go for a moment. */
  untouched: KernelAddress[];
  forward: IpCommand[];
  back: IpCommand[];
}

export function changeAddresses(
  bound: readonly KernelAddress[],
  from: KernelAddress,
  change: AddressChange,
): ChangedAddresses {
  return familyOf(from.address) === 'ipv4'
    ? changeIpv4Addresses(bound, from, change)
    : changeIpv6Addresses(bound, from, change);
}

/**
 * The first IPv4 address of a network is its primary one, the source of the connected route; the others are secondary. When it
 * goes, they go with it, or one of them takes its place (`promote_secondaries`). Here they go before it and come back
 * after the new one, so that the end is the same with both settings, and the new address takes the place of the old one where
 * the network stays.
 */
function changeIpv4Addresses(
  bound: readonly KernelAddress[],
  from: KernelAddress,
  change: AddressChange,
): ChangedAddresses {
  const network = networkOf(from);
  const isPrimary = !from.flags.includes('secondary');
  const passing = isPrimary ? bound.filter((other) => other !== from && networkOf(other) === network) : [];
  const untouched = bound.filter((other) => other !== from && !passing.includes(other));
  const moved = replaced(from, change);
  const to = withRole(moved, untouched);
  const back = isPrimary && networkOf(to) === network;
  const returning = passing.map((address, index) =>
    withRole(address, [...untouched, to, ...passing.slice(0, index)]),
  );
  const after = bound.map((address) =>
    address === from ? to : (returning[passing.indexOf(address)] ?? address),
  );

  const takeFirst = passing.toReversed().map((address) => addressCommand('del', address));
  const giveBack = passing.map((address) => addressCommand('add', address));
  const forward = back
    ? // Of one network: the new one would be secondary to the old one, and go with it.
      [
        addressCommand('add', trialAddress(to)),
        ...takeFirst,
        addressCommand('del', from),
        addressCommand('add', to),
        addressCommand('del', trialAddress(to)),
        ...giveBack,
      ]
    : [addressCommand('add', to), ...takeFirst, addressCommand('del', from), ...giveBack];
  return {
    to,
    after,
    untouched,
    forward,
    back: [
      // An address of 32 bits is its own network: nothing is to be kept up for it but itself.
      addressCommand('add', from.prefixLength === 32 ? from : trialAddress(from)),
      addressCommand('del', to),
      ...(back ? [addressCommand('del', trialAddress(to))] : []),
      ...takeFirst,
      ...(passing.length > 0 ? [addressCommand('del', from)] : []),
      addressCommand('replace', from),
      ...(from.prefixLength === 32 ? [] : [addressCommand('del', trialAddress(from))]),
      ...giveBack,
    ],
  };
}

/**
 * IPv6 addresses do not depend on each other. They come with `nodad`: every host of the segment has just asked the wire for the address
 * several times, where the kernel would ask once, from here alone, and keep the node waiting for 1 to 2 s (RFC 4862, 5.4). The flag is taken
 * off again where the old one did not have it.
 */
function changeIpv6Addresses(
  bound: readonly KernelAddress[],
  from: KernelAddress,
  change: AddressChange,
): ChangedAddresses {
  const to = replaced(from, change);
  return {
    to,
    after: bound.map((address) => (address === from ? to : address)),
    untouched: bound.filter((address) => address !== from),
    forward: [addressCommand('del', from), ...addWithoutDetection('add', to)],
    back: [addressCommand('del', to), ...addWithoutDetection('replace', from)],
  };
}

function addWithoutDetection(verb: 'add' | 'replace', address: KernelAddress): IpCommand[] {
  const undetected = addressCommand(verb, withoutDetection(address));
  return address.flags.includes('nodad') ? [undetected] : [undetected, addressCommand('change', address)];
}

/** As it is to be added for the kernel not to look for another owner of it first. IPv4 has no such detection. */
export function withoutDetection(address: KernelAddress): KernelAddress {
  if (familyOf(address.address) === 'ipv4' || address.flags.includes('nodad')) return address;
  return { ...address, flags: [...address.flags, 'nodad'] };
}

/** The new address with all that the old one was given. */
function replaced(from: KernelAddress, { to }: AddressChange): KernelAddress {
  const { broadcast, ...rest } = from;
  const next = from.broadcast === broadcastOf(from) ? broadcastOf(to) : broadcast;
  return { ...rest, ...to, ...(next === undefined ? {} : { broadcast: next }) };
}

function withRole(address: KernelAddress, others: readonly KernelAddress[]): KernelAddress {
  const network = networkOf(address);
  const secondary = others.some((other) => networkOf(other) === network);
  const flags = address.flags.filter((flag) => flag !== 'secondary');
  return { ...address, flags: secondary ? [...flags, 'secondary'] : flags };
}

/** A new address that puts no network on the link. IPv6 as `deprecated`, or the kernel would send from it, being the last one added. */
export function trialAddress({ link, address }: Pick<KernelAddress, 'address' | 'link'>): KernelAddress {
  const trial = { link, address, scope: 'global', flags: ['noprefixroute'] };
  return familyOf(address) === 'ipv4'
    ? { ...trial, prefixLength: 32 }
    : { ...trial, prefixLength: 128, preferredLifetime: 0 };
}

/** Flags that `ip addr add` takes; the others are the kernel's to set. */
const settableFlags = new Set(['nodad', 'home', 'mngtmpaddr', 'noprefixroute', 'autojoin']);

export function addressCommand(verb: 'add' | 'replace' | 'change' | 'del', bound: KernelAddress): IpCommand {
  const { address, prefixLength, peer, broadcast, link, scope, label, metric, protocol, flags } = bound;
  const prefix = `${address}/${prefixLength}`;
  if (verb === 'del') return command('addr', 'del', prefix, 'dev', link);
  const { validLifetime = 'forever' } = bound;
  // Of an IPv4 address that lasts, the kernel tells this by the flag alone.
  const isDeprecated = validLifetime === 'forever' && flags.includes('deprecated');
  const preferredLifetime = isDeprecated ? 0 : (bound.preferredLifetime ?? 'forever');
  return command(
    ...['addr', verb],
    ...(peer === undefined ? [prefix] : [address, 'peer', `${peer}/${prefixLength}`]),
    ...(broadcast === undefined ? [] : ['broadcast', broadcast]),
    ...['dev', link, 'scope', scope],
    ...(label === undefined ? [] : ['label', label]),
    ...(metric === undefined ? [] : ['metric', `${metric}`]),
    ...(protocol === undefined ? [] : ['proto', protocol]),
    ...flags.filter((flag) => settableFlags.has(flag)),
    ...['valid_lft', `${validLifetime}`, 'preferred_lft', `${preferredLifetime}`],
  );
}
