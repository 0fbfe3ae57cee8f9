import { type Context, json, type Outcome } from '../context.ts';
import { withAgent } from '../control-client.ts';
import { checkExitStatus, renderCheck, renderFix } from '../render/check.ts';

/** `rlnet check [NODE]`: reads everything afresh there and says what is right and what is not; with `--fix` it is mended first. */
export async function check(
  context: Context,
  node: string | undefined,
  options: { runtimeDirectory: string; json?: boolean; fix?: boolean },
): Outcome {
  return await withAgent(context, options.runtimeDirectory, async (client) => {
    if (options.fix === true) {
      const fixed = await client.call('fix', node === undefined ? {} : { node });
      context.print(options.json === true ? json(fixed) : renderFix(fixed));
      return checkExitStatus(fixed);
    }
    const report = await client.call('check', node === undefined ? {} : { node });
    context.print(options.json === true ? json(report) : renderCheck(report));
    return checkExitStatus(report);
  });
}
