import { createHash } from 'node:crypto';
import * as v from 'valibot';
import type { Clock, Timer } from '../../host/ports/clock.ts';
import type { Files } from '../../host/ports/files.ts';
import type { Random } from '../../host/ports/random.ts';
import type { Rs } from '../../host/ports/rs.ts';
import { isSameSet } from '../../protocol/address.ts';
import { asRlnetError, type ErrorCode, RlnetError } from '../../protocol/errors.ts';
import { rowOf } from '../../protocol/external.ts';
import type { Claim } from '../../protocol/renumbering/lock.ts';
import type { Reason } from '../../protocol/renumbering/records.ts';
import { refusalsOf } from '../../protocol/renumbering/request.ts';
import type { Declaration } from '../../protocol/rollout/declaration.ts';
import { beyondShown, type Change, differenceOf } from '../../protocol/rollout/difference.ts';
import {
  nextOf,
  type Rollout,
  type RolloutFacts,
  type RolloutSummary,
  rolloutSchema,
  summaryOf,
} from '../../protocol/rollout/record.ts';
import type { ClusterView } from '../../protocol/state.ts';
import type { Log } from '../log.ts';
import type { Peers } from '../renumbering/peers.ts';

/** How often it is looked what is next. Milliseconds. */
const paceMs = 1_000;
/** Another agent plans with RS, the wire and all peers; or runs rladmin. Milliseconds. */
const operationMs = 60_000;
const questionMs = 5_000;
const mode = 0o600;

/** A host that restarts, or whose address moves, makes these of a question: the next one may be answered. */
const passing: ReadonlySet<ErrorCode> = new Set(['PEER_UNREACHABLE', 'REQUEST_TIMEOUT', 'GUARD_UNKNOWN']);

export interface RolloutsDependencies {
  host: string;
  /** Where the record is kept; exists. */
  directory: string;
  clock: Clock;
  random: Random;
  files: Files;
  rs: Pick<Rs, 'nodeTable' | 'shardTable' | 'runningActions'>;
  view: () => ClusterView;
  call: Peers['call'];
  openClaims: () => readonly Claim[];
  /** Why this agent may not act at all (mode: observe); undefined where it may. */
  forbidden: RlnetError | undefined;
  log: Log;
  /** What others are told of it has changed. */
  changed: () => void;
}

/**
 * The rollout that this agent leads, one node after another, by the renumberings and external changes that a person would ask for one by one.
 *
 * Invariant: what is in memory is on the disk (`#become`), and a step is `begun` there, with its plan, before anybody is asked to begin it. So the agent can
 * end at any moment, as it does when its own node is restarted, and goes on from the record.
 */
