import type { Address } from '../../protocol/address.ts';
import type { LinkIdentity } from '../../protocol/address-change.ts';
import type { AddressPersistence } from '../../protocol/address-persistence.ts';

/** Whether an address outlives a boot. */
export interface AddressPersistences {
  /**
   * Finds out the owner of the link and looks into its files. Costs up to four execs and some files: 20 to 200 milliseconds, so not to be
   * asked often.
   * @throws RlnetError what `NetworkOwners.detect` and `NetworkOwner.locate` throw
   */
  read(link: LinkIdentity, address: Address): Promise<AddressPersistence>;

  /** Calls `onHint` when a file of an owner may have changed. A hint only; it can be missed. */
  watch(onHint: () => void): { close(): void };
}
