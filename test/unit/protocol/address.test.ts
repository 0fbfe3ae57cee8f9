import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import {
  compareAddresses,
  familyOf,
  hostPort,
  isWithin,
  parseAddress,
  parseInterfaceAddress,
  parseSocketAddress,
  tryParseAddress,
} from '../../../src/protocol/address.ts';
import { RlnetError } from '../../../src/protocol/errors.ts';

function refusal(action: () => unknown): RlnetError {
  try {
    action();
  } catch (thrown) {
    if (thrown instanceof RlnetError) return thrown;
    throw thrown;
  }
  throw new Error('nothing was refused');
}

describe('parseAddress', () => {
  test.for([
    ['192.0.2.10', '192.0.2.10'],
    ['2001:0DB8:0:0:0:0:0:10', '2001:db8::10'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['::1', '::1'],
    ['::', '::'],
    ['::192.0.2.1', '::c000:201'],
    ['::0.0.0.1', '::1'],
    ['64:ff9b::192.0.2.1', '64:ff9b::c000:201'],
    ['1:2:3:4:5:6:255.254.253.252', '1:2:3:4:5:6:fffe:fdfc'],
  ])('reads %s as %s', ([text, canonical]) => {
    expect(parseAddress(text ?? '')).toBe(canonical);
  });

  test.for([
    ['2001:DB8::/32', 'is a prefix, not a host address'],
    ['192.0.2.0/24', 'is a prefix, not a host address'],
    ['010.0.0.1', 'is not an IPv4 or IPv6 address'],
    ['10.1', 'is not an IPv4 or IPv6 address'],
    ['0x7f.0.0.1', 'is not an IPv4 or IPv6 address'],
    ['2130706433', 'is not an IPv4 or IPv6 address'],
    ['fe80::1%eth0', 'names a zone'],
    ['::ffff:192.0.2.1', 'is an IPv4-mapped IPv6 address'],
    ['::ffff:c000:201', 'is an IPv4-mapped IPv6 address'],
    ['node1.example.net', 'is not an IPv4 or IPv6 address'],
    [' 192.0.2.1', 'is not an IPv4 or IPv6 address'],
    ['', 'is not an IPv4 or IPv6 address'],
  ])('refuses %s: it %s', ([text, why]) => {
    const error = refusal(() => parseAddress(text ?? ''));
    expect(error.code).toBe('ADDRESS_INVALID');
    expect(error.message).toBe(`${JSON.stringify(text)} ${why}.`);
    expect(error.remedy).not.toBe('');
  });

  it('gives one text for every notation of one IPv6 address', () => {
    // Zeros often, because they are what may be left out.
    const group = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff }));
    fc.assert(
      fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
        const long = groups.map((group) => group.toString(16).padStart(4, '0')).join(':');
        const short = tryParseAddress(long);
        // All-zero first groups with ffff before the last two are IPv4-mapped, and refused.
        fc.pre(short !== undefined);
        expect(tryParseAddress(long.toUpperCase())).toBe(short);
        expect(tryParseAddress(groups.map((group) => group.toString(16)).join(':'))).toBe(short);
        const last = groups.slice(6).flatMap((group) => [group >> 8, group & 0xff]);
        const dotted = [...groups.slice(0, 6).map((group) => group.toString(16)), last.join('.')].join(':');
        expect(tryParseAddress(dotted)).toBe(short);
        if (dotted.startsWith('0:0:0:0:0:0:'))
          expect(tryParseAddress(dotted.replace('0:0:0:0:0:0:', '::'))).toBe(short);
        expect(tryParseAddress(short)).toBe(short);
      }),
    );
  });

  it('takes of dotted numbers exactly the IPv4 addresses without leading zeros', () => {
    const octet = fc.oneof(
      fc.integer({ min: 0, max: 300 }).map(String),
      fc.constantFrom('00', '010', '', '1e1', '-1'),
    );
    fc.assert(
      fc.property(fc.array(octet, { minLength: 3, maxLength: 5 }), (octets) => {
        const good =
          octets.length === 4 && octets.every((part) => /^(0|[1-9]\d*)$/.test(part) && Number(part) < 256);
        expect(tryParseAddress(octets.join('.')) !== undefined).toBe(good);
      }),
    );
  });
});

describe('parseInterfaceAddress', () => {
  it('keeps the host bits and the length', () => {
    expect(parseInterfaceAddress('10.0.0.5/24')).toEqual({ address: '10.0.0.5', prefixLength: 24 });
    expect(parseInterfaceAddress('fd00::5/128')).toEqual({ address: 'fd00::5', prefixLength: 128 });
    expect(parseInterfaceAddress('10.0.0.5/0').prefixLength).toBe(0);
  });

  test.for([
    '10.0.0.5',
    '10.0.0.5/',
    '10.0.0.5/33',
    '10.0.0.5/08',
    '10.0.0.5/+8',
    'fd00::5/129',
    '10.1/16',
    '10.0.0.5/24/1',
  ])('refuses %s', (text) => {
    expect(refusal(() => parseInterfaceAddress(text)).code).toBe('ADDRESS_INVALID');
  });
});

describe('what Node says of a socket', () => {
  it('is brought to the canonical address, and a mapped one is named so', () => {
    expect(parseSocketAddress('::ffff:192.0.2.1')).toEqual({ address: '192.0.2.1', mapped: true });
    expect(parseSocketAddress('192.0.2.1')).toEqual({ address: '192.0.2.1', mapped: false });
    expect(parseSocketAddress('FE80::1%eth0')).toEqual({ address: 'fe80::1', mapped: false });
    expect(parseSocketAddress('::192.0.2.1')).toEqual({ address: '::c000:201', mapped: false });
    expect(parseSocketAddress('')).toBeUndefined();
  });
});

describe('an address', () => {
  it('knows its family and how it stands before a port', () => {
    expect(familyOf(parseAddress('192.0.2.1'))).toBe('ipv4');
    expect(familyOf(parseAddress('::1'))).toBe('ipv6');
    expect(hostPort(parseAddress('192.0.2.1'), 9470)).toBe('192.0.2.1:9470');
    expect(hostPort(parseAddress('2001:db8::1'), 9470)).toBe('[2001:db8::1]:9470');
  });

  it.each([
    ['192.0.2.200', '192.0.2.1/24', true],
    ['192.0.3.1', '192.0.2.1/24', false],
    ['192.0.2.129', '192.0.2.1/25', false],
    ['203.0.113.1', '0.0.0.0/0', true],
    ['2001:db8::ff', '2001:db8::1/64', true],
    ['2001:db8:0:1::1', '2001:db8::1/64', false],
    ['192.0.2.1', '::/0', false],
    ['::1', '0.0.0.0/0', false],
  ])('%s is of the network %s: %o', (text, network, expected) => {
    expect(isWithin(parseAddress(text), parseInterfaceAddress(network))).toBe(expected);
  });

  it('is ordered by number, not by text', () => {
    const texts = ['2001:db8::2', '10.0.0.10', '10.0.0.9', '2001:db8::10'];
    expect(texts.map(parseAddress).sort(compareAddresses)).toEqual([
      '10.0.0.9',
      '10.0.0.10',
      '2001:db8::2',
      '2001:db8::10',
    ]);
  });
});
