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
  peers: v.array(v.object({ host: nameSchema, address: addressSchema, seenAt: v.number() })),
});
export type Memory = v.InferOutput<typeof memorySchema>;

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
    peers: readonly { host: string; address: Address }[];
    at: number;
  },
): Memory {
  const seen = new Map(now.peers.map(({ host, address }) => [host, { host, address, seenAt: now.at }]));
  const kept = before.peers
    .filter((peer) => now.at - peer.seenAt < forgetAfterMs || seen.has(peer.host))
    .map((peer) => {
      const fresh = seen.get(peer.host);
      seen.delete(peer.host);
      const worthIt =
        fresh !== undefined &&
        (fresh.address !== peer.address || fresh.seenAt - peer.seenAt > refreshAfterMs);
      return worthIt ? fresh : peer;
    });
  const nodeUid = now.nodeUid ?? before.nodeUid;
  const internalAddress = now.internalAddress ?? before.internalAddress;
  const after: Memory = {
    cluster: before.cluster,
    host: before.host,
    ...(nodeUid === undefined ? {} : { nodeUid }),
    ...(internalAddress === undefined ? {} : { internalAddress }),
    peers: [...kept, ...seen.values()],
  };
  return JSON.stringify(after) === JSON.stringify(before) ? before : after;
}
