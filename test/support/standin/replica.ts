import { type ClusterConfig, isMajority } from './model.ts';

/*
 * How the daemons of the lab agree on one `ClusterConfig`: Raft (Ongaro and Ousterhout, 2014) with a log of length one.
 * The cluster master is the leader, and every write replaces the whole configuration, which is small.
 *
 * Invariants, proven by test/unit/standin/replica.test.ts under lost, late and repeated messages and restarts:
 * - at most one leader a term, because a node votes once a term and its vote is durable before it answers;
 * - a committed configuration is never lost, because a majority accepted it before it counted as committed, and a
 *   candidate needs the votes of a majority that accepted nothing newer than the candidate has.
 */

/** Orders configurations: by term, then by number of the write within it. */
export interface Stamp {
  term: number;
  version: number;
}

/** What a node must not forget. Durable before any answer that rests on it leaves the node. */
export interface Replica {
  /** The newest term this node knows of. */
  term: number;
  /** For whom it voted in that term. */
  votedFor: number | undefined;
  /** The newest configuration it took from a leader; perhaps not (yet) that of a majority. */
  accepted: ClusterConfig | undefined;
  /** The newest configuration it knows to be that of a majority: what everybody reads. */
  committed: ClusterConfig | undefined;
}

export const emptyReplica: Replica = {
  term: 0,
  votedFor: undefined,
  accepted: undefined,
  committed: undefined,
};

/** From the leader: its configuration, and up to where it is committed. Doubles as the leader's heartbeat. */
export interface Append {
  term: number;
  config: ClusterConfig;
  committed: boolean;
}

/** From a candidate. */
export interface VoteRequest {
  term: number;
  candidate: number;
  accepted: Stamp;
}

const none: Stamp = { term: 0, version: 0 };

export function compareStamps(a: Stamp, b: Stamp): number {
  return a.term - b.term || a.version - b.version;
}

/** Takes note of a term seen on any message; a newer one ends every vote and every leadership of an older one. */
export function observeTerm(replica: Replica, term: number): Replica {
  return term > replica.term ? { ...replica, term, votedFor: undefined } : replica;
}

/** A follower's answer to its leader: `ok` says that it now holds exactly what the leader sent. */
export function append(before: Replica, message: Append): { replica: Replica; ok: boolean } {
  const replica = observeTerm(before, message.term);
  if (message.term < replica.term) return { replica, ok: false };
  const order = replica.accepted === undefined ? 1 : compareStamps(message.config, replica.accepted);
  // Late messages of one leader can overtake each other; what is newer stays.
  if (order < 0) return { replica, ok: false };
  const committed = message.committed ? message.config : replica.committed;
  return { replica: { ...replica, accepted: message.config, committed }, ok: true };
}

/** A vote is given once a term, and only to a candidate that has accepted at least as much as this node. */
export function vote(before: Replica, request: VoteRequest): { replica: Replica; granted: boolean } {
  const replica = observeTerm(before, request.term);
  const free = replica.votedFor === undefined || replica.votedFor === request.candidate;
  const complete = compareStamps(request.accepted, replica.accepted ?? none) >= 0;
  if (request.term < replica.term || !free || !complete) return { replica, granted: false };
  return { replica: { ...replica, votedFor: request.candidate }, granted: true };
}

/** Stands for leader: a new term, and the candidate's own vote. */
export function stand(before: Replica, self: number): { replica: Replica; request: VoteRequest } {
  const term = before.term + 1;
  const { term: acceptedTerm, version } = before.accepted ?? none;
  return {
    replica: { ...before, term, votedFor: self },
    request: { term, candidate: self, accepted: { term: acceptedTerm, version } },
  };
}

/**
 * The leader's next write, on its own disk before anybody else's. Also a new leader's first act, with its accepted
 * configuration unchanged: only what carries its own term may it count as committed.
 */
export function propose(replica: Replica, content: ClusterConfig): Replica {
  const version = (replica.accepted?.version ?? 0) + 1;
  return { ...replica, accepted: { ...content, term: replica.term, version } };
}

/** Commits what the leader proposed, once a majority of that configuration's own nodes hold it (itself included). */
export function commit(replica: Replica, proposed: Stamp, holders: ReadonlySet<number>): Replica {
  const { accepted } = replica;
  if (accepted === undefined || compareStamps(accepted, proposed) !== 0 || accepted.term !== replica.term)
    return replica;
  const count = accepted.nodes.filter((node) => holders.has(node.uid)).length;
  return isMajority(count, accepted.nodes.length) ? { ...replica, committed: accepted } : replica;
}

/** Takes a configuration that another node knows to be committed: at start, and with the answer to a command. */
export function learn(replica: Replica, committed: ClusterConfig): Replica {
  const newer = (known: ClusterConfig | undefined) =>
    known !== undefined && compareStamps(known, committed) >= 0 ? known : committed;
  return {
    ...observeTerm(replica, committed.term),
    accepted: newer(replica.accepted),
    committed: newer(replica.committed),
  };
}
