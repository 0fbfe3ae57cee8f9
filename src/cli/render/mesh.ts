import type { MeshView } from '../../protocol/state.ts';
import { renderAge, renderTable } from './table.ts';

type Side = MeshView['hosts'][number];

/** `rlnet mesh` as text: a line for each direction of each pair, then what was turned away. */
export function renderMesh({ at, seenFrom, hosts }: MeshView): string {
  const sorted = hosts.toSorted((a, b) => (a.host < b.host ? -1 : 1));
  const lines = renderTable(
    ['FROM', 'TO', 'STATE', 'SINCE', 'ROUND TRIP', 'LOSS', 'PATH MTU', 'WHY'],
    sorted.flatMap((side) => rowsOf(side, at)),
  );
  const refused = sorted.flatMap((side) =>
    'refusals' in side
      ? Object.entries(side.refusals).map(([code, count]) => `${side.host} turned away ${count}: ${code}`)
      : [],
  );
  return `${[`mesh, seen from ${seenFrom}`, '', ...lines, ...(refused.length === 0 ? [] : ['', ...refused])].join('\n')}\n`;
}

function rowsOf(side: Side, now: number): string[][] {
  if (!('links' in side)) return [[side.host, '-', 'unknown', '', '', '', '', side.unknown]];
  return side.links
    .toSorted((a, b) => (a.host < b.host ? -1 : 1))
    .map(({ host, reachability, roundTripMs, loss, pathMtu }) => [
      side.host,
      host,
      reachability.status === 'unreachable' && !reachability.confirmed
        ? 'unreachable (unconfirmed)'
        : reachability.status,
      renderAge(now - reachability.since),
      roundTripMs === undefined ? '-' : `${roundTripMs} ms`,
      loss === undefined ? '-' : `${Math.round(loss * 1000) / 10} %`,
      pathMtu?.toString() ?? '-',
      'why' in reachability ? reachability.why : '',
    ]);
}
