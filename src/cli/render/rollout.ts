import type { Result } from '../../protocol/methods.ts';
import type { Change } from '../../protocol/rollout/difference.ts';
import type { Rollout } from '../../protocol/rollout/record.ts';

/** What would be changed, in its order, and what stands in the way. */
export function renderDifference({ difference, refusals, mark }: Result<'rollout_plan'>): string {
  const { changes, unchanged, undeclared, problems } = difference;
  const moves = changes.filter(({ kind }) => kind === 'internal').length;
  const summary =
    changes.length === 0
      ? 'nothing to change'
      : `${moves} internal addresses and ${changes.length - moves} lists of external ones to change, in this order: plan ${mark}`;
  return `${[
    ...changes.flatMap(renderChange),
    ...(changes.length === 0 ? [] : ['']),
    summary,
    ...(unchanged.length === 0 ? [] : [`as declared: node ${unchanged.join(', ')}`]),
    ...(undeclared.length === 0 ? [] : [`not in the file, and left alone: node ${undeclared.join(', ')}`]),
    ...problems.flatMap(({ code, message, remedy }) => [`refused  ${code}: ${message}`, `       ${remedy}`]),
    ...refusals.flatMap(({ node, reasons }) =>
      reasons.flatMap(({ code, message, remedy }) => [
        `refused  node ${node}: ${code}: ${message}`,
        `       ${remedy}`,
      ]),
    ),
  ].join('\n')}\n`;
}

function renderChange(change: Change): string[] {
  const { node, host } = change;
  const head = `node ${node}${host === undefined ? '' : ` (${host})`}`;
  if (change.kind === 'internal') {
    const { from, to, gateway } = change;
    const via = gateway === undefined ? '' : `, gateway ${gateway}`;
    return [`~ ${head}  internal  ${from ?? 'unknown'} -> ${to.address}/${to.prefixLength}${via}`];
  }
  return [
    ...change.removed.map((address) => `- ${head}  external  ${address}`),
    ...change.added.map((address) => `+ ${head}  external  ${address}`),
  ];
}

/** The rollout, step by step. */
export function renderRollout(rollout: Rollout): string {
  const { id, leader, by, startedAt, steps, reason } = rollout;
  const started = new Date(startedAt).toISOString().slice(0, 19).replace('T', ' ');
  return `${[
    `rollout ${id}, led by ${leader}, begun ${started} UTC by ${by}`,
    ...steps.map(({ change, is, planId, beganAt, endedAt }) => {
      const took =
        beganAt === undefined || endedAt === undefined
          ? ''
          : `  ${((endedAt - beganAt) / 1000).toFixed(1)} s`;
      const plan = planId === undefined ? '' : `  plan ${planId}`;
      return `  ${is.padEnd(8)} node ${change.node}  ${change.kind}  ${targetOf(change)}${plan}${took}`;
    }),
    ...(reason === undefined ? [] : [`${reason.code}: ${reason.message}`, `  ${reason.remedy}`]),
    standingOf(rollout),
  ].join('\n')}\n`;
}

/** What is so now, on one line. */
export function renderRolloutLine(rollout: Rollout): string {
  const { steps, reason } = rollout;
  const done = steps.filter(({ is }) => is === 'done').length;
  const current = steps.find(({ is }) => is === 'begun' || is === 'failed');
  const doing =
    current === undefined
      ? ''
      : `, ${current.is === 'failed' ? 'failed at' : 'at'} node ${current.change.node} (${current.change.kind}${current.planId === undefined ? '' : `, rlnet renumber follow ${current.planId}`})`;
  const why = reason === undefined ? '' : `: ${reason.code}: ${reason.message}`;
  return `${done} of ${steps.length} done${doing}; ${standingOf(rollout)}${why}\n`;
}

function standingOf({ outcome, paused, holds }: Rollout): string {
  if (outcome !== undefined) return outcome;
  if (paused !== undefined) return `paused by ${paused.by}: ${paused.reason}`;
  return holds === undefined ? 'under way' : `waits: ${holds.why}`;
}

function targetOf(change: Change): string {
  return change.kind === 'internal'
    ? `${change.to.address}/${change.to.prefixLength}`
    : [
        ...change.removed.map((address) => `-${address}`),
        ...change.added.map((address) => `+${address}`),
      ].join(' ');
}
