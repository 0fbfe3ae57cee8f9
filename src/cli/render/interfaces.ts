import type { NetworkInterface } from '../../protocol/interfaces.ts';
import { isActive } from '../../protocol/interfaces.ts';
import type { Inventory } from '../../protocol/inventory.ts';
import { renderTable } from './table.ts';

/** `rlnet interfaces` as text: a line for each address, and one for a link that has none. */
export function renderInterfaces(
  host: string,
  links: readonly NetworkInterface[],
  inventory: Inventory | undefined,
): string {
  const rows = links.flatMap((link) => {
    const slow = inventory?.links.find(({ name }) => name === link.name);
    const about = [
      link.name,
      isActive(link) ? 'active' : `not active (${link.operState})`,
      [link.kind, link.controller === undefined ? undefined : `in ${link.controller}`]
        .filter(Boolean)
        .join(' ') || '-',
      link.mac ?? '-',
      link.mtu.toString(),
      slow?.speed === undefined ? '-' : `${slow.speed}`,
      slow?.driver ?? '-',
    ];
    const none = about.map(() => '');
    const addresses = link.addresses.map(
      ({ address, prefixLength, scope, label, flags, preferredLifetime, validLifetime }) => [
        `${address}/${prefixLength}`,
        scope,
        [
          ...flags,
          ...(label === undefined || label === link.name ? [] : [`label ${label}`]),
          ...(validLifetime === undefined ? [] : [`valid ${validLifetime}s`]),
          ...(preferredLifetime === undefined ? [] : [`preferred ${preferredLifetime}s`]),
        ].join(' '),
      ],
    );
    if (addresses.length === 0) return [[...about, '-', '', '']];
    return addresses.map((columns, index) => [...(index === 0 ? about : none), ...columns]);
  });
  const header = [
    'INTERFACE',
    'STATE',
    'KIND',
    'MAC',
    'MTU',
    'MBIT/S',
    'DRIVER',
    'ADDRESS',
    'SCOPE',
    'FLAGS',
  ];
  return `${[`interfaces of ${host}`, '', ...renderTable(header, rows)].join('\n')}\n`;
}
