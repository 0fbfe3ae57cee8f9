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

const folder = '/etc/network';
// Hooks of packages are there too, in if-up.d and its like: they are not the owner's to lose.
const configuration = '/etc/network/interfaces.d';
const ifupdown: OwnerUnderTest = { owner: 'ifupdown', kind: 'ifupdown', folders: [configuration], turn: 0 };
const asInstalled = { ...ifupdown, folders: [folder] };

const file = (name: string, ...lines: string[]): HostFile => ({
  path: `${configuration}/${name}`,
  text: lines.join('\n'),
  mode: 0o644,
});
/** What includes the rest, as Debian has it. */
const main: HostFile = {
  path: `${folder}/interfaces`,
  text: 'source-directory interfaces.d\nauto lo\niface lo inet loopback\n',
  mode: 0o644,
};
const eth1 = (...lines: string[]): HostFile =>
  file('eth1', 'auto eth1', 'iface eth1 inet static', '    address 10.88.0.21/24', ...lines, '');
const eth0 = (...lines: string[]): HostFile =>
  file('eth0', 'auto eth0', 'iface eth0 inet static', ...lines.map((line) => `    ${line}`), '');
const at = (address: string, prefixLength: number) => ({ address: parseAddress(address), prefixLength });
const change: AddressChange = {
  link: { name: 'eth0' },
  from: at('10.77.0.21', 24),
  to: at('10.77.0.121', 24),
};
const away: AddressChange = {
  ...change,
  to: at('10.79.0.121', 22),
  gateway: { from: parseAddress('10.77.0.1'), to: parseAddress('10.79.0.1') },
};

const rich: ConfiguredHost & { diff: string } = {
  title:
    'a configuration with comments, several addresses, routes, rules, DNS, MTU, IPv6 privacy off, included files and a second link',
  files: [
    file(
      'eth0',
      '# eth0 of this node. Was 10.77.0.21 before, and is again.',
      'auto eth0',
      'iface eth0 inet static',
      '\taddress 10.77.0.21',
      '\tnetmask 255.255.255.0',
      '\tbroadcast 10.77.0.255',
      '\tmtu 1400',
      '\tdns-nameservers 10.77.0.53',
      '\t# the other site',
      '\tup ip route add 10.99.0.0/16 via 10.77.0.1 src 10.77.0.21 metric 50',
      '\tup ip rule add from 10.77.0.21 table 100 priority 1000',
      '\tup ip route add default via 10.77.0.1 src 10.77.0.21 table 100',
      '\tdown ip rule del from 10.77.0.21 table 100 priority 1000',
      '',
    ),
    file(
      'eth0-more',
      'iface eth0 inet static',
      '    address 10.77.0.210/24',
      'iface eth0 inet6 static',
      '    address fd77:0:0:1::21/64',
      '    privext 0',
    ),
    eth1(
      '    up ip rule add from 10.77.0.21 to 10.88.0.0/24 table main priority 900',
      '    down ip rule del from 10.77.0.21 to 10.88.0.0/24 table main priority 900',
    ),
    main,
  ],
  change,
  diff: `--- /etc/network/interfaces.d/eth1
+++ /etc/network/interfaces.d/eth1
@@ -1,5 +1,5 @@
 auto eth1
 iface eth1 inet static
     address 10.88.0.21/24
-    up ip rule add from 10.77.0.21 to 10.88.0.0/24 table main priority 900
-    down ip rule del from 10.77.0.21 to 10.88.0.0/24 table main priority 900
+    up ip rule add from 10.77.0.121 to 10.88.0.0/24 table main priority 900
+    down ip rule del from 10.77.0.121 to 10.88.0.0/24 table main priority 900
--- /etc/network/interfaces.d/eth0
+++ /etc/network/interfaces.d/eth0
@@ -1,13 +1,13 @@
 # eth0 of this node. Was 10.77.0.21 before, and is again.
 auto eth0
 iface eth0 inet static
-\taddress 10.77.0.21
+\taddress 10.77.0.121
 \tnetmask 255.255.255.0
 \tbroadcast 10.77.0.255
 \tmtu 1400
 \tdns-nameservers 10.77.0.53
 \t# the other site
-\tup ip route add 10.99.0.0/16 via 10.77.0.1 src 10.77.0.21 metric 50
-\tup ip rule add from 10.77.0.21 table 100 priority 1000
-\tup ip route add default via 10.77.0.1 src 10.77.0.21 table 100
-\tdown ip rule del from 10.77.0.21 table 100 priority 1000
+\tup ip route add 10.99.0.0/16 via 10.77.0.1 src 10.77.0.121 metric 50
+\tup ip rule add from 10.77.0.121 table 100 priority 1000
+\tup ip route add default via 10.77.0.1 src 10.77.0.121 table 100
+\tdown ip rule del from 10.77.0.121 table 100 priority 1000
`,
};

