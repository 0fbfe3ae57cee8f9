import { createServer as createPlainServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { rangeOf } from '../protocol/address.ts';
import type { WebServer } from './ports/web-server.ts';

const headersTimeoutMs = 5_000;
const requestTimeoutMs = 10_000;
const maxConnections = 64;

export function createWebServer(): WebServer {
  return {
    async listen(at, tls, answer) {
      if (tls === undefined && rangeOf(at.address) !== 'loopback')
        throw new RangeError(`${at.address} is not on the loopback, and there are no certificates`);
      const listener: RequestListener = (request, response) => {
        const url = new URL(request.url ?? '/', 'http://localhost');
        const send = (status: number, type: string, body: string): void => {
          response.writeHead(status, {
            'content-type': `${type}; charset=utf-8`,
            'content-length': Buffer.byteLength(body),
            'cache-control': 'no-store',
            'x-content-type-options': 'nosniff',
            'content-security-policy': "default-src 'self'; style-src 'self' 'unsafe-inline'",
          });
          response.end(request.method === 'HEAD' ? undefined : body);
        };
        if (request.method !== 'GET' && request.method !== 'HEAD') {
          send(405, 'text/plain', 'only GET\n');
          return;
        }
        Promise.resolve()
          .then(() => answer({ path: url.pathname, query: new Map(url.searchParams) }))
          .then(
            ({ status, type, body }) => send(status, type, body),
            (thrown: unknown) =>
              send(500, 'text/plain', `${thrown instanceof Error ? thrown.message : 'failed'}\n`),
          );
      };
      const limits = { headersTimeout: headersTimeoutMs, requestTimeout: requestTimeoutMs };
      const server =
        tls === undefined
          ? createPlainServer(limits, listener)
          : createTlsServer(
              {
                ...limits,
                cert: tls.certificate,
                key: tls.key,
                ca: tls.ca,
                minVersion: 'TLSv1.3',
                requestCert: true,
                rejectUnauthorized: true,
              },
              listener,
            );
      server.maxConnections = maxConnections;
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen({ host: at.address, port: at.port }, () => {
          server.removeListener('error', reject);
          // A listener that fails later has lost one connection; the server goes on.
          server.on('error', () => {});
          resolve();
        });
      });
      return {
        close: () =>
          new Promise((resolve) => {
            server.close(() => resolve());
            server.closeAllConnections();
          }),
      };
    },
  };
}
