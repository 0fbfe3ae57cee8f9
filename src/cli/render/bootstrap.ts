import type { BootstrapPlan } from '../../protocol/bootstrap/plan.ts';
import type { RsNode } from '../../protocol/rs.ts';
import type { LocalBootstrap } from '../bootstrap/session.ts';

/** What would be done, which address is used and why, and every check that does not pass. */
export function renderBootstrapPlan({ action, name, members, node, checks }: BootstrapPlan): string {
  const failing = checks.filter(({ outcome }) => outcome !== 'pass');
  return `${[
    action === 'create' ? `create the cluster ${name ?? ''}` : `join the cluster of ${members.join(', ')}`,
    ...(node === undefined
      ? ['  no address could be chosen']
      : [
          `  internal  ${node.address} (${node.family}${node.useInternalIpv6 ? ', use_internal_ipv6' : ''})`,
          `  external  ${node.external.join(', ')}`,
          `  why       ${node.why}`,
        ]),
    `${checks.length - failing.length} of ${checks.length} checks pass`,
    ...failing.flatMap(({ severity, outcome, code, message, remedy }) => [
      `${severity === 'refuses' ? 'refused' : 'warning'}${outcome === 'unknown' ? ' (not known)' : ''}  ${code}: ${message}`,
      `       ${remedy}`,
    ]),
  ].join('\n')}\n`;
}

export function renderBootstrapped(
  { uid, address, externalAddresses, statusText }: RsNode,
  what: string,
): string {
  const external = externalAddresses.length === 0 ? '' : `, external ${externalAddresses.join(', ')}`;
  return `this host ${what}: node ${uid} at ${address ?? 'an unknown address'}${external}, ${statusText}\n`;
}

/** What RS's REST API says of the bootstrap, and what is so by node.id and rladmin. */
export function renderBootstrapStatus(
  local: LocalBootstrap | { is: 'silent'; why: string },
  node: RsNode | { unknown: string } | undefined,
): string {
  return `${[
    `RS says    ${saidOf(local)}`,
    `this host  ${
      node === undefined
        ? 'is no node (there is no node id)'
        : 'unknown' in node
          ? `not known: ${node.unknown}`
          : `is node ${node.uid} at ${node.address ?? 'an unknown address'}, ${node.statusText}`
    }`,
  ].join('\n')}\n`;
}

function saidOf(local: LocalBootstrap | { is: 'silent'; why: string }): string {
  switch (local.is) {
    case 'silent':
      return `nothing: ${local.why}`;
    case 'member':
      return 'nothing without a sign-in, which it wants on a node of a cluster alone';
    case 'outside': {
      const { state, errorCode, errorDetails } = local;
      const details = errorDetails === undefined ? '' : ` ${JSON.stringify(errorDetails)}`;
      return errorCode === undefined ? state : `${state}: ${errorCode}${details}`;
    }
  }
}
