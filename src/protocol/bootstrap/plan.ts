import type { Address, Family } from '../address.ts';
import type { GuardResult } from '../renumbering/guard.ts';
import { chooseFor, runBootstrapChecks, wantedFamily } from './checks.ts';
import type { BootstrapFacts, Wish } from './facts.ts';

/** What a bootstrap would do, and what stands in its way. */
export interface BootstrapPlan {
  action: Wish['action'];
  /** The cluster's name for `create`. */
  name?: string;
  members: readonly string[];
  /** Absent where no addresses could be chosen: the checks say why. */
  node?: {
    family: Family;
    address: Address;
    external: Address[];
    /** Sent to RS; never on a join, where RS takes it for a contradiction, and not where the host has no IPv4 anyway. */
    useInternalIpv6: boolean;
    why: string;
  };
  checks: GuardResult[];
}

export function planBootstrap(wish: Wish, facts: BootstrapFacts): BootstrapPlan {
  const choice = chooseFor(wish, facts);
  const { action, name, members } = wish;
  const plan = { action, ...(name === undefined ? {} : { name }), members };
  const checks = runBootstrapChecks(wish, facts);
  if (choice?.choice !== 'chosen') return { ...plan, checks };
  const family = wantedFamily(wish, facts);
  const { cluster } = facts;
  const joined =
    action === 'join' && !('unknown' in cluster)
      ? `All ${cluster.value.length} nodes of the cluster use ${family ?? 'one family'} inside. `
      : '';
  return {
    ...plan,
    node: {
      family: choice.family,
      address: choice.internal,
      external: choice.external,
      useInternalIpv6: action === 'create' && wish.useInternalIpv6,
      why: `${joined}${choice.why}`,
    },
    checks,
  };
}

/** The body of `POST /v1/bootstrap/{action}`, without the credentials. */
export function bodyOf({ action, name, members, node }: BootstrapPlan): object {
  return {
    action: action === 'create' ? 'create_cluster' : 'join_cluster',
    cluster: action === 'create' ? { name } : { nodes: members },
    node: {
      identity: {
        addr: node?.address,
        external_addr: node?.external,
        ...(node?.useInternalIpv6 === true ? { use_internal_ipv6: true } : {}),
      },
    },
  };
}
