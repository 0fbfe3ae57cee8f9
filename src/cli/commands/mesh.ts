import { RlnetError } from '../../protocol/errors.ts';
import { type Context, json, type Outcome } from '../context.ts';
import { withAgent } from '../control-client.ts';
import { renderMesh } from '../render/mesh.ts';

interface Options {
  runtimeDirectory: string;
  json?: boolean;
}

/** `rlnet mesh`: both sides of every pair of agents. */
export async function mesh(context: Context, options: Options): Outcome {
  return await withAgent(context, options.runtimeDirectory, async (client) => {
    const view = await client.call('mesh', {});
    context.print(options.json === true ? json(view) : renderMesh(view));
    return 0;
  });
}

/** `rlnet mesh forget HOST`: a host that has left the cluster for good is not waited for any more. */
export async function forget(context: Context, host: string, options: Options): Outcome {
  return await withAgent(context, options.runtimeDirectory, async (client) => {
    const { forgotten } = await client.call('forget', { host });
    if (!forgotten) {
      throw new RlnetError(
        'PEER_UNKNOWN',
        `${host} is linked, or not known here, and was not forgotten.`,
        'Stop its agent first; rlnet mesh shows who is known.',
      );
    }
    context.print(options.json === true ? json({ host, forgotten }) : `forgot ${host} on this host\n`);
    return 0;
  });
}

/** `rlnet tls unpin HOST`: a host that was reinstalled may come from its new machine. */
export async function unpin(context: Context, host: string, options: Options): Outcome {
  return await withAgent(context, options.runtimeDirectory, async (client) => {
    const { unpinned } = await client.call('unpin', { host });
    const text = unpinned ? `${host} may come from another machine now` : `${host} was held to no machine`;
    context.print(options.json === true ? json({ host, unpinned }) : `${text}\n`);
    return 0;
  });
}
