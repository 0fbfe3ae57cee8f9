import { type Address, type Family, familyOf, isWithin } from '../address.ts';
import type { AddressChange } from '../address-change.ts';
import { holdersOf, type NetworkInterface } from '../interfaces.ts';
import type { Route } from '../routing.ts';
import type { NodeTable } from '../rs.ts';
import type { Bounds } from './bounds.ts';
import type { Estimate, Facts, Move } from './guard.ts';
import type { Member, MoveKind, PlanOptions } from './plan.ts';

/** What follows from what was asked for and what was read: the change, its kind, the nodes, how long it takes. */
export function draw(
  move: Move,
  read: Pick<Facts, 'nodes' | 'interfaces' | 'routes' | 'agents'>,
  bounds: Bounds,
): Pick<Facts, 'change' | 'kind' | 'external' | 'members' | 'estimate'> {
  const change = changeOf(move, read);
  const { interfaces } = read;
  return {
    change,
    kind:
      'unknown' in change
        ? change
        : 'unknown' in interfaces
          ? interfaces
          : { value: kindOf(interfaces.value, change.value, move.options) },
    external: 'unknown' in change ? change : externalOf(move.nodeUid, read.nodes, change.value),
    members: 'unknown' in read.nodes ? read.nodes : membersOf(read.nodes.value, read.agents),
    estimate: { value: estimateOf(move.options, bounds) },
  };
}

function changeOf(
  { nodeUid, to, gateway }: Move,
  { nodes, interfaces, routes }: Pick<Facts, 'nodes' | 'interfaces' | 'routes'>,
): Facts['change'] {
  if ('unknown' in nodes) return nodes;
  if ('unknown' in interfaces) return interfaces;
  const current = nodes.value.nodes.find(({ uid }) => uid === nodeUid)?.address;
  if (current === undefined) return { unknown: `RS shows no address of node ${nodeUid}` };
  const [holder, ...others] = holdersOf(interfaces.value, current);
  if (holder === undefined || others.length > 0) {
    return {
      unknown: `${current} is on ${holder === undefined ? 'no interface' : 'several interfaces'} of this host`,
    };
  }
  const { name, mac, path } = holder.link;
  // Where it is not clear what is replaced, GATEWAY_UNCLEAR says so.
  const gateways = 'unknown' in routes ? [] : defaultGatewaysOf(routes.value, name, familyOf(to.address));
  const [replaced] = gateways;
  return {
    value: {
      link: { name, ...(mac === undefined ? {} : { mac }), ...(path === undefined ? {} : { path }) },
      from: { address: current, prefixLength: holder.bound.prefixLength },
      to,
      ...(gateway === undefined || replaced === undefined || gateway === replaced
        ? {}
        : { gateway: { from: replaced, to: gateway } }),
    },
  };
}

/** Which kind of move it is. Whether a network that is not the old address's is reachable now, the rehearsal finds out. */
export function kindOf(
  interfaces: readonly NetworkInterface[],
  { from, to }: Pick<AddressChange, 'from' | 'to'>,
  { cutOver }: Pick<PlanOptions, 'cutOver'>,
): MoveKind {
  if (holdersOf(interfaces, to.address).length > 0) return 'already_bound';
  if (isWithin(to.address, from)) return 'same_subnet';
  return cutOver ? 'cut_over' : 'dual_homed';
}

/** An external address that is the old internal one moves along. */
function externalOf(
  nodeUid: number,
  nodes: Facts['nodes'],
  { from, to }: Pick<AddressChange, 'from' | 'to'>,
): Facts['external'] {
  if ('unknown' in nodes) return nodes;
  const before = nodes.value.nodes.find(({ uid }) => uid === nodeUid)?.externalAddresses ?? [];
  if (!before.includes(from.address)) return { value: undefined };
  const after = before.map((each) => (each === from.address ? to.address : each));
  return { value: { from: before, to: [...new Set(after)] } };
}

function membersOf({ nodes, unread }: NodeTable, agents: Facts['agents']): Facts['members'] {
  const [row] = unread;
  if (row !== undefined) return { unknown: `a row of RS's node table cannot be read: ${row.reason}` };
  const members: Member[] = [];
  for (const { uid, address } of nodes) {
    if (address === undefined) return { unknown: `RS shows no address of node ${uid}` };
    const host = 'unknown' in agents ? undefined : agents.value.find((agent) => agent.uid === uid)?.host;
    members.push({ uid, address, ...(host === undefined ? {} : { host }) });
  }
  return { value: members.toSorted((a, b) => a.uid - b.uid) };
}

/** The gateways of the default routes through a link, in all tables, each once. */
export function defaultGatewaysOf(routes: readonly Route[], link: string, family: Family): Address[] {
  const gateways = routes
    .filter((route) => route.family === family && route.type === 'unicast' && route.dst === 'default')
    .flatMap(({ nexthops }) =>
      nexthops.flatMap(({ gateway, dev }) => (gateway === undefined || dev !== link ? [] : [gateway])),
    );
  return [...new Set(gateways)];
}

/**
 * What the parts of an outage usually take, seconds. The restart is that of a server with firmware to go through, a virtual machine
 * is back in less than 30 s; RS has called the node DOWN by the end of it, which takes it about half a minute; starting all of RS
 * and rejoining take about a minute on a node with some tens of shards.
 */
const usualSeconds = { restart: 180, stop: 20, down: 35, readdress: 10, register: 5, start: 45, rejoin: 15 };

/** From when the node stops serving until it is seen OK again for as long as the soak lasts. */
export function estimateOf({ reboot }: Pick<PlanOptions, 'reboot'>, bounds: Bounds): Estimate {
  const { restart, stop, down, readdress, register, start, rejoin } = usualSeconds;
  const away = reboot ? restart : Math.max(stop + readdress, down);
  return {
    usual: away + (reboot ? readdress : 0) + register + start + rejoin + bounds.soak,
    worst:
      bounds.restart +
      bounds.readdress +
      2 * (bounds.down + bounds.rladmin) +
      bounds.unit +
      bounds.start +
      bounds.rejoin +
      bounds.soak,
  };
}
