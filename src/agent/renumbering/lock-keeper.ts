import * as v from 'valibot';
import type { Files } from '../../host/ports/files.ts';
import type { Rs } from '../../host/ports/rs.ts';
import { RlnetError } from '../../protocol/errors.ts';
import {
  type Claim,
  closingsAlone,
  decideGrant,
  epochTooHigh,
  type GrantDecision,
  isClosed,
  type LockState,
  learned,
  lockStateSchema,
  merged,
  plausible,
  type RsView,
  stillGranted,
  type ToldLock,
  withClosed,
} from '../../protocol/renumbering/lock.ts';
import type { NodeTable } from '../../protocol/rs.ts';
import type { Peers } from './peers.ts';

/** What a member answers to "still held?". `closed` is for good, `absent` only says that it is not granted here. */
export type HeldAnswer = 'granted' | 'absent' | 'closed';

export interface LockKeeperDependencies {
  files: Files;
  path: string;
  /** This host's own fresh view of RS; undefined where it cannot be had. */
  rsView: () => Promise<(RsView & { own: number }) | undefined>;
  /** Asks the agents of these nodes what they know of the lock; those that do not answer are absent. */
  askOthers: (uids: readonly number[]) => Promise<ReadonlyMap<number, ToldLock>>;
  /** Called when what this agent knows of the lock has changed. */
  changed: () => void;
}

/** How long another agent may take to say what it knows of the lock, milliseconds. */
const askTimeoutMs = 3_000;

/**
 * Opens this agent's record of the lock, over RS and the other agents.
 * @param directory where it is kept; exists
 * @throws RlnetError LOCK_STATE_DAMAGED
 */
export function openLockKeeper(deps: {
  files: Files;
  directory: string;
  rs: Rs;
  peers: Peers;
  changed: () => void;
}): Promise<LockKeeper> {
  const { files, directory, rs, peers, changed } = deps;
  return LockKeeper.open({
    files,
    path: `${directory}/lock.json`,
    rsView: () => rsViewOf(rs),
    askOthers: async (uids) => {
      const answers = await Promise.all(uids.map(async (uid) => ({ uid, told: await askTold(peers, uid) })));
      return new Map(answers.flatMap(({ uid, told }) => (told === undefined ? [] : [[uid, told] as const])));
    },
    changed,
  });
}

/** @returns undefined where there is no answer, whatever the reason: what counts is who did answer */
async function askTold(peers: Peers, uid: number): Promise<ToldLock | undefined> {
  const host = peers.hostOf(uid);
  if (host === undefined) return undefined;
  try {
    return (await peers.call(host, 'lock', {}, askTimeoutMs)).told;
  } catch {
    return undefined;
  }
}

async function rsViewOf(rs: Rs): Promise<(RsView & { own: number }) | undefined> {
  try {
    const [own, table] = await Promise.all([rs.localUid(), rs.nodeTable()]);
    return own === undefined ? undefined : { own, ...viewOf(table) };
  } catch {
    return undefined;
  }
}

/** What a node table says of the cluster's set and quorum. A row that could not be read makes the set unknown: nothing equals it. */
function viewOf({ nodes, unread }: NodeTable): RsView {
  const ok = nodes.filter(({ status }) => status === 'ok').length;
  const all = nodes.length + unread.length;
  return { uids: unread.length === 0 ? nodes.map(({ uid }) => uid) : [], quorum: ok * 2 > all };
}

/**
 * This agent's part of the cluster's lock: what it has granted and what it knows to be closed, on disk before anybody is told.
 *
 * Invariant: changes happen one after the other (`#queue`), and the state in memory is never ahead of the disk.
 */
export class LockKeeper {
  readonly #deps: LockKeeperDependencies;
  #state: LockState | undefined;
  /** Claims that others have granted, by the host that said so. */
  readonly #others = new Map<string, Claim>();
  #queue: Promise<unknown> = Promise.resolve();

  private constructor(deps: LockKeeperDependencies, state: LockState | undefined) {
    this.#deps = deps;
    this.#state = state;
  }

  /** @throws RlnetError LOCK_STATE_DAMAGED */
  static async open(deps: LockKeeperDependencies): Promise<LockKeeper> {
    const text = await deps.files.readIfExists(deps.path);
    return new LockKeeper(deps, text === undefined ? undefined : decodeLockState(text, deps.path));
  }

  /** What this agent tells the others, in its state and when asked. */
  get told(): ToldLock {
    return this.#state ?? 'none';
  }

