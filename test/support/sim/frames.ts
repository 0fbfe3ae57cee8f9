import type { HostIdentity } from '../../../src/protocol/identity.ts';

/** A certificate, reduced to what the real transport and TLS look at. */
export interface SimCertificate {
  /** What its subject alternative names say; undefined where no rlnet host is among them. */
  identity: HostIdentity | undefined;
  /** The CA that signed it. */
  authority: string;
  serial: string;
  /** Wall clock, milliseconds since the epoch. */
  validFrom: number;
  validTo: number;
}

/** What goes over a connection of two transports: the flights of TLS 1.3 and of the WebSocket upgrade, then its frames. */
export type Frame =
  | { kind: 'client hello' }
  | { kind: 'server hello'; certificate: SimCertificate | undefined }
  | { kind: 'upgrade'; certificate: SimCertificate | undefined }
  | { kind: 'alert'; reason: string }
  | { kind: 'switching protocols' }
  | { kind: 'forbidden'; code: string }
  | { kind: 'text'; text: string; bytes: number }
  | { kind: 'close'; code: number; reason: string };

/** About what a frame takes on the wire, in bytes. */
export function sizeOf(frame: Frame): number {
  switch (frame.kind) {
    case 'text':
      return frame.bytes + 30;
    case 'close':
      return frame.reason.length + 30;
    case 'server hello':
    case 'upgrade':
      return 1500;
    case 'client hello':
    case 'alert':
    case 'switching protocols':
    case 'forbidden':
      return 300;
  }
}

/** For the trace. */
export function describeFrame(frame: Frame): string {
  switch (frame.kind) {
    case 'text':
      return frame.text;
    case 'close':
      return `close ${frame.code} ${frame.reason}`;
    case 'alert':
      return `alert ${frame.reason}`;
    case 'forbidden':
      return `forbidden ${frame.code}`;
    case 'client hello':
    case 'server hello':
    case 'upgrade':
    case 'switching protocols':
      return frame.kind;
  }
}
