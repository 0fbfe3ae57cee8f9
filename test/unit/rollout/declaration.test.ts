import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { decodeClusterFile } from '../../../src/cli/commands/rollout.ts';
import { RlnetError } from '../../../src/protocol/errors.ts';
import { isInWindow, renderClusterFile } from '../../../src/protocol/rollout/declaration.ts';

const decode = (text: string) => decodeClusterFile(text, 'cluster.yaml');

const whole = `
cluster: demo
nodes:
  - node: 1
    internal: 192.0.2.51/24
    external: [203.0.113.1, "2001:DB8:0::1"]
  - node: 2
    internal: "2001:db8::52/64"
    gateway: 2001:db8::fe
  - node: 5
    external: []
windows:
  - { days: [sat, sun], from: "22:00", to: "04:30" }
`;

describe('the file of the addresses of a cluster', () => {
  test('is read, with addresses in their one form', () => {
    expect(decode(whole)).toEqual({
      cluster: 'demo',
      nodes: [
        {
          node: 1,
          internal: { address: '192.0.2.51', prefixLength: 24 },
          external: ['203.0.113.1', '2001:db8::1'],
        },
        { node: 2, internal: { address: '2001:db8::52', prefixLength: 64 }, gateway: '2001:db8::fe' },
        { node: 5, external: [] },
      ],
      windows: [{ days: ['sat', 'sun'], from: '22:00', to: '04:30' }],
    });
  });

  test('that is written is read again as what it was written from', () => {
    const { windows: _, ...declaration } = decode(whole);
    const nodes = declaration.nodes.map(({ gateway: __, ...node }) => node);
    const written = { ...declaration, nodes, windows: [] };
    const text = renderClusterFile(written, new Map([[5, 'its address is\nleft out']]));
    expect(text).toMatch(
      /^# yaml-language-server: \$schema=\/usr\/share\/doc\/rlnet\/cluster\.schema\.json\n/,
    );
    expect(decode(text)).toEqual(written);
    expect(text).toContain('    # its address is left out\n');
  });

  test.for([
    ['nodes: []', /^nodes: Invalid length/, 1],
    ['nodes:\n  - node: 1\n    internl: 192.0.2.1/24', /^There is no nodes\.0\.internl in this file/, 3],
    [
      'nodes:\n  - node: 1\n    internal: 192.0.2.1',
      /^nodes\.0\.internal: Invalid address: "192.0.2.1" has no prefix length/,
      3,
    ],
    ['nodes:\n  - node: 1\n    internal: 192.0.2.01/24', /^nodes\.0\.internal: Invalid address/, 3],
    ['nodes:\n  - node: 1\n    external: [2001:db8::/32]', /^nodes\.0\.external\.0: Invalid address/, 3],
    ['nodes:\n  - node: one', /^nodes\.0\.node: Invalid type/, 2],
    ['nodes:\n  - node: 1\nwindows:\n  - from: 22:00\n    to: "25:00"', /^windows\.0\.to: Invalid time/, 5],
    [
      'nodes:\n  - node: 1\nwindows:\n  - { days: [caturday], from: "22:00", to: "23:00" }',
      /^windows\.0\.days\.0: Invalid type/,
      4,
    ],
  ] as const)('%j is refused, with its line', ([text, message, line]) => {
    try {
      decode(text);
    } catch (thrown) {
      if (!(thrown instanceof RlnetError)) throw thrown;
      expect(thrown.code).toBe('CLUSTER_FILE_INVALID');
      expect(thrown.message).toMatch(message);
      expect(thrown.at).toMatchObject({ file: 'cluster.yaml', line });
      return;
    }
    throw new Error('it was read');
  });
});

