import { parseAddress } from '../../src/protocol/address.ts';
import type { AddressChange } from '../../src/protocol/address-change.ts';
import {
  type ConfiguredHost,
  configurationContract,
  contractsInLab,
  faultContract,
  moveContract,
  type OwnerUnderTest,
  powerLossContract,
} from '../support/contracts/network-owner.ts';
import type { HostFile } from '../support/lab/owners.ts';

const networkd: OwnerUnderTest = {
  owner: 'networkd',
  kind: 'systemd-networkd',
  folders: ['/etc/systemd/network'],
  turn: 2,
};

const folder = '/etc/systemd/network';
const file = (name: string, ...lines: string[]): HostFile => ({
  path: `${folder}/${name}`,
  text: lines.join('\n'),
  mode: 0o644,
});
const eth1 = file(
  '20-eth1.network',
  '[Match]',
  'Name=eth1',
  '[Network]',
  'IPv6AcceptRA=no',
  'Address=10.88.0.21/24',
  '',
);
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
  title:
    'a configuration with comments, several addresses, routes, rules, DNS, MTU, drop-ins and a second link',
  files: [
    file(
      '10-eth0.network',
      '# eth0 of this node. Was 10.77.0.21 before, and is again.',
      '[Match]',
      'Name = eth0',
      '',
      '[Link]',
      'MTUBytes=1400',
      '',
      '[Network]',
      'IPv6PrivacyExtensions=no',
      'IPv6AcceptRA=no',
      'DNS=10.77.0.53',
      'Domains=example.net',
      'Address = 10.77.0.21/24',
      'Address=10.77.0.210/24',
      'Address=fd77:0:0:1::21/64',
      '',
      '[Route]',
      '; the other site',
      'Destination=10.99.0.0/16',
      'Gateway=10.77.0.1',
      'PreferredSource=10.77.0.21',
      'Metric=50',
      '',
      '[RoutingPolicyRule]',
      'From=10.77.0.21',
      'Table=100',
      'Priority=1000',
      '',
    ),
    file(
      '10-eth0.network.d/50-more.conf',
      '[Route]',
      'Table=100',
      'Gateway=10.77.0.1',
      'PreferredSource=10.77.0.21',
      '',
    ),
    file(
      '20-eth1.network',
      '[Match]',
      'Name=eth1',
      '[Network]',
      'Address=10.88.0.21/24',
      'Gateway=10.88.0.1',
      '[RoutingPolicyRule]',
      'From=10.77.0.21',
      'To=10.88.0.0/24',
      'Table=main',
      'Priority=900',
    ),
  ],
  change,
  diff: `--- /etc/systemd/network/10-eth0.network.d/50-more.conf
+++ /etc/systemd/network/10-eth0.network.d/50-more.conf
@@ -1,4 +1,4 @@
 [Route]
 Table=100
 Gateway=10.77.0.1
-PreferredSource=10.77.0.21
+PreferredSource=10.77.0.121
--- /etc/systemd/network/20-eth1.network
+++ /etc/systemd/network/20-eth1.network
@@ -4,7 +4,7 @@
 Address=10.88.0.21/24
 Gateway=10.88.0.1
 [RoutingPolicyRule]
-From=10.77.0.21
+From=10.77.0.121
 To=10.88.0.0/24
 Table=main
 Priority=900
\\ No newline at end of file
--- /etc/systemd/network/10-eth0.network
+++ /etc/systemd/network/10-eth0.network
@@ -10,7 +10,7 @@
 IPv6AcceptRA=no
 DNS=10.77.0.53
 Domains=example.net
-Address = 10.77.0.21/24
+Address = 10.77.0.121/24
 Address=10.77.0.210/24
 Address=fd77:0:0:1::21/64
 
@@ -18,10 +18,10 @@
 ; the other site
 Destination=10.99.0.0/16
 Gateway=10.77.0.1
-PreferredSource=10.77.0.21
+PreferredSource=10.77.0.121
 Metric=50
 
 [RoutingPolicyRule]
-From=10.77.0.21
+From=10.77.0.121
 Table=100
 Priority=1000
`,
};

