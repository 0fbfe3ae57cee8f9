import { familyOf } from './address.ts';
import type { AddressChange } from './address-change.ts';
import type { OwnerPlace } from './network-owner.ts';

/**
 * What a person has to do who makes a change of an address by hand: one sentence each, in order.
 * @param places where the host's files name the old address, as far as was found
 */
export function manualInstructions(change: AddressChange, places: readonly OwnerPlace[]): string[] {
  const { link, from, to, gateway } = change;
  const family = familyOf(to.address) === 'ipv4' ? '-4' : '-6';
  return [
    `Let ${to.address}/${to.prefixLength} be on ${link.name}${link.mac === undefined ? '' : ` (${link.mac})`} in the place of ${from.address}/${from.prefixLength}, now and after a boot.`,
    ...(gateway === undefined
      ? []
      : [`Let what goes through the gateway ${gateway.from} go through ${gateway.to}.`]),
    ...places.map(({ path, line, text }) => `${path}:${line} names ${from.address}: ${text.trim()}`),
    ...(places.length === 0
      ? [
          `No file that rlnet knows of names ${from.address}: change it where it comes from (a DHCP server, a cloud).`,
        ]
      : []),
    `Done is what ip ${family} addr show dev ${link.name} shows: ${to.address}/${to.prefixLength} and no ${from.address}.`,
  ];
}
