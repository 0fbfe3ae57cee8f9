import type { Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Address, parseSocketAddress } from '../../../src/protocol/address.ts';
import {
  type BootstrapFailure,
  type BootstrapRequest,
  type HostFacts,
  joinCluster,
} from './bootstrap-rules.ts';
import { saveState } from './durable.ts';
import { call, serve } from './lines.ts';
import {
  type ClusterConfig,
  candidate,
  hasQuorum,
  heard,
  housekeeping,
  isMajority,
  isRefusal,
  isUp,
  type Liveness,
  madeUp,
  nodeOf,
  refuse,
  type View,
} from './model.ts';
import * as raft from './replica.ts';
import { failure, parseRladmin, type RladminResult, runRladmin } from './rladmin.ts';
import type { Settings } from './settings.ts';

/*
 * One node of the lab's cluster: the shell around replica.ts and model.ts. It holds the replica and its own liveness,
 * talks to its peers from and to internal addresses alone, and is the only writer of its durable state. What it sends
 * and gets is of this very program, so messages are not checked against a schema.
 */

type PeerMessage =
  | { type: 'heartbeat'; cluster: string; uid: number; append?: raft.Append }
  | { type: 'vote'; cluster: string; request: raft.VoteRequest }
  | { type: 'fetch'; cluster: string }
  | { type: 'execute'; cluster: string; argv: string[] }
  | { type: 'join'; facts: HostFacts; request: BootstrapRequest; dryRun: boolean };

interface HeartbeatAnswer {
  term: number;
  ok: boolean;
}

type JoinAnswer = { uid: number; config: ClusterConfig } | BootstrapFailure;

/** A result with the configuration it was reached in, so that the asking node reads what it wrote. */
type ExecuteAnswer = { result: RladminResult; config: ClusterConfig } | { notMaster: true };

export interface Member {
  uid: number;
  view(): View;
  /** Runs an rladmin command line, here or at the cluster master. */
  execute(argv: string[]): Promise<RladminResult>;
  /** Carries a change to a majority; only the cluster master can. `undefined` says that it was carried. */
  change(next: ClusterConfig): Promise<'not_master' | 'not_carried' | undefined>;
  stop(): void;
}

/** How a node comes to be a member: it was one before, it makes a cluster, or it joins one. */
export type Origin =
  | { kind: 'known'; uid: number; replica: raft.Replica }
  | { kind: 'create'; config: ClusterConfig }
  | { kind: 'join'; addr: Address; via: Address[]; facts: HostFacts; request: BootstrapRequest };

function peer(settings: Settings, from: Address | undefined, to: Address) {
  return { host: to, port: settings.peerPort, ...(from === undefined ? {} : { localAddress: from }) };
}

/** Asks the peers of a known node for the newest configuration: `addr set` may have given this node a new address. */
export async function catchUp(settings: Settings, uid: number, replica: raft.Replica): Promise<raft.Replica> {
  const { committed } = replica;
  const peers = (committed?.nodes ?? []).filter((node) => node.uid !== uid);
  const answers = await Promise.allSettled(
    peers.map(async (node) => {
      const message: PeerMessage = { type: 'fetch', cluster: committed?.name ?? '' };
      return (await call(peer(settings, undefined, node.addr), message, settings.callTimeoutMs)) as {
        config: ClusterConfig | null;
      };
    }),
  );
  return answers
    .flatMap((answer) => (answer.status === 'fulfilled' && answer.value.config ? [answer.value.config] : []))
    .reduce(raft.learn, replica);
}

/**
 * Asks members to take this node in, or with `dryRun` whether they would. The answer of the first that answers counts.
 */
export async function askToJoin(
  settings: Settings,
  from: Address | undefined,
  via: Address[],
  message: { facts: HostFacts; request: BootstrapRequest; dryRun: boolean },
): Promise<JoinAnswer> {
  for (const member of via) {
    try {
      const asked: PeerMessage = { type: 'join', ...message };
      return (await call(peer(settings, from, member), asked, settings.commandWaitMs)) as JoinAnswer;
    } catch {
      // Not there: the next one may be.
    }
  }
  return refuse('connect_error', `no member answers at ${via.join(', ')}`);
}

