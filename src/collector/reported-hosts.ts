import type { Snapshot } from '../protocol/reporting.ts';
import type { Collector } from './collector.ts';
import type { Database } from './database.ts';

/** A host that has reported nothing for so long is called silent, milliseconds; agents give a sign of life every 30 s. */
const silentMs = 90_000;

/** A host as the API and the page have it. Times are wall clock, milliseconds since the epoch. */
export interface ReportedHost extends Snapshot {
  cluster: string;
  host: string;
  version: string;
  /** Whether its agent is connected, and whether it has reported in the last minute and a half. */
  connected: boolean;
  silent: boolean;
  /** When the report was made, by the host's clock, and when it came, by the collector's. */
  at: number;
  received: number;
}

export function reportedHosts(database: Database, collector: Collector, now: number): ReportedHost[] {
  return database.hosts().map(({ cluster, host, version, at, received, snapshot }) => ({
    ...(JSON.parse(snapshot) as Snapshot),
    cluster,
    host,
    version,
    connected: collector.isConnected({ cluster, host }),
    // A clock that was set back makes nobody silent who is connected.
    silent: !collector.isConnected({ cluster, host }) && Math.abs(now - received) > silentMs,
    at,
    received,
  }));
}
