import type { RescueReport } from '../../protocol/renumbering/rescue.ts';
import { renderTable } from './table.ts';

/** What is so, what the dead man will do, and what to type, each with its reason. */
export function renderRescue(report: RescueReport): string {
  const { state, summary, renumbering, deadMan, seen, notes, missing, commands } = report;
  return `${[
    `${state.replaceAll('_', ' ')}: ${summary}`,
    ...(renumbering === undefined ? [] : ['', ...lines(renumbering)]),
    '',
    ...renderTable(['', ''], [...seen.map(({ what, is }) => [what, is]), ['dead man', deadMan]]).slice(1),
    ...block('Read this first', notes),
    ...block(
      'What has to be known first',
      missing.flatMap(({ what, how }) => [what, `  ${how}`]),
    ),
    ...(commands.length === 0
      ? []
      : [
          '',
          'Type these, one after the other, as root. Stop at the first that fails, and run rlnet rescue again.',
          ...commands.flatMap(({ where, command, why }, index) => [
            '',
            `${index + 1}. ${where === 'here' ? 'on this host' : 'ON ANOTHER NODE'}: ${why}`,
            `     ${command}`,
          ]),
        ]),
  ].join('\n')}\n`;
}

function lines({
  planId,
  nodeUid,
  from,
  to,
  direction,
  step,
  since,
}: NonNullable<RescueReport['renumbering']>): string[] {
  const at = step === undefined ? 'at its end' : `at ${step}`;
  const when =
    since === undefined ? '' : ` since ${new Date(since).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
  return [
    `renumbering ${planId}: node ${nodeUid} from ${from.address}/${from.prefixLength} to ${to.address}/${to.prefixLength}`,
    direction === undefined
      ? `how far it got is not known${when === '' ? '' : `; last read${when}`}`
      : `${direction}, ${at}${when}`,
  ];
}

function block(title: string, texts: readonly string[]): string[] {
  return texts.length === 0 ? [] : ['', title, ...texts.map((text) => `  ${text}`)];
}
