import { parseAddress, parseInterfaceAddress } from '../../protocol/address.ts';
import { RlnetError } from '../../protocol/errors.ts';
import { type PlanReport, type PlanRequest, refusalsOf } from '../../protocol/renumbering/request.ts';
import { type Context, json, type Outcome } from '../context.ts';
import { type ControlClient, withAgent } from '../control-client.ts';
import { renderJournal, renderPlan, renderRenumberings, renderTiming } from '../render/renumber.ts';
import { readJournal } from './renumber-journal.ts';

interface Options {
  runtimeDirectory: string;
  json?: boolean;
}

export interface PlanCommandOptions extends Options {
  gateway?: string;
  interface?: string;
  reboot: boolean;
  cutOver?: boolean;
  proveByReboot?: boolean;
  acceptOutage?: boolean;
  acceptShards: number[];
  yes?: boolean;
}

/** A little longer than the agent gives the other one. */
const operationMs = 75_000;
/** Not the node's state, but the plan, is what keeps it from being started (docs/errors.md). */
const refusedStatus = 7;

/** `rlnet renumber plan NODE ADDRESS/PREFIX`: what would be done, and what stands in the way. Nothing is changed. */
export async function plan(
  context: Context,
  node: string,
  address: string,
  options: PlanCommandOptions,
): Outcome {
  const request = requestOf(address, options);
  return await withAgent(context, options.runtimeDirectory, async (client) => {
    const report = await askPlan(context, client, node, request);
    context.print(options.json === true ? json(report) : renderPlan(report));
    return refusalsOf(report).length === 0 ? 0 : refusedStatus;
  });
}

/** `rlnet renumber start PLAN`, and `start NODE ADDRESS/PREFIX --yes` for scripts. */
export async function start(
  context: Context,
  first: string,
  address: string | undefined,
  options: PlanCommandOptions,
): Outcome {
  const request = address === undefined ? undefined : requestOf(address, options);
  if (request !== undefined && options.yes !== true) {
    throw new RlnetError(
      'CONFIRMATION_MISSING',
      'To start without having seen the plan has to be said.',
      `Look at it first: rlnet renumber plan ${first} ${address}; or add --yes.`,
    );
  }
  return await withAgent(context, options.runtimeDirectory, async (client) => {
    const planId = request === undefined ? first : await planned(context, client, first, request);
    const params = { planId, by: context.user };
    const { host } = await client.call('renumber_start', params, operationMs);
    const text = `renumbering ${planId} has begun on ${host}\n  rlnet renumber follow ${planId}\n`;
    context.print(options.json === true ? json({ planId, host }) : text);
    return 0;
  });
}

/** `rlnet renumber list`. */
export async function list(context: Context, options: Options): Outcome {
  return await withAgent(context, options.runtimeDirectory, async (client) => {
    const { hosts } = await client.call('renumberings', {});
    context.print(options.json === true ? json({ hosts }) : renderRenumberings(hosts));
    return 0;
  });
}

/** `rlnet renumber show PLAN [--timing]`. */
export async function show(
  context: Context,
  planId: string,
  options: Options & { timing?: boolean },
): Outcome {
  return await withAgent(context, options.runtimeDirectory, async (client) => {
    const { host, records } = await readJournal(client, planId);
    context.print(
      options.json === true
        ? json({ host, planId, records })
        : options.timing === true
          ? renderTiming(records)
          : renderJournal(records),
    );
    return 0;
  });
}

/** `rlnet renumber abort PLAN --reason TEXT`. */
export async function abort(
  context: Context,
  planId: string,
  options: Options & { reason: string },
): Outcome {
  return await withAgent(context, options.runtimeDirectory, async (client) => {
    const params = { planId, by: context.user, reason: options.reason };
    const { host } = await client.call('renumber_abort', params, operationMs);
    context.print(options.json === true ? json({ planId, host }) : `${planId} turns back on ${host}\n`);
    return 0;
  });
}

/** `rlnet renumber resume PLAN`. */
export async function resume(context: Context, planId: string, options: Options): Outcome {
  return await withAgent(context, options.runtimeDirectory, async (client) => {
    const { host } = await client.call('renumber_resume', { planId, by: context.user }, operationMs);
    context.print(options.json === true ? json({ planId, host }) : `${planId} goes on, on ${host}\n`);
    return 0;
  });
}

async function planned(
  context: Context,
  client: ControlClient,
  node: string,
  request: PlanRequest,
): Promise<string> {
  const report = await askPlan(context, client, node, request);
  const [refusal] = refusalsOf(report);
  if (refusal !== undefined || report.plan === undefined) {
    const why = refusal === undefined ? 'there is nothing to plan' : `${refusal.code}: ${refusal.message}`;
    throw new RlnetError(
      'PLAN_REFUSED',
      `The plan was refused: ${why.replace(/\.$/, '')}.`,
      refusal?.remedy ?? 'See rlnet renumber plan.',
    );
  }
  return report.plan.id;
}

function askPlan(
  { user }: Context,
  client: ControlClient,
  node: string,
  request: PlanRequest,
): Promise<PlanReport> {
  return client.call('renumber_plan', { node, by: user, request }, operationMs);
}

function requestOf(address: string, options: PlanCommandOptions): PlanRequest {
  if (!address.includes('/')) {
    throw new RlnetError(
      'ADDRESS_INVALID',
      `${address} has no prefix length.`,
      `Give the one of its network, such as ${address}/${address.includes(':') ? 64 : 24}.`,
    );
  }
  return {
    to: parseInterfaceAddress(address),
    ...(options.gateway === undefined ? {} : { gateway: parseAddress(options.gateway) }),
    ...(options.interface === undefined ? {} : { interface: options.interface }),
    options: {
      reboot: options.reboot,
      cutOver: options.cutOver === true,
      proveByReboot: options.proveByReboot === true,
      acceptOutage: options.acceptOutage === true,
      acceptShards: options.acceptShards,
    },
  };
}