  /** What this agent may decide by; undefined while it has no record of what it granted before. */
  get #known(): LockState | undefined {
    return this.#state?.learned === false ? undefined : this.#state;
  }

  /** Open claims that are known here, granted by this agent or by others. */
  openClaims(): Claim[] {
    const { granted } = this.#state ?? {};
    const all = [...(granted === undefined ? [] : [granted]), ...this.#others.values()];
    const open = all.filter((claim) => this.#state === undefined || !isClosed(this.#state, claim));
    return [...new Map(open.map((claim) => [`${claim.epoch} ${claim.host}`, claim])).values()];
  }

  /** Another agent said what it knows; what is closed there is closed here. */
  hear(host: string, told: ToldLock): Promise<void> {
    return this.#next(async () => {
      if (told === 'none') {
        this.#others.delete(host);
        return;
      }
      // At once, and not when it is asked for something: those who know may be gone by then.
      await this.#learn();
      const heard = this.#state === undefined ? told : plausible(told, this.#state.highestEpoch);
      if (heard.granted === undefined) this.#others.delete(host);
      else this.#others.set(host, heard.granted);
      if (this.#state !== undefined) await this.#become(merged(this.#state, heard));
    });
  }

  /** Decides on a claim; a yes is on disk when this resolves. */
  grant(claim: Claim, caller: string): Promise<GrantDecision> {
    return this.#next(async () => {
      const view = await this.#deps.rsView();
      await this.#learn(view);
      const decision = decideGrant(this.#known, claim, caller, view, [...this.#others.values()]);
      if (decision.grant) await this.#become(decision.state);
      return decision;
    });
  }

  answerHeld(claim: Claim): HeldAnswer {
    if (this.#state !== undefined && isClosed(this.#state, claim)) return 'closed';
    return stillGranted(this.#state, claim) ? 'granted' : 'absent';
  }

  /**
   * Notes for good that a claim is closed, for which nothing else has to be known.
   * @throws RlnetError LOCK_EPOCH_TOO_HIGH
   */
  close(claim: Pick<Claim, 'host' | 'epoch'>): Promise<void> {
    return this.#next(async () => {
      await this.#learn();
      const tooHigh = this.#known === undefined ? undefined : epochTooHigh(this.#known, claim);
      if (tooHigh !== undefined) throw new RlnetError('LOCK_EPOCH_TOO_HIGH', tooHigh.message, tooHigh.remedy);
      await this.#become(withClosed(this.#state ?? closingsAlone, claim));
    });
  }

  /** The epoch that a new claim of this host takes: above every one that was ever seen. */
  nextEpoch(): Promise<number> {
    return this.#next(async () => {
      await this.#learn();
      if (this.#known === undefined) throw unlearned();
      return this.#known.highestEpoch + 1;
    });
  }

  /** @param seen a fresh view of RS, where there is one; it is asked only where something is to be learned */
  async #learn(seen?: RsView & { own: number }): Promise<void> {
    if (this.#known !== undefined) return;
    const view = seen ?? (await this.#deps.rsView());
    if (view === undefined) return;
    const others = view.uids.filter((uid) => uid !== view.own);
    const known = learned(others, await this.#deps.askOthers(others));
    if (known === undefined) return;
    for (const claim of known.open) this.#others.set(`learned ${claim.host}`, claim);
    const noted = this.#state ?? closingsAlone;
    await this.#become(merged(known.state, plausible(noted, known.state.highestEpoch)));
  }

  async #become(state: LockState): Promise<void> {
    const text = JSON.stringify(state);
    if (this.#state !== undefined && text === JSON.stringify(this.#state)) return;
    await this.#deps.files.writeAtomic(this.#deps.path, `${text}\n`, 0o600);
    this.#state = state;
    for (const [host, claim] of this.#others) if (isClosed(state, claim)) this.#others.delete(host);
    this.#deps.changed();
  }

  #next<T>(action: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(action);
    this.#queue = result.catch(() => {});
    return result;
  }
}

function decodeLockState(text: string, path: string): LockState {
  try {
    return v.parse(lockStateSchema, JSON.parse(text));
  } catch (cause) {
    throw new RlnetError(
      'LOCK_STATE_DAMAGED',
      `${path} cannot be read as the record of the lock.`,
      'Move it away and restart rlnet: it learns the open claims from the other agents.',
      { cause, at: { file: path } },
    );
  }
}

function unlearned(): RlnetError {
  return new RlnetError(
    'LOCK_STATE_UNKNOWN',
    'This agent has no record of the lock and has not learned it from the others yet.',
    'Wait until the agents of the other nodes are connected: all of them the first time, a majority later.',
  );
}
