import type { Result } from '../../protocol/methods.ts';
import { isClosed } from '../../protocol/renumbering/lock.ts';
import type { OpenRenumbering } from '../../protocol/renumbering/request.ts';
import { renderAge } from './table.ts';

/** Who has the lock, at which step, since when, and what would free it. @param at wall clock */
export function renderLock(
  hosts: Result<'lock_show'>['hosts'],
  renumberings: readonly (OpenRenumbering & { host: string; linked: boolean })[],
  at: number,
): string {
  const told = hosts.flatMap((each) =>
    'told' in each && each.told !== 'none' ? [{ host: each.host, ...each.told }] : [],
  );
  const claims = new Map(
    told.flatMap(({ granted }) =>
      granted === undefined ? [] : [[`${granted.epoch} ${granted.host}`, granted] as const],
    ),
  );
  const open = [...claims.values()].filter((claim) => !told.some((state) => isClosed(state, claim)));
  const lines = open.flatMap((claim) => {
    const granters = told.filter(
      ({ granted }) => granted?.epoch === claim.epoch && granted.host === claim.host,
    );
    const own = renumberings.find(({ host, planId }) => host === claim.host && planId === claim.planId);
    const step =
      own?.step === undefined ? 'at a step that is not known here' : `${own.direction} at ${own.step}`;
    const since = own === undefined ? '' : ` for ${renderAge(at - own.since)}`;
    return [
      `${claim.host} has the lock for ${claim.planId} (epoch ${claim.epoch}), ${own?.is === 'stopped' ? 'stopped ' : ''}${step}${since}`,
      `  granted by ${granters.map(({ host }) => host).join(', ')} of nodes ${claim.members.join(', ')}`,
      `  ${remedyOf(claim, own)}`,
    ];
  });
  const silent = hosts.flatMap((each) =>
    'unknown' in each ? [`not known: ${each.host}: ${each.unknown}`] : [],
  );
  const none = open.length === 0 ? ['nobody has the lock, as far as those know who answered'] : [];
  return `${[...none, ...lines, ...silent].join('\n')}\n`;
}

function remedyOf(
  { host, planId }: { host: string; planId: string },
  own: { is: 'open' | 'stopped'; linked: boolean } | undefined,
): string {
  if (own?.linked === true && own.is === 'open')
    return `ends by itself, or: rlnet renumber abort ${planId} --reason TEXT`;
  if (own?.linked === true) {
    return `mend the cause and: rlnet renumber resume ${planId}; or free it: rlnet lock release --reason TEXT`;
  }
  return `if ${host} is off for good: rlnet lock release --reason TEXT --host-is-off`;
}
