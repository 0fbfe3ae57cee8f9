import type { Clock } from '../../host/ports/clock.ts';
import { asRlnetError, RlnetError } from '../../protocol/errors.ts';
import type { Asker, MethodName, Params, Result } from '../../protocol/methods.ts';
import type { Move } from '../../protocol/renumbering/guard.ts';
import type { JournalRecord } from '../../protocol/renumbering/records.ts';
import {
  type PlanReport,
  type PlanRequest,
  type RenumberingSummary,
  refusalsOf,
} from '../../protocol/renumbering/request.ts';
import type { HostState } from '../../protocol/state.ts';
import type { Handlers } from '../call.ts';
import type { Log } from '../log.ts';
import type { Admit } from '../operations.ts';
import { type PlanStore, planUnknown } from './plan-store.ts';
import type { Renumberings } from './renumberings.ts';

/** A plan asks RS, the wire and every peer. Milliseconds. */
const planTimeoutMs = 60_000;
/** An abort is answered when the act that is under way has ended. */
const operationTimeoutMs = 60_000;
const questionTimeoutMs = 10_000;
/** For so long after its last answer nobody may say that a holder is off: RS takes half a minute to call its node DOWN. Milliseconds. */
const silentMs = 60_000;
/** A part of a journal is at most this many bytes of JSON: room enough for the envelope under the message cap. */
const maxPageBytes = 48 * 1024;

export interface OperatorHandlerDependencies {
  host: string;
  renumberings: Pick<
    Renumberings,
    'keeper' | 'standing' | 'start' | 'abort' | 'resume' | 'history' | 'recordsOf'
  >;
  plans: PlanStore;
  /** Makes a plan for this host's node. @throws RlnetError where there is nothing to plan */
  makePlan: (move: Move) => Promise<PlanReport>;
  /** Of this host; undefined where it is no node, as far as is known. */
  nodeUid: () => number | undefined;
  admit: Admit;
  /** The host that a person means by a uid or a name. @throws RlnetError PEER_UNKNOWN */
  resolve: (node: string | undefined) => string;
  /** The other hosts, with what they said of themselves last. */
  others: () => { host: string; linked: boolean; since: number; state: HostState | undefined }[];
  clock: Clock;
  /** @throws RlnetError PEER_UNREACHABLE, REQUEST_TIMEOUT, or what the peer answered */
  ask: <M extends MethodName>(
    host: string,
    method: M,
    params: Params<M>,
    timeoutMs: number,
  ) => Promise<Result<M>>;
  log: Log;
}

type OperatorHandlers = Pick<
  Handlers,
  | 'renumber_plan'
  | 'renumber_start'
  | 'renumber_abort'
  | 'renumber_resume'
  | 'renumberings'
  | 'renumber_journal'
  | 'lock_show'
  | 'lock_release'
>;

