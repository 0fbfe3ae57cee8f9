import { counter, exposition, gauge, type Sample } from '../protocol/exposition.ts';
import { holdersOf, isActive, isUsable } from '../protocol/interfaces.ts';
import type { HostState } from '../protocol/state.ts';
import type { Facts } from './findings/check.ts';
import type { PeerView } from './mesh/peer.ts';
import { known } from './observations.ts';

/** What the metrics are made of, as it is at the moment of a scrape. */
export interface Measured {
  cluster: string;
  state: HostState;
  facts: Facts;
  peers: readonly PeerView[];
  /** How many peers were turned away since the start, by code. */
  refusals: Readonly<Record<string, number>>;
  /** When this agent started; wall clock, milliseconds since the epoch. */
  startedAt: number;
}

/** What `/metrics` of an agent says. Every sample has the cluster, the host's name and, on a node, its uid; none has an address. */
export function agentMetrics({ cluster, state, facts, peers, refusals, startedAt }: Measured): string {
  const { observations, internalAddress, renumbering, certificates, report } = facts;
  const own = {
    cluster,
    host: state.host,
    ...(state.nodeUid === undefined ? {} : { node_uid: String(state.nodeUid) }),
  };
  const links = known(observations.interfaces);
  const unit = known(observations.unit);
  const of = <T>(
    list: readonly T[],
    sample: (each: T) => { labels: Record<string, string>; value: number | undefined },
  ): Sample[] =>
    list.flatMap((each) => {
      const { labels, value } = sample(each);
      return value === undefined ? [] : [{ labels: { ...own, ...labels }, value }];
    });
  const perPeer = (value: (peer: PeerView) => number | undefined): Sample[] =>
    of(peers, (peer) => ({ labels: { peer: peer.host }, value: value(peer) }));
  return exposition([
    gauge('rlnet_build_info', 'The version of the agent.', { ...own, version: state.version }, 1),
    gauge('rlnet_agent_start_time_seconds', 'When the agent started.', own, startedAt / 1_000),
    {
      name: 'rlnet_finding',
      help: 'A finding that is shown now: 1 for each. Its code is in docs/findings.md.',
      type: 'gauge',
      samples: of(state.findings, ({ code, severity, outcome }) => ({
        labels: { code, severity, outcome },
        value: 1,
      })),
    },
    {
      name: 'rlnet_findings',
      help: 'How many findings are shown now.',
      type: 'gauge',
      samples: of(['error', 'warning', 'info'], (severity) => ({
        labels: { severity },
        value: state.findings.filter((finding) => finding.severity === severity).length,
      })),
    },
    gauge(
      'rlnet_rs_unit_active',
      'Whether the unit of RS is active.',
      own,
      unit && unit.activeState === 'active',
    ),
    {
      name: 'rlnet_rs_node_ok',
      help: 'Whether RS calls a node OK, as rladmin of this host shows it.',
      type: 'gauge',
      samples: of(known(observations.nodeTable)?.nodes ?? [], ({ uid, status }) => ({
        labels: { rs_node_uid: String(uid) },
        value: status === 'unknown' ? undefined : Number(status === 'ok'),
      })),
    },
    gauge(
      'rlnet_internal_address_bound',
      "Whether the node's internal address is on an active interface.",
      own,
      links &&
        internalAddress &&
        holdersOf(links, internalAddress).some(({ link, bound }) => isActive(link) && isUsable(bound)),
    ),
    {
      name: 'rlnet_peer_linked',
      help: 'Whether there is a link to the agent of another host.',
      type: 'gauge',
      samples: perPeer(({ linked }) => Number(linked)),
    },
    {
      name: 'rlnet_peer_reachable',
      help: 'Whether another host can be reached from here; 0.5 while it is suspect.',
      type: 'gauge',
      samples: perPeer(
        ({ reachability: { status } }) => ({ reachable: 1, suspect: 0.5, unreachable: 0 })[status],
      ),
    },
    {
      name: 'rlnet_peer_round_trip_seconds',
      help: 'The last round trip of a ping to another host.',
      type: 'gauge',
      samples: perPeer(({ roundTripMs }) => (roundTripMs === undefined ? undefined : roundTripMs / 1_000)),
    },
    {
      name: 'rlnet_peer_ping_loss_ratio',
      help: 'Which part of the pings of the last half minute had no echo in time.',
      type: 'gauge',
      samples: perPeer(({ loss }) => loss),
    },
    {
      name: 'rlnet_mesh_refusals_total',
      help: 'Peers that were turned away.',
      type: 'counter',
      samples: of(Object.entries(refusals), ([code, value]) => ({ labels: { code }, value })),
    },
    gauge(
      'rlnet_renumbering_open',
      'Whether the address of this node is being changed.',
      own,
      renumbering?.is === 'open',
    ),
    gauge(
      'rlnet_renumbering_stopped',
      'Whether a renumbering of this host waits for a person.',
      own,
      renumbering !== undefined && (renumbering.is === 'stopped' || renumbering.trouble !== undefined),
    ),
    {
      name: 'rlnet_certificate_expiry_timestamp_seconds',
      help: 'When a certificate of the mesh ends.',
      type: 'gauge',
      samples: of(certificates, ({ name, notAfter }) => ({
        labels: { certificate: name },
        value: notAfter / 1_000,
      })),
    },
    ...(report === undefined
      ? []
      : [
          gauge(
            'rlnet_collector_connected',
            'Whether this host is connected to its collector.',
            own,
            report.connected,
          ),
          gauge('rlnet_report_spool_bytes', 'What waits on disk for the collector.', own, report.bytes),
          counter(
            'rlnet_report_dropped_events_total',
            'Events that could not be kept for the collector.',
            own,
            report.dropped,
          ),
        ]),
  ]);
}
