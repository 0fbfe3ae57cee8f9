import { once } from 'node:events';
import {
  connect,
  createServer,
  type ListenOptions,
  type NetConnectOpts,
  type Server,
  type Socket,
} from 'node:net';

/*
 * One JSON line there, one JSON line back, then the connection ends. A connection for each call costs little on three
 * hosts, and leaves no half-dead ones behind when a host reboots or loses its address.
 */

/** No line is longer; a configuration of 30 nodes has some 40 KB. */
const maxLineBytes = 1024 * 1024;

/** Reads one line; rejects on a longer one, an early end, or after `timeoutMs`. */
async function readLine(socket: Socket, timeoutMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const timer = setTimeout(() => socket.destroy(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      text += chunk;
      const end = text.indexOf('\n');
      if (end >= 0) {
        clearTimeout(timer);
        resolve(text.slice(0, end));
      } else if (text.length > maxLineBytes) socket.destroy(new Error('line too long'));
    });
    socket.once('error', reject);
    socket.once('close', () => {
      clearTimeout(timer);
      reject(new Error('connection ended without an answer'));
    });
  });
}

/** Sends one message and gives back the answer. Rejects when there is none; never waits longer than `timeoutMs`. */
export async function call(to: NetConnectOpts, message: object, timeoutMs: number): Promise<unknown> {
  const socket = connect(to);
  try {
    const answer = readLine(socket, timeoutMs);
    socket.write(`${JSON.stringify(message)}\n`);
    return JSON.parse(await answer);
  } finally {
    socket.destroy();
  }
}

/**
 * Answers calls until closed.
 *
 * @param handler gets the message and the far end's address (empty on a Unix socket)
 * @throws the system's error when the address cannot be listened on (EADDRNOTAVAIL: it is not bound on this host)
 */
export async function serve(
  at: ListenOptions,
  handler: (message: unknown, from: string) => Promise<object>,
): Promise<Server> {
  const server = createServer((socket) => {
    const from = socket.remoteAddress ?? '';
    // A caller that went away is the caller's business; without a listener it would end the process.
    socket.on('error', () => {});
    readLine(socket, 5_000)
      .then(async (line) => handler(JSON.parse(line), from))
      .then((answer) => socket.end(`${JSON.stringify(answer)}\n`))
      .catch(() => socket.destroy());
  });
  server.listen(at);
  await once(server, 'listening');
  return server;
}
