import type { Rs } from '../../host/ports/rs.ts';
import { asRlnetError, RlnetError } from '../../protocol/errors.ts';
import type { Reason } from '../../protocol/renumbering/records.ts';
import { refusalsOf } from '../../protocol/renumbering/request.ts';
import type { Change } from '../../protocol/rollout/difference.ts';
import { differenceOf } from '../../protocol/rollout/difference.ts';
import type { ClusterView } from '../../protocol/state.ts';
import type { Handlers } from '../call.ts';
import type { Admit } from '../operations.ts';
import type { Peers } from '../renumbering/peers.ts';
import { markOf, type Rollouts } from './rollouts.ts';

const planMs = 60_000;
const questionMs = 10_000;

export interface RolloutHandlerDependencies {
  host: string;
  rs: Pick<Rs, 'nodeTable'>;
  rollouts: Rollouts;
  view: () => ClusterView;
  ask: Peers['call'];
  admit: Admit;
}

/** The cluster's addresses as one file: what they are, what a file would change, and its being carried out. */
export function createRolloutHandlers(
  deps: RolloutHandlerDependencies,
): Pick<
  Handlers,
  'declaration' | 'rollout_plan' | 'rollout_start' | 'rollout_pause' | 'rollout_end' | 'rollout'
> {
  const { host: own, rs, rollouts, view, ask, admit } = deps;

  /** The host that leads the newest rollout that is known; this one where none is. */
  const leader = (): string => {
    const told = view().hosts.flatMap(({ host, state }) =>
      state?.rollout === undefined ? [] : [{ host, ...state.rollout }],
    );
    const open = told.find(({ is }) => is === 'open' || is === 'paused');
    return (open ?? told.toSorted((a, b) => b.startedAt - a.startedAt)[0])?.host ?? own;
  };

  /** What the guards of a renumbering say of a change now; they are asked again when its turn comes. */
  const refusalsFor = async (change: Change, by: string): Promise<Reason[]> => {
    if (change.kind !== 'internal') return [];
    const at = view().hosts.find(({ state }) => state?.nodeUid === change.node);
    try {
      if (at === undefined)
        throw new RlnetError(
          'PEER_UNREACHABLE',
          `No agent says that it is node ${change.node}.`,
          'Start rlnet on it.',
        );
      const options = {
        reboot: true,
        cutOver: false,
        proveByReboot: false,
        acceptOutage: false,
        acceptShards: [],
      };
      const request = {
        to: change.to,
        ...(change.gateway === undefined ? {} : { gateway: change.gateway }),
        options,
      };
      return refusalsOf(await ask(at.host, 'renumber_plan', { by, request }, planMs)).map(
        ({ code, message, remedy }) => ({ code, message, remedy }),
      );
    } catch (thrown) {
      const { code, message, remedy } = asRlnetError(thrown).report();
      return [{ code, message, remedy }];
    }
  };

  return {
    declaration: async () => {
      const { nodes } = await rs.nodeTable();
      const { cluster, hosts } = view();
      const notes: { node: number; note: string }[] = [];
      const declared = nodes.map(({ uid, address, externalAddresses }) => {
        const at = hosts.find(({ state }) => state?.nodeUid === uid);
        const bound = at?.state?.addresses.listed.find((each) => each.address === address);
        if (bound === undefined) {
          const why = `${address ?? 'its address'} is left out: no agent says the prefix length of its network`;
          notes.push({ node: uid, note: why });
        }
        return {
          node: uid,
          ...(bound === undefined
            ? {}
            : { internal: { address: bound.address, prefixLength: bound.prefixLength } }),
          external: externalAddresses,
        };
      });
      return { declaration: { cluster, nodes: declared, windows: [] }, notes };
    },
    rollout_plan: async ({ declaration, by }) => {
      const difference = differenceOf(declaration, await rs.nodeTable(), view());
      const mark = markOf(difference.changes);
      if (difference.problems.length > 0) return { difference, refusals: [], mark };
      const refusals = await Promise.all(
        difference.changes.map(async (change) => ({
          node: change.node,
          reasons: await refusalsFor(change, by),
        })),
      );
      return { difference, refusals: refusals.filter(({ reasons }) => reasons.length > 0), mark };
    },
    rollout_start: async ({ declaration, by, mark }, asker) => {
      admit(asker, 'apply', { by, nodes: declaration.nodes.length });
      return await rollouts.start(declaration, by, mark);
    },
    rollout_pause: async (params, asker) => {
      const { by, paused, reason = 'no reason given' } = params;
      admit(asker, paused ? 'pause' : 'unpause', { by, reason });
      const at = leader();
      if (at !== own && asker.caller !== 'member') return await ask(at, 'rollout_pause', params, questionMs);
      await rollouts.pause(paused ? { by, reason } : undefined);
      return { leader: own };
    },
    rollout_end: async (params, asker) => {
      const { by, reason } = params;
      admit(asker, 'end of the rollout', { by, reason });
      const at = leader();
      if (at !== own && asker.caller !== 'member') return await ask(at, 'rollout_end', params, questionMs);
      await rollouts.end(by, reason);
      return { leader: own };
    },
    rollout: async (_params, { caller }) => {
      const at = leader();
      if (at !== own && caller !== 'member') return await ask(at, 'rollout', {}, questionMs);
      return rollouts.rollout === undefined ? {} : { rollout: rollouts.rollout };
    },
  };
}
