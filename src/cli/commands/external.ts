import { parseAddress } from '../../protocol/address.ts';
import type { ExternalRequest } from '../../protocol/external.ts';
import { type Context, json, type Outcome } from '../context.ts';
import { withAgent } from '../control-client.ts';
import { renderExternalNodes, renderExternalReport } from '../render/external.ts';

interface Options {
  runtimeDirectory: string;
  json?: boolean;
}

export interface ExternalCommandOptions extends Options {
  allowNone?: boolean;
}

/** A little longer than the agent gives the other one. */
const operationMs = 75_000;

/** `rlnet external list [NODE]`. */
export async function externalList(context: Context, node: string | undefined, options: Options): Outcome {
  return await withAgent(context, options.runtimeDirectory, async (client) => {
    const answer = await client.call('external_list', node === undefined ? {} : { node });
    context.print(options.json === true ? json(answer) : renderExternalNodes(answer));
    return 0;
  });
}

/** `rlnet external add|set|remove NODE ADDRESS...`: what RS has afterwards, and how that differs from before. */
export async function externalChange(
  context: Context,
  action: ExternalRequest['action'],
  node: string,
  addresses: readonly string[],
  options: ExternalCommandOptions,
): Outcome {
  const request = {
    action,
    addresses: addresses.map((text) => parseAddress(text)),
    allowNone: options.allowNone === true,
  };
  return await withAgent(context, options.runtimeDirectory, async (client) => {
    const report = await client.call('external_change', { node, by: context.user, request }, operationMs);
    context.print(options.json === true ? json(report) : renderExternalReport(report));
    return 0;
  });
}
