import type { WebAnswer, WebRequest } from '../host/ports/web-server.ts';
import { expositionType } from '../protocol/exposition.ts';
import type { Collector } from './collector.ts';
import type { Database, EventQuery } from './database.ts';
import { collectorMetrics } from './metrics.ts';
import { type ReportedHost, reportedHosts } from './reported-hosts.ts';

const maxEvents = 1_000;
const defaultEvents = 100;

/**
 * The page and the JSON API:
 * `/` the page, `/metrics`, `/api/v1/hosts`, `/api/v1/findings`, `/api/v1/events?cluster=&host=&kind=&stream=&after=&limit=`, `/api/v1/collector`.
 */
export function answerWeb(
  { database, collector, now }: { database: Database; collector: Collector; now: number },
  { path, query }: WebRequest,
): WebAnswer {
  const hosts = () => reportedHosts(database, collector, now);
  switch (path) {
    case '/':
      return { status: 200, type: 'text/html', body: page(hosts(), database, now) };
    case '/api/v1/hosts':
      return json({ at: now, hosts: hosts() });
    case '/api/v1/findings':
      return json({
        at: now,
        findings: hosts().flatMap(({ cluster, host, state }) =>
          state.findings.map((finding) => ({ cluster, host, nodeUid: state.nodeUid, ...finding })),
        ),
      });
    case '/api/v1/events': {
      const wanted = eventQueryOf(query);
      if (wanted === undefined)
        return { status: 400, type: 'text/plain', body: 'after and limit are numbers\n' };
      const events = database
        .events(wanted)
        .map(({ data, ...event }) => ({ ...event, data: JSON.parse(data) as unknown }));
      return json({ at: now, events });
    }
    case '/api/v1/collector':
      return json({ at: now, ...collector.counts, bytes: database.size(), lost: database.lost() });
    case '/metrics':
      return {
        status: 200,
        type: expositionType,
        body: collectorMetrics(hosts(), collector.counts, { bytes: database.size(), lost: database.lost() }),
      };
    default:
      return { status: 404, type: 'text/plain', body: 'there is nothing here\n' };
  }
}

function eventQueryOf(query: ReadonlyMap<string, string>): EventQuery | undefined {
  const number = (name: string): number | undefined => {
    const text = query.get(name);
    return text === undefined ? undefined : /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  };
  const [after, limit] = [number('after'), number('limit')];
  if (Number.isNaN(after) || Number.isNaN(limit)) return undefined;
  const texts = (['cluster', 'host', 'kind', 'stream'] as const).flatMap((name) => {
    const value = query.get(name);
    return value === undefined ? [] : [[name, value] as const];
  });
  return {
    ...Object.fromEntries(texts),
    ...(after === undefined ? {} : { after }),
    limit: Math.min(limit ?? defaultEvents, maxEvents),
  };
}

function json(value: unknown): WebAnswer {
  return { status: 200, type: 'application/json', body: `${JSON.stringify(value)}\n` };
}

/** One page without a script: the fleet by cluster, what is wrong, and what happened last. */
function page(hosts: readonly ReportedHost[], database: Database, now: number): string {
  const clusters = Map.groupBy(hosts, ({ cluster }) => cluster);
  const body = [...clusters].map(
    ([cluster, of]) =>
      `<h2>${text(cluster)}</h2>${table(
        ['node', 'host', 'internal', 'RS', 'unit', 'agent', 'findings'],
        of.map(({ host, state, rs, connected, silent, received, version }) => [
          state.nodeUid === undefined ? '-' : String(state.nodeUid),
          host,
          state.internalAddress ?? 'unknown',
          rs?.nodes.find(({ uid }) => uid === state.nodeUid)?.statusText ?? 'unknown',
          'unknown' in state.unit ? 'unknown' : state.unit.activeState,
          connected
            ? version
            : `${silent ? 'silent' : 'not connected'}, last report ${ago(now - received)} ago`,
          state.findings.map(({ severity, code }) => `${severity} ${code}`).join(', ') || 'none',
        ]),
      )}`,
  );
  const findings = hosts.flatMap(({ cluster, host, state }) =>
    state.findings.map(({ severity, outcome, code, evidence, since, remedy }) => [
      outcome === 'unknown' ? 'unknown' : severity,
      `${cluster}/${host}`,
      code,
      ago(now - since),
      evidence,
      remedy,
    ]),
  );
  const events = database
    .events({ limit: 50 })
    .map(({ at, cluster, host, kind, data }) => [
      new Date(at).toISOString(),
      `${cluster}/${host}`,
      kind,
      data.slice(0, 300),
    ]);
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>rlnet</title><meta http-equiv="refresh" content="5"><style>
body{font:14px/1.4 system-ui,sans-serif;margin:2em}table{border-collapse:collapse;margin-bottom:1em}th,td{text-align:left;vertical-align:top;padding:2px 12px 2px 0}
</style></head><body><h1>rlnet</h1>${body.join('') || '<p>No agent has reported yet.</p>'}
<h2>Findings</h2>${findings.length === 0 ? '<p>none</p>' : table(['', 'host', 'code', 'for', 'evidence', 'remedy'], findings)}
<h2>Events</h2>${table(['at', 'host', 'kind', ''], events)}</body></html>
`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (tag: string, cells: readonly string[]) =>
    `<tr>${cells.map((cell) => `<${tag}>${text(cell)}</${tag}>`).join('')}</tr>`;
  return `<table>${line('th', head)}${rows.map((row) => line('td', row)).join('')}</table>`;
}

function text(value: string): string {
  return value
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

function ago(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7_200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3_600)} h`;
}
