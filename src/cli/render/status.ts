import type { Finding } from '../../protocol/finding.ts';
import type { RsNode } from '../../protocol/rs.ts';
import type { ClusterView, HostState } from '../../protocol/state.ts';
import { renderAge, renderTable } from './table.ts';

type Host = ClusterView['hosts'][number];

/** One line of the table: an RS node, a host with an agent, or both, which is the rule. */
export interface StatusRow {
  node: RsNode | undefined;
  host: Host | undefined;
}

/** RS's nodes by uid, each with the host that says it is that node; then the hosts that are no node that RS knows. */
export function statusRows(view: ClusterView): StatusRow[] {
  const nodes = 'nodes' in view.rs ? view.rs.nodes : [];
  const rows: StatusRow[] = nodes
    .toSorted((a, b) => a.uid - b.uid)
    .map((node) => ({ node, host: view.hosts.find(({ state }) => state?.nodeUid === node.uid) }));
  const placed = new Set(rows.map(({ host }) => host?.host));
  return [
    ...rows,
    ...view.hosts.filter(({ host }) => !placed.has(host)).map((host) => ({ node: undefined, host })),
  ];
}

/** `rlnet status` as text. */
export function renderStatus(view: ClusterView): string {
  const rows = statusRows(view);
  const header = ['NODE', 'ROLE', 'HOST', 'INTERNAL', 'EXTERNAL', 'RS', 'UNIT', '::1 LOCALHOST', 'AGENT'];
  const table = renderTable(
    header,
    rows.map(({ node, host }) => [
      node?.uid.toString() ?? host?.state?.nodeUid?.toString() ?? '-',
      node?.role ?? '-',
      host?.host ?? node?.hostname ?? '-',
      node?.address ?? host?.state?.internalAddress ?? '-',
      node?.externalAddresses.join(',') || '-',
      node?.statusText || '-',
      renderUnit(host?.state),
      host?.state?.hostsFile.localhostIpv6 ?? 'unknown',
      renderLink(host, node, view),
    ]),
  );
  const family = view.internalFamily ?? 'unknown';
  const lines = [
    `cluster ${view.cluster}, internal family ${family}, seen from ${view.seenFrom}`,
    '',
    ...table,
    ...renderRsProblems(view),
    ...renderRenumberings(view),
    ...renderRollouts(view),
    '',
    ...renderAddresses(view),
    '',
    ...renderFindings(view),
  ];
  return `${lines.join('\n')}\n`;
}

/** Why it is unknown stands with the findings. */
function renderUnit(state: HostState | undefined): string {
  if (state === undefined) return 'unknown';
  return 'unknown' in state.unit
    ? 'unknown'
    : `${state.unit.unit.replace(/\.service$/, '')} ${state.unit.activeState}`;
}

function renderLink(host: Host | undefined, node: RsNode | undefined, view: ClusterView): string {
  if (host === undefined) {
    const reason = view.unreached.find(({ address }) => address === node?.address)?.reason;
    return `no agent seen${reason === undefined ? '' : `: ${reason}`}`;
  }
  switch (host.link.status) {
    case 'self':
      return 'this host';
    case 'connected': {
      const { status } = host.link.reachability;
      return `linked ${renderAge(view.at - host.link.since)}${status === 'reachable' ? '' : `, ${status}`}`;
    }
    case 'disconnected':
      return `${host.link.reachability.status}, no link for ${renderAge(view.at - host.link.since)}: ${host.link.reason}`;
  }
}

function renderRsProblems({ rs }: ClusterView): string[] {
  if ('unknown' in rs) return ['', `RS's node table is not known here: ${rs.unknown}`];
  if (rs.unread.length === 0) return [];
  return [
    '',
    "Rows of RS's node table that could not be read:",
    ...rs.unread.map(({ line, reason }) => `  ${line}  (${reason})`),
  ];
}

function renderRenumberings({ hosts, at }: ClusterView): string[] {
  const open = hosts.flatMap(({ host, state }) =>
    state?.renumbering === undefined ? [] : [{ host, ...state.renumbering }],
  );
  if (open.length === 0) return [];
  return [
    '',
    ...open.flatMap(({ host, planId, nodeUid, from, to, direction, step, since, is, trouble }) => {
      const where = step === undefined ? 'at the end' : `${direction} at ${step}`;
      const what = is === 'stopped' ? `stopped ${where}` : `${where} for ${renderAge(at - since)}`;
      const head = `renumbering ${planId} of node ${nodeUid} (${host}) from ${from.address} to ${to.address}: ${what}`;
      return trouble === undefined
        ? [head]
        : [head, `       ${trouble.code}: ${trouble.message}`, `       ${trouble.remedy}`];
    }),
  ];
}

/** Rollouts that are under way; one that has ended is in `rlnet rollout`. */
function renderRollouts({ hosts }: ClusterView): string[] {
  const open = hosts.flatMap(({ host, state }) =>
    state?.rollout?.is === 'open' || state?.rollout?.is === 'paused' ? [{ host, ...state.rollout }] : [],
  );
  if (open.length === 0) return [];
  return [
    '',
    ...open.map(({ host, id, is, done, of, node, holds }) => {
      const where = node === undefined ? '' : `, at node ${node}`;
      return `rollout ${id}, led by ${host}: ${done} of ${of} done${where}, ${is}${holds === undefined ? '' : ` (${holds})`}`;
    }),
  ];
}

function renderAddresses(view: ClusterView): string[] {
  return renderTable(
    ['HOST', 'INTERFACE', 'ADDRESS', ''],
    view.hosts.flatMap(({ host, state }) => {
      const { listed, more } = state?.addresses ?? { listed: [], more: 0 };
      const rows = listed.map((entry) => [
        host,
        entry.interface,
        `${entry.address}/${entry.prefixLength}`,
        [entry.address === state?.internalAddress ? 'internal' : '', entry.usable ? '' : 'not usable']
          .filter(Boolean)
          .join(', '),
      ]);
      return more === 0 ? rows : [...rows, [host, '', `and ${more} more`, '']];
    }),
  );
}

function renderFindings(view: ClusterView): string[] {
  const findings = view.hosts.flatMap(({ host, state }) =>
    (state?.findings ?? []).map((finding) => ({ host, finding })),
  );
  if (findings.length === 0) return ['no findings'];
  return findings.flatMap(({ host, finding }) => renderFinding(host, finding, view.at));
}

function renderFinding(
  host: string,
  { code, outcome, severity, evidence, remedy, since }: Finding,
  now: number,
): string[] {
  const head = outcome === 'unknown' ? 'unknown' : severity;
  return [`${head}  ${host}  ${code}  for ${renderAge(now - since)}: ${evidence}`, `       ${remedy}`];
}