const match = ['[Match]', 'Name=eth0', ''];
const unusual: readonly ConfiguredHost[] = [
  {
    title: 'lines that end as on other systems, the last one not at all',
    files: [{ ...file('10-a.network'), text: '[Match]\r\nName=eth0\r\n[Network]\r\nAddress=10.77.0.21/24' }],
    change,
  },
  {
    title: 'a value on the next line, after a comment',
    files: [
      file('10-a.network', ...match, '[Network]', 'Address=\\', '# the address', '   10.77.0.21/24', ''),
    ],
    change,
  },
  {
    title: 'an IPv6 address in capitals and with all its zeros',
    files: [
      file('10-a.network', ...match, '[Network]', 'Address=FD77:0000:0000:0001:0000:0000:0000:0021/64', ''),
    ],
    change: { ...change, from: at('fd77:0:0:1::21', 64), to: at('fd77:0:0:1::121', 64) },
  },
  {
    title: 'a section of its own, with a label and with the address written twice of which the last counts',
    files: [
      file(
        '10-a.network',
        ...match,
        '[Address]',
        'Address=10.77.0.9/24',
        'Label=eth0:rs',
        'Address=10.77.0.21/24',
        '[Address]',
        'Address=10.77.0.22/24',
        '',
      ),
    ],
    change,
  },
  {
    title: 'sections in any order, among sections that are nobody’s',
    files: [
      file(
        '10-a.network',
        '[Network]',
        'Address=10.77.0.22/24',
        '[X-Ours]',
        'Address=10.77.0.21/24',
        '[Network]',
        'Address=10.77.0.21/24',
        ...match,
        '[Network]',
        'Address=10.77.0.23/24',
        '',
      ),
    ],
    change,
  },
  {
    title: 'an address in a drop-in alone, beside a drop-in that is masked',
    files: [
      file('10-a.network', ...match),
      file('10-a.network.d/90-address.conf', '[Network]', 'Address=10.77.0.21/24', ''),
      file('10-a.network.d/95-none.conf', ''),
    ],
    change,
  },
  {
    title: 'comments that are not UTF-8, blanks everywhere and tabs',
    files: [file('10-a.network', ...match, '\t[Network]\t', '  Address\t=\t10.77.0.21/24  ', '')],
    prepare: String.raw`printf '\t# k\366nnte hier stehen: 10.77.0.21\n' >>${folder}/10-a.network`,
    change,
  },
  {
    title: 'routes over several gateways and a rule by the address with its length, to another network',
    files: [
      file(
        '10-a.network',
        ...match,
        '[Network]',
        'Address=10.77.0.21/24',
        '[Route]',
        'Destination=10.99.0.0/16',
        'MultiPathRoute=10.77.0.1@eth0 20',
        'MultiPathRoute=10.88.0.1@eth1 10',
        '[RoutingPolicyRule]',
        'From=10.77.0.21/32',
        'Table=77',
        // networkd counts down from 32765 where there is none, and to another number after a reload.
        'Priority=700',
        '',
      ),
    ],
    change: away,
  },
  {
    title:
      'an address that keeps its route metric and has no route of its prefix, with the gateway on the link',
    files: [
      file(
        '10-a.network',
        ...match,
        '[Address]',
        'Address=10.77.0.21/24',
        'AddPrefixRoute=no',
        '[Route]',
        'Destination=10.99.0.0/16',
        'Gateway=10.77.0.1',
        'GatewayOnLink=yes',
        '',
      ),
    ],
    change: { ...change, to: at('10.79.0.121', 24) },
  },
  {
    title: 'a file that matches by MAC address, and is a symbolic link',
    files: [
      {
        path: '/etc/systemd/network/shared/real',
        text: '[Match]\nMACAddress=52:54:00:77:00:21\n[Network]\nAddress=10.77.0.21/24\n',
        mode: 0o644,
      },
    ],
    prepare: `ln -s shared/real ${folder}/10-a.network`,
    change,
  },
];

contractsInLab('owner-networkd', [
  configurationContract(
    networkd,
    rich,
    unusual.map((each) => ({ ...each, files: [...each.files, eth1] })),
  ),
  moveContract(networkd),
  powerLossContract(networkd),
  faultContract(networkd, { folder, tool: '/usr/bin/networkctl' }),
]);
