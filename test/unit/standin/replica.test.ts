import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type ClusterConfig, isMajority } from '../../support/standin/model.ts';
import * as raft from '../../support/standin/replica.ts';
import { cluster, node } from './fixture.ts';

/*
 * The whole protocol in one process, with a network that loses, delays and repeats every message as it likes, and
 * nodes that restart with what they had kept. What each step does is what member.ts does with real sockets.
 */

interface Peer {
  replica: raft.Replica;
  leading: boolean;
  votes: Set<number>;
  holders: Set<number>;
}

type Message =
  | { kind: 'vote'; from: number; request: raft.VoteRequest }
  | { kind: 'voted'; from: number; term: number; asked: number; granted: boolean }
  | { kind: 'append'; from: number; append: raft.Append }
  | { kind: 'held'; from: number; term: number; stamp: raft.Stamp; ok: boolean };

interface Envelope {
  to: number;
  message: Message;
}

const stampOf = ({ term, version }: raft.Stamp): raft.Stamp => ({ term, version });
const key = ({ term, version }: raft.Stamp) => `${term}.${version}`;

class World {
  readonly peers: Map<number, Peer>;
  readonly sent: Envelope[] = [];
  /** Everything anybody ever believed to be committed. */
  readonly committed = new Map<string, ClusterConfig>();
  readonly leaders = new Map<number, number>();

  constructor(uids: number[]) {
    const config = cluster({ nodes: uids.map((uid) => node(uid)), slaveHaGracePeriod: 0 });
    this.peers = new Map(
      uids.map((uid) => [
        uid,
        {
          replica: { term: 1, votedFor: undefined, accepted: config, committed: config },
          leading: false,
          votes: new Set(),
          holders: new Set(),
        },
      ]),
    );
    this.note(config);
  }

  peer(uid: number): Peer {
    const found = this.peers.get(uid);
    if (found === undefined) throw new Error(`no node ${uid}`);
    return found;
  }

  keep(uid: number, replica: raft.Replica): void {
    const peer = this.peer(uid);
    if (replica.term !== peer.replica.term && replica.votedFor !== uid) peer.leading = false;
    peer.replica = replica;
    if (replica.committed !== undefined) this.note(replica.committed);
  }

  /** One version of one term is one configuration, for everybody. */
  note(config: ClusterConfig): void {
    const known = this.committed.get(key(config));
    if (known !== undefined) expect(config).toEqual(known);
    this.committed.set(key(config), config);
  }

  others(uid: number): number[] {
    return [...this.peers.keys()].filter((other) => other !== uid);
  }

  stand(uid: number): void {
    const peer = this.peer(uid);
    const { replica, request } = raft.stand(peer.replica, uid);
    peer.votes = new Set([uid]);
    peer.leading = false;
    this.keep(uid, replica);
    for (const to of this.others(uid)) this.sent.push({ to, message: { kind: 'vote', from: uid, request } });
  }

  propose(uid: number, content: ClusterConfig): void {
    const peer = this.peer(uid);
    peer.holders = new Set([uid]);
    this.keep(uid, raft.propose(peer.replica, content));
    this.broadcast(uid);
  }

  /** A write by whoever believes to lead; `undo` takes back what no majority took, as member.ts does. */
  write(uid: number, mark: number, undo: boolean): void {
    const { leading, replica } = this.peer(uid);
    const { committed, term } = replica;
    if (!leading || committed?.term !== term) return;
    const isSettled = replica.accepted === committed;
    if (undo && !isSettled) this.propose(uid, committed);
    else if (isSettled) this.propose(uid, { ...committed, slaveHaGracePeriod: mark });
  }

  broadcast(uid: number): void {
    const { leading, replica } = this.peer(uid);
    if (!leading || replica.accepted === undefined) return;
    const append = {
      term: replica.term,
      config: replica.accepted,
      committed: replica.committed === replica.accepted,
    };
    for (const to of this.others(uid)) this.sent.push({ to, message: { kind: 'append', from: uid, append } });
  }

  deliver({ to, message }: Envelope): void {
    const peer = this.peer(to);
    switch (message.kind) {
      case 'vote': {
        const { replica, granted } = raft.vote(peer.replica, message.request);
        this.keep(to, replica);
        const asked = message.request.term;
        this.sent.push({
          to: message.from,
          message: { kind: 'voted', from: to, term: replica.term, asked, granted },
        });
        return;
      }
      case 'voted':
        this.keep(to, raft.observeTerm(peer.replica, message.term));
        if (!message.granted || peer.leading || peer.replica.term !== message.asked) return;
        peer.votes.add(message.from);
        if (isMajority(peer.votes.size, this.peers.size)) this.lead(to);
        return;
      case 'append': {
        const { replica, ok } = raft.append(peer.replica, message.append);
        this.keep(to, replica);
        const stamp = stampOf(message.append.config);
        this.sent.push({
          to: message.from,
          message: { kind: 'held', from: to, term: replica.term, stamp, ok },
        });
        return;
      }
      case 'held': {
        this.keep(to, raft.observeTerm(peer.replica, message.term));
        const { accepted } = peer.replica;
        if (!message.ok || !peer.leading || accepted === undefined) return;
        if (raft.compareStamps(accepted, message.stamp) !== 0) return;
        peer.holders.add(message.from);
        this.keep(to, raft.commit(peer.replica, message.stamp, peer.holders));
        return;
      }
    }
  }

