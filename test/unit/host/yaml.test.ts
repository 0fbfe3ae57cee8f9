import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import type { LocatedNode } from '../../../src/host/ports/document.ts';
import { parseYamlDocument, parseYamlTree } from '../../../src/host/yaml.ts';

const file = '/etc/rlnet/agent.yaml';

function refusal(text: string): object {
  try {
    parseYamlDocument(text, file);
  } catch (thrown) {
    return thrown as object;
  }
  throw new Error('not refused');
}

describe('parseYamlDocument', () => {
  it.each(['', '\n', '# nothing yet\n', '---\n', 'null\n', '\ufeff'])(
    'takes %j for an empty document',
    (text) => {
      const document = parseYamlDocument(text, file);
      expect(document.value).toEqual({});
      for (const { line, column } of [document.locate(['mode']), document.locateKey(['mode'])]) {
        expect(line).toBeGreaterThanOrEqual(1);
        expect(column).toBeGreaterThanOrEqual(1);
      }
    },
  );

  it('reads YAML 1.2, where no and off are words and 010 is ten', () => {
    expect(parseYamlDocument('a: no\nb: off\nc: 010\nd: 1:30\n', file).value).toEqual({
      a: 'no',
      b: 'off',
      c: 10,
      d: '1:30',
    });
  });

  it('gives back any plain data that was written as YAML', () => {
    const key = fc.string({ maxLength: 8 });
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { maxDepth: 3 },
        fc.oneof(fc.string(), fc.integer(), fc.boolean()),
        fc.array(tie('tree'), { maxLength: 3 }),
        fc.dictionary(key, tie('tree'), { maxKeys: 3, noNullPrototype: true }),
      ),
    }));
    fc.assert(
      fc.property(fc.dictionary(key, tree, { minKeys: 1, maxKeys: 4, noNullPrototype: true }), (data) => {
        expect(parseYamlDocument(stringify(data, { aliasDuplicateObjects: false }), file).value).toEqual(
          data,
        );
      }),
    );
  });

  it('knows where each value and each key stands', () => {
    const text = [
      'mode: observe',
      'mesh:',
      '  seeds:',
      '    - 192.0.2.1',
      '    - "2001:db8::1"',
      '  port:   9470',
      'tls:',
      '  ca: {path: /x}',
      'rs:',
    ].join('\n');
    const document = parseYamlDocument(text, file);
    expect(document.locate(['mode'])).toEqual({ line: 1, column: 7 });
    expect(document.locate(['mesh', 'seeds', 1])).toEqual({ line: 5, column: 7 });
    expect(document.locate(['mesh', 'port'])).toEqual({ line: 6, column: 11 });
    expect(document.locate(['tls', 'ca', 'path'])).toEqual({ line: 8, column: 14 });
    expect(document.locateKey(['mesh', 'port'])).toEqual({ line: 6, column: 3 });
    expect(document.locateKey(['tls', 'ca', 'path'])).toEqual({ line: 8, column: 8 });
    expect(document.locateKey(['mesh', 'seeds', 1])).toEqual({ line: 5, column: 7 });
  });

  it('points at the nearest parent of what is not there', () => {
    const document = parseYamlDocument('a: 1\nmesh:\n  port: 1\nrs:\n', file);
    expect(document.locate(['mesh', 'seeds', 0])).toEqual({ line: 3, column: 3 });
    expect(document.locateKey(['mesh', 'seeds'])).toEqual({ line: 3, column: 3 });
    expect(document.locate(['rs', 'unit']).line).toBe(4);
    expect(document.locate([])).toEqual({ line: 1, column: 1 });
  });

  it.each([
    ['a flow that does not end', 'a: 1\nb: [1,\n', 3],
    ['a tab as indentation', 'a:\n\tb: 1\n', 2],
    ['a key given twice', 'a: 1\nb: 2\na: 3\n', 3],
    ['a second document', 'a: 1\n---\nb: 2\n', 2],
    ['an anchor', 'a: 1\nb: &x 2\n', 2],
    ['an alias', 'a: &x 1\nb: *x\n', 1],
    ['an alias that nothing stands behind', 'a: 1\nb: *x\n', 2],
    ['a tag', 'a: !!str 1\n', 1],
    ['an unknown tag', 'a: 1\nb: !secret 1\n', 2],
    ['a key that is a list', 'a: 1\n? [b]\n: 1\n', 2],
    ['a key that is a number', 'a: 1\n9470: 1\n', 2],
  ])('refuses %s, with file, line and column', (_, text, line) => {
    expect(refusal(text)).toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(/^[^\n]+$/),
      at: { file, line, column: expect.any(Number) },
    });
  });

  it('never fails in another way, whatever the text', () => {
    const pieces = fc.constantFrom(
      'a',
      'b',
      ': ',
      ':',
      '- ',
      '\n',
      '\n  ',
      '[',
      ']',
      '{',
      '}',
      '"',
      "'",
      '&x',
      '*x',
      '!t',
      '#',
      '|',
      '?',
      ',',
      '1',
      '\t',
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 20 }), (chosen) => {
        try {
          const document = parseYamlDocument(chosen.join(''), file);
          expect(document.locate(['a', 'b']).line).toBeGreaterThan(0);
        } catch (thrown) {
          expect(thrown).toMatchObject({ code: 'CONFIG_INVALID', at: { file, line: expect.any(Number) } });
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('parseYamlTree', () => {
  /** Each scalar as what it says, how it stands there, and whether it stands elsewhere too. */
  const scalars = (text: string, node: LocatedNode | undefined): [string, string, boolean][] => {
    switch (node?.kind) {
      case undefined:
        return [];
      case 'scalar':
        return [[node.value, text.slice(node.start, node.end), node.shared]];
      case 'map':
        return node.entries.flatMap(({ key, value }) => [...scalars(text, key), ...scalars(text, value)]);
      case 'list':
        return node.items.flatMap((item) => scalars(text, item));
    }
  };
  const read = (text: string) => scalars(text, parseYamlTree(text, file));

  it('knows where each scalar begins and ends, in whatever style it is written', () => {
    const text =
      'a: plain # c\nb: "dou\\x62le"\nc: [\'single\', x: 1]\nd: !!str tagged\ne: >-\n  block\nf:\n010: ~\n';
    expect(read(text).map(([value, written]) => [value, written])).toEqual([
      ['a', 'a'],
      ['plain', 'plain'],
      ['b', 'b'],
      ['double', '"dou\\x62le"'],
      ['c', 'c'],
      ['single', "'single'"],
      ['x', 'x'],
      ['1', '1'],
      ['d', 'd'],
      ['tagged', 'tagged'],
      ['e', 'e'],
      ['block', '>-\n  block\n'],
      ['f', 'f'],
      ['', ''],
      ['010', '010'],
      ['~', '~'],
    ]);
  });

  it('says of what an alias names that it stands in several places, and keeps a key that is there twice', () => {
    expect(read('a: &x [1]\na: *x\nb: &y 2\n')).toEqual([
      ['a', 'a', false],
      ['1', '1', true],
      ['a', 'a', false],
      ['1', '1', true],
      ['b', 'b', false],
      ['2', '2', false],
    ]);
  });

  it('is undefined for an empty file, and refuses what is no YAML or has no end', () => {
    expect(parseYamlTree('# nothing\n', file)).toBeUndefined();
    for (const text of ['a: [', 'a: &x [*x]\n', '- b\na: c\n']) {
      expect(() => parseYamlTree(text, file)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
    }
  });
});
