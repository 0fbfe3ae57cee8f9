import type { Rs } from '../../host/ports/rs.ts';
import { RlnetError } from '../../protocol/errors.ts';
import type { Handlers } from '../call.ts';
import type { LockKeeper } from './lock-keeper.ts';
import { type RegistrarDependencies, registerAddress, registerExternal } from './registrar.ts';

export interface PeerHandlerDependencies extends RegistrarDependencies {
  keeper: LockKeeper;
  rs: Rs;
  /** Whether this is what the renumbering of this host is doing right now. */
  isCurrent: (planId: string, act: string) => boolean;
}

/** What agents ask each other for a renumbering. */
export function createPeerHandlers(
  deps: PeerHandlerDependencies,
): Pick<
  Handlers,
  | 'claim'
  | 'held'
  | 'lock'
  | 'close_claim'
  | 'register'
  | 'register_external'
  | 'still_current'
  | 'node_table'
> {
  const { keeper, rs } = deps;
  return {
    claim: async (claim, { host }) => {
      const decision = await keeper.grant(claim, host);
      return decision.grant ? { granted: true } : { granted: false, reason: decision.reason };
    },
    held: async (claim) => ({ held: keeper.answerHeld(claim) }),
    lock: async () => ({ told: keeper.told }),
    close_claim: async (claim, { host }) => {
      if (claim.host !== host) {
        throw new RlnetError(
          'LOCK_NOT_OWN',
          `${host} may not close a claim of ${claim.host}.`,
          'A person can: rlnet lock release.',
        );
      }
      await keeper.close(claim);
      return {};
    },
    register: (params, { host }) => registerAddress(deps, params, host),
    register_external: (params, { host }) => registerExternal(deps, params, host),
    still_current: async ({ planId, act }) => ({ current: deps.isCurrent(planId, act) }),
    node_table: () => rs.nodeTable(),
  };
}
