import type { ClusterView } from '../../protocol/state.ts';
import { type Context, json, type Outcome } from '../context.ts';
import { withAgent } from '../control-client.ts';
import { renderStatus } from '../render/status.ts';

export interface StatusOptions {
  runtimeDirectory: string;
  json?: boolean;
  watch?: boolean;
}

/** `rlnet status [--watch]`: the cluster as the agent of this host sees it. */
export async function status(context: Context, options: StatusOptions): Outcome {
  return await withAgent(context, options.runtimeDirectory, async (client) => {
    if (options.watch === true) {
      await client.watch(await viewer(context, options.json === true));
      await Promise.race([client.ended, endedBy(context.ended)]);
      return context.ended.aborted ? 0 : 5;
    }
    const view = await client.call('status', {});
    context.print(options.json === true ? json(view) : renderStatus(view));
    return 0;
  });
}

/** How a newer view is shown: in place on a terminal, one after the other elsewhere; one line of JSON each with `--json`. */
async function viewer({ print, terminal }: Context, asJson: boolean): Promise<(view: ClusterView) => void> {
  if (asJson) return (view) => print(`${JSON.stringify(view)}\n`);
  if (!terminal) return (view) => print(`${renderStatus(view)}\n`);
  const { showInPlace } = await import('../live.ts');
  return (view) => showInPlace(renderStatus(view));
}

function endedBy(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
