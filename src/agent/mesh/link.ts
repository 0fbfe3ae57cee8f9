import type { Clock, Timer } from '../../host/ports/clock.ts';
import type { Random } from '../../host/ports/random.ts';
import { RlnetError } from '../../protocol/errors.ts';
import {
  type CloseReason,
  commonProtocol,
  decodeMessage,
  encodeMessage,
  errorFromResponse,
  type Hello,
  type Message,
  protocolRange,
  quoted,
  responseTo,
} from '../../protocol/messages.ts';
import type { HostState } from '../../protocol/state.ts';
import { answerOf } from '../answer.ts';
import { Allowance } from './allowance.ts';
import type { Channel, RefusalCode } from './channel.ts';
import { echoWithinMs } from './reachability.ts';

/** A channel on which no hello came by then is closed. */
const helloTimeoutMs = 5_000;
/** A peer that lets this much pile up is dropped. */
const maxQueuedBytes = 1024 * 1024;
/** Requests of one peer that are being worked on at a time. */
const maxOpenRequests = 16;
/** Pings without an echo that are kept to know their echo by; older ones are forgotten. */
const maxPings = 16;
/** Characters of a nonce, of four random bits each: whoever has not seen it does not guess it within the seconds that it counts. A longer one is a longer way through WebSocket. */
const nonceLength = 16;
/** A peer may send so many messages a second, and save up so many for a burst. A busy one sends about ten. */
const messageRate = { perSecond: 100, atOnce: 400 };

/** How an echo goes: in a message of its own or with a ping, each at once, or with the next ping. */
export type EchoBy = 'pong' | 'ping' | 'next_ping';

export interface LinkHandlers {
  /** The other side's hello was good. From now on the link can be used. */
  up: (hello: Hello) => void;
  state: (state: HostState) => void;
  /** Answers a request of the other side; what it rejects with goes back as an error. `signal` aborts when the answer is not wanted any more. */
  request: (id: string, method: string, params: unknown, signal: AbortSignal) => Promise<unknown>;
  /** The other side has sent a ping whose echo may wait for `withinMs` milliseconds, to go with a ping of this side. */
  echoBy: (withinMs: number) => EchoBy;
  /** Called exactly once; with a refusal where this side ended it because the other one broke a rule. */
  closed: (reason: string, refusal?: RefusalCode) => void;
}

interface Waiting {
  resolve: (result: unknown) => void;
  reject: (error: Error) => void;
  timer: Timer;
}

/** A channel with its conversation: hello first, then pings, states and requests. It judges nobody; the mesh does. */
export class Link {
  readonly channel: Channel;
  /** The hello of this side. */
  readonly ours: Hello;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #handlers: LinkHandlers;
  /** Pings that were not echoed yet: nonce to the monotonic time of sending. */
  readonly #pings = new Map<string, number>();
  readonly #proofs = new Map<string, () => void>();
  /** A ping of the other side's whose echo goes with our next ping, and when it came, monotonic. */
  #held: { nonce: string; at: number } | undefined;
  readonly #waiting = new Map<string, Waiting>();
  readonly #answering = new Map<string, AbortController>();
  readonly #helloTimer: Timer;
  #peer: Hello | undefined;
  #closed = false;
  readonly #allowance: Allowance;
  /** Monotonic time of the newest echo of a ping of ours: the path worked both ways then. */
  echoedAt: number | undefined;
  /** Monotonic time of the newest ping of the other side's: the path from there worked then. */
  pingedAt = Number.NEGATIVE_INFINITY;
  /** Monotonic time of the newest ping of ours. */
  ownPingAt = Number.NEGATIVE_INFINITY;
  /** Milliseconds that the newest echo took. */
  roundTripMs: number | undefined;
  /** The code with which either side has ended it on purpose. */
  endedAs: string | undefined;
  /** What the other side said of itself last on this link. */
  state: HostState | undefined;

