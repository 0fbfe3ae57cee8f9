/**
 * Whether an address is in the files of its owner, so that the next boot brings it back.
 * - `persistent`, `missing`: read from the files
 * - `unknown`: who owns it, or what its owner will do, cannot be found out
 * - `not_applicable`: nothing on the host could say
 */
export interface AddressPersistence {
  outcome: 'persistent' | 'missing' | 'unknown' | 'not_applicable';
  /** One sentence without its full stop. */
  evidence: string;
}
