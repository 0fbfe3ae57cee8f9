import type { LineChannel, LocalSockets } from '../../../src/host/ports/local-sockets.ts';
import { RlnetError } from '../../../src/protocol/errors.ts';
import type { SimProcess } from './process.ts';

/** How long a line takes from one process to another on the same machine, milliseconds. */
const hop = 0.05;

interface Listening {
  process: SimProcess;
  onChannel: (channel: LineChannel) => void;
}

/** The Unix sockets of a machine. */
export class SimLocalSockets {
  readonly #listening = new Map<string, Listening>();

  /** What a process of the machine sees of them. */
  port(process: SimProcess): LocalSockets {
    return {
      listen: async (path, _access, onChannel) => {
        await process.call(hop, `listen ${path}`, () => {
          if (this.#listening.get(path)?.process.isAlive) {
            throw new RlnetError(
              'AGENT_ALREADY_RUNNING',
              `An agent listens on ${path} already.`,
              'Stop it first.',
            );
          }
          this.#listening.set(path, { process, onChannel });
        });
        const close = (): void => {
          if (this.#listening.get(path)?.process === process) this.#listening.delete(path);
        };
        process.onExit(close);
        return { close: async () => close() };
      },
      connect: async (path) => {
        const listening = await process.call(hop, `connect ${path}`, () => this.#listening.get(path));
        if (listening === undefined) {
          throw new RlnetError('AGENT_NOT_RUNNING', `No agent listens on ${path}.`, 'Start it.');
        }
        const ours = new LocalEnd(process);
        const theirs = new LocalEnd(listening.process);
        ours.connect(theirs);
        listening.process.io(hop, `accept ${path}`, () => listening.onChannel(theirs));
        return ours;
      },
    };
  }
}

class LocalEnd implements LineChannel {
  readonly #process: SimProcess;
  readonly #early: string[] = [];
  #peer: LocalEnd | undefined;
  #handlers: { line: (line: string) => void; closed: () => void } | undefined;
  #closed = false;
  #told = false;
  #dropped = false;
  /** Bytes that this end has sent and the other has not read. */
  queuedBytes = 0;

  constructor(process: SimProcess) {
    this.#process = process;
    process.onExit(() => this.close());
  }

  connect(peer: LocalEnd): void {
    this.#peer = peer;
    peer.#peer = this;
  }

  start(handlers: { line: (line: string) => void; closed: () => void }): void {
    this.#handlers = handlers;
    for (const line of this.#early.splice(0)) handlers.line(line);
    if (this.#closed) this.#tell();
  }

  send(line: string): void {
    const peer = this.#peer;
    if (this.#closed || peer === undefined) return;
    this.queuedBytes += line.length + 1;
    peer.#process.io(hop, `line ${line}`, () => {
      this.queuedBytes -= line.length + 1;
      if (this.#dropped) return;
      if (peer.#handlers === undefined) peer.#early.push(line);
      else if (!peer.#closed) peer.#handlers.line(line);
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#process.io(hop, 'local socket closed', () => this.#tell());
    const peer = this.#peer;
    if (peer !== undefined) peer.#process.io(hop, 'local socket ended', () => peer.close());
  }

  drop(): void {
    this.#dropped = true;
    this.close();
  }

  #tell(): void {
    if (this.#told || this.#handlers === undefined) return;
    this.#told = true;
    this.#handlers.closed();
  }
}
