import { describe, expect, it } from 'vitest';
import {
  addCommandOf,
  commandsIn,
  inverseOf,
  isAsMade,
  isRepeatable,
  without,
} from '../../../src/host/network-owner/ifup-commands.ts';
import { wrongOutcome } from '../../../src/host/network-owner/judgement.ts';
import { parseAddress } from '../../../src/protocol/address.ts';
import { fromByteText } from '../../../src/protocol/byte-text.ts';

describe('the judgement of the owner’s tool on changed files', () => {
  const edits = [
    {
      path: '/etc/x',
      before: fromByteText('address 10.0.0.1 netmask 24 gateway 10.0.0.254'),
      after: fromByteText('address 10.9.0.1 netmask 24 gateway 10.9.0.254'),
    },
  ];
  const before = [
    'ip addr add 10.0.0.1/24 dev eth0',
    'ip link set eth0 up',
    'ip route add default via 10.0.0.254',
  ];
  const after = [
    'ip addr add 10.9.0.1/24 dev eth0',
    'ip link set eth0 up',
    'ip route add default via 10.9.0.254',
  ];

  it('finds nothing wrong where only the changed addresses differ', () => {
    expect(wrongOutcome(edits, before, after)).toBeUndefined();
  });

  it('does not believe a tool that sees no change', () => {
    expect(wrongOutcome(edits, before, before)).toContain('makes the same');
    expect(wrongOutcome(edits, [], [])).toContain('makes the same');
  });

  it.each([
    ['a line less', after.slice(1)],
    ['another line', after.with(1, 'ip link set eth0 down')],
    ['another address', after.with(0, 'ip addr add 10.9.0.2/24 dev eth0')],
  ])('names %s', (_what, lines) => {
    expect(wrongOutcome(edits, before, lines)).toBeDefined();
  });
});

describe('the commands of ifup --no-act', () => {
  // Of ifupdown 0.8.41.
  const output = `ifup: configuring interface eth1=eth1 (inet)
run-parts --exit-on-error --verbose /etc/network/if-pre-up.d
ip addr add 10.88.0.22/255.255.255.0 broadcast 10.88.0.255 \t  dev eth1 label eth1
ip link set dev eth1   up
 ip route add default via 10.88.0.1  dev eth1 onlink \n\nrun-parts --exit-on-error --verbose /etc/network/if-up.d
ip -6 addr add fd88:0:0:1::22/64  dev eth1 
ip rule add from 10.88.0.22 table 7 || true
`;
  const commands = commandsIn(output);

  it('are told from what ifup says', () => {
    expect(commands).toHaveLength(5);
    expect(commands[1]).toBe('ip link set dev eth1   up');
  });

  it('can be run again where the kernel refuses what it has', () => {
    expect(commands.filter(isRepeatable)).toEqual(commands.toSpliced(1, 1));
    expect(isRepeatable('/sbin/ip  ru   add from 10.0.0.1 2>/dev/null; true')).toBe(true);
    expect(isRepeatable('ip rule add from 10.0.0.1 && iptables -F')).toBe(false);
    expect(isRepeatable('ip rule del from 10.0.0.1')).toBe(false);
  });

  it('say what would take away what they make', () => {
    expect(commands.flatMap((command) => inverseOf(command) ?? [])).toEqual([
      'ip addr del 10.88.0.22/255.255.255.0 broadcast 10.88.0.255 \t  dev eth1 label eth1',
      'ip route del default via 10.88.0.1  dev eth1 onlink',
      'ip -6 addr del fd88:0:0:1::22/64  dev eth1',
      'ip rule del from 10.88.0.22 table 7',
    ]);
  });

  it('are compared as often as they are there', () => {
    expect(without(['a', 'b', 'a', 'c'], ['a', 'c', 'd'])).toEqual(['b', 'a']);
  });

  it('say how the kernel has an address that is made by them', () => {
    const made = addCommandOf(commands, parseAddress('10.88.0.22')) ?? '';
    expect(made).toBe(commands[0]);
    expect(addCommandOf(commands, parseAddress('fd88:0:0:1::22'))).toBe(commands[3]);
    expect(addCommandOf(commands, parseAddress('10.88.0.1'))).toBeUndefined();
    const bound = {
      link: 'eth1',
      address: parseAddress('10.88.0.22'),
      prefixLength: 24,
      broadcast: parseAddress('10.88.0.255'),
      scope: 'global',
      label: 'eth1',
      flags: [],
    };
    expect(isAsMade(bound, made)).toBe(true);
    expect(isAsMade({ ...bound, flags: ['secondary'] }, made)).toBe(true);
    const { broadcast: _, ...bare } = bound;
    expect(isAsMade(bare, made)).toBe(false);
    expect(isAsMade({ ...bound, flags: ['noprefixroute'] }, made)).toBe(false);
    expect(isAsMade({ ...bound, label: 'eth1:x' }, made)).toBe(false);
  });
});
