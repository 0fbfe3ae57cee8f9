import type { KnownPaths } from '../host/ports/paths.ts';
import type { Address } from '../protocol/address.ts';
import type { Reachability } from '../protocol/reachability.ts';
import type { ClusterView, HostState, Links, LinkView } from '../protocol/state.ts';
import type { PeerView } from './mesh/peer.ts';
import { known, type Observations, whyUnknown } from './observations.ts';

/** The cluster as this agent sees it: its own state, RS's node table here, and what the peers said last. */
export function clusterViewOf(
  cluster: string,
  own: HostState,
  observations: Observations,
  peers: readonly PeerView[],
  unreached: readonly { address: Address; since: number; reason: string }[],
  now: number,
): ClusterView {
  const table = known(observations.nodeTable);
  const self: ClusterView['hosts'][number] = { host: own.host, link: { status: 'self' }, state: own };
  const others = peers.map((peer) => ({
    host: peer.host,
    link: linkViewOf(peer),
    ...(peer.state === undefined ? {} : { state: peer.state }),
  }));
  return {
    cluster,
    seenFrom: own.host,
    at: now,
    ...(own.internalFamily === undefined ? {} : { internalFamily: own.internalFamily }),
    rs:
      table === undefined
        ? { unknown: whyUnknown(observations.nodeTable) }
        : { ...table, at: observations.nodeTable?.at ?? now },
    hosts: [self, ...others].sort((a, b) => (a.host < b.host ? -1 : 1)),
    unreached: [...unreached],
  };
}

function linkViewOf({ address, since, noLink, reachability, roundTripMs }: PeerView): LinkView {
  if (address === undefined) {
    return { status: 'disconnected', since, reason: noLink ?? 'unknown', reachability };
  }
  const rounded = roundTripMs === undefined ? {} : { roundTripMs: round(roundTripMs, 2) };
  return { status: 'connected', since, address, reachability, ...rounded };
}

/** This host's side of its links. */
export function linksOf(
  host: string,
  peers: readonly PeerView[],
  { mtus, unanswered }: KnownPaths,
  refusals: Record<string, number>,
): Links {
  return {
    host,
    refusals,
    links: peers.map((peer) => {
      const pathMtu = peer.address === undefined ? undefined : mtus.get(peer.address);
      const address = peer.state?.internalAddress;
      const isHeard = !peer.linked && address !== undefined && unanswered.has(address);
      return {
        host: peer.host,
        linked: peer.linked,
        since: peer.since,
        reachability: isHeard ? heardOnly(peer.reachability) : peer.reachability,
        ...(peer.address === undefined ? {} : { address: peer.address }),
        ...(peer.roundTripMs === undefined ? {} : { roundTripMs: round(peer.roundTripMs, 2) }),
        ...(peer.loss === undefined ? {} : { loss: round(peer.loss, 4) }),
        ...(pathMtu === undefined ? {} : { pathMtu }),
      };
    }),
  };
}

/** The detector may have missed it, as TCP lets little more through when one direction is gone; the kernel goes on seeing it. */
function heardOnly(verdict: Reachability): Reachability {
  if (verdict.status === 'reachable') return verdict;
  return {
    ...verdict,
    why: `${verdict.why}; it wants to connect and does not get our answers: what we send does not arrive`,
  };
}

function round(value: number, digits: number): number {
  return Math.round(value * 10 ** digits) / 10 ** digits;
}

/** Equal for two views that show the same to people, whatever the time and the last round trips. */
export function comparable({ rs, hosts, unreached, internalFamily }: ClusterView): string {
  const shown = hosts.map(({ host, link, state }) => {
    const reachability = 'reachability' in link ? { ...link.reachability, since: undefined } : undefined;
    // What a host says of itself is known by its revision; spelling it out for each of a hundred hosts is slow.
    return [
      host,
      link.status,
      'since' in link ? link.since : 0,
      reachability,
      state?.revision,
      state?.version,
    ];
  });
  return JSON.stringify([internalFamily, 'nodes' in rs ? [rs.nodes, rs.unread] : rs, shown, unreached]);
}

/** One line for `systemctl status`: who this is, who is there, what is wrong. */
export function statusLineOf(view: ClusterView): string {
  const own = view.hosts.find(({ link }) => link.status === 'self')?.state;
  const peers = view.hosts.filter(({ link }) => link.status !== 'self');
  const linked = peers.filter(({ link }) => link.status === 'connected').length;
  const missing = view.unreached.length;
  const node = own?.nodeUid === undefined ? 'not a node' : `node ${own.nodeUid}`;
  const address =
    own?.internalAddress === undefined ? 'internal address unknown' : `at ${own.internalAddress}`;
  const mesh = `${linked} of ${Math.max(peers.length, linked + missing)} peers linked`;
  const codes = own?.findings.map(({ code }) => code) ?? [];
  const findings = codes.length === 0 ? 'no findings' : `findings: ${codes.join(', ')}`;
  return `${own?.mode === 'observe' ? 'observing' : 'managing'} ${node} of ${view.cluster} ${address}; ${mesh}; ${findings}`;
}
