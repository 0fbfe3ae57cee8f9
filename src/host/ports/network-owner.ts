import type { Address } from '../../protocol/address.ts';
import type { AddressChange, LinkIdentity } from '../../protocol/address-change.ts';
import type { OwnerEdit, OwnerKind, OwnerPlace, OwnerReading } from '../../protocol/network-owner.ts';
import type { OwnerVerdict } from '../../protocol/owner-detection.ts';

/** Who owns what on this host. */
export interface NetworkOwners {
  /**
   * Who puts the address on the link at boot, with the evidence; a refusal is an answer. Reads files and asks systemctl, and nmcli where
   * NetworkManager runs: 10 to 100 milliseconds. Configuration (`network.owner: hook` or `manual`) goes before it.
   * @throws RlnetError OWNER_LINK_GONE; what Exec throws
   */
  detect(link: LinkIdentity, address: Address, signal?: AbortSignal): Promise<OwnerVerdict>;
}

/**
 * The owner of a link's network configuration, and the change of one address in what it owns.
 *
 * The order is `plan` (as often as wanted), `backUp`, `persist`, `activate`; and back `restore`, `activate(reversed(change))`.
 * Every call can be repeated: after a crash or a power loss between any two of them, or in the middle of one, the same call again
 * ends where it would have ended. One caller at a time.
 *
 * The kernel may have `change.to` already, put there by a swap, when `activate` is called.
 *
 * What all calls reject with: RlnetError
 * - OWNER_LINK_GONE: no link of that name, or it has another MAC address.
 * - OWNER_FILE_REFUSED: a file that is the owner's and not ours to edit (generated, shipped by a package), or that cannot be read.
 * - what Exec throws (COMMAND_NOT_FOUND, COMMAND_TIMEOUT …) where the owner's own tool is asked.
 * When `signal` aborts: with its reason. What was begun is finished or not begun; repeat the call to find out.
 */
export interface NetworkOwner {
  readonly kind: OwnerKind;

  /**
   * Where the owner's files name the address for this link: the address itself, routes and rules with it. Reads only. An empty
   * answer means that a boot would not bring the address back.
   */
  locate(link: LinkIdentity, address: Address, signal?: AbortSignal): Promise<OwnerPlace[]>;

  /**
   * What the change is in the owner's files. Reads them; writes nothing and tells nobody.
   * @throws RlnetError OWNER_ADDRESS_NOT_FOUND (`change.from` with its prefix length is in no file), OWNER_ADDRESS_TWICE (it
   *   is set in several places, or `change.to` is there already), OWNER_CHANGE_REFUSED (the file says it in a way that a
   *   change of one address cannot follow)
   */
  plan(change: AddressChange, signal?: AbortSignal): Promise<OwnerEdit>;

  /**
   * Writes down, in a directory that may exist already, all that `persist` and `restore` need: each file before and after with
   * mode, owner, times and extended attributes, `restore.sh`, and last the manifest; durable when it resolves. The owner's files are
   * not touched. Where the directory has a whole back-up of this very change, nothing is done.
   * @throws RlnetError what `plan` throws; OWNER_BACKUP_INVALID where the directory has the back-up of another change or a
   *   damaged one; OWNER_WRITE_FAILED (ENOSPC, EROFS …)
   */
  backUp(change: AddressChange, directory: string, signal?: AbortSignal): Promise<void>;

  /**
   * Writes the change into the owner's files, by `backUp` first where that is not done yet. All new files are written beside the
   * old ones and fsynced before the first of them is renamed: what does not fit changes nothing. Each file is the old or the new one at any
   * moment; between two files a power loss can leave `both`, which the same call again, or `restore`, puts right. Mode, owner
   * and extended attributes stay. Then the owner's own tool judges the files, where there is one; what it rejects
   * is put back before this rejects. The owner has not taken anything up when it resolves, but would at a boot.
   * @throws RlnetError what `backUp` throws; OWNER_FILES_CHANGED (a file is neither as it was backed up nor as it is to be:
   *   somebody else has edited it, and it stays as it is); OWNER_REJECTED (with what the tool said; all files as before)
   */
  persist(change: AddressChange, directory: string, signal?: AbortSignal): Promise<void>;

  /**
   * Makes the owner take its files up, and resolves when it says that it has and the kernel has `change.to` on the link and not
   * `change.from`. Takes an address that a swap has put there out of the owner's way first, so the link may be without either
   * for up to a few seconds. Bounded on the clock; costs up to the bound where the owner does not do it.
   * @throws RlnetError OWNER_NOT_TAKEN_UP: the owner says that it failed, or is still at work at the end of the bound, or says it is
   *   done and the kernel is not as it should be. The files stay as they are; what the link is like is in the message.
   */
  activate(change: AddressChange, signal?: AbortSignal): Promise<void>;

  /** Which of the two addresses the files hold and the owner reports. An owner that does not answer is `unknown`. */
  readBack(change: AddressChange, signal?: AbortSignal): Promise<OwnerReading>;

  /**
   * Puts the files back as they were backed up, byte for byte, with mode, owner and times; what is so already is left alone, and so is
   * the running configuration. It runs the back-up's `restore.sh`, which needs neither Node nor an agent.
   * @throws RlnetError OWNER_BACKUP_INVALID (no whole back-up there; nothing is touched), OWNER_WRITE_FAILED
   */
  restore(directory: string, signal?: AbortSignal): Promise<void>;
}
