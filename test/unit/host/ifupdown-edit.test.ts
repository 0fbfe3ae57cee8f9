import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  beforeChange,
  editInterfaces,
  flattened,
  type InterfacesFile,
  locateInInterfaces,
  namesWith,
  withContents,
} from '../../../src/host/network-owner/ifupdown-edit.ts';
import { parseAddress } from '../../../src/protocol/address.ts';
import type { AddressChange } from '../../../src/protocol/address-change.ts';
import { fromByteText, toByteText } from '../../../src/protocol/byte-text.ts';
import { RlnetError } from '../../../src/protocol/errors.ts';
import { reversed } from '../../../src/protocol/network-owner.ts';
import { unifiedDiff } from '../../../src/protocol/unified-diff.ts';

const at = (address: string, prefixLength: number) => ({ address: parseAddress(address), prefixLength });
const change: AddressChange = {
  link: { name: 'eth0' },
  from: at('10.77.0.21', 24),
  to: at('10.77.0.121', 24),
};
const elsewhere: AddressChange = {
  ...change,
  to: at('10.79.0.121', 22),
  gateway: { from: parseAddress('10.77.0.1'), to: parseAddress('10.79.0.1') },
};

const file = (
  text: string,
  sources: InterfacesFile[][] = [],
  path = '/etc/network/interfaces',
): InterfacesFile => ({ file: { path, bytes: fromByteText(text) }, sources });
const stanza = (...lines: string[]): InterfacesFile =>
  file(['iface eth0 inet static', ...lines.map((line) => `    ${line}`), ''].join('\n'));

function changedLines(root: InterfacesFile, wanted = change): string[] {
  return editInterfaces(root, wanted).files.flatMap(({ path, before, after }) =>
    unifiedDiff(path, toByteText(before), toByteText(after))
      .split('\n')
      .filter((line) => /^[-+](?!-- |\+\+ )/.test(line))
      .map((line) => line.replace(/\s+/, ' ')),
  );
}

function refusal(root: InterfacesFile, wanted = change): [string, string] {
  try {
    editInterfaces(root, wanted);
  } catch (thrown) {
    if (thrown instanceof RlnetError) return [thrown.code, thrown.message];
    throw thrown;
  }
  return ['', ''];
}

const rich = [
  '# eth0 has 10.77.0.21',
  'auto lo eth0 eth1',
  'iface eth0 inet static',
  '    address 10.77.0.20/24',
  'iface eth0 inet static',
  '    # the one of RS',
  '    address 10.77.0.21',
  '    netmask 255.255.255.0',
  '    network 10.77.0.0',
  '    broadcast 10.77.0.255',
  '    gateway 10.77.0.1',
  '    dns-nameservers 10.77.0.21',
  '    mtu 1400',
  '    up ip route add 10.9.0.0/16 via 10.77.0.1 src 10.77.0.21 || true',
  '    up ip rule add from 10.77.0.21 table 7; ip rule add to 10.77.0.21 table 7',
  '    down /sbin/ip rule del \\',
  '        from 10.77.0.21/32 table 7',
  '    up iptables -A INPUT -d 10.77.0.21 -j ACCEPT',
  'iface eth1 inet static',
  '    address 10.88.0.21/24',
  '    up ip -4 ru add from 10.77.0.21 to 10.88.0.0/24 table main',
  '',
].join('\n');

