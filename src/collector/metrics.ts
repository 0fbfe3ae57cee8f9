import { counter, exposition, gauge, type Sample } from '../protocol/exposition.ts';
import type { CollectorCounts } from './collector.ts';
import type { ReportedHost } from './reported-hosts.ts';

/** What `/metrics` of a collector says: of itself, and of each host by its last report. No label has an address. */
export function collectorMetrics(
  hosts: readonly ReportedHost[],
  counts: CollectorCounts,
  database: { bytes: number; lost: number },
): string {
  const of = (value: (host: ReportedHost) => number): Sample[] =>
    hosts.map((host) => ({ labels: labelsOf(host), value: value(host) }));
  return exposition([
    gauge('rlnet_collector_connections', 'Agents that are connected.', {}, counts.connections),
    counter('rlnet_collector_reports_total', 'Reports that came since the start.', {}, counts.reports),
    counter('rlnet_collector_events_total', 'Events that came since the start.', {}, counts.events),
    counter(
      'rlnet_collector_refusals_total',
      'Agents and reports that were turned away.',
      {},
      counts.refused,
    ),
    counter('rlnet_collector_commit_failures_total', 'Commits that failed.', {}, counts.failures),
    gauge('rlnet_collector_writable', 'Whether the last commit went well.', {}, counts.trouble === undefined),
    gauge('rlnet_collector_database_bytes', 'The size of the database.', {}, database.bytes),
    gauge(
      'rlnet_collector_lost_events',
      'Events that agents had to drop before they came here.',
      {},
      database.lost,
    ),
    {
      name: 'rlnet_collector_host_connected',
      help: 'Whether the agent of a host is connected.',
      type: 'gauge',
      samples: of(({ connected }) => Number(connected)),
    },
    {
      name: 'rlnet_collector_host_last_report_timestamp_seconds',
      help: 'When the last report of a host came.',
      type: 'gauge',
      samples: of(({ received }) => received / 1_000),
    },
    {
      name: 'rlnet_collector_host_finding',
      help: 'A finding of the last report of a host: 1 for each. Its code is in docs/findings.md.',
      type: 'gauge',
      samples: hosts.flatMap((host) =>
        host.state.findings.map(({ code, severity, outcome }) => ({
          labels: { ...labelsOf(host), code, severity, outcome },
          value: 1,
        })),
      ),
    },
  ]);
}

function labelsOf({ cluster, host, state: { nodeUid } }: ReportedHost): Record<string, string> {
  return { cluster, host, ...(nodeUid === undefined ? {} : { node_uid: String(nodeUid) }) };
}
