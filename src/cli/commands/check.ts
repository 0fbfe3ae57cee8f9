import { type Context, json, type Outcome } from '../context.ts';
import { withAgent } from '../control-client.ts';
import { checkExitStatus, renderCheck } from '../render/check.ts';

/** `rlnet check [NODE]`: reads everything afresh there and says what is right and what is not. */
export async function check(
  context: Context,
  node: string | undefined,
  options: { runtimeDirectory: string; json?: boolean },
): Outcome {
  return await withAgent(context, options.runtimeDirectory, async (client) => {
    const report = await client.call('check', node === undefined ? {} : { node });
    context.print(options.json === true ? json(report) : renderCheck(report));
    return checkExitStatus(report);
  });
}
