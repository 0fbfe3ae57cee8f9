import type { Address } from '../../protocol/address.ts';
import { rescue as decide, rescueExitStatus } from '../../protocol/renumbering/rescue.ts';
import { type Context, json, type Outcome } from '../context.ts';
import { renderRescue } from '../render/rescue.ts';
import { readRescueFacts } from '../rescue-facts.ts';

/** `rlnet rescue`: what a person has to type to bring this host's node back, with no agent and no mesh. Changes nothing. */
export async function rescue(
  context: Context,
  options: { config: string; rsAddress?: Address; json?: boolean },
): Outcome {
  const report = decide(
    await readRescueFacts(context, { config: options.config, rsAddress: options.rsAddress }),
  );
  context.print(options.json === true ? json(report) : renderRescue(report));
  return rescueExitStatus(report);
}
