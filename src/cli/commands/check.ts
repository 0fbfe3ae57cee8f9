import { asRlnetError, RlnetError } from '../../protocol/errors.ts';
import { type Context, json, type Outcome } from '../context.ts';
import { type ControlClient, withAgent } from '../control-client.ts';
import { checkExitStatus, renderCheck, renderFix } from '../render/check.ts';

/**
 * `rlnet check [NODE]`: reads everything afresh there and says what is right and what is not; with `--fix` it is mended first, with `--all` every
 * host is asked that is known of. One that does not answer is unknown.
 */
export async function check(
  context: Context,
  node: string | undefined,
  options: { runtimeDirectory: string; json?: boolean; fix?: boolean; all?: boolean },
): Outcome {
  if (options.all === true && (node !== undefined || options.fix === true)) {
    throw new RlnetError(
      'USAGE',
      '--all goes with neither a node nor --fix.',
      'Leave one of them away; what is wrong is mended on the host itself.',
    );
  }
  return await withAgent(context, options.runtimeDirectory, async (client) => {
    if (options.all === true) return await checkAll(context, client, options.json === true);
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

async function checkAll(context: Context, client: ControlClient, asJson: boolean): Outcome {
  const { hosts } = await client.call('status', {});
  const reports = await Promise.all(
    hosts.map(async ({ host }) => {
      try {
        return await client.call('check', { node: host });
      } catch (thrown) {
        return { host, unknown: asRlnetError(thrown).message };
      }
    }),
  );
  const text = reports.map((report) =>
    'unknown' in report ? `checks of ${report.host}: unknown: ${report.unknown}\n` : renderCheck(report),
  );
  context.print(asJson ? json({ hosts: reports }) : text.join('\n'));
  return Math.max(...reports.map((report) => ('unknown' in report ? 10 : checkExitStatus(report))));
}
