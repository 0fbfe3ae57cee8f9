import type { LineChannel, LocalSockets } from '../host/ports/local-sockets.ts';
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

const encodeLocal = (message: Message): string => encodeMessage(message, maxLocalMessageBytes);

/** Someone who watches and does not read is dropped when this much is waiting. */
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

  const answer = async (channel: LineChannel, caller: Caller, line: string): Promise<void> => {
    const outcome = await answerOf(async () => decodeMessage(line, maxLocalMessageBytes));
    const message = 'result' in outcome ? (outcome.result as Message | undefined) : undefined;
    if ('error' in outcome || (message !== undefined && message.type !== 'request')) {
      channel.close();
      return;
    }
    if (message?.type !== 'request') return;
    const reply = await answerOf(async () => {
      const result = await deps.call(caller, message.method, message.params);
      encodeLocal(responseTo(message.id, { result }));
      return result;
    });
    channel.send(encodeLocal(responseTo(message.id, reply)));
    if (message.method === 'watch' && 'result' in reply) watchers.add(channel);
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
      const line = encodeLocal({ type: 'event', name: 'status', data: deps.view() });
      for (const watcher of watchers) {
        if (watcher.queuedBytes > maxQueuedBytes) watcher.close();
        else watcher.send(line);
      }
    },
    async close() {
      for (const channel of channels) channel.close();
      await Promise.all([acting.close(), reading.close()]);
    },
  };
}
