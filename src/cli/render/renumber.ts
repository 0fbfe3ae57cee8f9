import type { Result } from '../../protocol/methods.ts';
import type { PlanOptions } from '../../protocol/renumbering/plan.ts';
import type { JournalRecord } from '../../protocol/renumbering/records.ts';
import type { PlanReport } from '../../protocol/renumbering/request.ts';
import { forwardPathOf, type Step } from '../../protocol/renumbering/steps.ts';
import { renderTable } from './table.ts';

/** A plan for the person who decides: what, how, who sees it, what stands in the way. */
export function renderPlan(report: PlanReport): string {
  const { plan, guards } = report;
  const failing = guards.filter(({ outcome }) => outcome !== 'pass');
  const verdicts = failing.flatMap(({ severity, outcome, code, message, why, remedy }) => [
    `${severity === 'refuses' ? 'refused' : 'warning'}${outcome === 'unknown' ? ' (not known)' : ''}  ${code}: ${message}`,
    ...(why === undefined ? [] : [`       ${why}`]),
    `       ${remedy}`,
  ]);
  const passed = guards.length - failing.length;
  if (plan === undefined) return `${['no plan can be made', '', ...verdicts].join('\n')}\n`;
  const { change, options } = plan;
  const refused = failing.some(({ severity }) => severity === 'refuses');
  const prefixed = ({ address, prefixLength }: typeof change.from): string => `${address}/${prefixLength}`;
  return `${[
    `plan ${plan.id}: node ${plan.nodeUid} (${plan.host}) of ${plan.cluster} from ${prefixed(change.from)} to ${prefixed(change.to)}`,
    `  kind      ${plan.kind.replace('_', ' ')}, on ${change.link.name}${change.link.mac === undefined ? '' : ` (${change.link.mac})`}`,
    `  owner     ${plan.owner}`,
    `  unit      ${plan.unit.unit}`,
    `  steps     ${stepsOf(options).join(', ')}`,
    `  estimate  out of service for about ${plan.estimateSeconds} s`,
    ...(plan.external === undefined
      ? []
      : [`  external  ${plan.external.from.join(', ')} becomes ${plan.external.to.join(', ')}`]),
    ...(options.proveByReboot ? [] : ['  proof     not proven by a boot (--prove-by-reboot)']),
    ...block('What clients will see', plan.effects),
    ...block(
      'What names the old address',
      plan.references.map(
        ({ where, who, what }) => `${who === 'rlnet' ? 'rlnet' : 'you'}  ${where}: ${what}`,
      ),
    ),
    ...plan.files.flatMap(({ path, diff }) => [
      '',
      `${path}`,
      ...diff.split('\n').filter((line) => line !== ''),
    ]),
    '',
    `${passed} of ${guards.length} guards pass`,
    ...verdicts,
    '',
    refused
      ? 'It cannot be started like this.'
      : `Nothing was changed. Kept for an hour: rlnet renumber start ${plan.id}`,
  ].join('\n')}\n`;
}

function block(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ['', title, ...lines.map((line) => `  ${line}`)];
}

function stepsOf(options: PlanOptions): string[] {
  return forwardPathOf(options).map((step) =>
    step === 'restart' && !options.reboot ? 'restart (the unit alone)' : step,
  );
}

/** Plans and renumberings of all hosts. */
export function renderRenumberings(hosts: Result<'renumberings'>['hosts']): string {
  const rows = hosts
    .flatMap((each) => ('renumberings' in each ? each.renumberings : []))
    .toSorted((a, b) => b.at - a.at)
    .map(({ planId, host, nodeUid, from, to, is, at }) => [
      planId,
      `${nodeUid}`,
      host,
      from.address,
      to.address,
      is.replace('_', ' '),
      new Date(at).toISOString().slice(0, 19).replace('T', ' '),
    ]);
  const silent = hosts.flatMap((each) =>
    'unknown' in each ? [`not known: ${each.host}: ${each.unknown}`] : [],
  );
  const table =
    rows.length === 0
      ? ['no plans and no renumberings']
      : renderTable(['PLAN', 'NODE', 'HOST', 'FROM', 'TO', 'IS', 'SINCE (UTC)'], rows);
  return `${[...table, ...silent].join('\n')}\n`;
}

/** All records, a line each. */
export function renderJournal(records: readonly JournalRecord[]): string {
  return records.map((record) => `${renderRecord(record)}\n`).join('');
}

/** One record as one line: time of day (UTC), what. */
export function renderRecord(record: JournalRecord): string {
  const text = `${new Date(record.wall).toISOString().slice(11, 23)}  ${textOf(record)}`;
  return text.replaceAll(/[\n\r]+/g, ' ');
}

