import type { Clock, Timer } from '../../host/ports/clock.ts';
import type { Random } from '../../host/ports/random.ts';
import { type Address, type Family, familyOf } from '../../protocol/address.ts';
import { RlnetError } from '../../protocol/errors.ts';
import { decodeWith, type Hello } from '../../protocol/messages.ts';
import { methods } from '../../protocol/methods.ts';
import type { RsNode } from '../../protocol/rs.ts';
import type { HostState } from '../../protocol/state.ts';
import type { Log } from '../log.ts';
import { type Ends, isLeftBehind, type Run, resolveMeeting, type Standing, standingOf } from './admission.ts';
import type { Channel, Refusal, RefusalCode, Transport } from './channel.ts';
import { Dialler } from './dialler.ts';
import { type EchoBy, Link } from './link.ts';
import { Listening } from './listening.ts';
import { Peer, type PeerView } from './peer.ts';
import { lateMs, overdueMs, pingEveryMs, untilPings } from './reachability.ts';
import { dialTargets } from './rules.ts';

/** An older link has this long to prove that it lives when a newer one comes from the same host. */
const proofMs = 1_000;
/** So many peers are asked whether they reach one that is silent here, and have this long to answer. */
const witnessCount = 2;
const witnessMs = 1_000;
/** A host whose certificate was seen on two living machines is let in no sooner than this. */
const twinPauseMs = 30_000;
/** The same refusal of the same address is logged this often. */
const refusalLogMs = 60_000;
/** A trouble that was not seen for so long is over: who is turned away comes again every ten seconds. */
const troubleMs = 60_000;
/** So many answers of each host are kept, so that a request that comes twice is carried out once. */
const maxAnswersEach = 32;
/** So many refusals, by code and address, are remembered so as not to be logged again. */
const maxRefusalsLogged = 256;

/** What a host was found to be before: kept in the agent's memory, so that it holds across restarts. */
export interface Pin {
  machineId?: string | undefined;
  nodeUid?: number | undefined;
}

export interface MeshDependencies {
  transport: Transport;
  clock: Clock;
  random: Random;
  log: Log;
  port: number;
  /** This agent's hello as it is now. */
  hello: () => Hello;
  /** This agent's newest state; sent on each new link and by `publish`. */
  state: () => HostState;
  /** RS's nodes as this host knows them; undefined while it does not. */
  nodes: () => readonly Pick<RsNode, 'uid' | 'address'>[] | undefined;
  pin: (host: string) => Pin | undefined;
  /** Answers a request of the agent of `host`. */
  request: (
    host: string,
    standing: Standing,
    method: string,
    params: unknown,
    signal: AbortSignal,
  ) => Promise<unknown>;
  /** There is something new to read: a link, a peer's state, a verdict, a trouble. */
  changed: () => void;
}

/** Something about another host that a person has to look at. */
export interface Trouble {
  code: RefusalCode;
  host: string;
  text: string;
  /** When it was seen last. Monotonic. */
  seenAt: number;
}

/**
 * The links to the other agents of the cluster: listens, dials, keeps one link a host, pings, and judges who can be reached. Told by
 * `reconcile` where to listen and whom to dial, each time that may have changed; says by `changed` that there is something new to read.
 */
export class Mesh {
  readonly #deps: MeshDependencies;
  readonly #peers = new Map<string, Peer>();
  readonly #diallers = new Map<Address, Dialler>();
  /** Addresses of the other family, which are not dialled. `since` is wall clock. */
  #passedOver = new Map<Address, { since: number; reason: string }>();
  readonly #greeting = new Set<Link>();
  readonly #troubles = new Map<string, Trouble>();
  readonly #refusals = new Map<RefusalCode, number>();
  readonly #refusalsLogged = new Map<string, number>();
  /** Requests by host and id, the oldest of each host first. */
  readonly #answers = new Map<string, Map<string, Promise<unknown>>>();
  /** Hosts with a twin, and until when (monotonic) none of the two is let in. */
  readonly #twins = new Map<string, number>();
  #own: Address | undefined;
  readonly #listening: Listening;
  /** The next pings: when they are due, monotonic. */
  #nextTick: { due: number; timer: Timer };
  #closed = false;

