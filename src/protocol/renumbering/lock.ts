import * as v from 'valibot';
import { nameSchema, uidSchema } from '../schema.ts';
import type { Reason } from './records.ts';

/*
 * The cluster's lock: one renumbering at a time, from whichever node it was started.
 *
 * A claim is held by more than half of a *frozen* set of nodes, fixed when it is made; each of them has its grant on disk
 * before it answers. No grant ends by time. It ends when the claim is closed: withdrawn or released by its host, or freed by
 * a named operator. Closings are kept for good, by host, as the epoch up to which all its claims are closed: they only grow,
 * so that whoever is shown one may take it over, in any order and any number of times.
 */

const epochSchema = v.pipe(v.number(), v.integer(), v.minValue(1));

/** More hosts than a cluster has. Of so many this agent takes the word of others; its own closings come on top. */
const maxHostsTold = 128;
const maxHosts = 2 * maxHostsTold;

/**
 * So far may an epoch be above all that is known: more claims than a cluster makes in years. What is further off can only be made up, and whoever took it
 * would have no numbers left for claims to come.
 */
const maxEpochsAhead = 1_000_000;

export const claimSchema = v.object({
  /** Above every epoch that its host had seen. Claims are ordered by epoch and told apart by epoch and host. */
  epoch: epochSchema,
  /** Who renumbers its own node. */
  host: nameSchema,
  planId: v.pipe(v.string(), v.maxLength(64)),
  /** The frozen set: all node uids of the cluster, ascending. */
  members: v.pipe(v.array(uidSchema), v.minLength(1), v.maxLength(maxHosts)),
});
export type Claim = v.InferOutput<typeof claimSchema>;

/** What an agent has on disk of the lock, and carries in its `state`. */
export const lockStateSchema = v.object({
  /** The highest epoch in any claim that was ever seen here; 0 for none. */
  highestEpoch: v.pipe(v.number(), v.integer(), v.minValue(0)),
  /** The claim that this agent has granted and that is not closed. One at most. */
  granted: v.optional(claimSchema),
  /** By claiming host: all its claims up to this epoch are closed. */
  closed: v.pipe(
    v.record(nameSchema, epochSchema),
    v.check((closed) => Object.keys(closed).length <= maxHosts, `Invalid: more than ${maxHosts} hosts`),
  ),
  /** False while it does not know what it granted before: it has lost its record, or never had one, and keeps closings alone. */
  learned: v.optional(v.literal(false)),
});
export type LockState = v.InferOutput<typeof lockStateSchema>;

export const noLockState: LockState = { highestEpoch: 0, closed: {} };

/** What an agent without a record keeps of closings until it has learned the rest: it grants nothing by it. */
export const closingsAlone: LockState = { ...noLockState, learned: false };

export function isClosed(
  { closed }: Pick<LockState, 'closed'>,
  { host, epoch }: Pick<Claim, 'host' | 'epoch'>,
): boolean {
  return epoch <= (closed[host] ?? 0);
}

export function isSameClaim(a: Claim, b: Claim): boolean {
  return a.epoch === b.epoch && a.host === b.host && a.planId === b.planId;
}

/**
 * What was learned from somebody else's state: closings and epochs. Grants are each agent's own. Of hosts without end, which can only be
 * made up, no more are taken than leave room for the rest of what this agent has to tell.
 */
export function merged(state: LockState, told: Pick<LockState, 'highestEpoch' | 'closed'>): LockState {
  let room = maxHostsTold - Object.keys(state.closed).length;
  const taken = Object.entries(told.closed).filter(
    ([host]) => state.closed[host] !== undefined || room-- > 0,
  );
  return joined(state, { ...told, closed: Object.fromEntries(taken) });
}

/**
 * What another agent told, cut off where it is too far above what is known to be true. That is less than was told and nothing else: closings only grow, and
 * who knows fewer of them refuses more.
 * @param known the highest epoch that is known
 */
export function plausible(told: LockState, known: number): LockState {
  const most = known + maxEpochsAhead;
  const { granted, ...rest } = told;
  return {
    ...rest,
    highestEpoch: Math.min(told.highestEpoch, most),
    closed: Object.fromEntries(
      Object.entries(told.closed).map(([host, epoch]) => [host, Math.min(epoch, most)]),
    ),
    ...(granted === undefined || granted.epoch > most ? {} : { granted }),
  };
}

/** Why an agent takes no notice of a claim whose epoch is too far above all that it knows; undefined where it is not. */
export function epochTooHigh(
  { highestEpoch }: Pick<LockState, 'highestEpoch'>,
  { host, epoch }: Pick<Claim, 'host' | 'epoch'>,
): Reason | undefined {
  if (epoch <= highestEpoch + maxEpochsAhead) return undefined;
  return {
    code: 'LOCK_EPOCH_TOO_HIGH',
    message: `Claim ${epoch} of ${host} is too far above ${highestEpoch}, the highest that is known here.`,
    remedy: `Look who has the certificate of ${host}, deny it if it was stolen, and restart rlnet here.`,
  };
}

function joined(state: LockState, told: Pick<LockState, 'highestEpoch' | 'closed'>): LockState {
  const closed = { ...state.closed };
  for (const [host, epoch] of Object.entries(told.closed)) closed[host] = Math.max(closed[host] ?? 0, epoch);
  const { granted, ...rest } = state;
  return {
    ...rest,
    // A claim has to be above its host's closings too, also where somebody tells of them alone.
    highestEpoch: Math.max(state.highestEpoch, told.highestEpoch, ...Object.values(closed)),
    closed,
    ...(granted === undefined || isClosed({ closed }, granted) ? {} : { granted }),
  };
}

