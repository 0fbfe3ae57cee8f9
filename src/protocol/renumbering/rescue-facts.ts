import type { Address } from '../address.ts';
import type { NetworkInterface } from '../interfaces.ts';
import type { NodeTable } from '../rs.ts';
import type { UnitRecord, UnitState } from '../unit.ts';
import type { DirectionWord } from './dead-man.ts';
import type { Fact } from './guard.ts';
import type { LockState } from './lock.ts';
import type { Plan } from './plan.ts';
import { type Progress, progressOf } from './progress.ts';
import type { BootTime, JournalRecord } from './records.ts';
import type { OpenRenumbering } from './request.ts';

/** A journal of this host as it was read. */
export interface JournalFact {
  path: string;
  /** The id of its plan, by the name of the file. */
  planId: string;
  /** Those that can be trusted: all, or those before the damage. */
  records: readonly JournalRecord[];
  /** What is wrong with it, and where; absent for a whole one. */
  damage?: string;
}

/** The dead man's directory and units. */
export interface DeadManFact {
  /** Its script is there: without it no timer does anything. */
  armed: boolean;
  word: DirectionWord | undefined;
  /** The word that it acted on, or acts on. */
  takenOver: DirectionWord | undefined;
  /** It has come to its end: the unit was started. */
  finished: boolean;
  /** `actsIn` in seconds; undefined where the timer does not run. */
  timer: Fact<{ actsIn: number | undefined; enabled: boolean }>;
  /** `waiting`: an attempt has failed, and the next one is half a minute away at most. */
  service: Fact<'idle' | 'running' | 'waiting'>;
}

/** The back-up of the owner's files, and what those files are now, measured by it. */
export type BackupFact =
  | { is: 'none' }
  | { is: 'damaged'; why: string }
  | {
      is: 'whole';
      files: readonly { path: string; state: 'before' | 'after' | 'other' | 'missing' }[];
    };

/** What the commands name. */
export interface RescuePaths {
  /** The dead man's directory. */
  deadMan: string;
  /** The back-up of the chosen renumbering. */
  backup: string;
  /** Where a change of the kernel's addresses stands. */
  change: string;
  rladmin: string;
  /** Undefined where the configuration names none, or cannot be read. */
  hook: string | undefined;
}

/** Everything that rescue goes by: read from this host, and nothing remembered. */
export interface RescueFacts {
  /** Wall clock, milliseconds since the epoch. */
  wall: number;
  now: BootTime;
  paths: RescuePaths;
  /** Why the configuration was not taken, and defaults were; undefined where it was read. */
  configuration: string | undefined;
  /** The one that needs looking at, if any (`subjectOf`). */
  subject: JournalFact | undefined;
  lock: Fact<LockState | undefined>;
  deadMan: DeadManFact;
  agent: {
    unit: Fact<UnitState>;
    /** What the agent says of a renumbering of this host; unknown where it does not answer. */
    says: Fact<OpenRenumbering | undefined>;
  };
  interfaces: Fact<readonly NetworkInterface[]>;
  /** A change of the kernel's addresses that stands for a time. */
  standing: Fact<{ kind: 'rehearsal' | 'swap' } | undefined>;
  backup: Fact<BackupFact>;
  /** RS's unit. */
  unit: Fact<UnitRecord>;
  /** Which of the two run: what netplan has written is taken up by the one that does. */
  renderers: Fact<{ networkd: boolean; NetworkManager: boolean }>;
  nodes: Fact<NodeTable>;
  /** The address that a person has seen in RS for this node. */
  rsAddress: Address | undefined;
}

/** The plan of a journal and how far it got; each undefined where the damage is before it. */
export function readJournal({ records, damage }: JournalFact): {
  plan: Plan | undefined;
  progress: Progress | undefined;
} {
  const [first] = records;
  const plan = first?.type === 'open' ? first.plan : undefined;
  return { plan, progress: damage === undefined && plan !== undefined ? progressOf(records) : undefined };
}

/** The journal that a person has to look at: a damaged or open one before one that stopped, and of those the newest. */
export function subjectOf(journals: readonly JournalFact[]): JournalFact | undefined {
  // One without a whole line was never begun.
  const begun = journals.filter(({ records, damage }) => records.length > 0 || damage !== undefined);
  const newestFirst = begun.toSorted((a, b) => lastWall(b) - lastWall(a));
  const unfinished = newestFirst.find(
    (journal) => journal.damage !== undefined || readJournal(journal).progress?.closed === undefined,
  );
  if (unfinished !== undefined) return unfinished;
  // One that stopped and was followed by another is over: a person has seen to it.
  const [newest] = newestFirst;
  return newest !== undefined && readJournal(newest).progress?.closed?.outcome === 'stopped'
    ? newest
    : undefined;
}

function lastWall({ records }: JournalFact): number {
  return records.at(-1)?.wall ?? 0;
}
