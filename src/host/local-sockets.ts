import { chmod, chown, rm } from 'node:fs/promises';
import { createConnection, createServer, type Socket } from 'node:net';
import { StringDecoder } from 'node:string_decoder';
import { errnoOf, RlnetError } from '../protocol/errors.ts';
import { maxLocalMessageBytes } from '../protocol/messages.ts';
import type { Files } from './ports/files.ts';
import type { LineChannel, LocalSockets } from './ports/local-sockets.ts';

/** Connections at a time on one socket. People and scripts connect; none of them needs many. */
const maxConnections = 64;

export function createLocalSockets(files: Files): LocalSockets {
  const connect = (path: string): Promise<LineChannel> =>
    new Promise((resolve, reject) => {
      const socket = createConnection(path);
      socket.once('error', (error) => reject(connectError(path, error)));
      socket.once('connect', () => resolve(channelOver(socket)));
    });

  return {
    connect,

    async listen(path, { mode, group }, onChannel) {
      await removeIfDead(path, connect);
      const server = createServer((socket) => onChannel(channelOver(socket)));
      server.maxConnections = maxConnections;
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        // The socket file appears with the owner's rights alone under any sane umask (connecting wants the right to write).
        server.listen(path, () => resolve());
      });
      if (group !== undefined) {
        const gid = groupId(await files.read('/etc/group'), group);
        if (gid !== undefined) await chown(path, process.getuid?.() ?? 0, gid);
      }
      await chmod(path, mode);
      return { close: () => new Promise((resolve) => server.close(() => resolve())) };
    },
  };
}

/** The id of a group in the text of /etc/group. */
export function groupId(text: string, group: string): number | undefined {
  const entry = text.split('\n').find((line) => line.startsWith(`${group}:`));
  const id = entry?.split(':')[2];
  return id !== undefined && /^\d+$/.test(id) ? Number(id) : undefined;
}

async function removeIfDead(path: string, connect: (path: string) => Promise<LineChannel>): Promise<void> {
  try {
    (await connect(path)).close();
  } catch (thrown) {
    if (!(thrown instanceof RlnetError) || thrown.code !== 'AGENT_NOT_RUNNING') throw thrown;
    await rm(path, { force: true });
    return;
  }
  throw new RlnetError(
    'AGENT_ALREADY_RUNNING',
    `An agent listens on ${path} already.`,
    'Stop it first (systemctl stop rlnet), or give this one another directories.runtime.',
  );
}

function connectError(path: string, error: Error): RlnetError {
  const word = errnoOf(error) ?? error.message;
  if (word === 'EACCES') {
    return new RlnetError(
      'NOT_PERMITTED',
      `You may not use ${path}.`,
      'Run this as root, or for reading as a member of the group rlnet.',
      { cause: error },
    );
  }
  return new RlnetError(
    'AGENT_NOT_RUNNING',
    `No agent listens on ${path} (${word}).`,
    'Start it with systemctl start rlnet, and see journalctl -u rlnet.',
    { cause: error },
  );
}

function channelOver(socket: Socket): LineChannel {
  const early: string[] = [];
  let onLine = (line: string): void => {
    early.push(line);
  };
  let onClosed = (): void => {};
  const decoder = new StringDecoder('utf8');
  let rest = '';
  socket.on('data', (chunk: Buffer) => {
    rest += decoder.write(chunk);
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) onLine(line);
    // A line that never ends would fill the memory of whoever listens.
    if (rest.length > maxLocalMessageBytes) socket.destroy();
  });
  socket.on('error', () => socket.destroy());
  socket.on('close', () => onClosed());
  return {
    start(handlers) {
      onLine = handlers.line;
      onClosed = handlers.closed;
      for (const line of early.splice(0)) onLine(line);
      if (socket.destroyed) onClosed();
    },
    send(line) {
      if (socket.writable) socket.write(`${line}\n`);
    },
    close() {
      socket.end();
    },
    drop() {
      socket.destroy();
    },
    get queuedBytes() {
      return socket.writableLength;
    },
  };
}
