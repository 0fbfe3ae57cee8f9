import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { addressChangeSchema } from '../../../src/protocol/address-change.ts';

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
