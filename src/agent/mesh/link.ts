import type { Clock, Timer } from '../../host/ports/clock.ts';
import type { Random } from '../../host/ports/random.ts';
import { RlnetError } from '../../protocol/errors.ts';
import {
  commonProtocol,
  decodeMessage,
  encodeMessage,
  errorFromResponse,
  type Hello,
  type Message,
  protocolRange,
  responseTo,
} from '../../protocol/messages.ts';
import type { HostState } from '../../protocol/state.ts';
import { answerOf } from '../answer.ts';
import type { Channel } from './channel.ts';

/** Every link is pinged at this pace. */
const pingEveryMs = 500;
/** So many pings without an echo, and the link is given up. */
const missesAllowed = 4;
/** A channel on which no hello came by then is closed. */
const helloTimeoutMs = 5_000;
/** A peer that lets this much pile up is dropped. */
const maxQueuedBytes = 1024 * 1024;
/** Requests of one peer that are being worked on at a time. */
const maxOpenRequests = 16;

export interface LinkHandlers {
  /** The other side's hello was good. From now on the link can be used. */
  up(hello: Hello): void;
  state(state: HostState): void;
  /** Answers a request of the other side; what it rejects with goes back as an error. */
  request(method: string, params: unknown): Promise<unknown>;
  /** Called exactly once. */
  closed(reason: string): void;
}

/**
 * A channel with its conversation: hello first, then pings, states and requests.
 *
 * Silence is counted in our own pings, not in time passed: while this process is stalled it sends none, so it counts none, and
 * never takes its own sleep for the other side's.
 */
export class Link {
  readonly channel: Channel;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #handlers: LinkHandlers;
  /** Pings that were not echoed yet: nonce to the monotonic time of sending. */
  readonly #pings = new Map<string, number>();
  readonly #waiting = new Map<
    string,
    { resolve: (result: unknown) => void; reject: (error: Error) => void; timer: Timer }
  >();
  #openRequests = 0;
  #peer: Hello | undefined;
  #closed = false;
  #timer: Timer;
  /** Milliseconds that the newest echo took; undefined until there was one. */
  roundTripMs: number | undefined;

