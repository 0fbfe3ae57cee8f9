import { type IncomingMessage, request } from 'node:http';
import { connect, type TLSSocket } from 'node:tls';
import { type Address, hostPort } from '../protocol/address.ts';
import { errnoOf, RlnetError } from '../protocol/errors.ts';
import type { Clock } from './ports/clock.ts';
import type { RestQuestion, RestReply, RsRest, Trust } from './ports/rs-rest.ts';

/** Far more than a table of nodes. */
const maxBytes = 4 * 1024 * 1024;

export function createRsRest(clock: Clock): RsRest {
  return {
    ask: async (question) => {
      const { address, port, trust, timeoutMs } = question;
      let socket: TLSSocket | undefined;
      let late = false;
      const timer = clock.after(timeoutMs, () => {
        late = true;
        socket?.destroy(new Error(`no answer within ${timeoutMs / 1000} s`));
      });
      try {
        // RS's certificates are self-signed and have names alone, so that TLS itself has nothing to judge them by.
        socket = connect({ host: address, port, rejectUnauthorized: false, minVersion: 'TLSv1.2' });
        await connected(socket);
        const fingerprint = fingerprintOf(socket);
        // Before the first byte of the request: what is secret is in it.
        requireKnown(fingerprint, trust, address, port);
        return await send(socket, question, fingerprint);
      } catch (thrown) {
        if (thrown instanceof RlnetError) throw thrown;
        const why = late
          ? `no answer within ${timeoutMs / 1000} s`
          : (errnoOf(thrown) ?? (thrown instanceof Error ? thrown.message : String(thrown)));
        throw new RlnetError(
          'RS_REST_UNREACHABLE',
          `RS's REST API at ${hostPort(address, port)} does not answer (${why}).`,
          'See that RS is installed and that its unit runs there; while its services restart it is away for some seconds.',
          { cause: thrown },
        );
      } finally {
        timer.cancel();
        socket?.destroy();
      }
    },
  };
}

function connected(socket: TLSSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('secureConnect', resolve);
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('closed by the other end')));
  });
}

function fingerprintOf(socket: TLSSocket): string {
  return normalFingerprint(socket.getPeerX509Certificate()?.fingerprint256 ?? '');
}

/** `AB:CD:…` as openssl prints it, or without colons, perhaps after `sha256:`: in lower case without colons. */
export function normalFingerprint(text: string): string {
  return text
    .trim()
    .toLowerCase()
    .replace(/^sha-?256[:=]/, '')
    .replaceAll(':', '');
}

function requireKnown(fingerprint: string, trust: Trust, address: Address, port: number): void {
  if ('anybody' in trust || trust.pins.has(fingerprint)) return;
  throw certificateUnknown(fingerprint, address, port);
}

export function certificateUnknown(fingerprint: string, address: Address, port: number): RlnetError {
  return new RlnetError(
    'RS_CERTIFICATE_UNKNOWN',
    `${hostPort(address, port)} shows a certificate that was not given, with the SHA-256 fingerprint ${fingerprint}. Nothing was sent to it.`,
    'Compare it on that host itself (openssl x509 -noout -fingerprint -sha256), then give it with --fingerprint, or the certificate with --certificate.',
  );
}

async function send(socket: TLSSocket, question: RestQuestion, fingerprint: string): Promise<RestReply> {
  const { method, path, body, trust, address, port } = question;
  const content = body === undefined ? undefined : JSON.stringify(body);
  const credentials = 'pins' in trust ? trust.credentials : undefined;
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    // Over the very connection whose certificate was looked at.
    const sent = request({
      createConnection: () => socket,
      method,
      path,
      headers: {
        Host: hostPort(address, port),
        Accept: 'application/json',
        Connection: 'close',
        ...(credentials === undefined ? {} : { Authorization: basic(credentials) }),
        ...(content === undefined
          ? {}
          : { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(content) }),
      },
    });
    sent.once('response', resolve);
    sent.once('error', reject);
    sent.end(content);
  });
  const text = await textOf(response);
  const { location } = response.headers;
  return {
    status: response.statusCode ?? 0,
    body: jsonOf(text),
    fingerprint,
    ...(location === undefined ? {} : { location }),
  };
}

function basic({ username, password }: { username: string; password: string }): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response) {
    const part = chunk as Buffer;
    bytes += part.length;
    if (bytes > maxBytes) {
      throw new RlnetError(
        'OUTPUT_UNREADABLE',
        `RS's REST API sent more than ${maxBytes} bytes.`,
        'Report it with the version of RS.',
      );
    }
    chunks.push(part);
  }
  return Buffer.concat(chunks).toString();
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