  constructor(deps: MeshDependencies) {
    this.#deps = deps;
    this.#listening = new Listening({
      ...deps,
      connected: (channel) => this.#meet(channel),
      refused: (refusal) => this.#note(refusal),
    });
    this.#nextTick = this.#tickSoon();
  }

  /**
   * @param own        the internal address of this host; without one there is no mesh
   * @param bindable   whether a socket can bind to it now; until then nothing is listened on or dialled from
   * @param family     the internal family; undefined while only the configuration says what it is
   * @param candidates addresses that peers are said to have; those of another family are passed over
   */
  reconcile(
    own: Address | undefined,
    bindable: boolean,
    family: Family | undefined,
    candidates: readonly Address[],
  ): void {
    if (this.#closed) return;
    this.#own = own;
    const wanted = bindable ? own : undefined;
    void this.#listening.want(wanted);
    const { dialled, passedOver } = dialTargets(wanted, family, candidates);
    this.#passOver(passedOver, family);
    const targets = new Set(dialled);
    for (const [address, dialler] of this.#diallers) {
      if (targets.has(address)) continue;
      dialler.stop();
      this.#diallers.delete(address);
    }
    for (const address of targets) {
      if (!this.#diallers.has(address)) this.#diallers.set(address, this.#dialler(address));
    }
    for (const link of this.#links()) {
      this.#checkClaim(link);
      const { internalAddress: before } = link.ours;
      // Its socket is half-dead, or is soon: nobody has to wait until that shows.
      if (wanted !== undefined && before !== undefined && before !== wanted)
        for (const dialler of this.#diallersOf(link)) dialler.again();
    }
  }

  /** Makes a host known before there was a link, such as one remembered from an earlier run. */
  remember(host: string): void {
    if (!this.#peers.has(host)) this.#peers.set(host, new Peer(host, this.#deps.clock));
  }

  /** Forgets a host that has left the cluster for good. A host that is linked comes back at once, and is not forgotten. */
  forget(host: string): boolean {
    const peer = this.#peers.get(host);
    if (peer?.link !== undefined) return false;
    peer?.stop();
    this.unpin(host);
    return this.#peers.delete(host);
  }

  /** What was held against a host is forgotten: it may come from another machine now. */
  unpin(host: string): void {
    this.#twins.delete(host);
    this.#troubles.delete(host);
  }

  /** Sends this agent's newest state on every link. */
  publish(): void {
    const state = this.#deps.state();
    for (const { link } of this.#peers.values()) link?.sendState(state);
  }

  /** Takes up renewed certificates. Links stay, but for those whose certificate is denied now. */
  renew(denied: ReadonlySet<string>): void {
    this.#listening.renew();
    for (const link of [...this.#greeting, ...this.#links()]) {
      if (denied.has(link.channel.serial))
        this.#refuse(link, 'denied', 'its certificate is on the deny-list');
    }
  }

  peers(): PeerView[] {
    return [...this.#peers.values()].map((peer) => peer.view());
  }

  /** Addresses that are not linked: they are dialled, or passed over. */
  unreached(): { address: Address; since: number; reason: string }[] {
    const linked = new Set(
      this.#links().flatMap(({ channel, peer }) => [channel.address, peer?.internalAddress]),
    );
    return [...this.#diallers, ...this.#passedOver]
      .filter(([address]) => !linked.has(address))
      .map(([address, { since, reason }]) => ({ address, since, reason }));
  }

  troubles(): readonly Trouble[] {
    return [...this.#troubles.values()];
  }

  /** How many were turned away since the start, by code. */
  refusals(): Record<string, number> {
    return Object.fromEntries(this.#refusals);
  }

  /** Milliseconds since the newest echo of a host; undefined where there is none. For a peer that asks for a witness. */
  echoAgeMs(host: string): number | undefined {
    const echoedAt = this.#peers.get(host)?.link?.echoedAt;
    return echoedAt === undefined ? undefined : this.#deps.clock.monotonic() - echoedAt;
  }

  /** @throws RlnetError PEER_UNKNOWN, PEER_UNREACHABLE, REQUEST_TIMEOUT, or what the other side answered; the signal's reason when it aborts. */
  async request(
    host: string,
    method: string,
    params: unknown,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<unknown> {
    const peer = this.#peers.get(host);
    if (peer === undefined) {
      throw new RlnetError(
        'PEER_UNKNOWN',
        `No host ${host} is known here.`,
        'See rlnet status for the hosts of this cluster.',
      );
    }
    if (peer.link === undefined) {
      throw new RlnetError(
        'PEER_UNREACHABLE',
        `There is no link to ${host}: ${peer.noLink}.`,
        'See journalctl -u rlnet on both hosts.',
      );
    }
    return await peer.link.request(method, params, timeoutMs, signal);
  }

  async close(reason: string): Promise<void> {
    this.#closed = true;
    this.#nextTick.timer.cancel();
    for (const dialler of this.#diallers.values()) dialler.stop();
    this.#diallers.clear();
    for (const link of [...this.#greeting, ...this.#links()]) link.end('goingAway', reason);
    for (const peer of this.#peers.values()) peer.stop();
    await this.#listening.want(undefined);
  }

  #links(): Link[] {
    return [...this.#peers.values()].flatMap(({ link }) => link ?? []);
  }

  // Turning away.

  /** Counts a refusal, and logs it unless that was done a moment ago: a flood must not become a flood of lines. */
  #note({ code, reason, from }: Refusal): void {
    this.#refusals.set(code, (this.#refusals.get(code) ?? 0) + 1);
    const now = this.#deps.clock.monotonic();
    const loggedAt = this.#refusalsLogged.get(`${code} ${from}`);
    if (loggedAt !== undefined && now - loggedAt < refusalLogMs) return;
    if (this.#refusalsLogged.size >= maxRefusalsLogged) this.#refusalsLogged.clear();
    this.#refusalsLogged.set(`${code} ${from}`, now);
    this.#deps.log.warn({ refusal: code, from }, `refused a peer: ${reason}`);
  }

  // Dialling.

  #passOver(addresses: readonly Address[], family: Family | undefined): void {
    const reason = `not dialled: the address is ${family === 'ipv4' ? 'ipv6' : 'ipv4'}, this cluster's internal family is ${family}`;
    const before = this.#passedOver;
    const since = this.#deps.clock.wall();
    this.#passedOver = new Map(
      addresses.map((address) => [address, before.get(address) ?? { since, reason }]),
    );
    for (const address of addresses) {
      if (!before.has(address)) this.#note({ code: 'family', reason, from: address });
    }
  }

  #dialler(address: Address): Dialler {
    const { transport, clock, random, port, changed } = this.#deps;
    const dialler: Dialler = new Dialler(address, {
      clock,
      random,
      dial: (to) => transport.dial({ address: to, port }, this.#sourceFor(to)),
      connected: (channel) => this.#meet(channel, dialler),
      changed,
    });
    if (this.#isLinked(address)) dialler.linked();
    return dialler;
  }

  /** Our own address where a socket can have it as its own end. */
  #sourceFor(to: Address): Address | undefined {
    return this.#own !== undefined && familyOf(this.#own) === familyOf(to) ? this.#own : undefined;
  }

  #isLinked(address: Address): boolean {
    return this.#links().some((link) => reaches(link, address));
  }

  #diallersOf(link: Link): Dialler[] {
    return [...this.#diallers.values()].filter(({ address }) => reaches(link, address));
  }

  // Meeting: from a channel to the one link of a host.

  /** @param dialler the one that opened the channel, if we did: told when no link comes of it */
  #meet(channel: Channel, dialler?: Dialler): void {
    const { clock, random, changed } = this.#deps;
    const { host } = channel.identity;
    const link: Link = new Link(channel, this.#deps.hello(), clock, random, {
      up: () => void this.#admit(link),
      state: () => {
        if (this.#peers.get(host)?.link !== link) return;
        this.#checkClaim(link);
        changed();
      },
      request: (id, method, params, signal) => this.#answer(host, id, method, params, signal),
      echoBy: (withinMs) => this.#echoBy(link, withinMs),
      closed: (reason, refusal) => {
        this.#greeting.delete(link);
        if (refusal !== undefined) this.#note({ code: refusal, reason, from: channel.address });
        const peer = this.#peers.get(host);
        const successor = this.#successorOf(link);
        if (peer?.link === link && successor !== undefined) this.#adopt(successor, host);
        else if (peer?.link === link) this.#lost(peer, link, reason);
        else if (dialler !== undefined && !this.#isLinked(dialler.address))
          dialler.failed(reason, link.refused);
      },
    });
    this.#greeting.add(link);
  }

  async #admit(link: Link): Promise<void> {
    const fresh = link.peer;
    if (fresh === undefined) return;
    const { clock, pin } = this.#deps;
    const { host } = fresh;
    const own = this.#deps.hello();
    // The other side gets our state in any case; whether we take it into account is decided below.
    link.sendState(this.#deps.state());
    if (host === own.host) {
      this.#refuse(link, 'ourselves', 'it shows the certificate of this very host');
      return;
    }
    if (
      own.internalFamily !== undefined &&
      fresh.internalFamily !== undefined &&
      fresh.internalFamily !== own.internalFamily
    ) {
      this.#refuse(
        link,
        'family',
        `its internal family is ${fresh.internalFamily}, ours is ${own.internalFamily}`,
      );
      return;
    }
    const machineId = pin(host)?.machineId;
    if (machineId !== undefined && machineId !== fresh.machineId) {
      this.#refuse(
        link,
        'machine',
        `${host} was machine ${machineId} before and is ${fresh.machineId} now; if it was reinstalled: rlnet tls unpin ${host}`,
      );
      return;
    }
    if ((this.#twins.get(host) ?? 0) > clock.monotonic()) {
      this.#refuse(link, 'twin', 'two machines have this certificate');
      return;
    }
    if (!this.#checkClaim(link)) return;
    // Another link may take the old one's place while that one has its time to prove that it lives; then it is judged anew.
    for (let judged: Link | undefined; ; ) {
      const old = this.#peers.get(host)?.link;
      if (old?.peer === undefined || old === judged) break;
      judged = old;
      const leftBehind = isLeftBehind(endsOf(old, old.peer), endsOf(link, fresh));
      const echoed = !leftBehind && (await old.provesAlive(proofMs));
      if (!this.#greeting.has(link)) return;
      const lower = own.host < host ? 'us' : 'them';
      const meeting = resolveMeeting(old.peer, fresh, echoed, link.channel.opener === lower);
      if (meeting === 'keep old') {
        link.end('duplicate', 'there is a link already');
        return;
      }
      if (meeting === 'twin') {
        this.#twins.set(host, clock.monotonic() + twinPauseMs);
        const [first, second] = [old.peer, fresh].map(
          ({ machineId, bootId }) => `${machineId} (boot ${bootId})`,
        );
        this.#refuse(link, 'twin', `machines ${first} and ${second} have this certificate`);
        old.end('refused', 'twin: two machines have this certificate');
        return;
      }
    }
    this.#adopt(link, host);
  }

  #adopt(link: Link, host: string): void {
    const { log, clock, changed } = this.#deps;
    const peer = this.#peers.get(host) ?? new Peer(host, clock);
    const old = peer.link;
    this.#greeting.delete(link);
    this.#peers.set(host, peer);
    peer.linked(link);
    for (const dialler of this.#diallersOf(link)) dialler.linked();
    old?.end('duplicate', 'a newer link took its place');
    log.info({ peer: host, address: link.channel.address, version: link.peer?.version }, 'link up');
    changed();
  }

  /** The newer link of the same host for which the other side has ended this one: no link is lost then. */
  #successorOf(link: Link): Link | undefined {
    if (link.endedAs !== 'duplicate') return undefined;
    const { host } = link.channel.identity;
    return [...this.#greeting].find(({ peer }) => peer?.host === host);
  }

  #lost(peer: Peer, link: Link, reason: string): void {
    const { log, changed } = this.#deps;
    log.info({ peer: peer.host }, `link lost: ${reason}`);
    const diallers = this.#diallersOf(link);
    peer.unlinked(reason, changed);
    for (const dialler of diallers) dialler.failed(reason, link.refused);
    changed();
  }

  /** Ends a link that must not be, tells the other side why, and keeps it as a trouble for people to see. */
  #refuse(link: Link, code: RefusalCode, reason: string): void {
    const { host } = link.channel.identity;
    this.#note({ code, reason, from: link.channel.address });
    this.#troubles.set(host, { code, host, text: reason, seenAt: this.#deps.clock.monotonic() });
    link.end('refused', `${code}: ${reason}`);
    this.#deps.changed();
  }

  // Standing: who may ask for what.

  #standing(host: string): Standing {
    const link = this.#peers.get(host)?.link;
    const standing = link === undefined ? 'candidate' : this.#judgeClaim(link);
    return typeof standing === 'string' ? standing : 'candidate';
  }

  #judgeClaim({ peer, state, channel }: Link): ReturnType<typeof standingOf> {
    const nodeUid = state?.nodeUid ?? peer?.nodeUid;
    const pinned = this.#deps.pin(channel.identity.host)?.nodeUid;
    return standingOf({ nodeUid, address: channel.address }, this.#deps.nodes(), pinned);
  }

  /** @returns whether the link may stay */
  #checkClaim(link: Link): boolean {
    const standing = this.#judgeClaim(link);
    const peer = this.#peers.get(link.channel.identity.host);
    if (standing === 'member' && peer !== undefined) {
      peer.provenUid = link.state?.nodeUid ?? link.peer?.nodeUid;
    }
    if (typeof standing === 'string') return true;
    this.#refuse(link, 'uid', standing.falseClaim);
    return false;
  }

  /** A request that comes twice under one id is carried out once, and answered twice alike. */
  #answer(host: string, id: string, method: string, params: unknown, signal: AbortSignal): Promise<unknown> {
    const answers = this.#answers.get(host) ?? new Map<string, Promise<unknown>>();
    this.#answers.set(host, answers);
    const earlier = answers.get(id);
    if (earlier !== undefined) return earlier;
    const answer = this.#deps.request(host, this.#standing(host), method, params, signal);
    if (answers.size >= maxAnswersEach) answers.delete([...answers.keys()][0] ?? '');
    answers.set(id, answer);
    return answer;
  }

  // Detection.

  /** Of two hosts the one with the lower name pings at the pace, and the other one answers with pings of its own: one message for a ping and an echo, both ways. */
  #answersPingsOf(host: string): boolean {
    return host < this.#deps.state().host;
  }

  #echoBy(link: Link, withinMs: number): EchoBy {
    const { host } = link.channel.identity;
    const now = this.#deps.clock.monotonic();
    // What is not the link of the host, or not yet, is not pinged.
    if (this.#peers.get(host)?.link !== link) return 'pong';
    if (this.#answersPingsOf(host)) return now - link.ownPingAt > pingEveryMs / 2 ? 'ping' : 'pong';
    return this.#nextTick.due - now <= withinMs ? 'next_ping' : 'pong';
  }

  #tickSoon(): { due: number; timer: Timer } {
    const { clock } = this.#deps;
    const ms = untilPings(clock.wall());
    return { due: clock.monotonic() + ms, timer: clock.after(ms, () => this.#tick()) };
  }

  #tick(): void {
    const { clock } = this.#deps;
    const now = clock.monotonic();
    const late = now - this.#nextTick.due > lateMs;
    let news = false;
    for (const peer of this.#peers.values()) {
      peer.count(late);
      if (peer.isDoubted && !late) void this.#askWitnesses(peer);
      if (peer.judge()) news = true;
      if (peer.isSilent) peer.link?.drop(`no echo of ${peer.misses} pings`);
      // Where its pings do not come, those that would answer them do not go out either.
      else if (!this.#answersPingsOf(peer.host) || now - (peer.link?.ownPingAt ?? now) > overdueMs)
        peer.ping();
    }
    for (const { host, seenAt } of this.#troubles.values()) {
      if (now - seenAt > troubleMs) news = this.#troubles.delete(host);
    }
    this.#nextTick = this.#tickSoon();
    if (news) this.#deps.changed();
  }

  async #askWitnesses(silent: Peer): Promise<void> {
    const { random } = this.#deps;
    const others = [...this.#peers.values()].filter(
      (peer) => peer !== silent && peer.link !== undefined && peer.reachability.status === 'reachable',
    );
    const chosen = Array.from({ length: Math.min(witnessCount, others.length) }, () =>
      others.splice(Math.floor(random.fraction() * others.length), 1),
    ).flat();
    const round = silent.round;
    await Promise.all(
      chosen.map(async ({ host, link }) => {
        try {
          const answer = await link?.request('reaches', { host: silent.host }, witnessMs);
          const { echoAgeMs } = decodeWith(methods.reaches.result, answer, `the testimony of ${host}`);
          silent.testify(round, host, echoAgeMs);
        } catch (thrown) {
          // A witness that does not answer says nothing; anything else is a defect.
          if (!(thrown instanceof RlnetError)) throw thrown;
        }
      }),
    );
  }
}

/** The run at the other end of a link, and where both ends said that they are. */
function endsOf({ ours }: Link, peer: Hello): Run & Ends {
  return { ...peer, ours: ours.internalAddress, theirs: peer.internalAddress };
}

/** Whether the link's other side is at the address: it says so, or its socket does. */
function reaches(link: Link, address: Address): boolean {
  return link.channel.address === address || link.peer?.internalAddress === address;
}