  constructor(channel: Channel, hello: Hello, clock: Clock, random: Random, handlers: LinkHandlers) {
    this.channel = channel;
    this.#clock = clock;
    this.#random = random;
    this.#handlers = handlers;
    this.#timer = clock.after(helloTimeoutMs, () => this.#refuse(`no hello within ${helloTimeoutMs} ms`));
    channel.start({ text: (text) => this.#receive(text), closed: (reason) => this.#end(reason) });
    this.#send(hello);
  }

  /** The other side's hello; undefined until it came. */
  get peer(): Hello | undefined {
    return this.#peer;
  }

  sendState(state: HostState): void {
    this.#send({ type: 'state', state });
  }

  /** @throws RlnetError REQUEST_TIMEOUT, PEER_UNREACHABLE when the link ends first, or what the other side answered. */
  request(method: string, params: unknown, timeoutMs: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#closed) {
        reject(this.#lost('the link is closed'));
        return;
      }
      const id = this.#random.id();
      const timer = this.#clock.after(timeoutMs, () => {
        this.#waiting.delete(id);
        reject(
          new RlnetError(
            'REQUEST_TIMEOUT',
            `${this.channel.identity.host} did not answer ${method} within ${timeoutMs} ms.`,
            'Try again; if it stays so, see journalctl -u rlnet there.',
          ),
        );
      });
      this.#waiting.set(id, { resolve, reject, timer });
      this.#send({ type: 'request', id, method, params });
    });
  }

  /** Ends the link and tells the other side why. */
  close(code: 'goingAway' | 'duplicate', reason: string): void {
    this.#send({ type: 'bye', reason });
    this.channel.close(code, reason);
    this.#end(reason);
  }

  #send(message: Message): void {
    if (this.#closed) return;
    if (this.channel.queuedBytes > maxQueuedBytes) {
      this.channel.terminate();
      this.#end(`reads too slowly: ${this.channel.queuedBytes} bytes are waiting`);
      return;
    }
    this.channel.send(encodeMessage(message));
  }

  #refuse(reason: string): void {
    this.channel.close('refused', reason);
    this.#end(reason);
  }

  #receive(text: string): void {
    if (this.#closed) return;
    let message: Message | undefined;
    try {
      message = decodeMessage(text);
    } catch (thrown) {
      if (!(thrown instanceof RlnetError)) throw thrown;
      this.channel.close('badMessage', thrown.message);
      this.#end(thrown.message);
      return;
    }
    if (message === undefined) return;
    if (this.#peer === undefined) {
      if (message.type === 'hello') this.#greet(message);
      else this.#refuse(`a ${message.type} came before hello`);
      return;
    }
    switch (message.type) {
      case 'hello':
        this.#refuse('a second hello');
        return;
      case 'ping':
        this.#send({ type: 'pong', nonce: message.nonce });
        return;
      case 'pong': {
        const sent = this.#pings.get(message.nonce);
        if (sent === undefined) return;
        this.roundTripMs = this.#clock.monotonic() - sent;
        // An echo of a later ping proves the path for the earlier ones too.
        this.#pings.clear();
        return;
      }
      case 'state':
        // A host speaks for itself and for nobody else.
        if (message.state.host === this.channel.identity.host) this.#handlers.state(message.state);
        else this.#refuse(`a state of ${message.state.host} came from ${this.channel.identity.host}`);
        return;
      case 'request':
        void this.#answer(message);
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
      case 'bye':
        this.channel.close('goingAway', message.reason);
        this.#end(message.reason);
        return;
    }
  }

  #greet(hello: Hello): void {
    const { identity } = this.channel;
    if (hello.host !== identity.host || hello.cluster !== identity.cluster) {
      this.#refuse(
        `its hello says ${hello.cluster}/${hello.host}, its certificate ${identity.cluster}/${identity.host}`,
      );
      return;
    }
    if (commonProtocol(hello.protocol) === undefined) {
      this.#refuse(
        `it speaks protocol ${hello.protocol.min} to ${hello.protocol.max}, we ${protocolRange.min} to ${protocolRange.max}`,
      );
      return;
    }
    this.#peer = hello;
    this.#timer.cancel();
    this.#ping();
    this.#handlers.up(hello);
  }

  #ping(): void {
    if (this.#closed) return;
    if (this.#pings.size >= missesAllowed) {
      this.channel.terminate();
      this.#end(`no echo of ${this.#pings.size} pings`);
      return;
    }
    const nonce = this.#random.id();
    this.#pings.set(nonce, this.#clock.monotonic());
    this.#send({ type: 'ping', nonce });
    this.#timer = this.#clock.after(pingEveryMs, () => this.#ping());
  }

  async #answer({ id, method, params }: Extract<Message, { type: 'request' }>): Promise<void> {
    if (this.#openRequests >= maxOpenRequests) {
      const busy = new RlnetError(
        'PEER_UNREACHABLE',
        `${maxOpenRequests} requests are open already.`,
        'Try again later.',
      );
      this.#send(responseTo(id, { error: busy.report() }));
      return;
    }
    this.#openRequests += 1;
    const outcome = await answerOf(async () => {
      const result = await this.#handlers.request(method, params);
      // Here, so that an answer too long for the wire becomes an error that the other side gets.
      encodeMessage(responseTo(id, { result }));
      return result;
    });
    this.#openRequests -= 1;
    this.#send(responseTo(id, outcome));
  }

  #end(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#timer.cancel();
    for (const { reject, timer } of this.#waiting.values()) {
      timer.cancel();
      reject(this.#lost(reason));
    }
    this.#waiting.clear();
    this.#handlers.closed(reason);
  }

  #lost(reason: string): RlnetError {
    return new RlnetError(
      'PEER_UNREACHABLE',
      `The link to ${this.channel.identity.host} ended: ${reason}.`,
      'See rlnet status.',
    );
  }
}