describe('a change of an address in /etc/network/interfaces', () => {
  it('follows the address into routes and rules with it, and nowhere else', () => {
    expect(changedLines(file(rich))).toEqual([
      '- address 10.77.0.21',
      '+ address 10.77.0.121',
      '- up ip route add 10.9.0.0/16 via 10.77.0.1 src 10.77.0.21 || true',
      '- up ip rule add from 10.77.0.21 table 7; ip rule add to 10.77.0.21 table 7',
      '+ up ip route add 10.9.0.0/16 via 10.77.0.1 src 10.77.0.121 || true',
      '+ up ip rule add from 10.77.0.121 table 7; ip rule add to 10.77.0.21 table 7',
      '- from 10.77.0.21/32 table 7',
      '+ from 10.77.0.121/32 table 7',
      '- up ip -4 ru add from 10.77.0.21 to 10.88.0.0/24 table main',
      '+ up ip -4 ru add from 10.77.0.121 to 10.88.0.0/24 table main',
    ]);
    expect(editInterfaces(file(rich), change).warnings).toEqual([
      '/etc/network/interfaces:12 (dns-nameservers 10.77.0.21) names 10.77.0.21 and stays as it is.',
      '/etc/network/interfaces:15 (up ip rule add from 10.77.0.21 table 7; ip rule add to 10.77.0.21 table 7) names 10.77.0.21 and stays as it is.',
      '/etc/network/interfaces:18 (up iptables -A INPUT -d 10.77.0.21 -j ACCEPT) names 10.77.0.21 and stays as it is.',
    ]);
  });

  it('locates what sets the address and what hangs on it, and the stanzas that they are in', () => {
    const places = locateInInterfaces(file(rich), change.link, change.from.address);
    expect(places.map(({ line, sets }) => [line, sets])).toEqual([
      [7, true],
      [14, false],
      [15, false],
      [17, false],
      [21, false],
    ]);
    expect(namesWith(file(rich), change.link, [change.from.address])).toEqual(['eth0', 'eth1']);
  });

  it.each([
    ['names its link', 'auto lo eth0', true],
    ['says that it may come up', 'allow-hotplug eth0', true],
    ['matches names by a pattern', 'auto /eth*', true],
    ['names another one alone', 'auto eth00 lo', false],
    ['is a comment', '# auto eth0', false],
  ])('says whether a boot brings the address up, where a line %s', (_what, line, sets) => {
    const root = file(`${line}\niface eth0 inet static\n  address 10.77.0.21/24\n`);
    expect(locateInInterfaces(root, change.link, change.from.address)).toEqual([
      expect.objectContaining({ line: 3, sets }),
    ]);
    expect(editInterfaces(root, change).warnings).toEqual(
      sets ? [] : [expect.stringMatching(/^\/etc\/network\/interfaces:3 .* does not bring it up at boot/)],
    );
  });

  it('takes netmask, network, broadcast address and gateway along to another network', () => {
    expect(changedLines(file(rich), elsewhere).slice(0, 10)).toEqual([
      '- address 10.77.0.21',
      '- netmask 255.255.255.0',
      '- network 10.77.0.0',
      '- broadcast 10.77.0.255',
      '- gateway 10.77.0.1',
      '+ address 10.79.0.121',
      '+ netmask 255.255.252.0',
      '+ network 10.79.0.0',
      '+ broadcast 10.79.3.255',
      '+ gateway 10.79.0.1',
    ]);
  });

  it.each([
    ['with its length', stanza('address 10.77.0.21/24')],
    ['with a netmask that is a length', stanza('netmask 24', 'address 10.77.0.21')],
    ['with both', stanza('address 10.77.0.21/24', 'netmask 255.255.255.0')],
    ['in an alias of the old manner', file('iface eth0:1 inet static\n address 10.77.0.21/24\n')],
    ['over lines that go on', stanza('address \\', '\t10.77.0.21/24')],
    ['over lines that end as on other systems', file('iface eth0 inet static\r\n address 10.77.0.21/24\r\n')],
    ['without an end of the last line', file('iface eth0 inet static\naddress 10.77.0.21/24')],
    ['in a hook', stanza('up ip addr add 10.77.0.21/24 dev $IFACE label eth0:rs')],
    ['in a hook of another link', file('iface eth1 inet manual\n up /sbin/ip a a 10.77.0.21/24 dev eth0\n')],
    [
      'in a file that another one names',
      file('source interfaces.d/*\n', [[stanza('address 10.77.0.21/24')]]),
    ],
  ])('finds the address %s', (_how, root) => {
    const changed = changedLines(root);
    expect(changed).toHaveLength(2);
    expect(changed[1]).toBe(changed[0]?.replace('10.77.0.21', '10.77.0.121').replace('-', '+'));
  });

  it('changes what puts the address there by hand and what takes it away', () => {
    const root = stanza(
      'up ip addr add 10.77.0.21/24 brd 10.77.0.255 dev eth0',
      'down ip addr del 10.77.0.21/24 dev eth0',
    );
    expect(changedLines(root, { ...elsewhere, gateway: undefined } as AddressChange)).toEqual([
      '- up ip addr add 10.77.0.21/24 brd 10.77.0.255 dev eth0',
      '- down ip addr del 10.77.0.21/24 dev eth0',
      '+ up ip addr add 10.79.0.121/22 brd 10.79.3.255 dev eth0',
      '+ down ip addr del 10.79.0.121/22 dev eth0',
    ]);
  });

  it.each([
    ['without a netmask', 'OWNER_CHANGE_REFUSED', stanza('address 10.77.0.21')],
    ['with two lengths', 'OWNER_CHANGE_REFUSED', stanza('address 10.77.0.21/16', 'netmask 255.255.255.0')],
    [
      'as one end of a link',
      'OWNER_CHANGE_REFUSED',
      stanza('address 10.77.0.21/24', 'pointopoint 10.77.0.1'),
    ],
    [
      'with a broadcast address of its own',
      'OWNER_CHANGE_REFUSED',
      stanza('address 10.77.0.21/24', 'broadcast 10.255.255.255'),
    ],
    [
      'that a hook takes from a variable',
      'OWNER_CHANGE_REFUSED',
      stanza('address 10.77.0.21/24', 'up ip rule add from $IF_ADDRESS table 7'),
    ],
    [
      'in two stanzas',
      'OWNER_ADDRESS_TWICE',
      file(`${'iface eth0 inet static\n address 10.77.0.21/24\n'.repeat(2)}`),
    ],
    ['of another link', 'OWNER_ADDRESS_NOT_FOUND', file('iface eth1 inet static\n address 10.77.0.21/24\n')],
    [
      'of a stanza that is not static',
      'OWNER_ADDRESS_NOT_FOUND',
      file('iface eth0 inet dhcp\n address 10.77.0.21/24\n'),
    ],
    ['in a comment', 'OWNER_ADDRESS_NOT_FOUND', stanza('# address 10.77.0.21/24')],
  ])('is refused for an address %s, with %s', (_what, code, root) => {
    expect(refusal(root)[0]).toBe(code);
  });

  it('is refused where a route would lose its gateway or keep the old network on the link', () => {
    const away = { ...change, to: elsewhere.to };
    expect(refusal(stanza('address 10.77.0.21/24', 'gateway 10.77.0.1'), away)[1]).toContain(
      'gateway outside',
    );
    const old = stanza('address 10.77.0.21/24', 'up ip route add 10.77.0.0/24 dev eth0 table 7');
    expect(refusal(old, away)[1]).toContain('puts the old network, 10.77.0.0/24, on the link');
    expect(refusal(old)).toEqual(['', '']);
  });

  it('can be undone in thought, and read as one file', () => {
    const root = file('source a\nsource b', [
      [file('iface eth0 inet static\n  address 10.77.0.21/24', [], '/etc/network/a')],
      [file('\tup ip rule add \\\n from 10.77.0.21 table 7 # not a comment', [], '/etc/network/b')],
    ]);
    const after = withContents(root, editInterfaces(root, change).files, 'after');
    expect(flattened(after)).toBe(
      'iface eth0 inet static\naddress 10.77.0.121/24\nup ip rule add  from 10.77.0.121 table 7 # not a comment\n',
    );
    expect(beforeChange(after, change)).toEqual(root);
  });
});

