import { type Address, familyOf } from '../../protocol/address.ts';

/** Whom to dial: every address that a peer is said to have, of the family of our own, without ourselves. */
export function dialTargets(own: Address | undefined, candidates: readonly Address[]): Address[] {
  if (own === undefined) return [];
  return [...new Set(candidates)].filter((address) => address !== own && familyOf(address) === familyOf(own));
}

/**
 * How long to wait before dialling again, in milliseconds: doubles from 100 ms, and never gives up. Where nobody answered it grows to 1 s, so that
 * a link is back soon after the network is; where we were refused to 10 s, since a person has to mend that. Between half of it and
 * all of it, so that the agents of a cluster that came back together do not dial in step.
 *
 * @param attempt  0 after the first failure
 * @param fraction uniform in [0, 1)
 */
export function redialDelayMs(attempt: number, refused: boolean, fraction: number): number {
  const full = Math.min(refused ? 10_000 : 1_000, 100 * 2 ** Math.min(attempt, 10));
  return full / 2 + (full / 2) * fraction;
}
