import type { Address } from '../address.ts';
import { holdersOf, isUsable } from '../interfaces.ts';
import type { Plan } from './plan.ts';
import type { Held } from './rescue-aim.ts';
import type { RescueFacts } from './rescue-facts.ts';

/** Something that was looked at, and what it is like; or that it could not be found out, and why. */
export interface Seen {
  what: string;
  is: string;
}

/** What was looked at, for the person who has to decide whether to believe the rest. */
export function seenOf(facts: RescueFacts, plan: Plan, held: Held): Seen[] {
  const { interfaces, backup, unit, agent, standing } = facts;
  const { from, to } = plan.change;
  const links = 'value' in interfaces ? interfaces.value : [];
  const where = (address: Address): string => {
    const holders = holdersOf(links, address).map(
      ({ link, bound }) =>
        `on ${link.name} with /${bound.prefixLength}${isUsable(bound) ? '' : ` (${bound.flags.join(' ')})`}`,
    );
    return `${address} is ${holders.length === 0 ? 'on no interface' : holders.join(', ')}`;
  };
  const stands = 'value' in standing ? standing.value : undefined;
  const rs =
    held === undefined
      ? 'not known which address it has'
      : 'other' in held
        ? `has ${held.other}`
        : `has the ${held.address} address, ${(held.address === 'old' ? from : to).address} (${held.why})`;
  return [
    { what: 'RS', is: rs },
    {
      what: 'kernel',
      is:
        'unknown' in interfaces
          ? `not known: ${interfaces.unknown}`
          : `${where(from.address)}; ${where(to.address)}${stands === undefined ? '' : `; a ${stands.kind} stands for a time`}`,
    },
    { what: 'files', is: `of ${plan.owner}: ${sentenceOfFiles(backup)}` },
    {
      what: 'unit',
      is:
        'unknown' in unit
          ? `not known: ${unit.unknown}`
          : `${plan.unit.unit} is ${unit.value.activeState} (${unit.value.result}) and ${unit.value.unitFileState}`,
    },
    {
      what: 'agent',
      is: `${'unknown' in agent.unit ? 'not known' : `rlnet.service is ${agent.unit.value.activeState}`}; ${'unknown' in agent.says ? `does not answer: ${agent.says.unknown}` : 'answers'}`,
    },
  ];
}

function sentenceOfFiles(backup: RescueFacts['backup']): string {
  if ('unknown' in backup) return `not known: ${backup.unknown}`;
  switch (backup.value.is) {
    case 'none':
      return 'there is no back-up of them, so rlnet has not changed them';
    case 'damaged':
      return `their back-up is damaged: ${backup.value.why}`;
    case 'whole': {
      const words = {
        before: 'as before',
        after: 'with the new address',
        other: 'edited by somebody else',
        missing: 'gone',
      };
      const files = backup.value.files.map(({ path, state }) => `${path} is ${words[state]}`);
      return files.length === 0 ? 'rlnet does not edit them' : files.join('; ');
    }
  }
}

/** What the dead man has done, or will do, and when. */
export function sentenceOfDeadMan({ deadMan, wall }: RescueFacts): string {
  const { armed, word, takenOver, finished, timer, service } = deadMan;
  const by = takenOver ?? word;
  const act = {
    old: 'the old address, enables RS and starts it',
    new: 'the new address, enables RS and starts it',
    both: 'both addresses, enables RS and starts it',
    unknown: 'the old address (it has no word), enables RS and starts it',
  }[by ?? 'unknown'];
  if (!armed) return 'It is not armed, and does nothing.';
  if (finished) return `It has acted by the word ${by ?? 'old'} and started RS; it does nothing more.`;
  if ('value' in service && service.value === 'running')
    return `It acts now, by the word ${by ?? 'old'}: it brings the host up with ${act}.`;
  if ('value' in service && service.value === 'waiting')
    return `It has acted by the word ${by ?? 'old'}, and RS did not start; it tries again every 30 s: ${act}.`;
  if ('unknown' in timer)
    return `It is armed by the word ${by ?? 'old'}; when it acts is not known: ${timer.unknown}.`;
  const { actsIn, enabled } = timer.value;
  const then = `it brings the host up with ${act}`;
  if (actsIn !== undefined) {
    const at = new Date(wall + actsIn * 1000).toISOString().slice(11, 19);
    return `It acts in ${Math.ceil(actsIn)} s (${at} UTC) unless the agent gives a sign of life: ${then}.`;
  }
  return enabled
    ? `Its timer does not run in this boot; some minutes after the next one ${then}.`
    : `Its timer neither runs nor is enabled: it does nothing, though its script is there.`;
}
