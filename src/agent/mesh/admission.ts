import type { Address } from '../../protocol/address.ts';
import type { RsNode } from '../../protocol/rs.ts';

/**
 * What a peer may ask (protocol/methods.ts). `member`: its host is a node of the cluster, as this host's own RS node table says.
 * `candidate`: not a node yet, or not one that could be checked; it may ask what a host must know that is to become one.
 */
export type Standing = 'member' | 'candidate';

/** What a peer says of itself, beside the certificate that it showed. */
export interface Claim {
  nodeUid: number | undefined;
  /** The other end of its socket. */
  address: Address;
}

/**
 * Checks a claimed node uid against this host's own view of RS. Never by the claim alone.
 *
 * @param nodes     RS's node table as read here; undefined while it is not known
 * @param pinnedUid the uid that this host name was found to have before. A node keeps it while its address changes.
 * @returns the reason where the claim is false: RS has that uid at another address, and the host was never found to be that node
 */
export function standingOf(
  { nodeUid, address }: Claim,
  nodes: readonly Pick<RsNode, 'uid' | 'address'>[] | undefined,
  pinnedUid: number | undefined,
): Standing | { falseClaim: string } {
  if (nodeUid === undefined) return 'candidate';
  if (nodeUid === pinnedUid) return 'member';
  const row = nodes?.find(({ uid }) => uid === nodeUid);
  // Not read yet, or a node so new that the table here is older than it: it has to wait, and is no liar.
  if (row?.address === undefined) return 'candidate';
  if (row.address === address) return 'member';
  return {
    falseClaim: `it says that it is node ${nodeUid}, which RS has at ${row.address}, not at ${address}`,
  };
}

/** What is known of the run of an agent at the other end of a link. */
export interface Run {
  machineId: string;
  bootId: string;
  instance: string;
}

/** Where the two ends of a link were by their own word when it was opened. */
export interface Ends {
  ours: Address | undefined;
  theirs: Address | undefined;
}

/**
 * Whether the older of two links with one run of an agent was left behind: an end of it has another address since, by its own word,
 * and its socket is half-dead. Nobody has to wait for an echo that cannot come.
 */
export function isLeftBehind(old: Run & Ends, fresh: Run & Ends): boolean {
  const sameRun =
    old.machineId === fresh.machineId && old.bootId === fresh.bootId && old.instance === fresh.instance;
  // An address that was not known yet is not another one.
  const moved = (before: Address | undefined, now: Address | undefined): boolean =>
    before !== undefined && now !== undefined && before !== now;
  return sameRun && (moved(old.ours, fresh.ours) || moved(old.theirs, fresh.theirs));
}

/** What becomes of two links with one host's certificate, once it is known whether the older one still lives. */
export type Meeting = 'keep old' | 'take fresh' | 'twin';

/**
 * @param echoed     whether the older link echoed a nonce after the newer one came. No echo, the newer wins: a reboot leaves half-dead
 *   sockets behind.
 * @param freshByLower whether the link that the lower host name opened is the newer one; of two good links with the same run that one stays,
 *   so that both sides come to the same answer.
 */
export function resolveMeeting(old: Run, fresh: Run, echoed: boolean, freshByLower: boolean): Meeting {
  if (!echoed) return 'take fresh';
  // Alive on another machine, or on a machine that says it was booted another time: cloned disks share a machine id.
  if (old.machineId !== fresh.machineId || old.bootId !== fresh.bootId) return 'twin';
  // The same boot and another run: the agent was restarted, and its old process is ending.
  if (old.instance !== fresh.instance) return 'take fresh';
  return freshByLower ? 'take fresh' : 'keep old';
}
