import type { ExternalAddress, ExternalReport } from '../../protocol/external.ts';
import type { Result } from '../../protocol/methods.ts';
import { renderTable } from './table.ts';

/** Every external address on a line of its own: whose it is, and which interface has it. */
export function renderExternalNodes({ nodes, unread }: Result<'external_list'>): string {
  const rows = nodes.flatMap(({ uid, host, internal, external }) =>
    (external.length === 0 ? [undefined] : external).map((each) => [
      `${uid}`,
      host ?? '-',
      internal ?? 'unknown',
      each?.address ?? '-',
      each === undefined ? 'none: clients are sent to the internal address' : placeOf(each, host),
    ]),
  );
  return `${[
    ...renderTable(['NODE', 'HOST', 'INTERNAL', 'EXTERNAL', 'WHERE'], rows),
    ...unread.map(({ line, reason }) => `not read: ${JSON.stringify(line)}: ${reason}`),
  ].join('\n')}\n`;
}

/** What RS has now, with the difference to before. */
export function renderExternalReport({ node, added, removed }: ExternalReport): string {
  const { uid, host, external } = node;
  const unchanged = added.length === 0 && removed.length === 0;
  return `${[
    `node ${uid}${host === undefined ? '' : ` (${host})`}: ${unchanged ? 'nothing to change' : 'external addresses changed, and read back from RS'}`,
    ...removed.map((address) => `  - ${address}`),
    ...external.map(
      (each) => `  ${added.includes(each.address) ? '+' : ' '} ${each.address}  ${placeOf(each, host)}`,
    ),
    ...(external.length === 0 ? ['    none: clients are sent to the internal address'] : []),
  ].join('\n')}\n`;
}

function placeOf({ on, interface: name }: ExternalAddress, host: string | undefined): string {
  switch (on) {
    case 'interface':
      return `on ${name ?? 'an interface'}`;
    case 'none':
      return `on no interface of ${host ?? 'its host'}; something has to lead there from outside`;
    case 'unknown':
      return 'not known: its agent does not say';
  }
}
