import { expect, it } from 'vitest';
import { familyOf, parseAddress } from '../../src/protocol/address.ts';
import type { AddressChange } from '../../src/protocol/address-change.ts';
import { reversed } from '../../src/protocol/network-owner.ts';
import { describeAddress } from '../../src/protocol/network-snapshot.ts';
import {
  type ConfiguredHost,
  type Contract,
  configurationContract,
  contractsInLab,
  faultContract,
  moveContract,
  type OwnerUnderTest,
  pace,
  powerLossContract,
} from '../support/contracts/network-owner.ts';
import type { HostFile } from '../support/lab/owners.ts';
import { sampleOf } from '../support/sampling.ts';

const networkManager: OwnerUnderTest = {
  owner: 'NetworkManager',
  kind: 'NetworkManager',
  folders: ['/etc/NetworkManager'],
  turn: 3,
};

const folder = '/etc/NetworkManager/system-connections';
const file = (name: string, ...lines: string[]): HostFile => ({
  path: `${folder}/${name}`,
  text: lines.join('\n'),
  mode: 0o600,
});
/** NetworkManager counts the metrics of links in the order in which they come up, so each has its own here. */
const eth1 = file(
  'eth1.nmconnection',
  ...['[connection]', 'id=eth1', 'type=ethernet', 'interface-name=eth1'],
  ...['[ipv4]', 'method=manual', 'address1=10.88.0.21/24', 'route-metric=201'],
  ...['[ipv6]', 'method=link-local', ''],
);
const connection = ['[connection]', 'id=eth0', 'type=ethernet', 'interface-name=eth0'];
const ipv4 = ['[ipv4]', 'method=manual', 'route-metric=200'];
const ipv6 = ['[ipv6]', 'method=link-local', ''];
const at = (address: string, prefixLength: number) => ({ address: parseAddress(address), prefixLength });
const change: AddressChange = {
  link: { name: 'eth0' },
  from: at('10.77.0.21', 24),
  to: at('10.77.0.121', 24),
};
const away: AddressChange = {
  ...change,
  to: at('10.79.0.121', 24),
  gateway: { from: parseAddress('10.77.0.1'), to: parseAddress('10.79.0.1') },
};

const rich = {
  title: 'a profile with comments, several addresses, routes, rules, DNS, MTU and a second link',
  files: [
    file(
      'eth0.nmconnection',
      '# eth0 of this node. Was 10.77.0.21 before, and is again.',
      ...connection,
      'autoconnect-priority=10',
      '',
      '[ethernet]',
      'mtu=1400',
      '',
      '[ipv4]',
      'method = manual',
      'may-fail=false',
      'dns=10.77.0.53;',
      'dns-search=example.net;',
      'address1 = 10.77.0.21/24',
      'address2=10.77.0.210/24',
      'route-metric=200',
      '# the other site',
      'route1=10.99.0.0/16,10.77.0.1,50',
      'route1_options=src=10.77.0.21',
      'route2=0.0.0.0/0,10.77.0.1',
      'route2_options=table=100,src=10.77.0.21',
      'routing-rule1=priority 1000 from 10.77.0.21 table 100',
      '',
      '[ipv6]',
      'method=manual',
      'ip6-privacy=0',
      'address1=fd77:0:0:1::21/64',
      'route-metric=200',
      '',
    ),
    file(
      'eth1.nmconnection',
      ...['[connection]', 'id=eth1', 'type=ethernet', 'interface-name=eth1'],
      ...['[ipv4]', 'method=manual', 'address1=10.88.0.21/24,10.88.0.1', 'route-metric=201'],
      'routing-rule1=priority 900 from 10.77.0.21 to 10.88.0.0/24 table 254',
      ...['[ipv6]', 'method=link-local'],
    ),
  ],
  change,
  diff: `--- ${folder}/eth1.nmconnection
+++ ${folder}/eth1.nmconnection
@@ -6,6 +6,6 @@
 method=manual
 address1=10.88.0.21/24,10.88.0.1
 route-metric=201
-routing-rule1=priority 900 from 10.77.0.21 to 10.88.0.0/24 table 254
+routing-rule1=priority 900 from 10.77.0.121 to 10.88.0.0/24 table 254
 [ipv6]
 method=link-local
\\ No newline at end of file
--- ${folder}/eth0.nmconnection
+++ ${folder}/eth0.nmconnection
@@ -13,15 +13,15 @@
 may-fail=false
 dns=10.77.0.53;
 dns-search=example.net;
-address1 = 10.77.0.21/24
+address1 = 10.77.0.121/24
 address2=10.77.0.210/24
 route-metric=200
 # the other site
 route1=10.99.0.0/16,10.77.0.1,50
-route1_options=src=10.77.0.21
+route1_options=src=10.77.0.121
 route2=0.0.0.0/0,10.77.0.1
-route2_options=table=100,src=10.77.0.21
-routing-rule1=priority 1000 from 10.77.0.21 table 100
+route2_options=table=100,src=10.77.0.121
+routing-rule1=priority 1000 from 10.77.0.121 table 100
 
 [ipv6]
 method=manual
`,
};

