import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { addressChangeSchema, isSameCard } from '../../../src/protocol/address-change.ts';

const link = { name: 'eth0', mac: '02:00:00:00:00:01' };
const v4 = { address: '192.0.2.10', prefixLength: 24 };
const v6 = { address: '2001:db8::a', prefixLength: 64 };

describe('a change of address', () => {
  it.each([
    { link, from: v4, to: { ...v4, address: '192.0.2.11' } },
    { link, from: v6, to: { ...v6, address: '2001:db8::b' } },
    { link, from: v4, to: v4, gateway: { from: '192.0.2.1', to: '192.0.2.2' } },
  ])('stays within one family: %j', (change) => {
    expect(v.is(addressChangeSchema, change)).toBe(true);
  });

  it.each([
    { link, from: v4, to: v6 },
    { link, from: v6, to: v4 },
    { link, from: v4, to: v4, gateway: { from: '192.0.2.1', to: '2001:db8::1' } },
    { link, from: v4, to: { address: '192.0.2.0/24', prefixLength: 24 } },
  ])('is refused across families, and for what is no host address: %j', (change) => {
    expect(v.is(addressChangeSchema, change)).toBe(false);
  });
});

describe('a card', () => {
  const meant = { name: 'eth0', mac: '02:00:00:00:00:01', path: 'pci0000:00/0000:00:03.0' };

  it.each([
    ['under another name', { mac: meant.mac, path: meant.path }, true],
    ['whose place is not known', { mac: meant.mac }, true],
    ['with another MAC address', { mac: '02:00:00:00:00:02', path: meant.path }, false],
    ['without a MAC address', { path: meant.path }, false],
    [
      'with the same MAC address in another place',
      { mac: meant.mac, path: 'pci0000:00/0000:00:04.0' },
      false,
    ],
  ])('%s is the one that is meant: %j, %s', (_what, link, same) => {
    expect(isSameCard(meant, link)).toBe(same);
  });
});
