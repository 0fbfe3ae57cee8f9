import type { Clock } from '../../host/ports/clock.ts';
import type { Rs } from '../../host/ports/rs.ts';
import type { MethodName } from '../../protocol/methods.ts';
import type { Peers } from './peers.ts';

/** What a peer answers only once its own rladmin has. */
const askingRs: ReadonlySet<MethodName> = new Set(['claim', 'node_table', 'register', 'register_external']);

/**
 * The same RS and the same peers, and how long they were waited for: the time in which at least one answer of rladmin was outstanding,
 * here or at a peer that was asked for one. `total` is in milliseconds and only grows.
 */
export function waitsForRs(
  clock: Clock,
  { rs, peers }: { rs: Rs; peers: Peers },
): { rs: Rs; peers: Peers; total: () => number } {
  let outstanding = 0;
  let since = 0;
  let ended = 0;
  const during = async <T>(ask: () => Promise<T>): Promise<T> => {
    if (outstanding === 0) since = clock.monotonic();
    outstanding += 1;
    try {
      return await ask();
    } finally {
      outstanding -= 1;
      if (outstanding === 0) ended += clock.monotonic() - since;
    }
  };
  return {
    rs: {
      ...rs,
      nodeTable: () => during(() => rs.nodeTable()),
      shardTable: () => during(() => rs.shardTable()),
      runningActions: () => during(() => rs.runningActions()),
      replicaHaGraceSeconds: () => during(() => rs.replicaHaGraceSeconds()),
      demote: (...args) => during(() => rs.demote(...args)),
      setAddress: (...args) => during(() => rs.setAddress(...args)),
      setExternalAddresses: (...args) => during(() => rs.setExternalAddresses(...args)),
      addExternalAddress: (...args) => during(() => rs.addExternalAddress(...args)),
      removeExternalAddress: (...args) => during(() => rs.removeExternalAddress(...args)),
    },
    peers: {
      ...peers,
      call: (host, method, params, timeoutMs) => {
        const ask = () => peers.call(host, method, params, timeoutMs);
        return askingRs.has(method) ? during(ask) : ask();
      },
    },
    total: () => ended + (outstanding === 0 ? 0 : clock.monotonic() - since),
  };
}
