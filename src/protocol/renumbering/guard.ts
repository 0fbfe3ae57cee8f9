import type { Address } from '../address.ts';
import type { AddressChange, HostAddress } from '../address-change.ts';
import type { HostsJudgement } from '../hosts-file.ts';
import type { NetworkInterface } from '../interfaces.ts';
import type { OwnerEdit, OwnerKind } from '../network-owner.ts';
import type { Route } from '../routing.ts';
import type { NodeTable, RunningActions, ShardTable } from '../rs.ts';
import type { UnitRecord, UnitState } from '../unit.ts';
import type { ToldLock } from './lock.ts';
import type { Member, MoveKind, Plan, PlanOptions } from './plan.ts';
import type { Reason } from './records.ts';

/** What is wanted: what a person asked for, or what a plan holds of it. */
export interface Move {
  /** Absent until there is a plan. */
  planId?: string;
  host: string;
  nodeUid: number;
  to: HostAddress;
  /** What is to take the place of the default route's gateway. */
  gateway?: Address;
  /** The interface that the node's address is said to be on. */
  interface?: string;
  options: PlanOptions;
}

/** The agent of a member, as it answers now. */
export interface AgentFact {
  uid: number;
  host?: string;
  /** Why it does not answer, in one sentence; absent where it does. */
  silent?: string;
  /** It answers, and does not know what a renumbering asks. */
  tooOld?: boolean;
  version?: string;
  /** How far its wall clock is ahead of this host's, milliseconds; half of the round trip is taken off. */
  clockAheadMs?: number;
  /** What it knows of the cluster's lock. */
  lock?: ToldLock;
  /** Ids of plans that it knows to be under way. */
  openRenumberings: readonly string[];
}

/** The owner of the link's configuration, and what it makes of the change. */
export type OwnerFact =
  | { is: 'refused'; reason: Reason }
  | {
      is: 'found';
      kind: OwnerKind;
      edit: OwnerEdit /** The new address stands in its files already. */;
      hasNew: boolean;
    };

/** How long a node is out of service, seconds. */
export interface Estimate {
  usual: number;
  /** Every wait up to its bound. */
  worst: number;
}

/** Everything that a guard may go by, freshly read. */
export interface FactValues {
  /** The node uid of this host; undefined where it is no node. */
  localUid: number | undefined;
  nodes: NodeTable;
  shards: ShardTable;
  running: RunningActions;
  /** The nodes as they were when the plan was made; those of the table while it is being made. */
  members: readonly Member[];
  change: AddressChange;
  kind: MoveKind;
  /** What becomes of the node's external addresses; undefined where the old address is not among them. Of the plan, as `change` is. */
  external: Plan['external'];
  estimate: Estimate;
  interfaces: readonly NetworkInterface[];
  routes: readonly Route[];
  hostsFile: HostsJudgement;
  unit: UnitRecord;
  /** The unit of this agent. */
  agentUnit: UnitState;
  /** As configured: an agent that observes changes nothing. */
  mode: 'manage' | 'observe';
  owner: OwnerFact;
  /** Whether a time source keeps this host's clock. */
  clockSynchronised: boolean;
  /** Bytes that root can still write, by directory. */
  freeBytes: readonly { path: string; bytes: number }[];
  /** Who made the machine, as its firmware (DMI) says; undefined where there is no such firmware. */
  vendor: string | undefined;
  /** When the mesh certificate of this host ends, and now; wall clock, milliseconds since the epoch. */
  certificate: { notAfter: number; now: number };
  agents: readonly AgentFact[];
  /** After how many seconds RS replaces the replicas of a node that is down; undefined where it does not say. */
  replicaHaGraceSeconds: number | undefined;
}
export type FactName = keyof FactValues;

/** What could not be found out, and why, in a sentence without its full stop. */
export interface Unknown {
  unknown: string;
}
export type Fact<T> = { value: T } | Unknown;
export type Facts = { readonly [K in FactName]: Fact<FactValues[K]> };

/** What a guard makes of facts that are all there. Sentences carry the evidence. */
export type Verdict =
  | { outcome: 'pass'; message: string }
  /** The remedy is the guard's own where none is given. */
  | { outcome: 'fail'; message: string; remedy?: string }
  | { outcome: 'unknown'; message: string };

export const pass = (message: string): Verdict => ({ outcome: 'pass', message });
export const fail = (message: string, remedy?: string): Verdict => ({
  outcome: 'fail',
  message,
  ...(remedy === undefined ? {} : { remedy }),
});
export const unclear = (message: string): Verdict => ({ outcome: 'unknown', message });

/**
 * `refuses`: what fails, and what is not known, keeps the node in service. `warns`: a person should know; nothing that could be lost
 * hangs on it, or a later step finds it out before it does harm.
 */
export type GuardSeverity = 'refuses' | 'warns';

/** One thing that must be so. docs/address-change.md has a row for each, with these very words. */
export interface Guard<K extends FactName = FactName> {
  /** Stable and append-only. */
  code: string;
  severity: GuardSeverity;
  /** What is so where it passes, to be put after "whether" as well. */
  title: string;
  /** What would happen otherwise. */
  why: string;
  remedy: string;
  /** Without any one of these its answer is unknown, and it is not asked. */
  needs: readonly K[];
  judge: (move: Move, facts: Pick<FactValues, K>) => Verdict;
}

/** Ties the facts that a guard judges to those that it says it needs. */
export function guard<const K extends FactName>(definition: Guard<K>): Guard<FactName> {
  return definition;
}

/** What a guard says. */
export interface GuardResult {
  code: string;
  severity: GuardSeverity;
  outcome: Verdict['outcome'];
  /** One sentence or several: what was seen, or why it is not known. */
  message: string;
  /** Why it matters; absent for one that passes. */
  why?: string | undefined;
  /** What a person does about it; empty for one that passes. */
  remedy: string;
}

/** Asks one guard. What it needs and does not know makes its answer unknown: there is no other way to pass than to be judged. */
export function ask(
  { code, severity, title, why, remedy, needs, judge }: Guard,
  move: Move,
  facts: Facts,
): GuardResult {
  const missing = needs.flatMap((name) => {
    const fact = facts[name];
    return 'unknown' in fact ? [fact.unknown] : [];
  });
  if (missing.length > 0) {
    return {
      code,
      severity,
      outcome: 'unknown',
      message: `Whether ${title} is not known: ${[...new Set(missing)].join('; ')}.`,
      why,
      remedy: 'Find out why that could not be read; it is read anew each time the guards are asked.',
    };
  }
  const values = Object.fromEntries(
    needs.flatMap((name) => {
      const fact = facts[name];
      return 'unknown' in fact ? [] : [[name, fact.value]];
    }),
  ) as unknown as FactValues;
  const verdict = judge(move, values);
  return {
    code,
    severity,
    outcome: verdict.outcome,
    message: verdict.message,
    ...(verdict.outcome === 'pass' ? {} : { why }),
    remedy:
      verdict.outcome === 'pass' ? '' : ((verdict.outcome === 'fail' ? verdict.remedy : undefined) ?? remedy),
  };
}
