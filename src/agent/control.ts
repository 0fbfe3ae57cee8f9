import type { LineChannel, LocalSockets } from '../host/ports/local-sockets.ts';
import { RlnetError } from '../protocol/errors.ts';
import {
  decodeMessage,
  encodeMessage,
  type Message,
  maxLocalMessageBytes,
  responseTo,
} from '../protocol/messages.ts';
import type { Caller } from '../protocol/methods.ts';
import type { ClusterView } from '../protocol/state.ts';
import { answerOf } from './answer.ts';

/** Someone who asks or watches and does not read is dropped when this much is waiting. */
const maxQueuedBytes = 2 * maxLocalMessageBytes;

export interface ControlDependencies {
  sockets: LocalSockets;
  runtimeDirectory: string;
  call: (caller: Caller, method: string, params: unknown) => Promise<unknown>;
  view: () => ClusterView;
}

export interface Control {
  /** Tells everybody who watches that the view is another one. */
  changed(): void;
  close(): Promise<void>;
}

/**
 * The two local sockets. Two, because Node does not say who is at the other end: the file's mode does, for a socket each.
 * The messages are those of the mesh, one a line.
 */
export async function openControl(deps: ControlDependencies): Promise<Control> {
  const channels = new Set<LineChannel>();
  const watchers = new Set<LineChannel>();

  const serve = (caller: Caller) => (channel: LineChannel) => {
    channels.add(channel);
    channel.start({
      line: (line) => void answer(channel, caller, line),
      closed: () => {
        channels.delete(channel);
        watchers.delete(channel);
      },
    });
  };

  const send = (channel: LineChannel, message: Message): void => {
    // Somebody who does not read must not fill our memory, nor keep us from ending.
    if (channel.queuedBytes > maxQueuedBytes) channel.drop();
    else channel.send(encodeMessage(message, maxLocalMessageBytes));
  };

  const answer = async (channel: LineChannel, caller: Caller, line: string): Promise<void> => {
    const request = requestIn(line);
    if (request === 'ignored') return;
    if (request === 'refused') {
      channel.drop();
      return;
    }
    const reply = await answerOf(async () => {
      const result = await deps.call(caller, request.method, request.params);
      // Here, so that an answer that is too long becomes an error that the other side gets.
      encodeMessage(responseTo(request.id, { result }), maxLocalMessageBytes);
      return result;
    });
    send(channel, responseTo(request.id, reply));
    if (request.method === 'watch' && 'result' in reply) watchers.add(channel);
  };

  const { sockets, runtimeDirectory } = deps;
  const acting = await sockets.listen(
    `${runtimeDirectory}/agent.sock`,
    { mode: 0o600, group: undefined },
    serve('act'),
  );
  const reading = await sockets.listen(
    `${runtimeDirectory}/read.sock`,
    { mode: 0o660, group: 'rlnet' },
    serve('read'),
  );

  return {
    changed() {
      if (watchers.size === 0) return;
      const event: Message = { type: 'event', name: 'status', data: deps.view() };
      for (const watcher of watchers) send(watcher, event);
    },
    async close() {
      for (const channel of channels) channel.drop();
      await Promise.all([acting.close(), reading.close()]);
    },
  };
}

/** The request that a line holds. A type of a newer version is ignored; anything else is no conversation that we have. */
function requestIn(line: string): Extract<Message, { type: 'request' }> | 'ignored' | 'refused' {
  try {
    const message = decodeMessage(line, maxLocalMessageBytes);
    if (message === undefined) return 'ignored';
    return message.type === 'request' ? message : 'refused';
  } catch (thrown) {
    if (thrown instanceof RlnetError) return 'refused';
    throw thrown;
  }
}
