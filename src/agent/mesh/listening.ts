import type { Clock, Timer } from '../../host/ports/clock.ts';
import type { Address } from '../../protocol/address.ts';
import type { Log } from '../log.ts';
import type { Channel, Listener, Refusal, Transport } from './channel.ts';

/** A failed attempt is repeated at this pace; an address that appears is noticed at once besides. */
const retryMs = 1_000;

export interface ListeningDependencies {
  transport: Transport;
  clock: Clock;
  log: Log;
  port: number;
  connected: (channel: Channel) => void;
  refused: (refusal: Refusal) => void;
}

/** Listens on the address that is wanted, whichever that is now: one listener at a time, and always towards what was wanted last. */
export class Listening {
  readonly #deps: ListeningDependencies;
  #wanted: Address | undefined;
  #current: { address: Address; listener: Listener } | undefined;
  #changing: Promise<void> = Promise.resolve();
  #timer: Timer | undefined;

  constructor(deps: ListeningDependencies) {
    this.#deps = deps;
  }

  /** @param address undefined to listen nowhere. Resolves when the change was made, or has failed and is tried again. */
  want(address: Address | undefined): Promise<void> {
    if (address !== this.#wanted) {
      this.#wanted = address;
      this.#change();
    }
    return this.#changing;
  }

  /** Takes up renewed certificates. */
  renew(): void {
    this.#current?.listener.renew();
  }

  #change(): void {
    this.#timer?.cancel();
    this.#changing = this.#changing.then(async () => {
      const wanted = this.#wanted;
      if (this.#current?.address === wanted) return;
      await this.#current?.listener.close();
      this.#current = undefined;
      if (wanted === undefined) return;
      const { transport, port, log, clock, connected, refused } = this.#deps;
      try {
        const listener = await transport.listen({ address: wanted, port }, connected, refused);
        this.#current = { address: wanted, listener };
        log.info({ address: wanted, port }, 'listening for peers');
      } catch (thrown) {
        log.warn({ address: wanted, port, err: thrown }, 'cannot listen for peers yet');
        this.#timer = clock.after(retryMs, () => this.#change());
      }
    });
  }
}
