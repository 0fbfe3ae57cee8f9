import { type Address, familyOf } from '../../protocol/address.ts';
import type { Hello } from '../../protocol/messages.ts';

/** One of two links to the same host, as far as the choice between them goes. */
export interface Contender {
  hello: Hello;
  opener: 'us' | 'them';
}

/**
 * Which of two links to one host stays. Both sides come to the same answer without asking each other:
 * of two links with the same run of the agent, the one that the lower name opened; where the newer one is of a newer run (the agent
 * or its host was restarted), the newer one, since the older is a dead socket that nobody has noticed yet.
 * `twin`: the same certificate on another machine; the link that was there stays.
 */
export function chooseLink(ownHost: string, old: Contender, fresh: Contender): 'old' | 'fresh' | 'twin' {
  if (fresh.hello.machineId !== old.hello.machineId) return 'twin';
  if (fresh.hello.instance !== old.hello.instance) return 'fresh';
  const lower = ownHost < fresh.hello.host ? 'us' : 'them';
  return fresh.opener === lower ? 'fresh' : 'old';
}

/** Whom to dial: every address that a peer is said to have, of the family of our own, without ourselves. */
export function dialTargets(own: Address | undefined, candidates: readonly Address[]): Address[] {
  if (own === undefined) return [];
  return [...new Set(candidates)].filter((address) => address !== own && familyOf(address) === familyOf(own));
}

/**
 * How long to wait before dialling again, in milliseconds: doubles from 250 ms to 10 s, and never gives up. Between half of it and all
 * of it, so that the agents of a cluster that came back together do not dial in step.
 * @param attempt  0 after the first failure
 * @param fraction uniform in [0, 1)
 */
export function redialDelayMs(attempt: number, fraction: number): number {
  const full = Math.min(10_000, 250 * 2 ** Math.min(attempt, 10));
  return full / 2 + (full / 2) * fraction;
}
