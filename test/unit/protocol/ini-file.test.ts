import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromByteText, lineAt, spliced, toByteText } from '../../../src/protocol/byte-text.ts';
import { type IniDialect, parseIni } from '../../../src/protocol/ini-file.ts';

const values = (text: string, dialect: IniDialect = 'systemd') =>
  parseIni(text, dialect).flatMap(({ name, entries }) =>
    entries.map(({ key, value }) => `${name ?? '-'}.${key}=${value}`),
  );

describe('the text of a file, a character a byte', () => {
  it('gives every byte back', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(fromByteText(toByteText(bytes))).toEqual(new Uint8Array(bytes));
      }),
    );
  });

  it('refuses splices that overlap or lie outside', () => {
    const at = (start: number, end: number) => ({ start, end, text: 'x' });
    expect(() => spliced('abc', [at(0, 2), at(1, 3)])).toThrow(RangeError);
    expect(() => spliced('abc', [at(2, 4)])).toThrow(RangeError);
    expect(spliced('abc', [at(2, 3), at(0, 1)])).toBe('xbx');
  });

  it('counts lines as editors do', () => {
    expect([0, 1, 2, 3, 4].map((position) => lineAt('a\nb\n', position))).toEqual([1, 1, 2, 2, 3]);
  });
});

describe('a file of systemd', () => {
  it('has sections that come again, keys that come again, and blanks that do not count', () => {
    const text =
      '[Network]\n Address = 10.0.0.1/24 \nAddress=10.0.0.2/24\n[Route]\nMetric=1\n[Route]\nMetric=2';
    expect(values(text)).toEqual([
      'Network.Address=10.0.0.1/24',
      'Network.Address=10.0.0.2/24',
      'Route.Metric=1',
      'Route.Metric=2',
    ]);
    expect(parseIni(text, 'systemd').filter(({ name }) => name === 'Route')).toHaveLength(2);
  });

  it('passes over comments, also indented ones and those within a continued line', () => {
    expect(values('[A]\n  # a=1\n;b=2\nc=1 \\\n# no=1\n  2 \\\n  3\nd=4')).toEqual([
      'A.c=1    2    3',
      'A.d=4',
    ]);
  });

  it('does not continue a line after an escaped backslash, nor a comment', () => {
    expect(values('[A]\na=1\\\\\nb=2\n# c \\\nd=3')).toEqual(['A.a=1\\\\', 'A.b=2', 'A.d=3']);
  });

  it('may end its lines as other systems do, and begin with a byte order mark', () => {
    expect(values('\u00ef\u00bb\u00bf[A]\r\na=1\r\n\r\nb=2')).toEqual(['A.a=1', 'A.b=2']);
  });

  it('has nothing in a section whose header is broken, and no line that is not UTF-8', () => {
    expect(values('a=0\n[A\nb=1\n[C]\nd=\u00ff\ne=\u00c3\u00bc\n=3\nf')).toEqual([
      '-.a=0',
      '-.b=1',
      'C.e=\u00c3\u00bc',
    ]);
  });

  it('tells the line on which an entry begins', () => {
    const [, section] = parseIni('[A]\n\na=1 \\\n2\nb=3\n', 'systemd');
    expect(section?.entries.map(({ key, line }) => [key, line])).toEqual([
      ['a', 3],
      ['b', 5],
    ]);
  });
});

describe('a keyfile', () => {
  it('has comments in the first column only, and no continued lines', () => {
    expect(values('[ipv4]\n#a=1\n #b=2\nc=1\\\nd=2\n;e=3\n', 'keyfile')).toEqual([
      'ipv4.#b=2',
      'ipv4.c=1\\',
      'ipv4.d=2',
      'ipv4.;e=3',
    ]);
  });
});

describe('every word of a file', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      '[A]',
      '[',
      ']',
      '=',
      '#',
      ';',
      '\\',
      '\n',
      '\r\n',
      '\r',
      '\0',
      ' ',
      '\t',
      'key',
      '1.2.3.4/5',
    ),
    fc.string({ unit: 'binary', maxLength: 3 }).map((text) => toByteText(new TextEncoder().encode(text))),
  );
  const text = fc.array(piece, { maxLength: 60 }).map((pieces) => pieces.join(''));

  it.each(['systemd', 'keyfile'] as const)(
    'stands where a %s file says, after the word before it',
    (dialect) => {
      fc.assert(
        fc.property(text, (content) => {
          let position = 0;
          for (const { entries } of parseIni(content, dialect)) {
            for (const { key, words, line } of entries) {
              for (const word of words) {
                expect(content.slice(word.start, word.end)).toBe(word.text);
                expect(word.start).toBeGreaterThanOrEqual(position);
                position = word.end;
              }
              expect(key).not.toBe('');
              expect(line).toBeGreaterThan(0);
            }
          }
        }),
        { numRuns: 2000 },
      );
    },
  );

  it.each(['systemd', 'keyfile'] as const)(
    'of a %s file can be another one, and all others stay',
    (dialect) => {
      fc.assert(
        fc.property(text, fc.nat(), (content, choice) => {
          const words = (of: string) =>
            parseIni(of, dialect).flatMap(({ name, entries }) =>
              entries.flatMap((entry) => entry.words.map((word) => ({ word, name, key: entry.key }))),
            );
          const all = words(content);
          const chosen = all[choice % Math.max(all.length, 1)];
          fc.pre(chosen !== undefined);
          const { start, end } = chosen.word;
          const after = words(spliced(content, [{ start, end, text: '192.0.2.7/24' }]));
          const shown = (list: typeof all) => list.map(({ word, name, key }) => [name, key, word.text]);
          expect(shown(after)).toEqual(
            shown(
              all.map((each) =>
                each === chosen ? { ...each, word: { ...each.word, text: '192.0.2.7/24' } } : each,
              ),
            ),
          );
        }),
        { numRuns: 2000 },
      );
    },
  );
});
