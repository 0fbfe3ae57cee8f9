import type { Clock, Timer } from '../../host/ports/clock.ts';
import type { Random } from '../../host/ports/random.ts';
import type { Address } from '../../protocol/address.ts';
import { asRlnetError } from '../../protocol/errors.ts';
import type { Channel } from './channel.ts';
import { redialDelayMs } from './rules.ts';

export interface DiallerDependencies {
  clock: Clock;
  random: Random;
  dial: (address: Address) => Promise<Channel>;
  /** A connection came about; whether it becomes a link is said by `linked` or `failed`. */
  connected: (channel: Channel) => void;
  /** The reason for being unreached is another one now. */
  changed: () => void;
}

/** Keeps trying to reach one address for as long as there is no link to it. Never gives up. */
export class Dialler {
  readonly address: Address;
  readonly #deps: DiallerDependencies;
  /** `connecting`: dialling, or waiting for the other side's hello. `resting`: there is a link. */
  #status: 'connecting' | 'waiting' | 'resting' | 'stopped' = 'connecting';
  /** Failures since the last link. */
  #attempt = 0;
  #timer: Timer | undefined;
  /** Wall clock, milliseconds since the epoch. */
  since: number;
  reason = 'not tried yet';

  constructor(address: Address, deps: DiallerDependencies) {
    this.address = address;
    this.#deps = deps;
    this.since = deps.clock.wall();
    void this.#dial();
  }

  /** There is a link to the address, whoever opened it. */
  linked(): void {
    if (this.#status === 'stopped') return;
    this.#timer?.cancel();
    this.#status = 'resting';
    this.#attempt = 0;
  }

  /** There is a link, which is to be replaced: this end of it has another address by now. */
  again(): void {
    if (this.#status === 'resting') void this.#dial();
  }

  /** The link was lost, or the connection never became one. */
  /** @param refused whether trying again soon can change nothing */
  failed(reason: string, refused = false): void {
    if (this.#status === 'stopped' || this.#status === 'waiting') return;
    const { clock, random, changed } = this.#deps;
    if (this.#status === 'resting') this.since = clock.wall();
    this.#status = 'waiting';
    this.#timer = clock.after(
      redialDelayMs(this.#attempt, refused, random.fraction()),
      () => void this.#dial(),
    );
    this.#attempt += 1;
    if (this.reason === reason) return;
    this.reason = reason;
    changed();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#status = 'stopped';
  }

  /** Never rejects: what goes wrong is a reason to try again. */
  async #dial(): Promise<void> {
    this.#status = 'connecting';
    try {
      const channel = await this.#deps.dial(this.address);
      // Meanwhile the other side's own dial may have made the link, or this address may be of no interest any more.
      if (this.#status === 'connecting') this.#deps.connected(channel);
      else channel.terminate();
    } catch (thrown) {
      const { message, code } = asRlnetError(thrown);
      if (this.#status === 'connecting') this.failed(message, code === 'PEER_REFUSED');
    }
  }
}
