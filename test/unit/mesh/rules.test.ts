import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { chooseLink, dialTargets, redialDelayMs } from '../../../src/agent/mesh/rules.ts';
import { parseAddress } from '../../../src/protocol/address.ts';
import type { Hello } from '../../../src/protocol/messages.ts';

function hello(host: string, run: Partial<Hello> = {}): Hello {
  return {
    type: 'hello',
    protocol: { min: 1, max: 1 },
    cluster: 'demo',
    host,
    version: '0.1.0',
    machineId: `machine of ${host}`,
    bootId: 'boot',
    instance: `instance of ${host}`,
    ...run,
  };
}

describe('of two links to one host', () => {
  it('both sides keep the same one: that which the lower name opened', () => {
    // Link A was opened by n1, link B by n2; each side sees the openers its own way.
    for (const [first, second] of [
      ['A', 'B'],
      ['B', 'A'],
    ] as const) {
      const opened = { A: { n1: 'us', n2: 'them' }, B: { n1: 'them', n2: 'us' } } as const;
      const kept = (own: 'n1' | 'n2', other: string): string => {
        const choice = chooseLink(
          own,
          { hello: hello(other), opener: opened[first][own] },
          { hello: hello(other), opener: opened[second][own] },
        );
        return choice === 'fresh' ? second : first;
      };
      expect(kept('n1', 'n2')).toBe('A');
      expect(kept('n2', 'n1')).toBe('A');
    }
  });

  test.for(['us', 'them'] as const)(
    'the newer stays when the agent there was restarted, opened by %s',
    (opener) => {
      const old = { hello: hello('n2'), opener: 'us' } as const;
      const fresh = { hello: hello('n2', { instance: 'next' }), opener };
      expect(chooseLink('n1', old, fresh)).toBe('fresh');
    },
  );

  it('the first stays when the second comes from another machine', () => {
    const fresh = { hello: hello('n2', { machineId: 'clone', instance: 'next' }), opener: 'them' } as const;
    expect(chooseLink('n1', { hello: hello('n2'), opener: 'us' }, fresh)).toBe('twin');
  });
});

describe('dialTargets', () => {
  const own = parseAddress('fd00::1:1');

  it('are the addresses of our own family, each once, without our own', () => {
    const candidates = ['fd00::1:2', '10.0.0.2', 'fd00::1:1', 'fd00::1:2', 'fd00::1:3'].map(parseAddress);
    expect(dialTargets(own, candidates)).toEqual(['fd00::1:2', 'fd00::1:3']);
  });

  it('are none while our own address is not known', () => {
    expect(dialTargets(undefined, [parseAddress('10.0.0.2')])).toEqual([]);
  });
});

it('redials sooner at first and never later than after ten seconds, however often it failed', () => {
  fc.assert(
    fc.property(
      fc.nat(10_000),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (attempt, fraction) => {
        const delay = redialDelayMs(attempt, fraction);
        expect(delay).toBeGreaterThanOrEqual(125);
        expect(delay).toBeLessThanOrEqual(10_000);
      },
    ),
  );
  expect(redialDelayMs(0, 0.999)).toBeLessThan(redialDelayMs(3, 0));
});
