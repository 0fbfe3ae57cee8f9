import { type Context, json, type Outcome } from '../context.ts';
import { withAgent } from '../control-client.ts';
import { renderLock } from '../render/lock.ts';

interface Options {
  runtimeDirectory: string;
  json?: boolean;
}

/** `rlnet lock show`. */
export async function lockShow(context: Context, options: Options): Outcome {
  return await withAgent(context, options.runtimeDirectory, async (client) => {
    const [{ hosts }, view] = await Promise.all([client.call('lock_show', {}), client.call('status', {})]);
    const renumberings = view.hosts.flatMap(({ host, link, state }) =>
      state?.renumbering === undefined
        ? []
        : [{ host, linked: link.status !== 'disconnected', ...state.renumbering }],
    );
    context.print(
      options.json === true ? json({ hosts, renumberings }) : renderLock(hosts, renumberings, view.at),
    );
    return 0;
  });
}

/** `rlnet lock release --reason TEXT [--host-is-off]`. */
export async function lockRelease(
  context: Context,
  options: Options & { reason: string; hostIsOff?: boolean },
): Outcome {
  return await withAgent(context, options.runtimeDirectory, async (client) => {
    const { closed } = await client.call('lock_release', {
      by: context.user,
      reason: options.reason,
      hostIsOff: options.hostIsOff === true,
    });
    const text = closed.map(({ host, planId }) => `freed the lock that ${host} had for ${planId}\n`).join('');
    context.print(options.json === true ? json({ closed }) : text);
    return 0;
  });
}