/** What people ask for: here, or through this agent at another node's. */
export function createOperatorHandlers(deps: OperatorHandlerDependencies): OperatorHandlers {
  const { host: own, renumberings, plans, ask, log, admit } = deps;

  const summaries = async (): Promise<RenumberingSummary[]> => {
    const planned = (await plans.list()).map(
      ({ id: planId, host, nodeUid, change, madeAt: at }): RenumberingSummary => ({
        planId,
        host,
        nodeUid,
        from: change.from,
        to: change.to,
        is: 'planned',
        at,
      }),
    );
    return [...planned, ...(await renumberings.history())].toSorted((a, b) => b.at - a.at);
  };

  const everywhere = async (): Promise<Result<'renumberings'>['hosts']> =>
    await Promise.all([
      summaries().then((found) => ({ host: own, renumberings: found })),
      ...deps.others().map(async ({ host }) => {
        try {
          const { hosts } = await ask(host, 'renumberings', {}, questionTimeoutMs);
          return hosts[0] ?? { host, unknown: 'it said nothing' };
        } catch (thrown) {
          return { host, unknown: asRlnetError(thrown).message };
        }
      }),
    ]);

  /** The host whose agent knows a plan. A peer asks about this host alone, so that a question is forwarded once at most. */
  const hostOf = async (planId: string, asker: Asker): Promise<string> => {
    if (asker.caller === 'member') return own;
    const hosts = await everywhere();
    const found = hosts.find(
      (each) => 'renumberings' in each && each.renumberings.some((one) => one.planId === planId),
    );
    if (found === undefined) throw planUnknown(planId);
    return found.host;
  };

  /** Carries an operation out here, or has the agent of the plan's host do it. */
  const operate = async <M extends 'renumber_start' | 'renumber_abort' | 'renumber_resume'>(
    method: M,
    params: Params<M>,
    asker: Asker,
    here: (by: string) => Promise<void>,
  ): Promise<{ host: string }> => {
    admit(asker, method.replace('_', ' '), params);
    const host = await hostOf(params.planId, asker);
    if (host !== own) return await ask(host, method, params, operationTimeoutMs);
    await here(`${params.by} on ${asker.host}`);
    return { host };
  };

  return {
    renumber_plan: async (params, asker) => {
      admit(asker, 'renumber plan', { by: params.by, node: params.node, to: params.request.to });
      const host = asker.caller === 'member' ? own : deps.resolve(params.node);
      if (host !== own) return await ask(host, 'renumber_plan', params, planTimeoutMs);
      const nodeUid = deps.nodeUid();
      if (nodeUid === undefined) throw noNode(own);
      const report = await deps.makePlan(moveOf(own, nodeUid, params.request));
      if (report.plan !== undefined && refusalsOf(report).length === 0) await plans.keep(report.plan);
      return report;
    },
    renumber_start: (params, asker) =>
      operate('renumber_start', params, asker, async () => {
        await renumberings.start(await plans.get(params.planId));
        await plans.forget(params.planId);
      }),
    renumber_abort: (params, asker) =>
      operate('renumber_abort', params, asker, (by) => renumberings.abort(params.planId, by, params.reason)),
    renumber_resume: (params, asker) =>
      operate('renumber_resume', params, asker, (by) => renumberings.resume(params.planId, by)),
    renumberings: async (_params, { caller }) => ({
      hosts: caller === 'member' ? [{ host: own, renumberings: await summaries() }] : await everywhere(),
    }),
    renumber_journal: async ({ node, planId, after = 0 }, asker) => {
      const host = node === undefined ? await hostOf(planId, asker) : deps.resolve(node);
      if (host !== own && asker.caller !== 'member') {
        return await ask(host, 'renumber_journal', { planId, after }, questionTimeoutMs);
      }
      const all = await renumberings.recordsOf(planId);
      if (all.length === 0) throw planUnknown(planId);
      const last = all.at(-1);
      const records = pageOf(all.slice(after));
      return {
        host: own,
        planId,
        records,
        more: after + records.length < all.length,
        ...(last?.type === 'closed' ? { outcome: last.outcome } : {}),
      };
    },
    lock_show: async () => ({
      hosts: await Promise.all([
        Promise.resolve({ host: own, told: renumberings.keeper.told }),
        ...deps.others().map(async ({ host }) => {
          try {
            return { host, told: (await ask(host, 'lock', {}, questionTimeoutMs)).told };
          } catch (thrown) {
            return { host, unknown: asRlnetError(thrown).message };
          }
        }),
      ]),
    }),
    lock_release: async (params, asker) => {
      admit(asker, 'lock release', params);
      const open = renumberings.keeper.openClaims();
      if (open.length === 0) {
        throw new RlnetError(
          'LOCK_NOT_HELD',
          'Nobody has the lock, as far as the agent of this host knows.',
          'See rlnet lock show for what the others know.',
        );
      }
      for (const claim of open) {
        const other = deps.others().find(({ host }) => host === claim.host);
        const standing = claim.host === own ? renumberings.standing : other?.state?.renumbering;
        if (claim.host === own || other?.linked === true) requireStopped(claim, standing);
        else if (!params.hostIsOff) throw holderUnknown(claim.host);
        else if (other !== undefined && deps.clock.wall() - other.since < silentMs)
          throw holderWasThere(claim.host, deps.clock.wall() - other.since);
      }
      for (const claim of open) {
        await renumberings.keeper.close(claim);
        log.warn({ ...claim, by: params.by, reason: params.reason }, 'an operator freed the lock');
      }
      return { closed: open };
    },
  };
}

function moveOf(host: string, nodeUid: number, request: PlanRequest): Move {
  const { to, gateway, interface: name, options } = request;
  return {
    host,
    nodeUid,
    to,
    options,
    ...(gateway === undefined ? {} : { gateway }),
    ...(name === undefined ? {} : { interface: name }),
  };
}

function noNode(host: string): RlnetError {
  return new RlnetError(
    'PLAN_REFUSED',
    `${host} is no node of the cluster, as far as its agent knows.`,
    'See rlnet status for which hosts are.',
  );
}

/** A holder that answers gives the lock back itself, unless its renumbering has stopped or is none of its any more. */
function requireStopped(
  { host, planId }: { host: string; planId: string },
  standing: HostState['renumbering'],
): void {
  if (standing?.planId !== planId || standing.is === 'stopped') return;
  throw new RlnetError(
    'LOCK_HOLDER_ALIVE',
    `${host} has the lock, its agent answers, and its renumbering ${planId} is under way.`,
    `Wait until it ends, or: rlnet renumber abort ${planId} --reason TEXT`,
  );
}

function holderUnknown(host: string): RlnetError {
  return new RlnetError(
    'LOCK_HOLDER_ALIVE',
    `The agent of ${host}, which has the lock, does not answer: its host may be off, or only cut off.`,
    `Make sure that ${host} is off, and say so with --host-is-off.`,
  );
}

function holderWasThere(host: string, ms: number): RlnetError {
  return new RlnetError(
    'LOCK_HOLDER_ALIVE',
    `The agent of ${host}, which has the lock, answered ${Math.round(ms / 1000)} s ago, and RS may still take its node for OK.`,
    `Wait until ${silentMs / 1000} s have gone by since then: a host that restarts is back by itself.`,
  );
}

/** The first of these records that fit one message; one at least. */
function pageOf(records: readonly JournalRecord[]): JournalRecord[] {
  let bytes = 0;
  const fitting = records.findIndex((record) => {
    bytes += JSON.stringify(record).length + 1;
    return bytes > maxPageBytes;
  });
  return fitting === -1 ? [...records] : records.slice(0, Math.max(1, fitting));
}