function textOf(record: JournalRecord): string {
  switch (record.type) {
    case 'open': {
      const { id, nodeUid, host, change } = record.plan;
      return `begun: plan ${id}, node ${nodeUid} (${host}) from ${change.from.address} to ${change.to.address}`;
    }
    case 'resumed':
      return `the agent goes on, in boot ${record.at.bootId.slice(0, 8)}`;
    case 'intent': {
      const again = record.attempt === 1 ? '' : `, attempt ${record.attempt}`;
      return `${labelOf(record)}…${again}`;
    }
    case 'done':
      return `${labelOf(record)} done: ${record.evidence}`;
    case 'turned':
      return `turns back: ${record.reason.code}: ${record.reason.message}`;
    case 'abort':
      return `${record.by} asks to abort: ${record.reason}`;
    case 'alarm':
      return `ALARM at ${labelOf(record)}: ${record.reason.code}: ${record.reason.message} ${record.reason.remedy}`;
    case 'taken_over':
      return `the dead man acted, by the word ${record.direction_word}`;
    case 'reopened':
      return `${record.by} asks to go on`;
    case 'closed':
      return `${record.outcome.replace('_', ' ')}${record.reason === undefined ? '' : `: ${record.reason.code}: ${record.reason.message} ${record.reason.remedy}`}`;
  }
}

function labelOf({ direction, step }: { direction: 'forward' | 'back'; step: Step }): string {
  return direction === 'back' ? `back: ${step}` : step;
}

/** One step that was gone through, wall-clock milliseconds; `ended` is absent for the one that is under way. */
interface Passage {
  label: string;
  step: Step | undefined;
  began: number;
  ended: number | undefined;
  evidence: string;
  /** Milliseconds of it for which others were waited for, as far as that is known. */
  rsMs: number;
  ownerMs: number;
}

function passagesOf(records: readonly JournalRecord[]): Passage[] {
  const passages: Passage[] = [];
  let since = records[0]?.wall ?? 0;
  let current: Passage | undefined;
  for (const record of records) {
    if (record.type === 'intent') {
      current ??= {
        label: labelOf(record),
        step: record.step,
        began: since,
        ended: undefined,
        evidence: '',
        rsMs: 0,
        ownerMs: 0,
      };
    } else if (record.type === 'done') {
      const began = current?.began ?? since;
      const { step, evidence, rsMs = 0, ownerMs = 0 } = record;
      passages.push({ label: labelOf(record), step, began, ended: record.wall, evidence, rsMs, ownerMs });
      since = record.wall;
      current = undefined;
    } else if (record.type === 'turned' || record.type === 'closed' || record.type === 'taken_over') {
      if (current !== undefined) passages.push({ ...current, ended: record.wall, evidence: 'not done' });
      passages.push({
        label: textOf(record),
        step: undefined,
        began: record.wall,
        ended: record.wall,
        evidence: '',
        rsMs: 0,
        ownerMs: 0,
      });
      since = record.wall;
      current = undefined;
    }
  }
  return current === undefined ? passages : [...passages, current];
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

/** The steps so far with their times, for a terminal. @param now wall clock @param note shown below */
export function renderSteps(
  records: readonly JournalRecord[],
  now: number,
  note: string | undefined,
): string {
  const passages = passagesOf(records);
  const [first] = records;
  const head = first?.type === 'open' ? [textOf(first), ''] : [];
  const rows = passages.map(({ label, step, began, ended, evidence }) =>
    step === undefined
      ? label
      : `${ended === undefined ? '…' : ' '} ${label.padEnd(22)} ${seconds((ended ?? now) - began).padStart(9)}  ${evidence}`,
  );
  return `${[...head, ...rows, ...(note === undefined ? [] : ['', note])].join('\n')}\n`;
}

/** Whose time the steps are that are not rlnet's own: of the host, of RS, and the soak. */
const others: Readonly<Partial<Record<Step, string>>> = {
  restart: 'the host',
  prove: 'the host, RS and the soak',
  demote: 'RS',
  register: 'RS',
  restore_registration: 'RS',
  start: 'RS',
  stop: 'RS',
  rejoin: 'RS and the soak',
};

/** How long each step took, and whose time it was. */
export function renderTiming(records: readonly JournalRecord[]): string {
  const passed = passagesOf(records).flatMap(({ step, label, began, ended, rsMs, ownerMs }) => {
    if (step === undefined || ended === undefined) return [];
    const ms = ended - began;
    const other = others[step];
    // By two clocks: the wall's, and the one that the waits are timed with.
    const own = other === undefined ? Math.max(0, ms - rsMs - ownerMs) : 0;
    const shares = [
      ['rlnet', own],
      ['RS', rsMs],
      ['the owner', ownerMs],
    ] as const;
    const told = shares.filter(([, share], index) => index === 0 || share >= 50);
    const split = told.map(([who, share]) => `${who} ${seconds(share)}`).join(', ');
    return [{ label, ms, own, whose: other ?? (told.length === 1 ? 'rlnet' : split) }];
  });
  const sum = (times: number[]): string => seconds(times.reduce((total, each) => total + each, 0));
  const table = renderTable(
    ['STEP', 'TOOK', 'WHOSE'],
    passed.map(({ label, ms, whose }) => [label, seconds(ms), whose]),
  );
  const all = sum(passed.map(({ ms }) => ms));
  return `${[...table, '', `all of it ${all}, of which rlnet's own ${sum(passed.map(({ own }) => own))}`].join('\n')}\n`;
}
