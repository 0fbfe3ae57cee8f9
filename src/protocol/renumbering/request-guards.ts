import {
  type Address,
  broadcastOf,
  familyOf,
  type InterfaceAddress,
  isWithin,
  networkOf,
  rangeOf,
} from '../address.ts';
import { holdersOf, isActive, isBeingDetected, isUsable, type NetworkInterface } from '../interfaces.ts';
import type { NodeTable } from '../rs.ts';
import { mistakesForLoopback } from '../rs-builds.ts';
import { defaultGatewaysOf } from './draw.ts';
import { fail, type Guard, guard, pass, unclear } from './guard.ts';

/** Ranges (in ipaddr.js's words) that a node can never use, and what they are. */
const unusableRanges: Readonly<Record<string, string>> = {
  unspecified: 'the unspecified address',
  loopback: 'a loopback address',
  linkLocal: 'a link-local address',
  multicast: 'a multicast address',
  broadcast: 'the broadcast address',
  ipv4Mapped: 'an IPv4-mapped address',
  rfc6052: 'an address of an IPv4 translator',
  rfc6145: 'an address of an IPv4 translator',
};

const text = ({ address, prefixLength }: InterfaceAddress): string => `${address}/${prefixLength}`;
const lengthOf = (address: Address): number => (familyOf(address) === 'ipv4' ? 32 : 128);