const unusual: readonly ConfiguredHost[] = [
  {
    title: 'the list form of old keyfiles, with semicolons and a gateway in the address',
    files: [file('a.nmconnection', ...connection, ...ipv4, 'addresses1=10.77.0.21;24;10.77.0.1;', ...ipv6)],
    change: away,
  },
  {
    title: 'lines that end as on other systems, the last one not at all',
    files: [
      {
        ...file('a.nmconnection'),
        text: [...connection, ...ipv4, 'address1=10.77.0.21/24', '[ipv6]', 'method=link-local'].join('\r\n'),
      },
    ],
    change,
  },
  {
    title: 'an IPv6 address in capitals and with all its zeros',
    files: [
      file(
        'a.nmconnection',
        ...connection,
        ...['[ipv4]', 'method=disabled', '[ipv6]', 'method=manual', 'route-metric=200'],
        ...['address1=FD77:0000:0000:0001:0000:0000:0000:0021/64', ''],
      ),
    ],
    change: { ...change, from: at('fd77:0:0:1::21', 64), to: at('fd77:0:0:1::121', 64) },
  },
  {
    title: 'a section twice, of which the later keys count',
    files: [
      file(
        'a.nmconnection',
        ...connection,
        ...ipv4,
        ...['address1=10.77.0.9/24', ...ipv6, '[ipv4]', 'address1=10.77.0.21/24', ''],
      ),
    ],
    change,
  },
  {
    title: 'keys without a number, with two digits, and with a zero before the number, which is none',
    files: [
      file(
        'a.nmconnection',
        ...connection,
        ...ipv4,
        ...['address10=10.77.0.21/24', 'address01=10.77.0.21/25', 'address=10.77.0.9/24', ...ipv6],
      ),
    ],
    change,
  },
  {
    title: 'blanks and tabs before sections and keys',
    files: [
      file(
        'a.nmconnection',
        ...connection,
        ...[' [ipv4] ', '\tmethod=manual', ' route-metric = 200', '  address1 \t= 10.77.0.21/24', ...ipv6],
      ),
    ],
    change,
  },
  {
    title: 'a card that is known by its MAC address, under the old name of its section',
    files: [
      file(
        'a.nmconnection',
        ...['[connection]', 'id=by mac', 'type=802-3-ethernet'],
        ...['[802-3-ethernet]', 'mac-address=52:54:00:77:00:21'],
        ...ipv4,
        ...['address1=10.77.0.21/24', ...ipv6],
      ),
    ],
    change,
  },
  {
    title: 'a name with blanks and a colon, without an ending, and bytes in a comment that are no UTF-8',
    files: [file('Wired: node 1', ...connection, ...ipv4, 'address1=10.77.0.21/24', ...ipv6)],
    prepare: String.raw`printf '# k\366nnte hier stehen: 10.77.0.21\n' >>'${folder}/Wired: node 1'`,
    change,
  },
  {
    title: 'a gateway on the link that no network has, settings and sections that nobody knows',
    files: [
      file(
        'a.nmconnection',
        ...connection,
        ...ipv4,
        ...['address1=10.77.0.21/24', 'route1=10.99.0.0/16,10.77.0.1', 'route1_options=onlink=true'],
        ...['x-ours=10.77.0.21', ...ipv6, '[x-ours]', 'address1=10.77.0.21/24', ''],
      ),
    ],
    change: { ...change, to: at('10.79.0.121', 24) },
  },
  {
    title: 'a file that is a symbolic link',
    files: [
      {
        ...file('a', ...connection, ...ipv4, 'address1=10.77.0.21/24', ...ipv6),
        path: '/etc/NetworkManager/shared/real',
      },
    ],
    prepare: `ln -s ../shared/real ${folder}/a.nmconnection`,
    change,
  },
];

/** On a wire where somebody has the address already. */
const taken: Contract = {
  title: 'NetworkManager on a wire where somebody has the address already',
  kind: 'NetworkManager',
  hosts: [{ owner: 'NetworkManager' }, {}],
  wired: true,
  tests: (host) => {
    it.each(sampleOf([['ipv4', 'dad-timeout=500'] as const, ['ipv6', 'may-fail=true'] as const], 1))(
      'does not get an %s address by it, says so, and goes back',
      async (family, setting) => {
        const [n1, other] = [host(), host(1)];
        const card = n1.host.plan.interfaces.find(({ network }) => network === 'internal');
        const from = card?.addresses.find(({ address }) => familyOf(address) === family);
        if (from === undefined) throw new Error(`no ${family}`);
        const to = { ...from, address: parseAddress(family === 'ipv4' ? '10.77.0.121' : 'fd77:0:0:1::121') };
        const wanted: AddressChange = { link: { name: 'eth0' }, from, to };
        const words = [`${to.address}/${to.prefixLength}`, 'dev', 'eth0'];
        const profile = `${folder}/eth0.nmconnection`;
        await n1.host.execOk(['sed', '-i', `/^\\[ipv4\\]/a ${setting}`, profile]);
        await n1.host.execOk(['nmcli', 'connection', 'load', profile]);
        await n1.host.execOk(['nmcli', 'connection', 'up', 'eth0']);
        const before = await n1.snapshot(from.address);
        await other.host.execOk(['ip', 'addr', 'add', ...words, 'nodad']);
        await n1.persist(wanted);
        expect(await n1.refusal('activate', wanted, pace)).toMatchObject({ code: 'OWNER_NOT_TAKEN_UP' });
        await n1.restore(wanted);
        await n1.activate(reversed(wanted));
        const after = await n1.snapshot(from.address);
        const addresses = ({ addresses }: typeof before) => addresses.map(describeAddress).toSorted();
        expect(addresses(after)).toEqual(addresses(before));
        await other.host.execOk(['ip', 'addr', 'del', ...words]);
        await n1.host.execOk(['rm', '-r', '/var/lib/rlnet/renumbering/backup']);
      },
    );
  },
};

contractsInLab('owner-networkmanager', [
  configurationContract(
    networkManager,
    rich,
    unusual.map((each) => ({ ...each, files: [...each.files, eth1] })),
  ),
  moveContract(networkManager),
  powerLossContract(networkManager),
  faultContract(networkManager, { folder, tool: '/usr/bin/nmcli', judging: '--offline' }),
  taken,
]);
