import { familyOf } from './address.ts';
import type { AddressChange } from './address-change.ts';
import { RlnetError } from './errors.ts';
import { describeAddress, type KernelAddress, type NetworkSnapshot } from './network-snapshot.ts';
import { reaches } from './route-makable.ts';
import { describeRoute, type IpCommand, type Route } from './routing.ts';
import { changeAddresses } from './swap-addresses.ts';
import { changeRoutes } from './swap-routes.ts';
import { changeRules } from './swap-rules.ts';

/*
 * One address gives way to another in the kernel: what must be there afterwards, and the commands of `ip` there and back.
 *
 * - The kernel takes more away than it is asked to (secondary addresses, routes with the address as their source, all routes of a link
 *   that loses its last IPv4 address), and what exactly differs between kernels and settings. So everything that could go is
 *   taken away in so many words, from the last to the first, and made again; nothing is left to a side effect.
 * - A link is never without an IPv4 address meanwhile: it would lose all its routes and its neighbours.
 * - The way there stops at the first error. The way back expects nothing: each of its commands may find its work done
 *   or undone already, and after all of them the kernel is as it was before, whatever had been reached.
 */

export interface Swap {
  /** What a snapshot shows when it is done. */
  expected: NetworkSnapshot;
  /** From exactly the snapshot that was given to `expected`. In one `ip -batch`. */
  forward: readonly IpCommand[];
  /** From anywhere on the way to exactly the snapshot that was given. In one `ip -force -batch`. */
  back: readonly IpCommand[];
}

/**
 * @throws RlnetError ADDRESS_CHANGE_REFUSED where the snapshot does not hold what the change is about, or where something would be lost
 */
export function planSwap(before: NetworkSnapshot, change: AddressChange): Swap {
  const from = addressToReplace(before, change);
  const family = familyOf(from.address);
  const { name } = change.link;
  const bound = before.addresses.filter(({ link, address }) => link === name && familyOf(address) === family);

  const addresses = changeAddresses(bound, from, change);
  for (const passing of bound.filter(
    (address) => address !== from && !addresses.untouched.includes(address),
  )) {
    const twin = before.addresses.find(({ address, link }) => address === passing.address && link !== name);
    if (twin !== undefined) throw refused(`${twin.address} is on ${name} and on ${twin.link}`);
  }
  const routes = changeRoutes(before, change, bound, addresses);
  const rules = changeRules(before.rules, change);
  refuseLostGateways(before.routes, routes.after, name);
  return {
    expected: {
      ...before,
      addresses: before.addresses.map((address) => addresses.after[bound.indexOf(address)] ?? address),
      routes: routes.after,
      rules: rules.after,
    },
    forward: [...routes.forward.first, ...addresses.forward, ...routes.forward.last, ...rules.forward],
    back: [
      ...rules.back.first,
      ...routes.back.first,
      ...addresses.back,
      ...routes.back.last,
      ...rules.back.last,
    ],
  };
}

/** The address as it is bound, when the change can be made of it at all. */
export function addressToReplace(
  { links, addresses }: NetworkSnapshot,
  change: AddressChange,
): KernelAddress {
  const { name, mac } = change.link;
  const { from, to } = change;
  const link = links.find((candidate) => candidate.name === name);
  if (link === undefined) throw refused(`there is no link ${name}`);
  if (mac !== undefined && link.mac !== mac) {
    throw refused(`${name} has the MAC address ${link.mac ?? 'none'}, and not ${mac}`);
  }
  if (!link.up) throw refused(`${name} is down`);
  if (link.loopback) throw refused(`${name} is a loopback link`);
  if (familyOf(from.address) !== familyOf(to.address)) {
    throw refused(`${from.address} and ${to.address} are not of one family`);
  }
  if (from.prefixLength === 0 || to.prefixLength === 0) throw refused('a prefix length is 0');
  const other = addresses.find(({ address }) => address === to.address);
  if (other !== undefined) throw refused(`${to.address} is there already: ${describeAddress(other)}`);
  const [holder, ...more] = addresses.filter(({ address }) => address === from.address);
  if (holder === undefined) throw refused(`no link has ${from.address}`);
  const [second] = more;
  if (second !== undefined) {
    throw refused(
      `${from.address} is there twice: ${describeAddress(holder)} and ${describeAddress(second)}`,
    );
  }
  if (holder.link !== name || holder.prefixLength !== from.prefixLength) {
    throw refused(`${from.address}/${from.prefixLength} is not on ${name}, but ${describeAddress(holder)}`);
  }
  if (holder.validLifetime !== undefined) {
    throw refused(
      `${from.address} is not static, but ends in ${holder.validLifetime} s unless it is renewed`,
    );
  }
  if (holder.peer !== undefined) {
    throw refused(`${from.address} is one end of a point-to-point link to ${holder.peer}`);
  }
  if (holder.flags.includes('dadfailed')) throw refused(`${from.address} has another owner (dadfailed)`);
  return holder;
}

/** A route that stays would lead nowhere when its gateway is in a network that the link leaves. */
function refuseLostGateways(before: readonly Route[], after: readonly Route[], link: string): void {
  const stays = new Set(before.map(describeRoute));
  for (const route of after.filter((one) => stays.has(describeRoute(one)))) {
    for (const { gateway, dev, flags } of route.nexthops) {
      if (dev !== link || gateway === undefined || flags.includes('onlink')) continue;
      if (reaches(after, link, gateway) || !reaches(before, link, gateway)) continue;
      throw refused(
        `the route ${describeRoute(route)} goes through ${gateway}, which ${link} would not reach any more`,
        'Name the new gateway in the change, or remove that route first.',
      );
    }
  }
}

function refused(why: string, remedy = 'Look at ip addr on the host and correct the plan.'): RlnetError {
  return new RlnetError('ADDRESS_CHANGE_REFUSED', `The address cannot be changed: ${why}.`, remedy);
}
