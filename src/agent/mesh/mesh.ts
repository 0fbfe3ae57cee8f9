import type { Clock, Timer } from '../../host/ports/clock.ts';
import type { Random } from '../../host/ports/random.ts';
import type { Address } from '../../protocol/address.ts';
import { RlnetError } from '../../protocol/errors.ts';
import type { Hello } from '../../protocol/messages.ts';
import type { HostState, LinkView } from '../../protocol/state.ts';
import type { Log } from '../log.ts';
import type { Channel, Listener, Transport } from './channel.ts';
import { Dialler } from './dialler.ts';
import { Link } from './link.ts';
import { chooseLink, dialTargets } from './rules.ts';

/** A failed attempt to listen is repeated at this pace; an address that appears is noticed at once besides. */
const relistenMs = 1_000;

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
  /** Answers a request of the agent of `host`. */
  request: (host: string, method: string, params: unknown) => Promise<unknown>;
  /** A link came or went, or a peer's state is new. */
  changed: () => void;
}

interface Peer {
  link: Link | undefined;
  /** When the link came, or went. Wall clock. */
  since: number;
  reason: string;
  state: HostState | undefined;
}

/**
 * The links to the other agents of the cluster: listens, dials, keeps one link a host. Told by `reconcile` where to listen and whom to
 * dial, each time that may have changed; says by `changed` that there is something new to read from it.
 */
export class Mesh {
  readonly #deps: MeshDependencies;
  readonly #peers = new Map<string, Peer>();
  readonly #diallers = new Map<Address, Dialler>();
  readonly #greeting = new Set<Link>();
  #own: Address | undefined;
  #wanted: Address | undefined;
  #listening: { address: Address; listener: Listener } | undefined;
  #relisten: Promise<void> = Promise.resolve();
  #relistenTimer: Timer | undefined;
  #closed = false;

  constructor(deps: MeshDependencies) {
    this.#deps = deps;
  }