export class Rollouts {
  readonly #deps: RolloutsDependencies;
  readonly #path: string;
  #rollout: Rollout | undefined;
  #timer: Timer | undefined;
  /** Changes of the record happen one after another: a person may pause it at any time. */
  #queue: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(deps: RolloutsDependencies) {
    this.#deps = deps;
    this.#path = `${deps.directory}/rollout.json`;
  }

  /** Takes up what was under way. A record that cannot be read is said to be, and nothing is gone on with. */
  async takeUp(): Promise<void> {
    const { files, log } = this.#deps;
    const text = await files.readIfExists(this.#path);
    if (text === undefined) return;
    try {
      this.#rollout = v.parse(rolloutSchema, JSON.parse(text));
    } catch (thrown) {
      log.error(
        { err: thrown, path: this.#path },
        'the record of the rollout cannot be read; it is not gone on with',
      );
      return;
    }
    this.#deps.changed();
    if (this.#rollout.outcome === undefined) {
      log.info({ rollout: this.#rollout.id }, 'goes on with the rollout');
      this.#soon();
    }
  }

  /** The newest one; undefined where there was none. */
  get rollout(): Rollout | undefined {
    return this.#rollout;
  }

  get told(): RolloutSummary | undefined {
    return this.#rollout === undefined ? undefined : summaryOf(this.#rollout);
  }

  /** The addresses that the cluster was brought to last; undefined while a rollout is open or after one that stopped. */
  get declared(): Declaration | undefined {
    return this.#rollout?.outcome === 'done' ? this.#rollout.declaration : undefined;
  }

  /**
   * Begins to carry out a declaration. It is on disk when this resolves.
   * @param mark of the plan that was shown; undefined where whatever it comes to now is meant
   * @throws RlnetError ROLLOUT_OPEN; CLUSTER_FILE_REFUSED with what speaks against it; ROLLOUT_PLAN_OUTDATED where the plan has another mark by now
   */
  async start(declaration: Declaration, by: string, mark?: string): Promise<Rollout> {
    const { forbidden, view, host, clock, random, rs, log } = this.#deps;
    if (forbidden !== undefined) throw forbidden;
    const difference = differenceOf(declaration, await rs.nodeTable(), view());
    const [problem] = difference.problems;
    if (problem !== undefined) {
      throw new RlnetError(
        'CLUSTER_FILE_REFUSED',
        `${problem.code}: ${problem.message}`,
        `${problem.remedy} rlnet plan -f shows all that speaks against the file.`,
      );
    }
    const marked = markOf(difference.changes);
    if (mark !== undefined && mark !== marked) {
      const reason = outdated(`The plan was ${mark} when it was shown, and is ${marked} now.`);
      throw new RlnetError('ROLLOUT_PLAN_OUTDATED', reason.message, reason.remedy);
    }
    return await this.#next(async () => {
      this.#requireNone();
      const now = clock.wall();
      const rollout: Rollout = {
        id: random.id().slice(0, 12),
        leader: host,
        by,
        startedAt: now,
        declaration,
        steps: difference.changes.map((change) => ({ change, is: 'waiting' })),
        ...(difference.changes.length === 0 ? { outcome: 'done' as const } : {}),
      };
      await this.#become(rollout);
      log.warn({ rollout: rollout.id, by, steps: rollout.steps.length }, 'a rollout has begun');
      if (rollout.outcome === undefined) this.#soon();
      return rollout;
    });
  }

  /** Holds it before the next node, or lets it go on. @throws RlnetError ROLLOUT_NOT_OPEN */
  async pause(paused: { by: string; reason: string } | undefined): Promise<void> {
    await this.#next(async () => {
      const open = this.#requireOpen();
      const rest = unheld(unpaused(open));
      await this.#become(
        paused === undefined ? rest : { ...rest, paused: { ...paused, at: this.#deps.clock.wall() } },
      );
    });
  }

  /** Ends it for good. A renumbering that has begun goes on by itself. @throws RlnetError ROLLOUT_NOT_OPEN */
  async end(by: string, reason: string): Promise<void> {
    this.#requireOpen();
    await this.#stop({
      code: 'ROLLOUT_ENDED',
      message: `${by} ended it: ${reason}`,
      remedy: 'Apply the file again to go on: what is done is not done twice.',
    });
  }

  /** Resolves when nothing more is done here. What has begun elsewhere goes on by itself. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.#queue;
  }

  #requireOpen(): Rollout {
    if (this.#rollout !== undefined && this.#rollout.outcome === undefined) return this.#rollout;
    throw new RlnetError(
      'ROLLOUT_NOT_OPEN',
      'No rollout is under way.',
      'rlnet rollout shows the newest one; rlnet apply -f begins one.',
    );
  }

  #requireNone(): void {
    const { view, host } = this.#deps;
    const own = this.#rollout?.outcome === undefined ? this.#rollout : undefined;
    const other = view().hosts.find(
      ({ host: name, state }) =>
        name !== host && (state?.rollout?.is === 'open' || state?.rollout?.is === 'paused'),
    );
    const id = own?.id ?? other?.state?.rollout?.id;
    if (id === undefined) return;
    throw new RlnetError(
      'ROLLOUT_OPEN',
      `The rollout ${id} is under way, led by ${own?.leader ?? other?.host ?? 'another host'}.`,
      'rlnet rollout --follow shows it; wait until it has ended.',
    );
  }

  #soon(): void {
    if (this.#closed || this.#timer !== undefined) return;
    this.#timer = this.#deps.clock.after(paceMs, () => {
      this.#timer = undefined;
      void this.#tick();
    });
  }

  async #tick(): Promise<void> {
    try {
      await this.#step();
    } catch (thrown) {
      const error = asRlnetError(thrown);
      this.#deps.log.warn({ err: error }, 'the rollout waits');
      // Nothing is lost where even that cannot be written: it is tried again all the same.
      await this.#hold(error.message).catch(() => {});
    }
    if (this.#rollout?.outcome === undefined) this.#soon();
  }

  async #step(): Promise<void> {
    const rollout = this.#rollout;
    if (rollout === undefined || rollout.outcome !== undefined) return;
    const action = nextOf(rollout, await this.#facts(rollout));
    switch (action?.act) {
      case undefined:
      case 'watch':
        return;
      case 'hold':
        await this.#hold(action.why);
        return;
      case 'begin':
        await this.#begin(action.index);
        return;
      case 'start':
        await this.#startPlan(action.index);
        return;
      case 'finish_step':
        await this.#mark(action.index, { is: 'done', endedAt: this.#deps.clock.wall() });
        return;
      case 'stop':
        await this.#stop(action);
        return;
      case 'finish':
        await this.#change((open) => ({ ...unheld(unpaused(open)), outcome: 'done' }));
        this.#deps.log.info({ rollout: rollout.id }, 'the rollout is done');
        return;
    }
  }

  async #facts({ steps }: Rollout): Promise<RolloutFacts> {
    const now = this.#deps.clock.wall();
    const begun = steps.find(({ is }) => is === 'begun');
    if (begun === undefined) return { now, unfit: await this.#unfit(), standing: undefined };
    const standing =
      begun.planId === undefined ? undefined : await this.#standingOf(begun.change, begun.planId);
    return { now, unfit: undefined, standing };
  }

  async #standingOf(change: Change, planId: string): Promise<RolloutFacts['standing']> {
    try {
      const host = this.#hostOf(change);
      const { hosts } = await this.#deps.call(host, 'renumberings', {}, questionMs);
      const own = hosts.find((each) => each.host === host);
      if (own === undefined || !('renumberings' in own)) return undefined;
      return own.renumberings.find((each) => each.planId === planId)?.is ?? 'not_known';
    } catch {
      return undefined;
    }
  }

  /** Why the next node must not be begun, if so: the gate at the end of a renumbering, asked again from here. */
  async #unfit(): Promise<string | undefined> {
    const { rs, openClaims, view } = this.#deps;
    const [table, shards, running] = await Promise.all([
      rs.nodeTable(),
      rs.shardTable(),
      rs.runningActions(),
    ]);
    const away = table.nodes.find(({ status }) => status !== 'ok');
    if (away !== undefined) return `node ${away.uid} is ${away.statusText}`;
    if (table.unread.length > 0) return "a row of RS's node table cannot be read";
    const behind = shards.shards.find(({ status }) => status !== 'ok');
    if (behind !== undefined) return `redis:${behind.uid} is ${behind.statusText}`;
    if (shards.unread.length > 0) return "a row of RS's shard table cannot be read";
    const [action] = [...running.actions, ...running.unread.map(({ line }) => line)];
    if (action !== undefined) return `RS is at work: ${action}`;
    const [claim] = openClaims();
    if (claim !== undefined) return `${claim.host} has the lock for ${claim.planId}`;
    const open = view().hosts.find(({ state }) => state?.renumbering !== undefined);
    return open === undefined ? undefined : `a renumbering of ${open.host} is open`;
  }

  async #begin(index: number): Promise<void> {
    const rollout = this.#requireOpen();
    const change = rollout.steps[index]?.change;
    if (change === undefined) return;
    const row = rowOf(await this.#deps.rs.nodeTable(), change.node);
    const isSo =
      change.kind === 'internal'
        ? row.address === change.to.address
        : isSameSet(row.externalAddresses, change.to);
    const now = this.#deps.clock.wall();
    if (isSo) {
      await this.#mark(index, { is: 'done', endedAt: now });
      return;
    }
    const beyond = beyondShown(change, row);
    if (beyond !== undefined) {
      await this.#stop(outdated(`Node ${change.node}: ${beyond}.`));
      return;
    }
    if (change.kind === 'internal') {
      await this.#beginInternal(index, change, rollout.by);
      return;
    }
    await this.#mark(index, { is: 'begun', beganAt: now });
    await this.#carefully(change, async () => {
      const addresses = change.to.length === 0 ? row.externalAddresses : change.to;
      const action = change.to.length === 0 ? 'remove' : 'set';
      const request = { action, addresses, allowNone: change.to.length === 0 } as const;
      const params = { node: `${change.node}`, by: rollout.by, request };
      await this.#deps.call(this.#hostOf(change), 'external_change', params, operationMs);
      await this.#mark(index, { is: 'done', endedAt: this.#deps.clock.wall() });
    });
  }

  async #beginInternal(index: number, change: Change & { kind: 'internal' }, by: string): Promise<void> {
    await this.#carefully(change, async () => {
      const options = {
        reboot: true,
        cutOver: false,
        proveByReboot: false,
        acceptOutage: false,
        acceptShards: [],
      };
      const request = {
        to: change.to,
        ...(change.gateway === undefined ? {} : { gateway: change.gateway }),
        options,
      };
      const host = this.#hostOf(change);
      const report = await this.#deps.call(host, 'renumber_plan', { by, request }, operationMs);
      const refusals = refusalsOf(report);
      const seen = refusals.find(({ outcome }) => outcome === 'fail') ?? refusals[0];
      if (report.plan === undefined || seen !== undefined) {
        // What is not known may be known in a second; what was seen to be wrong is for a person.
        throw new RlnetError(
          seen?.outcome === 'unknown' ? 'GUARD_UNKNOWN' : 'PLAN_REFUSED',
          `${seen === undefined ? 'There is nothing to plan' : `${seen.code}: ${seen.message}`}`,
          seen?.remedy ?? 'See rlnet renumber plan.',
        );
      }
      const planId = report.plan.id;
      await this.#mark(index, { is: 'begun', planId, beganAt: this.#deps.clock.wall() });
      await this.#deps.call(host, 'renumber_start', { planId, by }, operationMs);
    });
  }

  async #startPlan(index: number): Promise<void> {
    const { steps, by } = this.#requireOpen();
    const step = steps[index];
    if (step?.planId === undefined) return;
    const { planId, change } = step;
    await this.#carefully(change, async () => {
      await this.#deps.call(this.#hostOf(change), 'renumber_start', { planId, by }, operationMs);
    });
  }

  /** What may pass is tried again; all else stops the rollout, with the reason. */
  async #carefully(change: Change, act: () => Promise<void>): Promise<void> {
    try {
      await act();
    } catch (thrown) {
      const error = asRlnetError(thrown);
      if (passing.has(error.code)) throw error;
      await this.#stop({
        code: error.code,
        message: `Node ${change.node} (${change.kind} address): ${error.message}`,
        remedy: error.remedy,
      });
    }
  }

  async #stop({ code, message, remedy }: Reason): Promise<void> {
    const endedAt = this.#deps.clock.wall();
    await this.#change((open) => ({
      ...unheld(open),
      steps: open.steps.map((step) =>
        step.is === 'begun' ? { ...step, is: 'failed' as const, endedAt } : step,
      ),
      outcome: 'stopped',
      reason: { code, message, remedy },
    }));
    this.#deps.log.error({ code }, `the rollout has stopped: ${message}`);
  }

  /** @throws RlnetError PEER_UNREACHABLE */
  #hostOf({ node, host }: Change): string {
    const at = this.#deps.view().hosts.find(({ state }) => state?.nodeUid === node)?.host ?? host;
    if (at !== undefined) return at;
    throw new RlnetError('PEER_UNREACHABLE', `No agent says that it is node ${node}.`, 'Start rlnet on it.');
  }

  async #hold(why: string): Promise<void> {
    if (this.#rollout?.holds?.why === why) return;
    await this.#change((rollout) => ({
      ...rollout,
      // For how long the gate was shut counts, not for how long by the same reason.
      holds: { why, since: rollout.holds?.since ?? this.#deps.clock.wall() },
    }));
  }

  async #mark(index: number, change: Partial<Rollout['steps'][number]>): Promise<void> {
    await this.#change((open) => ({
      ...unheld(open),
      steps: open.steps.map((step, at) => (at === index ? { ...step, ...change } : step)),
    }));
  }

  async #change(change: (rollout: Rollout) => Rollout): Promise<void> {
    await this.#next(async () => {
      if (this.#rollout !== undefined && this.#rollout.outcome === undefined)
        await this.#become(change(this.#rollout));
    });
  }

  async #become(rollout: Rollout): Promise<void> {
    await this.#deps.files.writeAtomic(this.#path, `${JSON.stringify(rollout)}\n`, mode);
    this.#rollout = rollout;
    this.#deps.changed();
  }

  #next<T>(action: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(action);
    this.#queue = result.catch(() => {});
    return result;
  }
}

/** Tells whether a plan is the one that was shown. Which agents answer does not matter. */
export function markOf(changes: readonly Change[]): string {
  const text = JSON.stringify(changes.map((change) => ({ ...change, host: undefined })));
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}

/** Somebody changed an address past the plan that was shown. */
function outdated(message: string): Reason {
  return {
    code: 'ROLLOUT_PLAN_OUTDATED',
    message,
    remedy: 'See rlnet plan -f for what the file comes to now, then apply it again.',
  };
}

function unheld(rollout: Rollout): Rollout {
  const { holds: _, ...rest } = rollout;
  return rest;
}

function unpaused(rollout: Rollout): Rollout {
  const { paused: _, ...rest } = rollout;
  return rest;
}