describe('any /etc/network/interfaces', () => {
  const line = fc.constantFrom(
    '# 10.77.0.21',
    '',
    'up ip rule add from 10.77.0.21 table 7',
    'post-up ip route add default via 10.77.0.1 src 10.77.0.21 table 7 || exit 1',
    'down ip rule del from 10.77.0.21/32 table 7; true',
    'pre-up iptables -A INPUT -d 10.77.0.21 -j ACCEPT',
    'mtu 1400',
    'up ip route add \\\n 10.9.0.0/16 \\\n via 10.77.0.1',
    'dns-nameservers 10.77.0.210 10.77.0.21',
  );
  const holder = fc.constantFrom(
    ['address 10.77.0.21/24'],
    ['netmask 24', 'address 10.77.0.21'],
    ['address 10.77.0.21', 'broadcast 10.77.0.255', 'netmask 255.255.255.0', 'network 10.77.0.0'],
  );
  const text = fc
    .record({
      first: fc.array(line, { maxLength: 4 }),
      holder,
      last: fc.array(line, { maxLength: 4 }),
      other: fc.array(line, { maxLength: 4 }),
      newline: fc.constantFrom('\n', '\r\n'),
      ends: fc.boolean(),
    })
    .filter(
      ({ newline, first, last, other }) =>
        // A backslash before a carriage return ties nothing together.
        newline === '\n' || ![...first, ...last, ...other].some((each) => each.includes('\\')),
    )
    .map(({ first, holder: held, last, other, newline, ends }) => {
      const lines = [
        'auto eth0 # für 10.77.0.21',
        'iface eth0 inet static',
        ...[...first, ...held, 'gateway 10.77.0.1', ...last].map((each) => `  ${each}`),
        'iface eth1 inet manual',
        ...other.map((each) => `\t${each}`),
      ];
      return `${lines.join('\n')}${ends ? '\n' : ''}`.replaceAll('\n', newline);
    });
  const wanted = fc.constantFrom(change, elsewhere);
  const edited = (root: InterfacesFile, which: AddressChange): InterfacesFile =>
    withContents(root, editInterfaces(root, which).files, 'after');

  it('is the same again after the change there and back', () => {
    fc.assert(
      fc.property(text, wanted, (content, which) => {
        const given = file(content);
        const there = edited(given, which);
        expect(edited(there, reversed(which))).toEqual(given);
        expect(beforeChange(there, which)).toEqual(given);
      }),
    );
  });

  it('changes in lines that name the address, its network or the gateway, and no line comes or goes', () => {
    fc.assert(
      fc.property(text, wanted, (content, which) => {
        const next = toByteText(edited(file(content), which).file.bytes).split('\n');
        const old = toByteText(fromByteText(content)).split('\n');
        expect(next).toHaveLength(old.length);
        for (const [index, each] of old.entries()) {
          if (each === next[index]) continue;
          expect(each).toMatch(/10\.77\.0\.(21|1)\b|^\s*(netmask|broadcast|network) /);
          expect(each).not.toMatch(/^\s*#|iptables|dns-nameservers|^auto/);
          const blank = (word: string | undefined): string | undefined => word?.replaceAll(/[\d.]+/g, '');
          expect(blank(next[index])?.replaceAll('/', '')).toBe(blank(each)?.replaceAll('/', ''));
        }
      }),
    );
  });
});