  lead(uid: number): void {
    const peer = this.peer(uid);
    const { term, accepted } = peer.replica;
    expect(this.leaders.get(term) ?? uid).toBe(uid);
    this.leaders.set(term, uid);
    peer.leading = true;
    if (accepted !== undefined) this.propose(uid, { ...accepted, masterUid: uid });
  }

  /** It forgets what is not durable: that it led, and who voted. */
  restart(uid: number): void {
    const peer = this.peer(uid);
    peer.leading = false;
    peer.votes = new Set();
    peer.holders = new Set();
  }
}

/** Mostly in order, often enough not. */
const pick = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(99) });

const step = (nodes: number) => {
  const uid = fc.integer({ min: 1, max: nodes });
  return fc.oneof(
    {
      weight: 40,
      arbitrary: fc.record({
        act: fc.constant('deliver' as const),
        pick,
        keepCopy: fc.nat(9).map((n) => n === 0),
      }),
    },
    { weight: 2, arbitrary: fc.record({ act: fc.constant('lose' as const), pick }) },
    { weight: 1, arbitrary: fc.record({ act: fc.constant('stand' as const), uid }) },
    { weight: 8, arbitrary: fc.record({ act: fc.constant('write' as const), uid, undo: fc.boolean() }) },
    { weight: 2, arbitrary: fc.record({ act: fc.constant('beat' as const), uid }) },
    { weight: 1, arbitrary: fc.record({ act: fc.constant('restart' as const), uid }) },
  );
};

const run = fc.constantFrom(3, 4, 5).chain((nodes) =>
  fc.record({
    nodes: fc.constant(nodes),
    steps: fc.array(step(nodes), { minLength: 200, maxLength: 400 }),
  }),
);

test('no term has two leaders and no committed write is lost, whatever the network does', () => {
  let commits = 0;
  fc.assert(
    fc.property(run, ({ nodes, steps }) => {
      const world = new World(Array.from({ length: nodes }, (_, index) => index + 1));
      let mark = 0;
      for (const each of steps) {
        switch (each.act) {
          case 'deliver':
          case 'lose': {
            const at = world.sent.length === 0 ? -1 : each.pick % world.sent.length;
            const picked = world.sent[at];
            if (picked === undefined) break;
            if (each.act === 'lose' || !each.keepCopy) world.sent.splice(at, 1);
            if (each.act === 'deliver') world.deliver(picked);
            break;
          }
          case 'stand':
            world.stand(each.uid);
            break;
          case 'write':
            mark += 1;
            world.write(each.uid, mark, each.undo);
            break;
          case 'beat':
            world.broadcast(each.uid);
            break;
          case 'restart':
            world.restart(each.uid);
            break;
        }
        // Each configuration that counts as committed is, from then on, held or overtaken on a majority.
        for (const config of world.committed.values()) {
          const holding = [...world.peers.values()].filter(
            ({ replica }) =>
              replica.accepted !== undefined && raft.compareStamps(replica.accepted, config) >= 0,
          );
          expect(isMajority(holding.length, nodes)).toBe(true);
        }
      }
      // Writes are numbered: were one forgotten, a later configuration would carry a lower number.
      const history = [...world.committed.values()].sort(raft.compareStamps);
      const marks = history.map((config) => config.slaveHaGracePeriod);
      expect(marks).toEqual(marks.toSorted((a, b) => a - b));
      commits += history.length - 1;
    }),
    { numRuns: 200 },
  );
  // The property says nothing unless clusters got somewhere.
  expect(commits).toBeGreaterThan(100);
});

test('a vote is given once a term', () => {
  const accepted = { term: 0, version: 0 };
  const first = raft.vote(raft.emptyReplica, { term: 1, candidate: 1, accepted });
  expect(first.granted).toBe(true);
  expect(raft.vote(first.replica, { term: 1, candidate: 2, accepted }).granted).toBe(false);
  expect(raft.vote(first.replica, { term: 1, candidate: 1, accepted }).granted).toBe(true);
});

test('a candidate that has accepted less gets no vote', () => {
  const holding = raft.append(raft.emptyReplica, {
    term: 1,
    config: cluster({ version: 5 }),
    committed: false,
  });
  const request = { term: 2, candidate: 2, accepted: { term: 1, version: 4 } };
  expect(raft.vote(holding.replica, request).granted).toBe(false);
  expect(raft.vote(holding.replica, { ...request, accepted: { term: 1, version: 5 } }).granted).toBe(true);
});

test('what a leader of an older term sends is refused', () => {
  const { replica, ok } = raft.append(raft.observeTerm(raft.emptyReplica, 2), {
    term: 1,
    config: cluster(),
    committed: true,
  });
  expect({ ok, accepted: replica.accepted }).toEqual({ ok: false, accepted: undefined });
});

test('what is learned never replaces something newer', () => {
  const newer = cluster({ version: 7 });
  const replica = { ...raft.emptyReplica, accepted: newer, committed: newer };
  expect(raft.learn(replica, cluster({ version: 6 }))).toMatchObject({ accepted: newer, committed: newer });
  expect(raft.learn(replica, cluster({ version: 8 })).committed?.version).toBe(8);
});
