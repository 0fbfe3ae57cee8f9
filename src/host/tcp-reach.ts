import { connect } from 'node:net';
import type { Address } from '../protocol/address.ts';
import { errnoOf } from '../protocol/errors.ts';
import type { Clock } from './ports/clock.ts';
import type { Reach } from './ports/wire.ts';

/** Time for a SYN that is lost to be sent again, after 1 s, and for an answer. */
const timeoutMs = 3_000;

/** Connects from one of our addresses, and hangs up. */
export function reachByTcp(
  clock: Clock,
  { source, target, port }: { source: Address; target: Address; port: number },
  signal?: AbortSignal,
): Promise<Reach> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(signal.reason as Error);
      return;
    }
    const socket = connect({ host: target, port, localAddress: source });
    const settle = (act: () => void): void => {
      timer.cancel();
      signal?.removeEventListener('abort', abort);
      socket.destroy();
      act();
    };
    const abort = (): void => settle(() => reject(signal?.reason as Error));
    const timer = clock.after(timeoutMs, () =>
      settle(() => resolve({ outcome: 'unreachable', why: `no answer within ${timeoutMs / 1000} s` })),
    );
    signal?.addEventListener('abort', abort, { once: true });
    socket.on('connect', () => settle(() => resolve({ outcome: 'connected' })));
    socket.on('error', (error) => settle(() => resolve(outcomeOf(error, source))));
  });
}

/** What the kernel's word for a connection that did not come about says of the path (connect(2), ip(7)). */
function outcomeOf(error: Error, source: Address): Reach {
  const code = errnoOf(error) ?? error.message;
  switch (code) {
    case 'ECONNREFUSED':
    case 'ECONNRESET':
      return { outcome: 'refused' };
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'ETIMEDOUT':
      return { outcome: 'unreachable', why: code };
    case 'EADDRNOTAVAIL':
      return { outcome: 'unknown', why: `${source} is not an address that this host can use now.` };
    default:
      return { outcome: 'unknown', why: code };
  }
}