/** The state once a claim is closed: withdrawn, released, or freed by an operator. */
export function withClosed(state: LockState, { host, epoch }: Pick<Claim, 'host' | 'epoch'>): LockState {
  return joined(state, { highestEpoch: epoch, closed: { [host]: epoch } });
}

/** How a granter sees the cluster, freshly, in its own rladmin; undefined where it could not. */
export interface RsView {
  uids: readonly number[];
  /** Whether RS has its quorum there, as far as this node's table shows. */
  quorum: boolean;
}

export type GrantDecision = { grant: true; state: LockState } | { grant: false; reason: Reason };

const refuse = (code: string, message: string, remedy: string): GrantDecision => ({
  grant: false,
  reason: { code, message, remedy },
});

/**
 * Whether this agent grants a claim. The state that comes with a yes must be on disk before the answer leaves.
 * @param caller the host that asks, by its certificate
 * @param state  undefined where this agent does not know yet what was granted before (`learned`)
 * @param others open claims that others are known to have granted, from their states
 */
export function decideGrant(
  state: LockState | undefined,
  claim: Claim,
  caller: string,
  view: RsView | undefined,
  others: readonly Claim[],
): GrantDecision {
  if (claim.host !== caller) {
    return refuse(
      'LOCK_NOT_OWN',
      `${caller} asked for the lock in the name of ${claim.host}.`,
      'Look for a wrong certificate.',
    );
  }
  if (state === undefined) {
    return refuse(
      'LOCK_STATE_UNKNOWN',
      'This agent has no record of the lock and has not learned it from the others yet.',
      'Wait until the agents of a majority of the other nodes are connected.',
    );
  }
  if (isClosed(state, claim)) {
    return refuse(
      'LOCK_CLOSED',
      `Claim ${claim.epoch} of ${claim.host} is closed already.`,
      'Start the renumbering anew.',
    );
  }
  if (state.granted !== undefined && isSameClaim(state.granted, claim)) return { grant: true, state };
  const open = [state.granted, ...others].find(
    (other) => other !== undefined && !isSameClaim(other, claim) && !isClosed(state, other),
  );
  if (open !== undefined) {
    return refuse(
      'LOCK_TAKEN',
      `${open.host} has the lock for plan ${open.planId} (epoch ${open.epoch}).`,
      'Wait until it ends, or see rlnet lock show for what would free it.',
    );
  }
  // Another member's grant of this very claim may be heard of before this one has read its RS: that makes the claim no older.
  const known = others.some((other) => isSameClaim(other, claim));
  if (known ? claim.epoch < state.highestEpoch : claim.epoch <= state.highestEpoch) {
    return refuse(
      'LOCK_EPOCH_OLD',
      `Epoch ${claim.epoch} was seen before; ${state.highestEpoch} is the highest.`,
      'It is tried again with a higher one by itself.',
    );
  }
  const tooHigh = epochTooHigh(state, claim);
  if (tooHigh !== undefined) return { grant: false, reason: tooHigh };
  if (view === undefined) {
    return refuse(
      'RS_VIEW_UNKNOWN',
      'The node table of RS could not be read here.',
      'Look why rladmin status nodes does not answer on that node.',
    );
  }
  if (!isSameSet(view.uids, claim.members)) {
    return refuse(
      'LOCK_MEMBERS_DIFFER',
      `The claim names nodes ${claim.members.join(', ')}; RS here has ${view.uids.join(', ')}.`,
      'Plan anew: a node has joined or left.',
    );
  }
  if (!view.quorum) {
    return refuse(
      'RS_NO_QUORUM',
      'RS has no quorum, seen from this node.',
      'Bring the missing nodes back first.',
    );
  }
  return { grant: true, state: { ...state, highestEpoch: claim.epoch, granted: claim } };
}

function isSameSet(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && new Set([...a, ...b]).size === a.length;
}

/** Whether this agent's grant for the claim still stands: the answer to "still held?". */
export function stillGranted(state: LockState | undefined, claim: Claim): boolean {
  return state?.granted !== undefined && isSameClaim(state.granted, claim) && !isClosed(state, claim);
}

/** What an agent answers to one that has lost its state. */
export const toldLockSchema = v.union([v.literal('none'), lockStateSchema]);
export type ToldLock = v.InferOutput<typeof toldLockSchema>;

/**
 * What an agent without lock state (reinstalled, or on its first day) knows after asking the others.
 * A majority of the others is enough when one of them has a state; when nobody has one, all of them must have said so. What one of them alone tells of
 * epochs is believed as far as `plausible` goes above what another one tells. An open claim is never left out: it may be held.
 * @param others  all nodes but this one
 * @param answers by node uid
 * @returns undefined where more answers are needed
 */
export function learned(
  others: readonly number[],
  answers: ReadonlyMap<number, ToldLock>,
): { state: LockState; open: Claim[] } | undefined {
  const told = others.flatMap((uid) => answers.get(uid) ?? []);
  const given = told.filter((answer) => answer !== 'none');
  const states = given.filter((answer) => answer.learned !== false);
  const enough = states.length === 0 ? told.length === others.length : told.length * 2 > others.length;
  if (!enough) return undefined;
  const epochs = (states.length === 0 ? given : states).map(({ highestEpoch }) => highestEpoch);
  const [highest = 0, second = highest] = epochs.toSorted((a, b) => b - a);
  const state = given.reduce((known, each) => merged(known, plausible(each, second)), noLockState);
  const open = states.flatMap(({ granted }) =>
    granted === undefined || isClosed(state, granted) ? [] : [granted],
  );
  return { state, open };
}
