import type { Family } from '../../src/protocol/address.ts';

/** A change of an address on a host: one of all combinations of what tells such changes apart. */
export interface MatrixCase {
  title: string;
  family: Family;
  promote: 0 | 1;
  /** `ip` commands, on a host with eth0 and eth1. */
  host: string;
  /** As `changeOf` reads it. */
  change: string;
  /**
   * The same host, had it been given the new address and gateway from the start: what a swap has to come to. Absent where the swap is
   * refused, as the gateway that is to stay would be out of reach.
   */
  after?: string;
  /** All that a rehearsal adds; it takes nothing away. */
  rehearsed: string[];
}

interface Axes {
  subnet: 'its subnet' | 'another subnet';
  gateway: 'its gateway' | 'a new gateway';
  /** With others: of its subnet, of a third one, and on another NIC. */
  others: boolean;
  rules: boolean;
}

interface Notation {
  family: Family;
  option: '-4' | '-6';
  length: 24 | 64;
  address: (network: number, host: number) => string;
}

const notations: Record<Family, Notation> = {
  ipv4: {
    family: 'ipv4',
    option: '-4',
    length: 24,
    address: (network, host) => `10.${network}.0.${host}`,
  },
  ipv6: {
    family: 'ipv6',
    option: '-6',
    length: 64,
    address: (network, host) => `fd0${network}::${host === 0 ? '' : host}`,
  },
};

/** A host by what it is given: the same commands for the old address and for the new one. */
function hostWith(
  { option, length, address, family }: Notation,
  { others, rules }: Axes,
  own: string,
  gateway: string,
): string {
  const through = (destination: string, rest = '') =>
    `${option} route add ${destination} via ${gateway} dev eth0 ${rest}`;
  const [broadcast, label] = family === 'ipv4' ? ['brd +', 'label eth0:vip'] : ['', 'nodad'];
  return [
    `addr add ${own}/${length} ${broadcast} dev eth0`,
    ...(others
      ? [
          `addr add ${address(1, 6)}/${length} dev eth0 ${label}`,
          `addr add ${address(1, 8)}/${length} dev eth0 preferred_lft 0`,
          `addr add ${address(3, 8)}/${length} dev eth0`,
          `addr add ${address(4, 4)}/${length} dev eth1`,
          `${option} route add ${address(6, 0)}/${length} via ${address(4, 1)} dev eth1`,
          `${option} route add ${address(7, 0)}/${length} via ${address(3, 1)} dev eth0`,
        ]
      : []),
    through('default'),
    through(`${address(5, 0)}/${length}`, `src ${own} metric 10`),
    ...(rules
      ? [
          `${option} rule add from ${address(8, 0)}/${length} lookup 101 priority 999`,
          `${option} rule add from ${own} lookup 100 priority 1000`,
          `${option} rule add from ${own} fwmark 0x5/0xff lookup 101 priority 1001`,
          through('default', `table 100 src ${own}`),
          ...(others
            ? [
                `${option} rule add from ${address(1, 6)} lookup 102 priority 1000`,
                through('default', `table 102 src ${address(1, 6)}`),
              ]
            : []),
        ]
      : []),
  ].join('\n');
}

function matrixCase(family: Family, promote: 0 | 1, axes: Axes): MatrixCase {
  const notation = notations[family];
  const { length, address } = notation;
  const network = axes.subnet === 'its subnet' ? 1 : 2;
  const [own, next, oldGateway] = [address(1, 5), address(network, 7), address(1, 1)];
  const gateway = axes.gateway === 'its gateway' ? oldGateway : address(network, 254);
  const isRenamed = gateway !== oldGateway;
  const outOfReach = network === 2 && !isRenamed && !axes.others;
  const isIpv4 = family === 'ipv4';
  const table = '947000000 protocol static';
  const tail = isIpv4 ? '' : ' metric 1024 pref medium';
  // Another network's gateway would not be reached from there.
  const hasGateway = network === 1 || isRenamed;
  return {
    title: [
      `${family}, promote_secondaries=${promote}: to ${axes.subnet} with ${axes.gateway}`,
      axes.others ? 'beside others' : 'alone',
      axes.rules ? 'with policy rules' : 'without policy rules',
    ].join(', '),
    family,
    promote,
    host: hostWith(notation, axes, own, oldGateway),
    change: [`eth0 ${own}/${length} ${next}/${length}`, ...(isRenamed ? [oldGateway, gateway] : [])].join(
      ' ',
    ),
    ...(outOfReach ? {} : { after: hostWith(notation, axes, next, gateway) }),
    rehearsed: [
      isIpv4
        ? `+ ${next}/32 dev eth0 scope global label eth0 noprefixroute`
        : `+ ${next}/128 dev eth0 scope global deprecated nodad noprefixroute`,
      isIpv4
        ? `+ local ${next} dev eth0 table local protocol kernel scope host src ${next}`
        : `+ local ${next} dev eth0 table local protocol kernel metric 0 pref medium`,
      `+ unicast ${address(network, 0)}/${length} dev eth0 table ${table}${isIpv4 ? ' scope link' : tail}`,
      ...(hasGateway
        ? [
            `+ unicast default via ${gateway} dev eth0 onlink table ${table}${isIpv4 ? ' scope global' : tail}`,
          ]
        : []),
      `+ ${family} rule priority 1 from ${next} protocol static lookup 947000000`,
    ],
  };
}

/** `promote_secondaries` is a setting of IPv4 alone. */
export const swapMatrix: MatrixCase[] = (
  [
    ['ipv4', 0],
    ['ipv4', 1],
    ['ipv6', 0],
  ] as const
).flatMap(([family, promote]) =>
  (['its subnet', 'another subnet'] as const).flatMap((subnet) =>
    (['its gateway', 'a new gateway'] as const).flatMap((gateway) =>
      [false, true].flatMap((others) =>
        [false, true].map((rules) => matrixCase(family, promote, { subnet, gateway, others, rules })),
      ),
    ),
  ),
);
