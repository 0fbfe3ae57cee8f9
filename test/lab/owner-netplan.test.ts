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

const folder = '/etc/netplan';
const netplan: OwnerUnderTest = { owner: 'netplan', kind: 'netplan', folders: [folder], turn: 1 };
/** The same on a host whose links NetworkManager has, as netplan has told it to. */
const onNetworkManager: OwnerUnderTest = {
  owner: 'netplan',
  renderer: 'NetworkManager',
  kind: 'netplan',
  folders: [folder],
  turn: 4,
};

const file = (name: string, ...lines: string[]): HostFile => ({
  path: `${folder}/${name}`,
  text: lines.join('\n'),
  mode: 0o600,
});
/** One link in flow style, as a file of its own. */
const link = (name: string, text: string): HostFile =>
  file(`50-${name}.yaml`, `network: {version: 2, ethernets: {${name}: ${text}}}`, '');
const eth1 = file(
  '90-eth1.yaml',
  'network: {ethernets: {eth1: {accept-ra: false, addresses: [10.88.0.21/24]}}}',
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
const ipv6: AddressChange = {
  ...change,
  from: at('fd77:0:0:1::21', 64),
  to: at('fd77:0:0:1::121', 64),
};

const rich = (renderer: string): ConfiguredHost & { diff: string } => ({
  title: `files for ${renderer} with comments, several addresses, routes, rules, DNS, MTU and a second link`,
  files: [
    file(
      '10-base.yaml',
      '# eth0 of this node. Was 10.77.0.21 before, and is again.',
      'network:',
      '    version: 2',
      `    renderer: ${renderer}`,
      '    ethernets:',
      '        eth0:',
      '            mtu: 1400',
      '            accept-ra: no',
      '            ipv6-privacy: false',
      '            nameservers: {addresses: [10.77.0.53], search: [example.net]}',
      '            addresses:',
      '                - 10.77.0.21/24   # of RS',
      '                - "10.77.0.210/24"',
      '                - fd77:0:0:1::21/64',
      '            routes:',
      '                # the other site',
      '                - to: 10.99.0.0/16',
      '                  via: 10.77.0.1',
      '                  from: 10.77.0.21',
      '                  metric: 50',
      '            routing-policy:',
      '                - from: 10.77.0.21',
      '                  table: 100',
      '                  priority: 1000',
      '',
    ),
    file(
      '50-more.yaml',
      'network:',
      '  ethernets:',
      '    eth0:',
      '      routes:',
      '      - {to: 0.0.0.0/0, via: 10.77.0.1, from: 10.77.0.21, table: 100}',
      '    eth1:',
      '      accept-ra: false',
      '      addresses: [10.88.0.21/24]',
      '      routes: [{to: 0.0.0.0/0, via: 10.88.0.1}]',
      "      routing-policy: [{from: '10.77.0.21', to: 10.88.0.0/24, table: 254, priority: 900}]",
    ),
  ],
  change,
  diff: `--- /etc/netplan/50-more.yaml
+++ /etc/netplan/50-more.yaml
@@ -2,9 +2,9 @@
   ethernets:
     eth0:
       routes:
-      - {to: 0.0.0.0/0, via: 10.77.0.1, from: 10.77.0.21, table: 100}
+      - {to: 0.0.0.0/0, via: 10.77.0.1, from: 10.77.0.121, table: 100}
     eth1:
       accept-ra: false
       addresses: [10.88.0.21/24]
       routes: [{to: 0.0.0.0/0, via: 10.88.0.1}]
-      routing-policy: [{from: '10.77.0.21', to: 10.88.0.0/24, table: 254, priority: 900}]
\\ No newline at end of file
+      routing-policy: [{from: '10.77.0.121', to: 10.88.0.0/24, table: 254, priority: 900}]
\\ No newline at end of file
--- /etc/netplan/10-base.yaml
+++ /etc/netplan/10-base.yaml
@@ -9,16 +9,16 @@
             ipv6-privacy: false
             nameservers: {addresses: [10.77.0.53], search: [example.net]}
             addresses:
-                - 10.77.0.21/24   # of RS
+                - 10.77.0.121/24   # of RS
                 - "10.77.0.210/24"
                 - fd77:0:0:1::21/64
             routes:
                 # the other site
                 - to: 10.99.0.0/16
                   via: 10.77.0.1
-                  from: 10.77.0.21
+                  from: 10.77.0.121
                   metric: 50
             routing-policy:
-                - from: 10.77.0.21
+                - from: 10.77.0.121
                   table: 100
                   priority: 1000
`,
});

const unusual: readonly ConfiguredHost[] = [
  {
    title: 'lines that end as on other systems, the last one not at all',
    files: [
      {
        ...file('50-a.yaml'),
        text: 'network:\r\n  ethernets:\r\n    eth0:\r\n      addresses:\r\n      - 10.77.0.21/24',
      },
    ],
    change,
  },
  {
    title: 'an IPv6 address in capitals and with all its zeros',
    files: [link('eth0', '{addresses: ["FD77:0000:0000:0001:0000:0000:0000:0021/64"]}')],
    change: ipv6,
  },
  {
    title: 'an address with options',
    files: [
      file(
        '50-a.yaml',
        'network:',
        '  ethernets:',
        '    eth0:',
        '      addresses:',
        '      - 10.77.0.22/24',
        '      - 10.77.0.21/24:',
        '          label: "eth0:rs"',
        '',
      ),
    ],
    change,
  },
  {
    title: 'an address as a block and one with a tag',
    files: [
      file(
        '50-a.yaml',
        'network:',
        '  ethernets:',
        '    eth0:',
        '      addresses:',
        '      - >-',
        '        10.77.0.21/24',
        '      - !!str 10.77.0.22/24',
        '',
      ),
    ],
    change,
  },
  {
    title: 'gateway4, which is deprecated and stands in another file, to another network',
    files: [
      link('eth0', '{addresses: [10.77.0.21/24]}'),
      file('60-b.yaml', 'network: {ethernets: {eth0: {gateway4: 10.77.0.1}}}', ''),
    ],
    change: away,
  },
  {
    title: 'a definition that matches by a pattern and has a name of its own',
    files: [
      file(
        '50-a.yaml',
        'network:',
        '  ethernets:',
        '    lan:',
        '      match: {name: "eth[0]"}',
        '      addresses: [10.77.0.21/24]',
        '',
      ),
    ],
    change,
  },
  {
    title: 'a definition whose keys are there twice, and an anchor that nobody names',
    files: [
      file(
        '50-a.yaml',
        'network:',
        '  ethernets:',
        '    eth0: {addresses: [10.77.0.22/24]}',
        '    eth0: {addresses: [&rs 10.77.0.21/24]}',
        '',
      ),
    ],
    change,
  },
  {
    title: 'a directive, marks of a document and a comment that is not ASCII',
    files: [
      file(
        '50-a.yaml',
        '%YAML 1.1',
        '---',
        '# f\u00fcr RS',
        'network:',
        '  ethernets:',
        '    eth0:',
        '      addresses: [10.77.0.21/24]',
        '...',
        '',
      ),
    ],
    change,
  },
  {
    title: 'routes and rules that an alias repeats beside the address',
    files: [
      file(
        '50-a.yaml',
        'network:',
        '  ethernets:',
        '    eth0:',
        '      addresses: [10.77.0.21/24]',
        '      routes:',
        '      - {to: &far 10.99.0.0/16, via: 10.77.0.1, from: 10.77.0.21}',
        '      - {to: *far, via: 10.77.0.1, table: 77}',
        '      routing-policy: [{from: 10.77.0.21/32, table: 77, priority: 700}]',
        '',
      ),
    ],
    change,
  },
  {
    title: 'a file that is a symbolic link, and one that hides behind another of its name',
    files: [
      {
        path: '/etc/netplan/shared/real',
        text: 'network: {ethernets: {eth0: {addresses: [10.77.0.21/24]}}}\n',
        mode: 0o640,
      },
    ],
    prepare: `ln -s shared/real ${folder}/50-a.yaml; mkdir -p /lib/netplan; echo 'network: {ethernets: {eth0: {addresses: [10.77.0.21/24]}}}' >/lib/netplan/50-a.yaml`,
    change,
  },
];

const faults = { folder, tool: '/usr/sbin/netplan', judging: '--root-dir' };

contractsInLab('owner-netplan', [
  configurationContract(
    netplan,
    rich('networkd'),
    unusual.map((each) => ({ ...each, files: [...each.files, eth1] })),
  ),
  moveContract(netplan),
  powerLossContract(netplan),
  faultContract(netplan, faults),
  configurationContract(onNetworkManager, rich('NetworkManager'), []),
  moveContract(onNetworkManager),
  powerLossContract(onNetworkManager),
]);
