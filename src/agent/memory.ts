import * as v from 'valibot';
import type { Files } from '../host/ports/files.ts';
import type { Address } from '../protocol/address.ts';
import { RlnetError } from '../protocol/errors.ts';
import { addressSchema, nameSchema, uidSchema } from '../protocol/schema.ts';

/**
 * What an agent knows of itself and its peers from the last time all was well: where to listen and whom to dial while RS does not
 * answer. Times are wall clock, milliseconds since the epoch.
 */
const memorySchema = v.object({
  cluster: nameSchema,
  host: nameSchema,
  nodeUid: v.optional(uidSchema),
  internalAddress: v.optional(addressSchema),
  peers: v.array(
    v.object({
      host: nameSchema,
      address: addressSchema,
      seenAt: v.number(),
      /** The machine that its certificate was first seen with, and is held to (docs/security.md). */
      machineId: v.optional(v.string()),
      /** The node that RS's node table here bore out that it is. */
      nodeUid: v.optional(uidSchema),
    }),
  ),
});
export type Memory = v.InferOutput<typeof memorySchema>;

/** A peer that is linked now. */
export interface Seen {
  host: string;
  address: Address;
  machineId: string | undefined;
  nodeUid: number | undefined;
}

export function memoryPath(stateDirectory: string): string {
  return `${stateDirectory}/identity.json`;
}

/**
 * @returns undefined on the first start
 * @throws RlnetError CONFIG_INVALID where the file is damaged, or is of another host or cluster: nothing in it may be believed then.
 */
export async function readMemory(
  files: Files,
  path: string,
  own: { cluster: string; host: string },
): Promise<Memory | undefined> {
  const text = await files.readIfExists(path);
  if (text === undefined) return undefined;
  const damaged = (why: string): RlnetError =>
    new RlnetError(
      'CONFIG_INVALID',
      `${why}.`,
      'If this host was cloned or renamed, remove the file; the agent starts from its seeds again.',
      { at: { file: path } },
    );
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch {
    throw damaged('The identity file is not JSON');
  }
  const parsed = v.safeParse(memorySchema, data);
  if (!parsed.success)
    throw damaged(`The identity file is not as it was written: ${parsed.issues[0].message}`);
  const { cluster, host } = parsed.output;
  if (cluster !== own.cluster || host !== own.host) {
    throw damaged(
      `The identity file is of ${cluster}/${host}, the certificate of ${own.cluster}/${own.host}`,
    );
  }
  return parsed.output;
}

export async function writeMemory(files: Files, path: string, memory: Memory): Promise<void> {
  await files.writeAtomic(path, `${JSON.stringify(memory, undefined, 2)}\n`, 0o600);
}

/** The memory as it is now, and on disk a moment later. */
export class MemoryStore {
  readonly #files: Files;
  readonly #path: string;
  readonly #onFailure: (thrown: unknown) => void;
  #writing: Promise<void> = Promise.resolve();
  #current: Memory;

  /** @param onFailure told when the file could not be written; what is known stays known in this process */
  constructor(files: Files, path: string, memory: Memory, onFailure: (thrown: unknown) => void) {
    this.#files = files;
    this.#path = path;
    this.#current = memory;
    this.#onFailure = onFailure;
  }

  get current(): Memory {
    return this.#current;
  }

  /** Resolves when it is durable. Does nothing where `next` is what it holds already. */
  set(next: Memory): Promise<void> {
    if (next !== this.#current) {
      this.#current = next;
      this.#writing = this.#writing
        .then(() => writeMemory(this.#files, this.#path, next))
        .catch(this.#onFailure);
    }
    return this.#writing;
  }
}

/** A peer that was not seen for so long is forgotten: 30 days. */
const forgetAfterMs = 30 * 24 * 60 * 60 * 1000;
/** A peer's time is written anew when it is this much out of date: the file changes once an hour, not with each message. */
const refreshAfterMs = 60 * 60 * 1000;

/**
 * The memory with what is known now. What is not known now keeps its old value: that is what the memory is for.
 * @returns the very same object where nothing is worth writing
 */
export function remember(
  before: Memory,
  now: {
    nodeUid: number | undefined;
    internalAddress: Address | undefined;
    peers: readonly Seen[];
    at: number;
  },
): Memory {
  const seen = new Map(now.peers.map((peer) => [peer.host, peer]));
  const kept = before.peers
    .filter((peer) => now.at - peer.seenAt < forgetAfterMs || seen.has(peer.host))
    .map((peer) => {
      const fresh = seen.get(peer.host);
      seen.delete(peer.host);
      return fresh === undefined ? peer : refreshed(peer, fresh, now.at);
    });
  const added = [...seen.values()].map((peer) => refreshed(undefined, peer, now.at));
  const nodeUid = now.nodeUid ?? before.nodeUid;
  const internalAddress = now.internalAddress ?? before.internalAddress;
  const after: Memory = {
    cluster: before.cluster,
    host: before.host,
    ...(nodeUid === undefined ? {} : { nodeUid }),
    ...(internalAddress === undefined ? {} : { internalAddress }),
    peers: [...kept, ...added],
  };
  return JSON.stringify(after) === JSON.stringify(before) ? before : after;
}

/** The very same object where only the time would change, and not by much. The machine stays the one that was seen first. */
function refreshed(
  before: Memory['peers'][number] | undefined,
  seen: Seen,
  at: number,
): Memory['peers'][number] {
  const machineId = before?.machineId ?? seen.machineId;
  const nodeUid = seen.nodeUid ?? before?.nodeUid;
  const stale = before === undefined || at - before.seenAt > refreshAfterMs;
  const same =
    before?.address === seen.address && before.machineId === machineId && before.nodeUid === nodeUid;
  if (before !== undefined && same && !stale) return before;
  return {
    host: seen.host,
    address: seen.address,
    seenAt: at,
    ...(machineId === undefined ? {} : { machineId }),
    ...(nodeUid === undefined ? {} : { nodeUid }),
  };
}
