import type { Clock } from '../../host/ports/clock.ts';
import type { NetworkOwner } from '../../host/ports/network-owner.ts';
import type { Rs } from '../../host/ports/rs.ts';
import type { MethodName } from '../../protocol/methods.ts';
import type { Peers } from './peers.ts';

/** For how long others were waited for since the agent's start, milliseconds. */
export interface Waits {
  /** RS: an answer of rladmin was outstanding, here or at a peer that was asked for one. */
  rsMs: number;
  /** The owner of the network configuration: it took its files up. */
  ownerMs: number;
}

/** What was waited for in between, whole milliseconds. */
export function waitedSince(before: Waits, now: Waits): Waits {
  return { rsMs: Math.round(now.rsMs - before.rsMs), ownerMs: Math.round(now.ownerMs - before.ownerMs) };
}

interface Stopwatch {
  during: <T>(wait: () => Promise<T>) => Promise<T>;
  /** The time in which at least one was waited for, milliseconds. It only grows. */
  total: () => number;
}

function createStopwatch(clock: Clock): Stopwatch {
  let outstanding = 0;
  let since = 0;
  let ended = 0;
  return {
    during: async (wait) => {
      if (outstanding === 0) since = clock.monotonic();
      outstanding += 1;
      try {
        return await wait();
      } finally {
        outstanding -= 1;
        if (outstanding === 0) ended += clock.monotonic() - since;
      }
    },
    total: () => ended + (outstanding === 0 ? 0 : clock.monotonic() - since),
  };
}

/** What a peer answers only once its own rladmin has. */
const askingRs: ReadonlySet<MethodName> = new Set(['claim', 'node_table', 'register', 'register_external']);

/** The same RS and the same peers, and how long they were waited for. */
export function waitsForRs(
  clock: Clock,
  { rs, peers }: { rs: Rs; peers: Peers },
): { rs: Rs; peers: Peers; total: () => number } {
  const { during, total } = createStopwatch(clock);
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
    total,
  };
}

/** The same owners, and how long they were waited for. */
export function waitsForOwner(
  clock: Clock,
  ownerOf: (kind: string) => NetworkOwner,
): { ownerOf: (kind: string) => NetworkOwner; total: () => number } {
  const { during, total } = createStopwatch(clock);
  return {
    ownerOf: (kind) => {
      const owner = ownerOf(kind);
      return { ...owner, activate: (...args) => during(() => owner.activate(...args)) };
    },
    total,
  };
}
