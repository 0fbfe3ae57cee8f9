import type { Address } from '../address.ts';
import { holdersOf, isUsable } from '../interfaces.ts';
import { registrationMayLandFor } from './bounds.ts';
import { type DirectionWord, wordBeforeDone, wordBeforeIntent } from './dead-man.ts';
import { isClosed } from './lock.ts';
import type { Plan } from './plan.ts';
import { type Progress, secondsSince } from './progress.ts';
import type { JournalRecord } from './records.ts';
import type { JournalFact, RescueFacts } from './rescue-facts.ts';

/** Which of the two addresses RS holds, and how that is known. */
export interface HeldByRs {
  address: 'old' | 'new';
  /** Read in RS itself, now; else it follows from what was written down. */
  read: boolean;
  why: string;
}

/** `other`: neither of the two. Undefined: it cannot be known here. */
export type Held = HeldByRs | { other: Address } | undefined;

/** What is so with the host, measured by the address that it is to have. */
export interface HostState {
  /** The name that the plan's card has now; undefined where it is not there. */
  link: string | undefined;
  /** Whether the card has the one and no interface has the other, for good. */
  kernelRight: boolean;
  wantedBound: boolean;
  /** `not_ours`: rlnet edits no file of this owner. `edited`: somebody else did. */
  files: 'right' | 'wrong' | 'edited' | 'not_ours' | 'unknown';
  unitEnabled: boolean;
  unitActive: boolean;
}

/** What is to be done, decided: the rest is words. */
export interface Aim {
  plan: Plan;
  wanted: 'old' | 'new';
  held: HeldByRs;
  /** RS holds the other address, and another node has to tell it. */
  tell: boolean;
  /** For so many seconds another node may still carry out what it was asked for before. */
  mayLandFor: number;
  host: HostState;
  /** The change of the address was begun, or may have been. What a hook or a person has made of it, no file says. */
  begun: boolean;
  /** The claim of the lock is still open, as far as this host knows. */
  keepsLock: boolean;
  /** The agent would go the same way, and can end it by itself. */
  agentCanEnd: boolean;
  /** RS's external addresses as they are to be; undefined where they stay as they are. */
  external: readonly Address[] | undefined;
}

/** What is written down of the registration: the word that the dead man would go by after these records. */
function wordAfter(records: readonly JournalRecord[]): DirectionWord {
  let word: DirectionWord = 'old';
  for (const record of records) {
    if (record.type === 'intent') word = wordBeforeIntent(record.step) ?? word;
    if (record.type === 'done') word = wordBeforeDone(record.step) ?? word;
  }
  return word;
}

/** Which of the two addresses RS has; undefined where it cannot be known here. */
export function heldByRs(
  { rsAddress, nodes, deadMan }: RescueFacts,
  { records, damage }: JournalFact,
  { nodeUid, change }: Plan,
  progress: Progress | undefined,
): Held {
  const known = (address: Address, why: string): HeldByRs | { other: Address } => {
    if (address === change.from.address) return { address: 'old', read: true, why };
    return address === change.to.address ? { address: 'new', read: true, why } : { other: address };
  };
  if (rsAddress !== undefined) return known(rsAddress, 'as you have seen it');
  const rows = 'value' in nodes ? nodes.value.nodes : [];
  const own = rows.find(({ uid }) => uid === nodeUid);
  // A node that is cut off goes on showing what it knew: only in a majority is it the cluster's word.
  const well = rows.filter(({ status }) => status === 'ok').length;
  if (own?.address !== undefined && own.status === 'ok' && well * 2 > rows.length) {
    return known(own.address, 'read here, in a node table with a majority OK');
  }
  // The word is on disk before the journal passes the point; of a damaged journal the end is not known.
  const word = progress === undefined ? deadMan.word : wordAfter(records);
  if (word === undefined || word === 'both') return undefined;
  const source = damage === undefined ? 'the journal' : "the dead man's word";
  const why =
    word === 'old'
      ? `by ${source} nobody has told it the new one, or the old one was set again`
      : `by ${source} the new one was read back`;
  return { address: word, read: false, why };
}

/** Which address the host is to have, and how far it is from that. */
export function aimOf(
  facts: RescueFacts,
  { records, damage }: JournalFact,
  plan: Plan,
  progress: Progress | undefined,
  held: HeldByRs,
): Aim {
  const takenOver = facts.deadMan.takenOver ?? progress?.takenOver;
  const turned = records.some(({ type }) => type === 'turned');
  // On its way back it is the old address that is wanted. After the dead man, and on the way forward, the one that RS has.
  const wanted = turned && takenOver === undefined ? 'old' : held.address;
  // Where it cannot be told, it is tried: to free a lock that nobody has does no harm. The claim that counts is the last one, and of a
  // damaged journal the end is not known.
  const keepsLock = damage !== undefined || holdsClaim(facts, records, plan);
  const sameWay =
    takenOver === undefined
      ? progress?.direction === (wanted === 'old' ? 'back' : 'forward')
      : takenOver === wanted;
  const goesForward = progress?.closed !== undefined && progress.direction === 'forward';
  return {
    plan,
    wanted,
    held,
    tell: held.address !== wanted,
    mayLandFor: mayLandFor(facts, records, plan, progress),
    host: hostState(facts, plan, wanted),
    begun:
      damage !== undefined ||
      records.some((record) => record.type === 'intent' && record.step === 'readdress'),
    keepsLock,
    // It stopped on the way forward because it has lost the lock: it would stop again.
    agentCanEnd: damage === undefined && keepsLock && sameWay && !goesForward,
    external: externalOf(facts, plan, progress, wanted),
  };
}

