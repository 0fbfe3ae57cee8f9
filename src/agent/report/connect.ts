import type { PeerCertificate } from 'node:tls';
import { type RawData, WebSocket } from 'ws';
import { collectorFromSubjectAltName } from '../../protocol/identity.ts';
import { quoted } from '../../protocol/messages.ts';
import { maxReportBytes, reportSubprotocol } from '../../protocol/reporting.ts';
import type { TlsMaterial } from '../mesh/transport.ts';
import { type ReportChannel, type ReportConnector, ReportRefusal } from './channel.ts';

const handshakeTimeoutMs = 10_000;

/**
 * @param url      `wss://` and no path
 * @param material this host's certificate as it is now
 * @param ca       the CA of the collector, as it is now; PEM
 */
export function createReportConnector(
  url: string,
  material: () => Pick<TlsMaterial, 'certificate' | 'key'>,
  ca: () => Promise<string>,
): ReportConnector {
  return {
    connect: async () => {
      let authorities: string;
      try {
        authorities = await ca();
      } catch (thrown) {
        throw new ReportRefusal(`its CA cannot be read (${thrown instanceof Error ? thrown.message : ''})`);
      }
      const { certificate, key } = material();
      return await new Promise<ReportChannel>((resolve, reject) => {
        const websocket = new WebSocket(url, reportSubprotocol, {
          ca: authorities,
          cert: certificate,
          key,
          minVersion: 'TLSv1.3',
          rejectUnauthorized: true,
          perMessageDeflate: false,
          maxPayload: maxReportBytes,
          handshakeTimeout: handshakeTimeoutMs,
          followRedirects: false,
          // Identity is the URI in the certificate: collectors move. As in the mesh, Node wants an error or undefined here.
          checkServerIdentity: ((_name: string, { subjectaltname }: PeerCertificate) =>
            collectorFromSubjectAltName(subjectaltname) === undefined
              ? new Error('its certificate names no collector')
              : undefined) as unknown as () => boolean,
        });
        websocket.once('unexpected-response', (_request, response) => {
          websocket.terminate();
          const seconds = Number(response.headers['retry-after']);
          reject(
            new ReportRefusal(
              `it answered HTTP ${response.statusCode}`,
              Number.isFinite(seconds) && seconds > 0 ? seconds * 1_000 : undefined,
            ),
          );
        });
        websocket.on('error', (error) => reject(new ReportRefusal(quoted(error.message))));
        websocket.once('open', () => resolve(channelOver(websocket)));
      });
    },
  };
}

function channelOver(websocket: WebSocket): ReportChannel {
  const early: string[] = [];
  let onText = (text: string): void => {
    early.push(text);
  };
  let onClosed = (_reason: string): void => {};
  let closed: string | undefined;
  websocket.on('message', (data: RawData, isBinary: boolean) =>
    onText(isBinary ? '' : (data as Buffer).toString()),
  );
  websocket.on('error', (error) => {
    closed ??= error.message;
  });
  websocket.on('close', (code, reason) => {
    closed ??= reason.length > 0 ? quoted(String(reason)) : `closed (${code})`;
    onClosed(closed);
  });
  return {
    start(handlers) {
      onText = handlers.text;
      onClosed = handlers.closed;
      for (const text of early.splice(0)) onText(text);
      if (websocket.readyState === WebSocket.CLOSED) onClosed(closed ?? 'closed');
    },
    send(text) {
      if (websocket.readyState === WebSocket.OPEN) websocket.send(text, () => {});
    },
    close() {
      websocket.terminate();
    },
  };
}
