import type { AddressChange } from '../../protocol/address-change.ts';
import type { Difference, NetworkSnapshot } from '../../protocol/network-snapshot.ts';

/** A change that is in force in the kernel and will be taken back unless something is done about it. */
export interface StandingChange {
  kind: 'rehearsal' | 'swap';
  change: AddressChange;
  before: NetworkSnapshot;
  expected: NetworkSnapshot;
  /** Its time was over: the detached timer has taken it back, or is at it. */
  takenBack: boolean;
}

/**
 * Addresses, routes and rules in the kernel of this host: read exactly, and one address changed for another, for a time. Nothing of it
 * survives a boot, and nothing of it is in any file of the network's owner.
 *
 * There is one change at a time. It is on disk (volatile, as the kernel's state is) before anything is done, with a script that takes it
 * back, and a detached timer runs that script when the bound is over: after the death of this process in any phase, the kernel
 * is then as it was before. Whoever lives calls `keep`, `extend` or `takeBack` in time. `rehearse` and `swap` are for root.
 *
 * After a failure of any of them but `snapshot`, ask `standing`.
 */
export interface KernelAddresses {
  /**
   * Costs seven executions of `ip`, 20 to 40 ms.
   * @throws RlnetError OUTPUT_UNREADABLE where ip's answer is not understood; what Exec throws
   */
  snapshot(signal?: AbortSignal): Promise<NetworkSnapshot>;
  /** What this process, or one before it in this boot, has left in force. */
  standing(): Promise<StandingChange | undefined>;
  /**
   * Adds the new address beside the old one as a network of its own, with a rule and a table for what it sends: others can reach it, nothing
   * else changes. Whether somebody else has it is the caller's to find out: the kernel is told not to look (`nodad`).
   *
   * @param boundSeconds from now on, at least 10: then it is taken back
   * @param free resolves once it is known that nobody else has the new address; what it rejects with is thrown. Meanwhile all is got ready;
   *   nothing changes before
   * @throws RlnetError ADDRESS_CHANGE_REFUSED and ADDRESS_CHANGE_UNDER_WAY before anything is done.
   *   KERNEL_NOT_AS_PLANNED, ADDRESS_CHANGE_TAKEN_BACK, DETACHED_TIMER_FAILED, what Exec throws: it was taken back,
   *   and where that failed too (then the message says so) the timer will.
   */
  rehearse(change: AddressChange, boundSeconds: number, free?: Promise<void>): Promise<ChangeResult>;
  /**
   * The old address out, the new one in, with all that hangs on it; read back and compared. Without the address that is in use for
   * some milliseconds.
   * @throws as `rehearse` does
   */
  swap(change: AddressChange, boundSeconds: number, free?: Promise<void>): Promise<ChangeResult>;
  /**
   * Gives the standing change another bound, from now on. There is a timer at every moment.
   * @throws RlnetError ADDRESS_CHANGE_TAKEN_BACK where it was too late; ADDRESS_CHANGE_REFUSED where the bound is too short
   */
  extend(boundSeconds: number): Promise<void>;
  /**
   * Leaves the standing change in the kernel for good: the timer is seen gone. Without one it does nothing.
   * @throws RlnetError ADDRESS_CHANGE_TAKEN_BACK where it was too late; nothing is left to be done then but `takeBack`
   */
  keep(): Promise<void>;
  /**
   * Takes the standing change back now, reads back and compares. Without one it does nothing; after one that the timer has taken
   * back it only compares.
   * @throws RlnetError KERNEL_NOT_AS_PLANNED where the kernel is not as it was before; the change then still stands
   */
  takeBack(): Promise<ChangeResult>;
}

export interface ChangeResult {
  /** What else has changed on the host meanwhile, on other links: not ours, and no failure. */
  elsewhere: Difference[];
}