/** Whether the last claim in the journal is open, as far as this host's record of the lock shows. */
function holdsClaim({ lock }: RescueFacts, records: readonly JournalRecord[], { host }: Plan): boolean {
  const claim = records.findLast((record) => record.type === 'intent' && record.step === 'claim');
  if (claim?.type !== 'intent') return false;
  const epoch = Number(claim.detail?.['epoch']);
  return !('value' in lock && lock.value !== undefined && isClosed(lock.value, { host, epoch }));
}

/** For how many seconds a node that was asked to tell RS an address may still do so. */
function mayLandFor(
  { deadMan, now }: RescueFacts,
  records: readonly JournalRecord[],
  { bounds }: Plan,
  progress: Progress | undefined,
): number {
  const whole = registrationMayLandFor(bounds);
  // When it was asked stands behind the damage. By the word `old` nobody was, or all of it was waited for.
  if (progress === undefined) return deadMan.word === 'old' ? 0 : Math.ceil(whole);
  const word = wordAfter(records);
  if (word === 'old' || (word === 'new' && progress.landed)) return 0;
  const asked = records.findLast(
    (record) => record.type === 'intent' && wordBeforeIntent(record.step) === 'both',
  );
  return asked === undefined ? 0 : Math.max(0, Math.ceil(whole - secondsSince(asked.at, now)));
}

function externalOf(
  { nodes }: RescueFacts,
  { external, nodeUid }: Plan,
  progress: Progress | undefined,
  wanted: 'old' | 'new',
): readonly Address[] | undefined {
  if (external === undefined) return undefined;
  const list = wanted === 'old' ? external.from : external.to;
  const row = 'value' in nodes ? nodes.value.nodes.find(({ uid }) => uid === nodeUid) : undefined;
  if (row !== undefined) {
    const has = new Set(row.externalAddresses);
    return has.size === list.length && list.every((address) => has.has(address)) ? undefined : list;
  }
  // To set them again does no harm; not to set them sends clients to an address that is gone.
  return wanted === 'new' || progress === undefined || progress.intended.has('external') ? list : undefined;
}

function hostState(
  { interfaces, standing, backup, unit }: RescueFacts,
  plan: Plan,
  wanted: 'old' | 'new',
): HostState {
  const { from, to, link } = plan.change;
  const [want, other] = wanted === 'old' ? [from, to] : [to, from];
  const links = 'value' in interfaces ? interfaces.value : [];
  const card = links.find(({ mac, name }) =>
    link.mac === undefined ? name === link.name : mac === link.mac,
  );
  const holders = holdersOf(links, want.address);
  const moves = plan.kind !== 'already_bound';
  const wantedBound = holders.some(
    (holder) => isUsable(holder.bound) && (!moves || holder.link.name === card?.name),
  );
  const stands = 'value' in standing && standing.value !== undefined;
  const record = 'value' in unit ? unit.value : undefined;
  const links_ = record?.links.map(({ path, target }) => `${path} ${target}`) ?? [];
  return {
    link: card?.name,
    kernelRight: wantedBound && !stands && (!moves || holdersOf(links, other.address).length === 0),
    wantedBound,
    files: moves ? filesOf(backup, wanted) : 'not_ours',
    unitEnabled:
      record?.unitFileState === plan.unit.unitFileState &&
      plan.unit.links.every(({ path, target }) => links_.includes(`${path} ${target}`)),
    unitActive: record?.activeState === 'active',
  };
}

function filesOf(backup: RescueFacts['backup'], wanted: 'old' | 'new'): HostState['files'] {
  if ('unknown' in backup) return 'unknown';
  // Nothing is persisted before there is a whole back-up.
  if (backup.value.is === 'none') return wanted === 'old' ? 'right' : 'unknown';
  if (backup.value.is === 'damaged') return 'unknown';
  const { files } = backup.value;
  if (files.length === 0) return 'not_ours';
  if (files.some(({ state }) => state === 'other' || state === 'missing')) return 'edited';
  return files.every(({ state }) => state === (wanted === 'old' ? 'before' : 'after')) ? 'right' : 'wrong';
}
