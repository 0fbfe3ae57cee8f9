import { type Address, familyOf, isWithin, networkOf, rangeOf } from './address.ts';
import type { AddressChange } from './address-change.ts';
import { habitsOf, kernelRoutes } from './kernel-routes.ts';
import type { KernelAddress, NetworkSnapshot } from './network-snapshot.ts';
import { type IpCommand, type Route, type Rule, routeCommand, ruleCommand } from './routing.ts';
import { addressToReplace } from './swap.ts';
import { addressCommand, trialAddress, withoutDetection } from './swap-addresses.ts';

/*
 * The new address beside the old one, so that others can try it. As a network of its own (/32, /128, `noprefixroute`) it puts
 * nothing on the link; what it sends is routed by a table of its own, so that no route of the host changes. IPv6 comes
 * `deprecated`, or the kernel would send from it, as it was added last; IPv4 is not chosen by itself (measured).
 */

export interface Rehearsal {
  expected: NetworkSnapshot;
  /** The address, and what it answers through. In one `ip -batch`. */
  forward: readonly IpCommand[];
  /** From anywhere on the way to the snapshot that was given. In one `ip -force -batch`. */
  back: readonly IpCommand[];
}

/** Above all that distributions and people count up from 1, below 2^31. */
const firstTable = 947_000_000;

/** Right after the kernel's own rule for local addresses: answers go out here whatever other rules there are. */
const firstPriority = 1;

/** @throws RlnetError ADDRESS_CHANGE_REFUSED as `planSwap` does */
export function planRehearsal(before: NetworkSnapshot, change: AddressChange): Rehearsal {
  const from = addressToReplace(before, change);
  const family = familyOf(from.address);
  const { name } = change.link;
  const trial = withoutDetection(trialAddress({ link: name, address: change.to.address }));
  const table = freeTable(before);
  const routes = trialRoutes(before, change, table);
  const rule: Rule = {
    family,
    priority: freePriority(before.rules),
    from: change.to.address,
    selectors: {},
    action: `lookup ${table}`,
    protocol: 'static',
  };
  const local = kernelRoutes([trial], habitsOf(before, name, family));
  return {
    expected: {
      ...before,
      addresses: [...before.addresses, shown(trial)],
      routes: [...before.routes, ...local, ...routes],
      rules: [...before.rules, rule].toSorted((a, b) => a.priority - b.priority),
    },
    forward: [
      addressCommand('add', trial),
      ...routes.map((route) => routeCommand('add', route)),
      ruleCommand('add', rule),
    ],
    back: [
      ruleCommand('del', rule),
      ...routes.toReversed().map((route) => routeCommand('del', route)),
      addressCommand('del', trial),
    ],
  };
}

/** What the kernel makes of the trial address: IPv4 gets the link's name as its label, and 0 s of preference a flag. */
function shown(trial: KernelAddress): KernelAddress {
  return familyOf(trial.address) === 'ipv4'
    ? { ...trial, label: trial.link }
    : { ...trial, flags: [...trial.flags, 'deprecated'] };
}

function trialRoutes(before: NetworkSnapshot, change: AddressChange, table: string): Route[] {
  const { link, to } = change;
  const common = {
    family: familyOf(to.address),
    type: 'unicast',
    table,
    protocol: 'static',
    // What the kernel gives an IPv6 route that is not given any.
    ...(familyOf(to.address) === 'ipv6' ? { metric: 1024, pref: 'medium' } : {}),
  };
  const network: Route = {
    ...common,
    dst: networkOf(to),
    scope: familyOf(to.address) === 'ipv4' ? 'link' : 'global',
    nexthops: [{ dev: link.name, flags: [] }],
  };
  const gateway = gatewayOf(before, change);
  if (gateway === undefined) return [network];
  return [
    network,
    {
      ...common,
      dst: 'default',
      scope: 'global',
      nexthops: [{ gateway, dev: link.name, flags: isLinkLocal(gateway) ? [] : ['onlink'] }],
    },
  ];
}

/** The new gateway, or the one that the link's default route has and the new address will reach. */
function gatewayOf({ routes }: NetworkSnapshot, { gateway, link, to }: AddressChange): Address | undefined {
  if (gateway !== undefined) return gateway.to;
  const candidates = routes.flatMap(({ family, type, dst, table, nexthops }) => {
    const [hop, ...more] = nexthops;
    const isDefault = family === familyOf(to.address) && type === 'unicast' && dst === 'default';
    if (!isDefault || table !== 'main' || more.length > 0 || hop?.dev !== link.name) return [];
    return hop.gateway === undefined ? [] : [hop.gateway];
  });
  return candidates.find((candidate) => isLinkLocal(candidate) || isWithin(candidate, to));
}

function isLinkLocal(address: Address): boolean {
  return rangeOf(address) === 'linkLocal';
}

function freeTable({ routes, rules }: NetworkSnapshot): string {
  const used = new Set([
    ...routes.map(({ table }) => table),
    ...rules.map(({ action }) => action.replace('lookup ', '')),
  ]);
  let table = firstTable;
  while (used.has(`${table}`)) table++;
  return `${table}`;
}

function freePriority(rules: readonly Rule[]): number {
  const used = new Set(rules.map(({ priority }) => priority));
  let priority = firstPriority;
  while (used.has(priority)) priority++;
  return priority;
}
