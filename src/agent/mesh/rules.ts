import { type Address, type Family, familyOf } from '../../protocol/address.ts';

/**
 * Whom to dial, each once and without ourselves, and whom not: an address of another family than the mesh's is passed over, as nobody listens
 * there who belongs to it.
 *
 * @param family the family of the mesh; undefined on a host that is no node yet, which has it from its configuration alone. It dials
 *   every address, so that a member can tell both of them where the configuration is wrong.
 */
export function dialTargets(
  own: Address | undefined,
  family: Family | undefined,
  candidates: readonly Address[],
): { dialled: Address[]; passedOver: Address[] } {
  if (own === undefined) return { dialled: [], passedOver: [] };
  const others = [...new Set(candidates)].filter((address) => address !== own);
  const fits = (address: Address): boolean => family === undefined || familyOf(address) === family;
  return { dialled: others.filter(fits), passedOver: others.filter((address) => !fits(address)) };
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
