import * as v from 'valibot';

/** What happens when a wait is over its bound. */
export type AfterBound =
  /** Forward: turn back. */
  | 'turn'
  /** Raise an alarm, keep the lock, and go on waiting: nothing that could be done would be better. */
  | 'alarm'
  /** Stop with the reason and keep the lock: a person must look. */
  | 'stop';

interface Bound {
  /** Seconds of boot time (CLOCK_BOOTTIME). */
  seconds: number;
  after: AfterBound;
  /** What is waited for, and why this long. */
  why: string;
}

/**
 * Every wait of a renumbering, in one place. Configuration may change the seconds (`renumbering.bounds`), not what
 * follows. `docs/address-change.md` shows this table.
 */
export const bounds = {
  claim: { seconds: 60, after: 'turn', why: 'a majority of the nodes grants the lock' },
  rehearse: { seconds: 60, after: 'turn', why: 'the wire and every peer answer for the new address' },
  demote: { seconds: 300, after: 'turn', why: 'RS moves roles; a large node takes minutes' },
  unit: { seconds: 60, after: 'turn', why: 'systemd enables or disables a unit in milliseconds' },
  restart: {
    seconds: 900,
    after: 'alarm',
    why: 'a server with much memory takes minutes to its boot loader',
  },
  readdress: {
    seconds: 120,
    after: 'turn',
    why: 'the owner activates its files, and peers answer at the new address',
  },
  down: { seconds: 120, after: 'turn', why: 'RS calls a silent node DOWN after about half a minute' },
  rladmin: { seconds: 30, after: 'turn', why: 'one rladmin command of the registrar, killed after that' },
  start: { seconds: 300, after: 'turn', why: 'the unit starts all of RS' },
  rejoin: {
    seconds: 300,
    after: 'turn',
    why: 'the node is OK at its address, seen on the registrar and here',
  },
  soak: {
    seconds: 30,
    after: 'turn',
    why: 'OK without a break for so long; a node that flaps has not rejoined',
  },
  resync: {
    seconds: 3600,
    after: 'alarm',
    why: 'shards copy what they missed; a healthy node is never rolled back for it',
  },
  release: { seconds: 60, after: 'alarm', why: 'a majority notes that the lock is free' },
  back: { seconds: 600, after: 'stop', why: 'one step of the way back' },
} as const satisfies Record<string, Bound>;

export type BoundName = keyof typeof bounds;
/** Seconds by name, as a plan carries them. */
export type Bounds = Record<BoundName, number>;

export const secondsSchema = v.pipe(v.number(), v.minValue(1), v.maxValue(86_400));

export const boundsSchema = v.object(
  Object.fromEntries(Object.keys(bounds).map((name) => [name, secondsSchema])) as Record<
    BoundName,
    typeof secondsSchema
  >,
);

export const defaultBounds = Object.fromEntries(
  Object.entries(bounds).map(([name, { seconds }]) => [name, seconds]),
) as Bounds;

/**
 * How long an `addr set` may still land after the registrar was asked for it: it waits for DOWN, runs one command, and
 * a margin for two boot clocks that run differently fast. Seconds.
 */
export function registrationMayLandFor({ down, rladmin }: Bounds): number {
  return (down + rladmin) * 1.01 + 5;
}
