import type { AddressChange } from './address-change.ts';

/*
 * The owners of network configuration: whoever puts the addresses on a link when the host boots. Exactly one must own a link;
 * its files are changed by splices, so that all that the change is not about stays byte for byte.
 */

/** Whose files rlnet edits; and the two ways in which somebody else makes the change, which only configuration can choose. */
export const ownerKinds = [
  'systemd-networkd',
  'NetworkManager',
  'netplan',
  'ifupdown',
  'hook',
  'manual',
] as const;
export type OwnerKind = (typeof ownerKinds)[number];

/** A file of an owner as it was read: by its real path, symbolic links resolved. */
export interface OwnerFile {
  path: string;
  bytes: Uint8Array;
}

/** One file before and after the change. Both are whole; they differ. */
export interface FileEdit {
  path: string;
  before: Uint8Array;
  after: Uint8Array;
}

/** What a change of an address is in the files of its owner. */
export interface OwnerEdit {
  /** In the order in which they are to be written: the file that has the address itself comes last. None for `hook` and `manual`. */
  files: readonly FileEdit[];
  /** One sentence each, for the person who reads the plan: what stays as it is and may surprise. */
  warnings: readonly string[];
}

/** A place in a file that names an address: where, and the line as it stands there. */
export interface OwnerPlace {
  path: string;
  /** 1-based. */
  line: number;
  text: string;
  /** It puts the address on the link; else it is a route, a rule or another setting with it. */
  sets: boolean;
}

/** Which of the two addresses of a change something holds. */
export type Holding = 'from' | 'to' | 'both' | 'neither';

/** What can be read back of a change. */
export interface OwnerReading {
  /** What the files hold, for the next boot. `both` also where a half-written change left routes or rules behind. */
  files: Holding;
  /** What the owner says that it has put on the link, where it can be asked. */
  owner: Holding | 'unknown';
  /** One sentence each. */
  evidence: readonly string[];
}

/** The same change the other way round: what takes it back. */
export function reversed(change: AddressChange): AddressChange {
  const { from, to, gateway } = change;
  return {
    ...change,
    from: to,
    to: from,
    ...(gateway === undefined ? {} : { gateway: { from: gateway.to, to: gateway.from } }),
  };
}

export function holdingOf(hasFrom: boolean, hasTo: boolean): Holding {
  if (hasFrom) return hasTo ? 'both' : 'from';
  return hasTo ? 'to' : 'neither';
}
