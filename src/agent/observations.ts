import type { KnownPaths } from '../host/ports/paths.ts';
import type { Vitals } from '../host/ports/vitals.ts';
import { type Address, type Family, familyOf } from '../protocol/address.ts';
import type { AddressPersistence } from '../protocol/address-persistence.ts';
import type { RlnetError } from '../protocol/errors.ts';
import type { HostsJudgement } from '../protocol/hosts-file.ts';
import { holdersOf, isActive, isUsable, type NetworkInterface } from '../protocol/interfaces.ts';
import type { Inventory } from '../protocol/inventory.ts';
import type { DirectionWord } from '../protocol/renumbering/dead-man.ts';
import type { NodeTable, RsNode } from '../protocol/rs.ts';
import type { UnitState } from '../protocol/unit.ts';
import type { WireAnswer } from '../protocol/wire.ts';

/** The newest answer from one source, or why there is none. `at` is wall clock, milliseconds since the epoch. */
export type Reading<T> = { at: number; value: T } | { at: number; error: RlnetError };

/** Everything that this agent has read of its own host. A source that has not answered yet is absent. */
export interface Observations {
  interfaces?: Reading<NetworkInterface[]>;
  hostsFile?: Reading<HostsJudgement>;
  /** The unit that runs RS; undefined as value where the host has none. */
  unit?: Reading<UnitState | undefined>;
  /** From the node.id file; undefined as value where the host is not a node. */
  nodeUid?: Reading<number | undefined>;
  nodeTable?: Reading<NodeTable>;
  /** Of this host's internal address. */
  persistence?: Reading<AddressPersistence>;
  inventory?: Reading<Inventory>;
  vitals?: Reading<Vitals>;
  /** The word that the dead man acted on; undefined as value while it has not. */
  deadMan?: Reading<DirectionWord | undefined>;
  /** Whether a time source keeps the clock. */
  clockSynchronised?: Reading<boolean>;
  /** How far the clocks of the hosts that are linked are ahead of this one, milliseconds. */
  peerClocks?: Reading<readonly { host: string; aheadMs: number }[]>;
  /** RS's `slave_ha_grace_period`, seconds; undefined as value where RS does not show it. */
  replicaHaGrace?: Reading<number | undefined>;
  /** The unit of this agent. */
  agentUnit?: Reading<UnitState>;
  paths?: Reading<KnownPaths>;
  /** Who answers for this host's internal address on its own link. */
  wireAnswer?: Reading<WireAnswer | 'not_asked'>;
}

export function known<T>(reading: Reading<T> | undefined): T | undefined {
  return reading !== undefined && 'value' in reading ? reading.value : undefined;
}

/** Why a reading has no value, for people. */
export function whyUnknown(reading: Reading<unknown> | undefined): string {
  if (reading === undefined) return 'not read yet';
  return 'error' in reading ? reading.error.message : '';
}

/**
 * This host's row of the node table. The uid of the node.id file decides; the starred row can be another node's where rladmin
 * is proxied, so it is taken only where there is no such file.
 */
export function ownRow(observations: Observations): RsNode | undefined {
  const nodes = known(observations.nodeTable)?.nodes ?? [];
  const uid = known(observations.nodeUid);
  return uid === undefined ? nodes.find((node) => node.isLocal) : nodes.find((node) => node.uid === uid);
}

/**
 * The address the mesh is to use on this host, from the best source there is: RS's node table; what was remembered when RS last
 * answered (it does not answer while its unit is down); on the very first start the seed that this host holds.
 *
 * @param moving the old and the new address during a renumbering of this host: whichever of them is bound. While both are (a
 *   rehearsal, or an address that the host had before) it is the one that RS has, else the old one.
 */
export function ownAddress(
  observations: Observations,
  remembered: Address | undefined,
  seeds: readonly Address[],
  moving?: readonly [from: Address, to: Address],
): Address | undefined {
  const links = known(observations.interfaces) ?? [];
  const fromRs = ownRow(observations)?.address;
  const bound = moving?.filter((address) => isBindable(links, address)) ?? [];
  if (bound.length > 0) return bound.find((address) => address === fromRs) ?? bound[0];
  return fromRs ?? remembered ?? seeds.find((seed) => holdersOf(links, seed).length > 0);
}

/** Whether a listener could bind to the address now: held by an active interface, duplicate address detection over. */
export function isBindable(links: readonly NetworkInterface[], address: Address): boolean {
  return holdersOf(links, address).some(({ link, bound }) => isActive(link) && isUsable(bound));
}

/** The cluster's internal family: the one of all addresses in RS's node table, else of this host's own address. */
export function internalFamily(observations: Observations, own: Address | undefined): Family | undefined {
  const families = new Set(
    (known(observations.nodeTable)?.nodes ?? []).flatMap(({ address }) =>
      address === undefined ? [] : [familyOf(address)],
    ),
  );
  const [only] = families;
  if (families.size === 1) return only;
  return families.size === 0 && own !== undefined ? familyOf(own) : undefined;
}
