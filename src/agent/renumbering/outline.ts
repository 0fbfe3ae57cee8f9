import type { RlnetError } from '../../protocol/errors.ts';
import type { JournalRecord, Reason } from '../../protocol/renumbering/records.ts';
import type { OpenRenumbering, RenumberingSummary } from '../../protocol/renumbering/request.ts';
import type { Journal } from './journal.ts';
import { readProgress } from './journal.ts';

/** The records with which another step's turn comes. */
const turning: ReadonlySet<JournalRecord['type']> = new Set([
  'open',
  'done',
  'turned',
  'taken_over',
  'reopened',
]);

/** An open renumbering, or one that has stopped, as others are told of it. @param stuck why it cannot go on, where it cannot */
export function openRenumberingOf(
  { records, progress }: Pick<Journal, 'records' | 'progress'>,
  stuck: RlnetError | undefined,
): OpenRenumbering {
  const { plan, direction, step, closed, alarmed } = progress;
  const alarm = records.findLast((record) => record.type === 'alarm');
  const trouble: Reason | undefined =
    stuck?.report() ??
    closed?.reason ??
    (step !== undefined && alarmed.has(step) && alarm?.step === step ? alarm.reason : undefined);
  return {
    planId: plan.id,
    nodeUid: plan.nodeUid,
    from: plan.change.from,
    to: plan.change.to,
    direction,
    ...(step === undefined ? {} : { step }),
    since: records.findLast(({ type }) => turning.has(type))?.wall ?? plan.madeAt,
    ...(trouble === undefined ? {} : { trouble }),
    is: closed === undefined ? 'open' : 'stopped',
    ...(plan.external === undefined ? {} : { movesExternal: true }),
  };
}

/** @returns undefined for a journal without records */
export function summaryOf(records: readonly JournalRecord[]): RenumberingSummary | undefined {
  const last = records.at(-1);
  if (last === undefined) return undefined;
  const { plan, closed } = readProgress(records, 'its journal');
  const { id: planId, host, nodeUid, change } = plan;
  return {
    planId,
    host,
    nodeUid,
    from: change.from,
    to: change.to,
    is: closed?.outcome ?? 'open',
    at: last.wall,
  };
}
