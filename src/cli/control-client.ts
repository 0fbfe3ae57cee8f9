import { access, constants } from 'node:fs/promises';
import type { Clock } from '../host/ports/clock.ts';
import type { LineChannel } from '../host/ports/local-sockets.ts';
import type { Random } from '../host/ports/random.ts';
import { RlnetError } from '../protocol/errors.ts';
import {
  decodeMessage,
  decodeWith,
  encodeMessage,
  errorFromResponse,
  maxLocalMessageBytes,
} from '../protocol/messages.ts';
import { type MethodName, methods, type Params, type Result } from '../protocol/methods.ts';
import { type ClusterView, clusterViewSchema } from '../protocol/state.ts';
import type { Context } from './context.ts';

/** The local agent takes this long at most to answer; longer than it gives its peers, so that their answer is told, not ours. */
const timeoutMs = 15_000;

/** A conversation with the agent of this host. */
export class ControlClient {
  readonly #channel: LineChannel;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #waiting = new Map<
    string,
    { resolve: (result: unknown) => void; reject: (error: Error) => void }
  >();
  #onView: (view: ClusterView) => void = () => {};
  /** Resolves when the agent ends the conversation. */
  readonly ended: Promise<void>;

  constructor(channel: LineChannel, clock: Clock, random: Random) {
    this.#channel = channel;
    this.#clock = clock;
    this.#random = random;
    this.ended = new Promise((resolve) => {
      channel.start({
        line: (line) => this.#receive(line),
        closed: () => {
          for (const { reject } of this.#waiting.values()) reject(goneAway());
          this.#waiting.clear();
          resolve();
        },
      });
    });
  }

  /** @throws RlnetError what the agent answered, REQUEST_TIMEOUT, AGENT_NOT_RUNNING where it went away. */
  async call<M extends MethodName>(method: M, params: Params<M>, waitMs = timeoutMs): Promise<Result<M>> {
    const id = this.#random.id();
    const answer = await new Promise<unknown>((resolve, reject) => {
      const timer = this.#clock.after(waitMs, () => {
        this.#waiting.delete(id);
        reject(
          new RlnetError(
            'REQUEST_TIMEOUT',
            `The agent did not answer ${method} within ${waitMs} ms.`,
            'See journalctl -u rlnet.',
          ),
        );
      });
      const settle =
        <T>(settled: (value: T) => void) =>
        (value: T) => {
          timer.cancel();
          settled(value);
        };
      this.#waiting.set(id, { resolve: settle(resolve), reject: settle(reject) });
      this.#channel.send(encodeMessage({ type: 'request', id, method, params }));
    });
    return decodeWith<unknown>(methods[method].result, answer, `the answer to ${method}`) as Result<M>;
  }

  /** The view now, and then each newer one until the conversation ends. */
  async watch(onView: (view: ClusterView) => void): Promise<void> {
    this.#onView = onView;
    onView(await this.call('watch', {}));
  }

  close(): void {
    this.#channel.close();
  }

  #receive(line: string): void {
    const message = decodeMessage(line, maxLocalMessageBytes);
    if (message?.type === 'event' && message.name === 'status') {
      this.#onView(decodeWith(clusterViewSchema, message.data, 'a status event'));
    }
    if (message?.type !== 'response') return;
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if (message.error === undefined) waiting?.resolve(message.result);
    else waiting?.reject(errorFromResponse(message.error));
  }
}

function goneAway(): RlnetError {
  return new RlnetError(
    'AGENT_NOT_RUNNING',
    'The agent ended the conversation.',
    'See systemctl status rlnet.',
  );
}

/**
 * Talks to the agent of this host: over the socket that acts where this user may use it, else over the one that reads. The conversation
 * ends with `work`.
 */
export async function withAgent<T>(
  { sockets, clock, random }: Pick<Context, 'sockets' | 'clock' | 'random'>,
  runtimeDirectory: string,
  work: (client: ControlClient) => Promise<T>,
): Promise<T> {
  const acting = `${runtimeDirectory}/agent.sock`;
  const may = await access(acting, constants.W_OK).then(
    () => true,
    () => false,
  );
  const channel = await sockets.connect(may ? acting : `${runtimeDirectory}/read.sock`);
  const client = new ControlClient(channel, clock, random);
  try {
    return await work(client);
  } finally {
    client.close();
  }
}
