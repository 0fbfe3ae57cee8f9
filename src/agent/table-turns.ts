import { createHash } from 'node:crypto';
import type { NodeTable } from '../protocol/rs.ts';
import { known, type Observations, ownRow } from './observations.ts';

/** A host's place among those that read RS's node table one after the other, from 0. */
export interface Turn {
  place: number;
  of: number;
  /** From one turn of a host to its next, milliseconds. */
  everyMs: number;
}

/** From one host's turn to the next one's. One host alone would not read so often, and none reads more seldom than it can be wrong for. Milliseconds. */
const spacingMs = 4_000;
const shortestMs = 12_000;
const longestMs = 60_000;

/** Whoever is in no table takes no turn from anybody. */
export const onlyTurn: Turn = { place: 0, of: 1, everyMs: shortestMs };

/** A read that began so shortly before its turn is that turn: a timer may be early, and a clock is slewed. Milliseconds. */
const earlyMs = 100;

/**
 * This host's turn, by the node table that it read last; undefined while there is none. A node that RS calls down reads nothing, so the others
 * close up; all hosts know of it by the same table.
 */
export function turnOf(observations: Observations): Turn | undefined {
  const table = known(observations.nodeTable);
  if (table === undefined) return undefined;
  const own = ownRow(observations)?.uid;
  const readers = table.nodes
    .filter(({ uid, status }) => uid === own || status !== 'down')
    .map(({ uid }) => uid)
    .sort((a, b) => a - b);
  if (own === undefined) return onlyTurn;
  const everyMs = Math.min(longestMs, Math.max(shortestMs, spacingMs * readers.length));
  return { place: readers.indexOf(own), of: readers.length, everyMs };
}

/**
 * Milliseconds from the end of a read to the next one: at this host's turn by the wall clock, which the hosts share well enough; a wrong one spoils the
 * order and never the pace. A read out of turn takes no turn away, since no other host reads in its place; but what takes long has as long a rest.
 *
 * @param now    wall clock, milliseconds since the epoch
 * @param tookMs how long ago the read began that has just ended
 */
export function untilTurn({ place, of, everyMs }: Turn, now: number, tookMs: number): number {
  const from = now - tookMs + earlyMs;
  const left = ((everyMs * place) / of - from) % everyMs;
  const turn = from + (left < 0 ? left + everyMs : left);
  return Math.max(turn - now, tookMs);
}

/**
 * Equal for two tables of which the findings are the same, whoever printed them: without the star, shards, memory, and for how long a node has been
 * down, which differ between hosts or change all the time.
 */
export function markOf({ nodes, unread }: NodeTable): string {
  const rows = nodes
    .toSorted((a, b) => a.uid - b.uid)
    .map(({ uid, role, address, externalAddresses, shards, version, status }) => {
      const takesShards = shards?.limit !== 0;
      return { uid, role, address, externalAddresses, takesShards, version, status };
    });
  return createHash('sha256')
    .update(JSON.stringify([rows, unread.length]))
    .digest('hex')
    .slice(0, 8);
}

/**
 * Whether what another host says of its table is a reason to read ours: it has read another one than before, and not the one that is here. That it
 * differs is none, or two hosts that RS tells different things would never rest.
 *
 * @param told, before the other host's mark, now and when it was heard last; undefined where it said none
 * @param own  the mark of the table that is here
 */
export function isNews(
  told: string | undefined,
  before: string | undefined,
  own: string | undefined,
): boolean {
  return told !== undefined && told !== before && told !== own;
}