const unusual: readonly ConfiguredHost[] = [
  {
    title: 'lines that end as on other systems, the last one not at all',
    files: [{ ...file('eth0'), text: 'auto eth0\r\niface eth0 inet static\r\n  address 10.77.0.21/24' }],
    change,
  },
  {
    title: 'lines that go on, in an address and in a command',
    files: [
      eth0(
        'address \\',
        ' 10.77.0.21/24',
        'up ip rule \\',
        'add from 10.77.0.21 \\',
        '   table 77 priority 700',
      ),
    ],
    change,
  },
  {
    title: 'an IPv6 address in capitals, with its length as a netmask',
    files: [
      file(
        'eth0',
        'auto eth0',
        'iface eth0 inet6 static',
        ' address FD77:0:0:1:0:0:0:0021',
        ' netmask 64',
        '',
      ),
    ],
    change: { ...change, from: at('fd77:0:0:1::21', 64), to: at('fd77:0:0:1::121', 64) },
  },
  {
    title: 'netmask, network, broadcast address and gateway in any order, to a larger network',
    files: [
      eth0(
        'gateway 10.77.0.1',
        'network 10.77.0.0',
        'netmask 255.255.255.0',
        'broadcast 10.77.0.255',
        'address 10.77.0.21',
      ),
    ],
    change: away,
  },
  {
    title: 'an alias in the old manner',
    files: [
      file(
        'eth0',
        'auto eth0 eth0:rs',
        'iface eth0 inet static',
        '  address 10.77.0.22/24',
        'iface eth0:rs inet static',
        '  address 10.77.0.21',
        '  netmask 255.255.255.0',
        '',
      ),
    ],
    change,
  },
  {
    title: 'an address that a command puts there, and takes away again',
    files: [
      file(
        'eth0',
        'auto eth0',
        'iface eth0 inet manual',
        '  pre-up ip link set dev $IFACE up',
        '  up /sbin/ip -4 a add 10.77.0.21/24 brd + dev $IFACE; true',
        '  down /sbin/ip -4 addr del 10.77.0.21/24 dev $IFACE || true',
        '',
      ),
    ],
    change,
  },
  {
    title: 'commands beside ip’s that cannot be run twice',
    files: [
      eth0(
        'address 10.77.0.21/24',
        'post-up echo up >>/run/hooks && ip rule add from 10.77.0.21 table 77 priority 700',
        'pre-down ip rule del from 10.77.0.21 table 77 priority 700',
      ),
    ],
    change,
  },
  {
    title: 'included files by pattern, within each other',
    files: [
      file('one', 'source more.d/eth*.cfg', ''),
      file('more.d/eth0.cfg', 'auto eth0', 'iface eth0 inet static', '\taddress\t10.77.0.21/24', ''),
      file('more.d/ignored.txt', 'iface eth0 inet static', ' address 10.77.0.21/24', ''),
    ],
    change,
  },
  {
    title: 'comments that are not UTF-8, and an unknown option with the address in it',
    files: [eth0('address 10.77.0.21/24', 'x-note 10.77.0.21', '')],
    prepare: String.raw`printf '# k\366nnte hier stehen: 10.77.0.21\n' >>${configuration}/eth0`,
    change,
  },
  {
    title: 'a file that is a symbolic link, and a class of links that may come up',
    files: [
      file(
        'real.file',
        'allow-hotplug eth0',
        'auto eth0',
        'no-auto-down eth0',
        'iface eth0 inet static',
        '    address 10.77.0.21/24',
        '',
      ),
    ],
    prepare: `ln -s real.file ${configuration}/eth0`,
    change,
  },
];

contractsInLab('owner-ifupdown', [
  configurationContract(
    ifupdown,
    rich,
    unusual.map((each) => ({ ...each, files: [main, eth1(), ...each.files] })),
  ),
  moveContract(asInstalled),
  powerLossContract(asInstalled),
  faultContract(asInstalled, { folder, tool: '/usr/sbin/ifup', judging: '--no-act' }),
]);