  constructor(channel: Channel, hello: Hello, clock: Clock, random: Random, handlers: LinkHandlers) {
    this.channel = channel;
    this.ours = hello;
    this.#clock = clock;
    this.#random = random;
    this.#handlers = handlers;
    this.#allowance = new Allowance(messageRate, clock.monotonic());
    this.#helloTimer = clock.after(helloTimeoutMs, () =>
      this.end('refused', `no hello within ${helloTimeoutMs} ms`, 'hello'),
    );
    channel.start({
      text: (text) => this.#receive(text),
      control: () => this.#take(clock.monotonic()),
      closed: (reason, refusal) => this.#end(reason, refusal),
    });
    this.#send(hello);
  }

  /** Whether one of the two sides will not have this link: trying again soon can change nothing. */
  get refused(): boolean {
    return this.endedAs === 'refused';
  }

  /** The other side's hello; undefined until it came. */
  get peer(): Hello | undefined {
    return this.#peer;
  }

  sendState(state: HostState): void {
    this.#send({ type: 'state', state });
  }

  /**
   * Sends a ping; its echo shows in `echoedAt`. Gives back the nonce.
   * @param withinMs how long the other side may hold the echo, for a ping of its own to take it along
   */
  ping(withinMs?: number): string {
    const nonce = this.#random.id().slice(0, nonceLength);
    const now = this.#clock.monotonic();
    if (this.#pings.size >= maxPings) this.#pings.delete([...this.#pings.keys()][0] ?? '');
    this.#pings.set(nonce, now);
    this.ownPingAt = now;
    const held = this.#held;
    this.#held = undefined;
    this.#send({
      type: 'ping',
      nonce,
      ...(withinMs === undefined ? {} : { withinMs }),
      ...(held === undefined
        ? {}
        : { echo: { nonce: held.nonce, heldMs: Math.round((now - held.at) * 100) / 100 } }),
    });
    return nonce;
  }

  /** Monotonic time of the first ping of ours without an echo. */
  get unechoedSince(): number | undefined {
    const [first] = this.#pings.values();
    return first;
  }

  /** Whether the other side echoes a fresh nonce within `timeoutMs`. */
  provesAlive(timeoutMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      if (this.#closed) {
        resolve(false);
        return;
      }
      const nonce = this.ping();
      const timer = this.#clock.after(timeoutMs, () => {
        this.#proofs.delete(nonce);
        resolve(false);
      });
      this.#proofs.set(nonce, () => {
        timer.cancel();
        resolve(!this.#closed);
      });
    });
  }

  /**
   * @throws RlnetError REQUEST_TIMEOUT, PEER_UNREACHABLE when the link ends first, or what the other side answered. When `signal` aborts it
   *   rejects with the signal's reason, and the other side is told to stop.
   */
  request(method: string, params: unknown, timeoutMs: number, signal?: AbortSignal): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#closed) {
        reject(this.#lost('it is closed'));
        return;
      }
      const id = this.#random.id();
      const giveUp = (error: Error): void => {
        this.#waiting.get(id)?.timer.cancel();
        if (this.#waiting.delete(id)) this.#send({ type: 'cancel', id });
        reject(error);
      };
      const timer = this.#clock.after(timeoutMs, () =>
        giveUp(
          new RlnetError(
            'REQUEST_TIMEOUT',
            `${this.channel.identity.host} did not answer ${method} within ${timeoutMs} ms.`,
            'Try again; if it stays so, see journalctl -u rlnet there.',
          ),
        ),
      );
      this.#waiting.set(id, { resolve, reject, timer });
      signal?.addEventListener('abort', () => giveUp(signal.reason as Error), { once: true });
      this.#send({ type: 'request', id, method, params });
    });
  }

  /**
   * Ends the link and tells the other side why.
   * @param refusal the rule of the conversation that the other side broke
   */
  end(code: CloseReason, reason: string, refusal?: RefusalCode): void {
    this.endedAs ??= code;
    this.#send({ type: 'bye', code, reason: quoted(reason) });
    this.channel.close(code, reason);
    this.#end(reason, refusal);
  }

  /** Ends the link without a word, for an other side that does not answer. */
  drop(reason: string, refusal?: RefusalCode): void {
    this.channel.terminate();
    this.#end(reason, refusal);
  }

  #send(message: Message): void {
    if (this.#closed) return;
    if (this.channel.queuedBytes > maxQueuedBytes) {
      this.drop(`it reads too slowly: ${this.channel.queuedBytes} bytes are waiting`, 'slow');
      return;
    }
    this.channel.send(encodeMessage(message));
  }

  #receive(text: string): void {
    if (this.#closed) return;
    const now = this.#clock.monotonic();
    if (!this.#take(now)) return;
    let message: Message | undefined;
    try {
      message = decodeMessage(text);
    } catch (thrown) {
      if (!(thrown instanceof RlnetError)) throw thrown;
      this.end('badMessage', thrown.message, 'message');
      return;
    }
    if (message === undefined) return;
    if (this.#peer !== undefined) this.#handle(message, now);
    else if (message.type === 'hello') this.#greet(message);
    // The other side may end it before its hello, and says why.
    else if (message.type === 'bye') this.#handle(message, now);
    else this.end('refused', `a ${message.type} came before hello`, 'hello');
  }

  /** Takes one message from the allowance that time fills; without one left the link ends. */
  #take(now: number): boolean {
    if (this.#allowance.take(now)) return true;
    if (!this.#closed) this.end('refused', `more than ${messageRate.perSecond} messages a second`, 'flood');
    return false;
  }

  #handle(message: Message, now: number): void {
    switch (message.type) {
      case 'hello':
        this.end('refused', 'a second hello', 'hello');
        return;
      case 'ping':
        this.pingedAt = now;
        if (message.echo !== undefined) this.#echoed(message.echo.nonce, now - message.echo.heldMs, now);
        this.#echo(message, now);
        return;
      case 'pong':
        this.#echoed(message.nonce, now, now);
        return;
      case 'state':
        // A host speaks for itself and for nobody else.
        if (message.state.host !== this.channel.identity.host) {
          this.end(
            'refused',
            `a state of ${message.state.host} came from ${this.channel.identity.host}`,
            'message',
          );
          return;
        }
        this.state = message.state;
        this.#handlers.state(message.state);
        return;
      case 'request':
        void this.#answer(message);
        return;
      case 'cancel':
        this.#answering.get(message.id)?.abort(new Error('the other side does not want the answer any more'));
        return;
      case 'response': {
        const waiting = this.#waiting.get(message.id);
        this.#waiting.delete(message.id);
        waiting?.timer.cancel();
        if (message.error === undefined) waiting?.resolve(message.result);
        else waiting?.reject(errorFromResponse(message.error));
        return;
      }
      case 'event':
        return;
      case 'bye': {
        const reason = quoted(message.reason);
        this.endedAs ??= message.code;
        this.channel.close('goingAway', reason);
        this.#end(reason);
        return;
      }
    }
  }

  #echo({ nonce, withinMs }: Extract<Message, { type: 'ping' }>, now: number): void {
    const by = withinMs === undefined || this.#held !== undefined ? 'pong' : this.#handlers.echoBy(withinMs);
    if (by === 'pong') {
      this.#send({ type: 'pong', nonce });
      return;
    }
    this.#held = { nonce, at: now };
    if (by === 'ping') this.ping(echoWithinMs);
  }

  /** @param backAt when the echo would have come, had it not been held there */
  #echoed(nonce: string, backAt: number, now: number): void {
    const sentAt = this.#pings.get(nonce);
    // Not a nonce of ours: it proves nothing.
    if (sentAt === undefined) return;
    this.#pings.delete(nonce);
    this.echoedAt = now;
    this.roundTripMs = Math.max(0, backAt - sentAt);
    this.#proofs.get(nonce)?.();
    this.#proofs.delete(nonce);
  }

  #greet(hello: Hello): void {
    const { identity } = this.channel;
    if (hello.host !== identity.host || hello.cluster !== identity.cluster) {
      const said = `${hello.cluster}/${hello.host}`;
      this.end(
        'refused',
        `its hello says ${said}, its certificate ${identity.cluster}/${identity.host}`,
        'hello',
      );
      return;
    }
    if (commonProtocol(hello.protocol) === undefined) {
      const { min, max } = hello.protocol;
      this.end(
        'refused',
        `it speaks protocol ${min} to ${max}, we ${protocolRange.min} to ${protocolRange.max}`,
        'version',
      );
      return;
    }
    this.#peer = hello;
    this.#helloTimer.cancel();
    this.#handlers.up(hello);
  }

  async #answer({ id, method, params }: Extract<Message, { type: 'request' }>): Promise<void> {
    if (this.#answering.has(id)) {
      this.end('refused', 'two requests with one id are open', 'message');
      return;
    }
    if (this.#answering.size >= maxOpenRequests) {
      const busy = new RlnetError(
        'PEER_UNREACHABLE',
        `${maxOpenRequests} requests of this peer are open already.`,
        'Try again later.',
      );
      this.#send(responseTo(id, { error: busy.report() }));
      return;
    }
    const controller = new AbortController();
    this.#answering.set(id, controller);
    const outcome = await answerOf(async () => {
      const result = await this.#handlers.request(id, method, params, controller.signal);
      // Here, so that an answer too long for the wire becomes an error that the other side gets.
      encodeMessage(responseTo(id, { result }));
      return result;
    });
    this.#answering.delete(id);
    if (!controller.signal.aborted) this.#send(responseTo(id, outcome));
  }

  #end(reason: string, refusal?: RefusalCode): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#helloTimer.cancel();
    for (const prove of this.#proofs.values()) prove();
    for (const controller of this.#answering.values())
      controller.abort(new Error(`the link ended: ${reason}`));
    for (const { reject, timer } of this.#waiting.values()) {
      timer.cancel();
      reject(this.#lost(reason));
    }
    this.#waiting.clear();
    this.#handlers.closed(reason, refusal);
  }

  #lost(reason: string): RlnetError {
    return new RlnetError(
      'PEER_UNREACHABLE',
      `The link to ${this.channel.identity.host} ended: ${reason}.`,
      'See rlnet mesh.',
    );
  }
}