/**
 * Starts the node on its internal address.
 *
 * @throws the system's EADDRNOTAVAIL when that address is not bound here, before anything else happens
 * @returns the running member, or why the cluster would not take it in
 */
export async function startMember(
  settings: Settings,
  origin: Origin,
  log: (line: string) => void,
): Promise<Member | BootstrapFailure> {
  let replica: raft.Replica = raft.emptyReplica;
  let uid = 0;
  let leading = false;
  let liveness: Liveness = new Map();
  let stopped = false;
  /** Writes happen one after another: each decides on what the one before left. */
  let writes: Promise<unknown> = Promise.resolve();
  const stopping = new AbortController();

  if (origin.kind === 'known') {
    uid = origin.uid;
    replica = origin.replica;
  } else if (origin.kind === 'create') {
    uid = 1;
    replica = { term: 1, votedFor: 1, accepted: origin.config, committed: origin.config };
  }
  const known = replica.committed === undefined ? undefined : nodeOf(replica.committed, uid);
  const ownAddress = origin.kind === 'join' ? origin.addr : known?.addr;
  if (ownAddress === undefined) throw new Error(`node:${uid} is not in its own configuration`);
  const from = ownAddress;

  /** The only writer of the replica: on disk before anything that rests on it is said. */
  function keep(next: raft.Replica): void {
    if (next === replica) return;
    const newTerm = next.term !== replica.term;
    replica = next;
    if (newTerm && leading && replica.votedFor !== uid) {
      leading = false;
      log(`no longer cluster master: term ${replica.term} began elsewhere`);
    }
    if (uid !== 0) saveState(settings, { uid, replica });
  }

  function config(): ClusterConfig {
    if (replica.committed === undefined) throw new Error('not a member yet');
    return replica.committed;
  }

  function view(): View {
    return { config: config(), liveness, self: uid, now: Date.now(), timings: settings };
  }

  /** Nobody heard of since this process started counts from its start, not from for ever. */
  function greet(members: ClusterConfig): void {
    const seen = new Map(liveness);
    for (const node of members.nodes) if (!seen.has(node.uid)) seen.set(node.uid, Date.now());
    liveness = seen;
  }

  async function ask(
    to: Address,
    message: PeerMessage,
    timeoutMs = settings.callTimeoutMs,
  ): Promise<unknown> {
    return call(peer(settings, from, to), message, timeoutMs);
  }

  /** Sends the leader's configuration to everybody; resolves as soon as a majority holds it, or all have answered. */
  async function replicate(): Promise<void> {
    const { accepted } = replica;
    if (accepted === undefined) return;
    const holders = new Set([uid]);
    const count = () => {
      const before = replica.committed;
      keep(raft.commit(replica, accepted, holders));
      if (replica.committed !== before) broadcast();
      return replica.committed === accepted;
    };
    const { promise, resolve } = Promise.withResolvers<void>();
    if (count()) resolve();
    void send(accepted, (answering) => {
      holders.add(answering);
      if (leading && count()) resolve();
    }).finally(resolve);
    return promise;
  }

  /** Tells everybody what is now committed, without waiting. */
  function broadcast(): void {
    if (replica.accepted !== undefined) void send(replica.accepted, () => {});
  }

  async function send(accepted: ClusterConfig, onHeld: (uid: number) => void): Promise<void> {
    const append: raft.Append = {
      term: replica.term,
      config: accepted,
      committed: replica.committed === accepted,
    };
    await eachPeer(accepted, { type: 'heartbeat', cluster: accepted.name, uid, append }, (node, answer) => {
      const { term, ok } = answer as HeartbeatAnswer;
      keep(raft.observeTerm(replica, term));
      if (ok) onHeld(node);
    });
  }

  async function eachPeer(
    members: ClusterConfig,
    message: PeerMessage,
    onAnswer: (uid: number, answer: unknown) => void,
  ): Promise<void> {
    const others = members.nodes.filter((node) => node.uid !== uid);
    await Promise.allSettled(
      others.map(async (node) => {
        const answer = await ask(node.addr, message);
        if (!stopped) onAnswer(node.uid, answer);
      }),
    );
  }

  function isMaster(): boolean {
    return leading && config().masterUid === uid;
  }

  /** One write by the leader. What a majority did not take is overwritten, where that is safe. */
  async function write(content: ClusterConfig): Promise<boolean> {
    keep(raft.propose(replica, content));
    const proposed = replica.accepted;
    await replicate();
    if (replica.committed === proposed) return true;
    if (leading && replica.committed?.term === replica.term) {
      // Nobody else commits in this leader's term, so this write is nowhere committed and may be taken back.
      keep(raft.propose(replica, replica.committed));
    } else {
      // A leader that never got through must not decide what became of its predecessor's last write.
      leading = false;
    }
    return false;
  }

  async function inTurn<T>(act: () => Promise<T>): Promise<T> {
    const turn = writes.then(act);
    writes = turn.catch(() => {});
    return turn;
  }

  async function campaign(): Promise<void> {
    const { replica: next, request } = raft.stand(replica, uid);
    keep(next);
    const votes = new Set([uid]);
    const electorate = replica.accepted;
    if (electorate === undefined) return;
    const message: PeerMessage = { type: 'vote', cluster: electorate.name, request };
    await eachPeer(electorate, message, (voter, answer) => {
      const { term, granted } = answer as { term: number; granted: boolean };
      keep(raft.observeTerm(replica, term));
      if (granted) votes.add(voter);
    });
    if (replica.term !== request.term || !isMajority(votes.size, electorate.nodes.length)) return;
    leading = true;
    log(`cluster master in term ${replica.term}, by ${votes.size} of ${electorate.nodes.length} votes`);
    await write({ ...electorate, masterUid: uid });
  }

  async function beat(): Promise<void> {
    if (leading) await replicate();
    else void eachPeer(config(), { type: 'heartbeat', cluster: config().name, uid }, () => {});
    await inTurn(async () => {
      const now = view();
      if (isMaster()) {
        const next = housekeeping(now);
        if (next !== now.config) await write(next);
      } else if ((now.config.masterUid === uid && hasQuorum(now)) || candidate(now) === uid) {
        await campaign();
      }
    });
  }

  async function beatForever(): Promise<void> {
    while (!stopped) {
      try {
        await beat();
      } catch (thrown) {
        log(`heartbeat: ${String(thrown)}`);
      }
      await sleep(settings.heartbeatMs, undefined, { signal: stopping.signal }).catch(() => {});
    }
  }

  /** As cluster master: decide, carry to a majority, and wait for the action that was begun. */
  async function lead(argv: string[]): Promise<RladminResult> {
    const result = await inTurn(async () => {
      const decided = runRladmin(argv, view());
      if (decided.config === undefined || (await write(decided.config))) return decided;
      return failure(`${madeUp('ERROR: no majority took the write')}\n`);
    });
    const { pendingTask, exitCode, stdout, stderr } = result;
    while (pendingTask !== undefined && config().actions.some((running) => running.taskId === pendingTask))
      await sleep(50, undefined, { signal: stopping.signal });
    return { exitCode, stdout, stderr };
  }

  async function execute(argv: string[]): Promise<RladminResult> {
    if (parseRladmin(argv).kind !== 'command') return runRladmin(argv, view());
    const patience = settings.commandWaitMs + settings.actionMs;
    for (const deadline = Date.now() + settings.commandWaitMs; ; ) {
      const now = view();
      if (!hasQuorum(now)) return runRladmin(argv, now);
      if (isMaster()) return lead(argv);
      const master = nodeOf(config(), config().masterUid);
      if (master !== undefined && master.uid !== uid && isUp(now, master.uid)) {
        const message: PeerMessage = { type: 'execute', cluster: config().name, argv };
        const answer = await ask(master.addr, message, patience)
          .then((value) => value as ExecuteAnswer)
          .catch(() => undefined);
        if (answer === undefined)
          return failure(`${madeUp('ERROR: the cluster master does not answer; the outcome is unknown')}\n`);
        if ('result' in answer) {
          keep(raft.learn(replica, answer.config));
          return answer.result;
        }
      }
      if (Date.now() > deadline) return failure(`${madeUp('ERROR: there is no cluster master')}\n`);
      await sleep(100, undefined, { signal: stopping.signal });
    }
  }

  async function takeIn(message: PeerMessage & { type: 'join' }): Promise<JoinAnswer> {
    if (!isMaster()) {
      const master = nodeOf(config(), config().masterUid);
      if (master === undefined || master.uid === uid)
        return refuse('connect_error', 'there is no cluster master');
      return (await ask(master.addr, message, settings.commandWaitMs)) as JoinAnswer;
    }
    return inTurn(async () => {
      const joined = joinCluster(view(), message.facts, message.request);
      if (isRefusal(joined) || message.dryRun) return joined;
      liveness = new Map(liveness).set(joined.uid, Date.now());
      if (!(await write(joined.config))) return refuse('connect_error', 'no majority took the new node in');
      log(`node:${joined.uid} joined`);
      return { uid: joined.uid, config: config() };
    });
  }

  /** The vote of a node that still hears its cluster master is not to be had, unless that master gave up its role. */
  function votes(request: raft.VoteRequest): { term: number; granted: boolean } {
    const { masterUid } = config();
    if (request.candidate !== masterUid && isUp(view(), masterUid))
      return { term: replica.term, granted: false };
    const { replica: next, granted } = raft.vote(replica, request);
    keep(next);
    return { term: replica.term, granted };
  }

  function beatReceived(message: PeerMessage & { type: 'heartbeat' }, sender: Address): HeartbeatAnswer {
    let ok = false;
    if (message.append !== undefined) {
      const taken = raft.append(replica, message.append);
      ok = taken.ok;
      // A joining node learns who it is from the first configuration that holds its address.
      if (uid === 0) uid = taken.replica.accepted?.nodes.find((node) => node.addr === from)?.uid ?? 0;
      keep(taken.replica);
      if (taken.replica.accepted !== undefined) greet(taken.replica.accepted);
    }
    if (replica.committed !== undefined)
      liveness = heard(replica.committed, liveness, { uid: message.uid, from: sender }, Date.now());
    return { term: replica.term, ok };
  }

  async function answer(message: PeerMessage, remote: string): Promise<object> {
    const sender = parseSocketAddress(remote);
    const cluster = replica.accepted?.name ?? (origin.kind === 'join' ? undefined : '');
    if (
      sender === undefined ||
      (message.type !== 'join' && cluster !== undefined && message.cluster !== cluster)
    )
      throw new Error('not of this cluster');
    switch (message.type) {
      case 'heartbeat':
        return beatReceived(message, sender.address);
      case 'vote':
        return votes(message.request);
      case 'fetch':
        return { config: replica.committed ?? null };
      case 'execute':
        if (!isMaster()) return { notMaster: true };
        return { result: await lead(message.argv), config: config() };
      case 'join':
        return takeIn(message);
    }
  }

  const server: Server = await serve({ host: from, port: settings.peerPort }, async (message, remote) =>
    answer(message as PeerMessage, remote),
  );

  function stop(): void {
    stopped = true;
    stopping.abort();
    server.close();
  }

  if (origin.kind === 'join') {
    const { via, facts, request } = origin;
    const joined = await askToJoin(settings, from, via, { facts, request, dryRun: false });
    if (isRefusal(joined)) {
      stop();
      return joined;
    }
    uid = joined.uid;
    keep(raft.learn(replica, joined.config));
  }
  saveState(settings, { uid, replica });
  greet(config());
  leading = origin.kind === 'create';
  void beatForever();
  return {
    uid,
    view,
    execute,
    stop,
    change: async (next) =>
      isMaster() ? inTurn(async () => ((await write(next)) ? undefined : 'not_carried')) : 'not_master',
  };
}