describe('the schema for editors', () => {
  const schema = JSON.parse(
    readFileSync(new URL('../../../docs/cluster.schema.json', import.meta.url), 'utf8'),
  ) as unknown;

  /** As much of JSON Schema as that file uses. */
  function accepts(part: unknown, value: unknown): boolean {
    const rule = part as Record<string, unknown> & {
      properties?: Record<string, unknown>;
      required?: string[];
      enum?: unknown[];
    };
    const at = (name: string, fallback: number): number => (rule[name] as number | undefined) ?? fallback;
    if (rule.enum !== undefined) return rule.enum.includes(value);
    switch (rule['type']) {
      case 'object': {
        if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
        const has = Object.entries(value);
        return (
          (rule.required ?? []).every((name) => Object.hasOwn(value, name)) &&
          has.every(
            ([name, each]) =>
              Object.hasOwn(rule.properties ?? {}, name) && accepts(rule.properties?.[name], each),
          )
        );
      }
      case 'array':
        return (
          Array.isArray(value) &&
          value.length >= at('minItems', 0) &&
          value.length <= at('maxItems', Number.POSITIVE_INFINITY) &&
          value.every((each) => accepts(rule['items'], each))
        );
      case 'integer':
        return Number.isInteger(value) && (value as number) >= at('minimum', Number.NEGATIVE_INFINITY);
      default:
        return (
          typeof value === 'string' &&
          value.length <= at('maxLength', Number.POSITIVE_INFINITY) &&
          new RegExp(rule['pattern'] as string).test(value)
        );
    }
  }

  const node = { node: 1, internal: '192.0.2.1/24', external: ['203.0.113.1'] };
  const window = { from: '22:00', to: '04:00' };
  test.for([
    [{ nodes: [node] }, true],
    [{ cluster: 'demo', nodes: [node, { node: 2 }], windows: [{ ...window, days: ['mon'] }] }, true],
    [{ nodes: [{ ...node, gateway: '2001:db8::1' }] }, true],
    [{}, false],
    [{ nodes: [] }, false],
    [{ nodes: Array.from({ length: 65 }, () => node) }, false],
    [{ nodes: [{ ...node, extra: 1 }] }, false],
    [{ nodes: [node], extra: 1 }, false],
    [{ nodes: [{ internal: '192.0.2.1/24' }] }, false],
    [{ nodes: [{ ...node, node: 0 }] }, false],
    [{ nodes: [{ ...node, node: '1' }] }, false],
    [{ nodes: [{ ...node, internal: '192.0.2.1' }] }, false],
    [{ nodes: [{ ...node, external: '203.0.113.1' }] }, false],
    [{ nodes: [{ ...node, external: ['host.example'] }] }, false],
    [{ cluster: 'a b', nodes: [node] }, false],
    [{ nodes: [node], windows: [] }, false],
    [{ nodes: [node], windows: [{ ...window, days: ['monday'] }] }, false],
    [{ nodes: [node], windows: [{ from: '24:00', to: '04:00' }] }, false],
  ] as const)('says of %j what rlnet says: %j', ([value, good]) => {
    expect(accepts(schema, value)).toBe(good);
    let read = true;
    try {
      // JSON is YAML.
      decode(JSON.stringify(value));
    } catch {
      read = false;
    }
    expect(read).toBe(good);
  });
});

describe('a maintenance window', () => {
  // 2026-11-28 is a Saturday.
  const at = (day: number, time: string): number => Date.parse(`2026-11-${day}T${time}:00Z`);
  const night = [{ days: ['sat' as const], from: '22:00', to: '04:00' }];
  test.for([
    [28, '21:59', false],
    [28, '22:00', true],
    [29, '03:59', true],
    [29, '04:00', false],
    [29, '22:30', false],
    [28, '03:00', false],
  ] as const)('from Saturday 22:00 to 04:00 is open on the %ith at %s: %j', ([day, time, open]) => {
    expect(isInWindow(night, at(day, time))).toBe(open);
  });

  test('of one day ends on that day, and without days it is daily', () => {
    const noon = [{ from: '12:00', to: '13:00' }];
    expect([11, 12, 13].map((hour) => isInWindow(noon, at(27, `${hour}:30`)))).toEqual([false, true, false]);
  });

  test('is always open where there is none, and one of several is enough', () => {
    expect(isInWindow([], 0)).toBe(true);
    expect(isInWindow([...night, { from: '12:00', to: '12:01' }], at(25, '12:00'))).toBe(true);
  });
});