/** What is asked for: the address itself, and where it is to go. */
export const requestGuards: readonly Guard[] = [
  guard({
    code: 'NODE_NOT_HERE',
    severity: 'refuses',
    title: 'RS has the node on this host, at an address',
    why: 'The agent of the node itself drives its renumbering, from the address that RS has for it.',
    remedy: 'rlnet status shows which host is which node; look in rladmin status nodes for its address.',
    needs: ['localUid', 'nodes'],
    judge: ({ nodeUid, host }, { localUid, nodes }) => {
      if (localUid !== nodeUid)
        return fail(
          `${host} is ${localUid === undefined ? 'no node' : `node ${localUid}`}, not node ${nodeUid}.`,
        );
      const row = rowOf(nodes, nodeUid);
      if (row === undefined) return fail(`RS has no node ${nodeUid}.`);
      return row.address === undefined
        ? unclear(`The address of node ${nodeUid} in RS's node table cannot be read.`)
        : pass(`Node ${nodeUid} is at ${row.address}.`);
    },
  }),
  guard({
    code: 'ADDRESS_UNUSABLE',
    severity: 'refuses',
    title: 'the new address is one that a host can have and others can reach',
    why: 'Loopback, link-local, multicast, unspecified, IPv4-mapped and translator addresses reach nobody else, or not this host.',
    remedy: 'Choose an address of the network that the nodes are in.',
    needs: [],
    judge: ({ to: { address } }) => {
      const kind = unusableRanges[rangeOf(address)];
      return kind === undefined ? pass(`${address} is a unicast address.`) : fail(`${address} is ${kind}.`);
    },
  }),
  guard({
    code: 'ADDRESS_IS_NETWORK',
    severity: 'refuses',
    title: 'the new address is a host in its network, and not the network or its broadcast address',
    why: "RS wants the address of one host. The example in the vendor's documentation for addr, 2001:DB8::/32, is a network.",
    remedy:
      'Give the address of the host itself with the prefix length of its network, such as 192.0.2.10/24 or 2001:db8::10/64.',
    needs: [],
    judge: ({ to }) => {
      // Where a network has two addresses or one, both are hosts (RFC 3021, RFC 6164).
      if (to.prefixLength >= lengthOf(to.address) - 1) return pass(`${text(to)} has no network address.`);
      if (networkOf(to) === text(to)) return fail(`${text(to)} is a network, not a host in it.`);
      if (broadcastOf(to) === to.address)
        return fail(`${to.address} is the broadcast address of ${networkOf(to)}.`);
      return pass(`${to.address} is a host in ${networkOf(to)}.`);
    },
  }),
  guard({
    code: 'PREFIX_LENGTH_UNUSABLE',
    severity: 'refuses',
    title: 'the prefix length is that of a network',
    why: 'With a length of 0 everything would be on the link, and with /32 or /128 nothing: not the gateway, and no peer.',
    remedy: "Give the length of the network, as ip addr shows it for the link's other addresses.",
    needs: ['change'],
    judge: (_move, { change: { from, to } }) => {
      if (to.prefixLength === 0) return fail(`${text(to)} takes every address for its neighbour.`);
      const alone = to.prefixLength === lengthOf(to.address);
      return alone && from.prefixLength !== to.prefixLength
        ? fail(`${text(to)} is a network of one, and ${text(from)} is not.`)
        : pass(`${text(to)} is in ${networkOf(to)}.`);
    },
  }),
  guard({
    code: 'PREFIX_LENGTH_DIFFERS',
    severity: 'warns',
    title: 'the prefix length is that of the old address where the network stays',
    why: 'One network has one prefix length on all its hosts; a slip of the pen makes some of them unreachable.',
    remedy: 'Give the same length, unless the network itself is being changed.',
    needs: ['change'],
    judge: (_move, { change: { from, to } }) =>
      isWithin(to.address, from) && from.prefixLength !== to.prefixLength
        ? fail(`${text(to)} is in the network of ${text(from)}, with another prefix length.`)
        : pass(`From ${text(from)} to ${text(to)}.`),
  }),
  guard({
    code: 'FAMILY_DIFFERS',
    severity: 'refuses',
    title: "the new address is of the cluster's internal family",
    why: 'RS does not change the internal family of a cluster, and nodes of two families cannot talk to each other.',
    remedy: 'Choose an address of the family of the other nodes.',
    needs: ['nodes'],
    judge: ({ to: { address } }, { nodes: { nodes } }) => {
      const known = nodes.flatMap((node) => (node.address === undefined ? [] : [familyOf(node.address)]));
      const [family, ...others] = new Set(known);
      if (family === undefined) return unclear('RS shows no address of any node.');
      if (others.length > 0) return unclear('The nodes are of two families, which RS does not allow.');
      return familyOf(address) === family
        ? pass(`All nodes use ${family}.`)
        : fail(`${address} is ${familyOf(address)}, and the nodes use ${family}.`);
    },
  }),
  guard({
    code: 'ADDRESS_IS_CURRENT',
    severity: 'refuses',
    title: 'the new address is another than the current one',
    why: 'There would be nothing to do, and the node would be taken out for it.',
    remedy: 'Nothing has to be done if that is the address you want.',
    needs: ['nodes'],
    judge: ({ nodeUid, to: { address } }, { nodes }) => {
      const current = rowOf(nodes, nodeUid)?.address;
      if (current === undefined) return unclear(`RS shows no address of node ${nodeUid}.`);
      return current === address
        ? fail(`Node ${nodeUid} has ${address} already.`)
        : pass(`It is at ${current} now.`);
    },
  }),
  guard({
    code: 'ADDRESS_OF_NODE',
    severity: 'refuses',
    title: 'no other node has the new address, inside or outside',
    why: 'Two nodes with one address take each other off the network.',
    remedy: 'Choose a free address.',
    needs: ['nodes'],
    judge: ({ nodeUid, to: { address } }, { nodes: { nodes, unread } }) => {
      const holder = nodes.find(
        (node) =>
          node.uid !== nodeUid && (node.address === address || node.externalAddresses.includes(address)),
      );
      if (holder !== undefined) return fail(`${address} is an address of node ${holder.uid}.`);
      const hidden = nodes.find((node) => node.uid !== nodeUid && node.address === undefined);
      if (hidden !== undefined) return unclear(`The address of node ${hidden.uid} cannot be read.`);
      return unread.length > 0
        ? unclear(`A row of RS's node table cannot be read: ${unread[0]?.reason ?? ''}.`)
        : pass(`None of ${nodes.length} nodes has ${address}.`);
    },
  }),
  guard({
    code: 'LINK_NOT_FOUND',
    severity: 'refuses',
    title: 'the current address is on exactly one interface of this host, up and with carrier',
    why: 'The change is made on the network card that has the current address.',
    remedy:
      'ip addr shows where it is. To move to another card, put the new address there yourself, for good; the node then moves to an address that is bound already.',
    needs: ['nodes', 'interfaces'],
    judge: (move, { nodes, interfaces }) => {
      const current = rowOf(nodes, move.nodeUid)?.address;
      if (current === undefined) return unclear(`RS shows no address of node ${move.nodeUid}.`);
      const holders = holdersOf(interfaces, current);
      const [holder, ...others] = holders;
      if (holder === undefined) return fail(`${current} is on no interface.`);
      const names = holders.map(({ link }) => link.name).join(' and ');
      if (others.length > 0) return fail(`${current} is on ${names} at once.`);
      if (move.interface !== undefined && move.interface !== holder.link.name) {
        return fail(`${current} is on ${names}, not on ${move.interface}.`);
      }
      return isActive(holder.link)
        ? pass(`${current}/${holder.bound.prefixLength} is on ${names}.`)
        : fail(`${names}, which has ${current}, is ${holder.link.operState}.`);
    },
  }),
  guard({
    code: 'NEW_ADDRESS_UNFIT',
    severity: 'refuses',
    title: 'the new address, where this host has it already, is on one interface and can be used',
    why: 'RS binds to it when its unit starts, and does not come up where it cannot.',
    remedy: 'ip addr shows its flags; give the interface a permanent address, once.',
    needs: ['interfaces'],
    judge: ({ to }, { interfaces }) => {
      const holders = holdersOf(interfaces, to.address);
      const [holder, ...others] = holders;
      if (holder === undefined) return pass(`${to.address} is not on this host yet.`);
      const { link, bound } = holder;
      if (others.length > 0)
        return fail(`${to.address} is on ${holders.map((each) => each.link.name).join(' and ')}.`);
      if (!isActive(link)) return fail(`${link.name}, which has ${to.address}, is ${link.operState}.`);
      const lasting = !bound.flags.some(
        (flag) => flag === 'temporary' || flag === 'deprecated' || flag === 'dynamic',
      );
      if (isBeingDetected(bound))
        return unclear(`Duplicate address detection of ${to.address} on ${link.name} has not ended.`);
      return isUsable(bound) && lasting
        ? pass(`${to.address}/${bound.prefixLength} is on ${link.name}.`)
        : fail(`${to.address} is on ${link.name}, and is ${bound.flags.join(', ')}.`);
    },
  }),
  guard({
    code: 'NETWORK_ELSEWHERE',
    severity: 'refuses',
    title: 'no other interface of this host is in the network of the new address',
    why: 'With one network on two cards, answers leave by the wrong one.',
    remedy: 'Look whether the prefix length, or the network, is the right one; ip addr shows the others.',
    needs: ['change', 'kind', 'interfaces'],
    judge: (_move, { change: { link, to }, kind, interfaces }) => {
      if (kind === 'already_bound') return pass('Nothing changes on the interfaces.');
      const overlap = (candidate: NetworkInterface) =>
        candidate.name !== link.name &&
        candidate.addresses.some((bound) => isWithin(bound.address, to) || isWithin(to.address, bound));
      const other = interfaces.find(overlap);
      return other === undefined
        ? pass(`No other interface is in ${networkOf(to)}.`)
        : fail(
            `${other.name} has ${other.addresses.map((bound) => text(bound)).join(', ')}, which overlaps ${networkOf(to)}.`,
          );
    },
  }),
  guard({
    code: 'GATEWAY_OUTSIDE',
    severity: 'refuses',
    title: 'the gateway is another host in the network of the new address',
    why: 'A gateway that is not on the link cannot be reached, and with it nothing beyond.',
    remedy: 'Give the gateway of the new network with --gateway.',
    needs: ['change', 'kind', 'routes'],
    judge: ({ gateway }, { change: { link, from, to }, kind, routes }) => {
      if (kind === 'already_bound') {
        return gateway === undefined
          ? pass('Routes stay as they are.')
          : fail(
              `${to.address} is bound already, so that no route is changed, and --gateway ${gateway} was given.`,
              'Leave --gateway away; change the route yourself where you want another one.',
            );
      }
      const now = defaultGatewaysOf(routes, link.name, familyOf(to.address));
      const next = gateway === undefined ? now.filter((each) => isWithin(each, from)) : [gateway];
      const outside = next.find((each) => !isWithin(each, to) && rangeOf(each) !== 'linkLocal');
      if (outside !== undefined) return fail(`The gateway ${outside} is not in ${networkOf(to)}.`);
      if (next.includes(to.address)) return fail(`${to.address} is the gateway itself.`);
      return pass(
        next.length === 0
          ? `No default route goes through ${link.name}.`
          : `The gateway is ${next.join(', ')}.`,
      );
    },
  }),
  guard({
    code: 'GATEWAY_UNCLEAR',
    severity: 'refuses',
    title: 'it is clear which gateway a new one replaces',
    why: 'With none to replace, or with several, rlnet would have to guess which routes are meant.',
    remedy:
      'ip route shows the default routes. Leave --gateway away, or see that the interface has one default route.',
    needs: ['change', 'routes'],
    judge: ({ gateway }, { change: { link, to }, routes }) => {
      if (gateway === undefined) return pass('No gateway is replaced.');
      const now = defaultGatewaysOf(routes, link.name, familyOf(to.address));
      if (now.length === 1) return pass(`${gateway} replaces ${now.join('')}.`);
      return fail(
        now.length === 0
          ? `No default route goes through ${link.name} that ${gateway} could replace.`
          : `Default routes go through ${now.join(' and ')} on ${link.name}.`,
      );
    },
  }),
  guard({
    code: 'CUT_OVER_NOT_NEEDED',
    severity: 'warns',
    title: '--cut-over is given only for a network that is not here yet',
    why: 'A move within the network of the old address, or to a bound address, is rehearsed or needs no rehearsal.',
    remedy: 'Leave --cut-over away.',
    needs: ['kind'],
    judge: ({ options }, { kind }) =>
      options.cutOver && kind !== 'cut_over'
        ? fail(`--cut-over was given, and the move is ${kind}.`)
        : pass(`The move is ${kind}.`),
  }),
  guard({
    code: 'RS188659',
    severity: 'refuses',
    title: 'RS does not take the new address for loopback',
    why: 'RS before 7.22.2-170, and 8.x before 8.2.0-25, takes any IPv6 address with ::1 in its text, such as 2001:db8::10, for loopback (RS188659).',
    remedy: 'Choose an address without ::1 in its shortest text, such as 2001:db8::20, or upgrade RS first.',
    needs: ['nodes'],
    judge: ({ to: { address } }, { nodes: { nodes } }) => {
      if (!address.includes('::1')) return pass(`There is no ::1 in ${address}.`);
      const old = nodes.find(({ version }) => version !== undefined && mistakesForLoopback(version));
      if (old !== undefined)
        return fail(`Node ${old.uid} runs RS ${old.version ?? ''}, which takes ${address} for loopback.`);
      const silent = nodes.find(({ version }) => version === undefined);
      return silent === undefined
        ? pass('Every node runs RS with the fix.')
        : unclear(`Which RS node ${silent.uid} runs cannot be read, and ${address} has ::1 in it.`);
    },
  }),
];

function rowOf({ nodes }: NodeTable, nodeUid: number) {
  return nodes.find(({ uid }) => uid === nodeUid);
}
