import type { Address } from '../../protocol/address.ts';
import type { AddressChange, LinkIdentity } from '../../protocol/address-change.ts';
import type {
  FileEdit,
  Holding,
  OwnerEdit,
  OwnerFile,
  OwnerKind,
  OwnerPlace,
} from '../../protocol/network-owner.ts';

/** What an owner says of a link. */
export interface OwnerReport {
  /** `busy` while it is at work on the link; `unknown` where it does not answer, or in words that are not understood. */
  state: 'done' | 'busy' | 'failed' | 'unknown';
  /** Which address it says that it has put there. */
  holding: Holding | 'unknown';
  /** What it said, in one line. */
  evidence: string;
}

/**
 * What one owner has of its own. Back-ups, durable writing, restoring, waiting and the errors of all that are the same for all
 * and stand in `createFileOwner`.
 */
export interface OwnerAdapter<Configuration = readonly OwnerFile[]> {
  readonly kind: OwnerKind;

  /**
   * The owner's files, as far as the link's addresses, and routes and rules with them, can stand in them.
   * @throws RlnetError OWNER_FILE_REFUSED for one that cannot be read, or is not ours to edit and would have to be
   */
  read(link: LinkIdentity, signal: AbortSignal | undefined): Promise<Configuration>;

  /** Where these files name the address for this link. Pure. */
  locate(configuration: Configuration, link: LinkIdentity, address: Address): OwnerPlace[];

  /** The change in these files. Pure. @throws RlnetError as `NetworkOwner.plan` */
  edit(configuration: Configuration, change: AddressChange): OwnerEdit;

  /**
   * Asks the owner's own tool about the files as they stand now, before anything is taken up; resolves where there is no such tool.
   * @throws RlnetError OWNER_REJECTED
   */
  judge(files: readonly FileEdit[], signal: AbortSignal | undefined): Promise<void>;

  /**
   * Takes `change.to` out of the owner's way where a swap has put it into the kernel, and tells the owner to take its files up. It
   * need not wait for the end of that. May be called when all is as it should be.
   */
  takeUp(change: AddressChange, signal: AbortSignal | undefined): Promise<void>;

  /** Never rejects for what the owner does or does not say. */
  report(change: AddressChange, signal: AbortSignal | undefined): Promise<OwnerReport>;
}
