import type { Choice, JudgedAddress } from '../../protocol/address-choice.ts';
import { type BoundAddress, isActive, type NetworkInterface } from '../../protocol/interfaces.ts';
import type { Inventory } from '../../protocol/inventory.ts';
import { renderTable } from './table.ts';

export interface InterfacesReport {
  host: string;
  interfaces: readonly NetworkInterface[];
  addresses: readonly JudgedAddress[];
  choice: Choice;
  inventory?: Inventory | undefined;
  internalAddress?: string | undefined;
}

/** `rlnet interfaces` as text: a line for each link, a line for each address, and which of them a node would use. */
export function renderInterfaces(report: InterfacesReport): string {
  const { host, interfaces, addresses, choice, inventory, internalAddress } = report;
  const links = interfaces.map((link) => {
    const slow = inventory?.links.find(({ name }) => name === link.name);
    return [
      link.name,
      isActive(link) ? 'active' : `not active (${link.operState})`,
      [link.kind, link.controller === undefined ? undefined : `in ${link.controller}`]
        .filter(Boolean)
        .join(' ') || '-',
      link.mac ?? '-',
      link.mtu.toString(),
      slow?.speed === undefined ? '-' : `${slow.speed}`,
      slow?.driver ?? '-',
      link.path ?? '-',
    ];
  });
  const rows = addresses.map((judged) => {
    const link = interfaces.find(({ name }) => name === judged.interface);
    const bound = link?.addresses.find(({ address }) => address === judged.address);
    return [
      judged.interface,
      judged.text,
      judged.class.join(' '),
      link === undefined || bound === undefined ? '' : detailsOf(link, bound, judged),
      candidateFor(judged),
      whyOf(judged),
    ];
  });
  const unlisted = interfaces.flatMap(({ name, unread }) =>
    unread === undefined || unread.more === 0
      ? []
      : [`and on ${name} ${unread.more} more that could not be read`],
  );
  return `${[
    `interfaces of ${host}`,
    '',
    ...renderTable(['INTERFACE', 'STATE', 'KIND', 'MAC', 'MTU', 'MBIT/S', 'DRIVER', 'PATH'], links),
    '',
    ...renderTable(['INTERFACE', 'ADDRESS', 'CLASS', 'DETAILS', 'CANDIDATE', 'WHY'], rows),
    ...unlisted,
    '',
    ...(internalAddress === undefined ? [] : [`internal address of this host: ${internalAddress}`]),
    ...renderChoice(choice),
  ].join('\n')}\n`;
}

/** What the kernel says beyond the class. Lifetimes in seconds. */
function detailsOf(
  link: NetworkInterface,
  { scope, label, flags, preferredLifetime, validLifetime }: BoundAddress,
  judged: JudgedAddress,
): string {
  const classes: readonly string[] = judged.class;
  return [
    ...(classes.includes(scope) ? [] : [`scope ${scope}`]),
    ...flags.filter((flag) => !classes.includes(flag)),
    ...(label === undefined || label === link.name ? [] : [`label ${label}`]),
    ...(validLifetime === undefined ? [] : [`valid ${validLifetime}s`]),
    ...(preferredLifetime === undefined ? [] : [`preferred ${preferredLifetime}s`]),
  ].join(' ');
}

function candidateFor({ internal, external }: JudgedAddress): string {
  const uses = [...(internal.candidate ? ['internal'] : []), ...(external.candidate ? ['external'] : [])];
  return uses.length === 0 ? 'no' : uses.join(', ');
}

function whyOf({ internal, external }: JudgedAddress): string {
  const refusal = internal.candidate ? [] : [internal];
  const warnings = external.candidate ? external.warnings : [];
  const said = [...refusal, ...warnings].map(({ reason, sentence }) => `${reason}: ${sentence}`);
  return said.length === 0 ? '-' : said.join(' ');
}

function renderChoice(choice: Choice): string[] {
  switch (choice.choice) {
    case 'chosen':
      return [
        `chosen: internal ${choice.internal}, external ${choice.external.join(', ')}`,
        `  ${choice.why}`,
        ...choice.warnings.map(({ reason, sentence }) => `  ${reason}: ${sentence}`),
      ];
    case 'ambiguous':
      return [
        `ambiguous: choose the ${choice.use} address from ${choice.candidates.join(', ')}`,
        `  ${choice.why}`,
      ];
    case 'none':
      return [`none: ${choice.reason}`, `  ${choice.sentence}`];
  }
}