  /**
   * @param own        the internal address of this host; without one there is no mesh
   * @param bindable   whether a socket can bind to it now; until then nothing is listened on or dialled from
   * @param candidates addresses that peers are said to have; those of another family are passed over
   */
  reconcile(own: Address | undefined, bindable: boolean, candidates: readonly Address[]): void {
    if (this.#closed) return;
    this.#own = own;
    const wanted = bindable ? own : undefined;
    if (wanted !== this.#wanted) {
      this.#wanted = wanted;
      this.#listenAsWanted();
    }
    const targets = new Set(wanted === undefined ? [] : dialTargets(own, candidates));
    for (const [address, dialler] of this.#diallers) {
      if (targets.has(address)) continue;
      dialler.stop();
      this.#diallers.delete(address);
    }
    for (const address of targets) {
      if (!this.#diallers.has(address)) this.#diallers.set(address, this.#dialler(address));
    }
  }

  /** Makes a host known before there was a link, such as one remembered from an earlier run. */
  remember(host: string): void {
    if (this.#peers.has(host)) return;
    this.#peers.set(host, {
      link: undefined,
      since: this.#deps.clock.wall(),
      reason: 'no link since start',
      state: undefined,
    });
  }

  /** Sends this agent's newest state on every link. */
  publish(): void {
    const state = this.#deps.state();
    for (const { link } of this.#peers.values()) link?.sendState(state);
  }

  peers(): { host: string; link: LinkView; state: HostState | undefined; address: Address | undefined }[] {
    return [...this.#peers].map(([host, { link, since, reason, state }]) => {
      const address = link?.peer?.internalAddress ?? link?.channel.address;
      const view: LinkView =
        link === undefined
          ? { status: 'disconnected', since, reason }
          : {
              status: 'connected',
              since,
              address: link.channel.address,
              ...(link.roundTripMs === undefined ? {} : { roundTripMs: link.roundTripMs }),
            };
      return { host, link: view, state, address };
    });
  }

  /** Addresses that are dialled and not linked. */
  unreached(): { address: Address; since: number; reason: string }[] {
    return [...this.#diallers]
      .filter(([address]) => !this.#isLinked(address))
      .map(([address, { since, reason }]) => ({ address, since, reason }));
  }

  /** @throws RlnetError PEER_UNKNOWN, PEER_UNREACHABLE, REQUEST_TIMEOUT, or what the other side answered. */
  async request(host: string, method: string, params: unknown, timeoutMs: number): Promise<unknown> {
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
        `There is no link to ${host}: ${peer.reason}.`,
        'See journalctl -u rlnet on both hosts.',
      );
    }
    return await peer.link.request(method, params, timeoutMs);
  }

  async close(reason: string): Promise<void> {
    this.#closed = true;
    this.#relistenTimer?.cancel();
    for (const dialler of this.#diallers.values()) dialler.stop();
    this.#diallers.clear();
    for (const link of this.#greeting) link.close('goingAway', reason);
    for (const { link } of this.#peers.values()) link?.close('goingAway', reason);
    this.#wanted = undefined;
    this.#listenAsWanted();
    await this.#relisten;
  }

  /** One at a time and always towards what is wanted last, however often that changed meanwhile. */
  #listenAsWanted(): void {
    this.#relistenTimer?.cancel();
    this.#relisten = this.#relisten.then(async () => {
      const wanted = this.#wanted;
      if (this.#listening?.address === wanted) return;
      await this.#listening?.listener.close();
      this.#listening = undefined;
      if (wanted === undefined) return;
      const { transport, port, log, clock } = this.#deps;
      try {
        const listener = await transport.listen(
          { address: wanted, port },
          (channel) => this.#meet(channel),
          (refusal) =>
            log.warn({ refusal: refusal.code, from: refusal.from }, `refused a peer: ${refusal.reason}`),
        );
        this.#listening = { address: wanted, listener };
        log.info({ address: wanted, port }, 'listening for peers');
      } catch (thrown) {
        log.warn({ address: wanted, port, err: thrown }, 'cannot listen for peers yet');
        this.#relistenTimer = clock.after(relistenMs, () => this.#listenAsWanted());
      }
    });
  }

  #dialler(address: Address): Dialler {
    const { transport, clock, random, port, changed } = this.#deps;
    const dialler: Dialler = new Dialler(address, {
      clock,
      random,
      dial: (to) => transport.dial({ address: to, port }, this.#own),
      connected: (channel) => this.#meet(channel, dialler),
      changed,
    });
    if (this.#isLinked(address)) dialler.linked();
    return dialler;
  }

  #isLinked(address: Address): boolean {
    return [...this.#peers.values()].some(({ link }) => link !== undefined && reaches(link, address));
  }

  #diallersOf(link: Link): Dialler[] {
    return [...this.#diallers].filter(([address]) => reaches(link, address)).map(([, dialler]) => dialler);
  }

  /** @param dialler the one that opened the channel, if we did: told when no link comes of it */
  #meet(channel: Channel, dialler?: Dialler): void {
    const { hello, clock, random, log, request, changed } = this.#deps;
    const { host } = channel.identity;
    const link: Link = new Link(channel, hello(), clock, random, {
      up: (theirs) => {
        this.#greeting.delete(link);
        this.#adopt(link, theirs);
      },
      state: (state) => {
        const peer = this.#peers.get(host);
        if (peer?.link !== link) return;
        peer.state = state;
        changed();
      },
      request: (method, params) => request(host, method, params),
      closed: (reason) => {
        this.#greeting.delete(link);
        const peer = this.#peers.get(host);
        if (peer?.link === link) {
          log.info({ peer: host }, `link lost: ${reason}`);
          const lost = this.#diallersOf(link);
          Object.assign(peer, { link: undefined, since: clock.wall(), reason });
          for (const other of lost) other.failed(reason);
          changed();
        } else if (dialler !== undefined && !this.#isLinked(dialler.address)) {
          dialler.failed(reason);
        }
      },
    });
    this.#greeting.add(link);
  }

  #adopt(link: Link, hello: Hello): void {
    const { log, clock, state, changed } = this.#deps;
    const { host } = hello;
    if (host === this.#deps.hello().host) {
      link.close('duplicate', 'another host has the certificate of this one');
      log.error({ peer: host, machine: hello.machineId }, 'another host has our certificate');
      return;
    }
    const peer = this.#peers.get(host) ?? { link: undefined, since: 0, reason: '', state: undefined };
    const old = peer.link;
    if (old?.peer !== undefined) {
      const verdict = chooseLink(
        this.#deps.hello().host,
        { hello: old.peer, opener: old.channel.opener },
        { hello, opener: link.channel.opener },
      );
      if (verdict === 'twin')
        log.error({ peer: host, machine: hello.machineId }, 'two machines have the same certificate');
      if (verdict !== 'fresh') {
        link.close(
          'duplicate',
          verdict === 'twin' ? 'another machine has this certificate' : 'there is a link already',
        );
        return;
      }
    }
    Object.assign(peer, { link, since: clock.wall(), reason: '' });
    this.#peers.set(host, peer);
    for (const dialler of this.#diallersOf(link)) dialler.linked();
    old?.close('duplicate', 'a newer link took its place');
    log.info({ peer: host, address: link.channel.address, version: hello.version }, 'link up');
    link.sendState(state());
    changed();
  }
}

/** Whether the link's other side is at the address: it says so, or its socket does. */
function reaches(link: Link, address: Address): boolean {
  return link.channel.address === address || link.peer?.internalAddress === address;
}
