import { describe, expect, it, test } from 'vitest';
import { parseAddress } from '../../../src/protocol/address.ts';
import {
  describeChanges,
  isActive,
  isUsable,
  type NetworkInterface,
} from '../../../src/protocol/interfaces.ts';

const eth0: NetworkInterface = {
  index: 2,
  name: 'eth0',
  mtu: 1500,
  operState: 'up',
  flags: ['UP', 'LOWER_UP'],
  addresses: [
    { address: parseAddress('192.0.2.1'), prefixLength: 24, scope: 'global', flags: [], validLifetime: 100 },
  ],
};
const second = {
  address: parseAddress('192.0.2.2'),
  prefixLength: 24,
  scope: 'global',
  flags: ['secondary'],
};

describe('an interface is active', () => {
  test.for([
    ['up with carrier', eth0, true],
    ['of a kind that cannot tell, with carrier', { ...eth0, operState: 'unknown' }, true],
    ['without carrier', { ...eth0, operState: 'down', flags: ['UP', 'NO-CARRIER'] }, false],
    ['set down', { ...eth0, operState: 'down', flags: [] }, false],
    ['waiting for what is below it', { ...eth0, operState: 'lowerlayerdown' }, false],
    ['dormant', { ...eth0, operState: 'dormant' }, false],
  ] as const)('%s: %o', ([, link, active]) => {
    expect(isActive({ ...link, flags: [...link.flags], addresses: [] })).toBe(active);
  });
});

describe('an address is usable', () => {
  test.for([
    [[], true],
    [['secondary', 'deprecated'], true],
    [['tentative'], false],
    [['tentative', 'dadfailed'], false],
  ] as const)('with the flags %o: %o', ([flags, usable]) => {
    expect(isUsable({ ...second, flags: [...flags] })).toBe(usable);
  });
});

describe('what changed between two readings', () => {
  it('is named, address by address', () => {
    const after = [{ ...eth0, mtu: 9000, addresses: [second] }];
    expect(describeChanges([eth0], after)).toEqual([
      'eth0: mtu 1500 -> 9000',
      'eth0: -192.0.2.1/24',
      'eth0: +192.0.2.2/24 secondary',
    ]);
  });

  it('is nothing when only lifetimes count down', () => {
    const [bound] = eth0.addresses;
    const later = { ...eth0, addresses: bound ? [{ ...bound, validLifetime: 99 }] : [] };
    expect(describeChanges([eth0], [later])).toEqual([]);
  });

  it('names links that came, went and lost their carrier', () => {
    const down = { ...eth0, operState: 'down', flags: ['UP', 'NO-CARRIER'] };
    expect(describeChanges([eth0], [down])).toEqual(['eth0: not active (down)']);
    expect(describeChanges([], [eth0])).toEqual(['eth0: new', 'eth0: +192.0.2.1/24']);
    expect(describeChanges([eth0], [])).toEqual(['eth0: gone']);
  });
});
