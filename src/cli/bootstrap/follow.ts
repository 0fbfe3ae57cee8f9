import { type Clock, sleep } from '../../host/ports/clock.ts';
import type { Rs } from '../../host/ports/rs.ts';
import { explainBootstrapError } from '../../protocol/bootstrap/explain.ts';
import { asRlnetError, RlnetError } from '../../protocol/errors.ts';
import type { RsNode } from '../../protocol/rs.ts';
import { type LocalBootstrap, readLocalBootstrap, type SessionDependencies } from './session.ts';

/** Automation in the wild waits for up to five minutes; what takes longer has not failed for that. Milliseconds. */
const patienceMs = 15 * 60_000;
const lookAgainMs = 500;
/** How long RS may take to show its new node as OK once it says that it is done. Milliseconds. */
const confirmMs = 120_000;
const running: ReadonlySet<string> = new Set([
  'initiated',
  'creating_cluster',
  'joining_cluster',
  'recovering_cluster',
]);

export function isRunning(local: LocalBootstrap): boolean {
  return local.is === 'outside' && running.has(local.state);
}

/**
 * Follows a bootstrap that has begun until RS has ended it, through refused connections while services restart; then until rladmin shows this
 * host's own node as OK. RS's word alone does not count: whoever answers on the port is not known by then.
 * @param show called with each state once, as RS names it
 * @throws RlnetError BOOTSTRAP_FAILED with what RS says; BOOTSTRAP_INTERRUPTED where RS has forgotten it; BOOTSTRAP_UNDER_WAY where it takes too long, or
 *   where a person ended the following; BOOTSTRAP_NOT_CONFIRMED
 */
export async function followBootstrap(
  deps: SessionDependencies & { clock: Clock; rs: Pick<Rs, 'localUid' | 'nodeTable'> },
  show: (state: string) => void,
  ended: AbortSignal,
): Promise<RsNode> {
  const { clock } = deps;
  const since = clock.monotonic();
  let shown = '';
  const tell = (state: string): void => {
    if (state !== shown) show(state);
    shown = state;
  };
  while (!ended.aborted && clock.monotonic() - since < patienceMs) {
    const local = await lookAt(deps);
    if (local === undefined) tell('RS does not answer; its services may be restarting');
    else if (local.is === 'member' || local.state === 'completed') {
      tell('completed');
      return await confirmed(deps, ended);
    } else if (local.state === 'error') {
      const { code, message, remedy } = explainBootstrapError(local);
      throw new RlnetError('BOOTSTRAP_FAILED', `${code}: ${message}.`, remedy);
    } else if (local.state === 'idle') {
      throw new RlnetError(
        'BOOTSTRAP_INTERRUPTED',
        'RS has forgotten the bootstrap: its state is idle, as after a restart of RS or of the host.',
        'Run the same command again; RS begins anew.',
      );
    } else tell(local.state);
    await sleep(clock, lookAgainMs, ended).catch(() => {});
  }
  throw new RlnetError(
    'BOOTSTRAP_UNDER_WAY',
    `RS goes on with it, and was at ${JSON.stringify(shown)} last.`,
    'rlnet bootstrap status shows how it stands; the same command again takes up following it.',
  );
}

async function lookAt(deps: SessionDependencies): Promise<LocalBootstrap | undefined> {
  try {
    return await readLocalBootstrap(deps);
  } catch (thrown) {
    // While services restart there are refused connections, and answers of half a service.
    const { code } = asRlnetError(thrown);
    if (code === 'RS_REST_UNREACHABLE' || code === 'OUTPUT_UNREADABLE') return undefined;
    throw thrown;
  }
}

async function confirmed(
  { clock, rs }: { clock: Clock; rs: Pick<Rs, 'localUid' | 'nodeTable'> },
  ended: AbortSignal,
): Promise<RsNode> {
  const since = clock.monotonic();
  let last = 'nothing was read';
  do {
    try {
      const row = await ownNode(rs);
      if (row?.status === 'ok') return row;
      last = row === undefined ? 'this host has no node id' : `node ${row.uid} is ${row.statusText}`;
    } catch (thrown) {
      last = asRlnetError(thrown).message;
    }
    await sleep(clock, lookAgainMs, ended).catch(() => {});
  } while (!ended.aborted && clock.monotonic() - since < confirmMs);
  throw new RlnetError(
    'BOOTSTRAP_NOT_CONFIRMED',
    `RS says that it is done, and rladmin does not show it: ${last.replace(/\.$/, '')}.`,
    'Look at rladmin status nodes on this host and on another node.',
  );
}

/** This host's own row of RS's node table; undefined where it is no node. */
export async function ownNode(rs: Pick<Rs, 'localUid' | 'nodeTable'>): Promise<RsNode | undefined> {
  const uid = await rs.localUid();
  if (uid === undefined) return undefined;
  return (await rs.nodeTable()).nodes.find((node) => node.uid === uid);
}
