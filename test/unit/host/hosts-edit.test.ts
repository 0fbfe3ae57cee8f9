import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { addLocalhostIpv6 } from '../../../src/host/hosts-edit.ts';
import { judgeHosts } from '../../../src/host/hosts-syntax.ts';
import { anyHostsText, hostsCases, insertionIn } from '../../support/hosts-cases.ts';

describe('the hosts file with ::1 localhost', () => {
  test.for([
    ['an empty file', '', '::1 localhost\n', 1],
    [
      'a line for ::1',
      '127.0.0.1 localhost\n::1 ip6-localhost\n',
      '127.0.0.1 localhost\n::1 ip6-localhost localhost\n',
      2,
    ],
    ['a line for ::1 with a comment', '::1 a b  # ours\n', '::1 a b localhost  # ours\n', 1],
    ['a comment right after the name', '::1 a#b\n', '::1 a localhost#b\n', 1],
    ['tabs', '::1\tip6-localhost\n', '::1\tip6-localhost\tlocalhost\n', 1],
    ['an address without a name', '::1\n', '::1 localhost\n', 1],
    ['another notation of ::1', '0:0:0:0:0:0:0:1 a\n', '0:0:0:0:0:0:0:1 a localhost\n', 1],
    ['DOS line ends', '::1 a\r\n192.0.2.1 b\r\n', '::1 a localhost\r\n192.0.2.1 b\r\n', 1],
    ['a line for ::1 without a newline', '::1 a', '::1 a localhost', 1],
    ['a NUL after the name', '::1 a\0 b\n', '::1 a localhost\0 b\n', 1],
    [
      'no line for ::1',
      '# head\n127.0.0.1 localhost\n192.0.2.1 a\n',
      '# head\n127.0.0.1 localhost\n::1 localhost\n192.0.2.1 a\n',
      3,
    ],
    [
      'no line for ::1, DOS line ends',
      '127.0.0.1 localhost\r\n',
      '127.0.0.1 localhost\r\n::1 localhost\r\n',
      2,
    ],
    ['no line for localhost', '192.0.2.1 a\n', '192.0.2.1 a\n::1 localhost\n', 2],
    ['no final newline', '127.0.0.1 localhost', '127.0.0.1 localhost\n::1 localhost', 2],
    [
      'no final newline, DOS line ends',
      '#\r\n127.0.0.1 localhost',
      '#\r\n127.0.0.1 localhost\r\n::1 localhost',
      3,
    ],
    ['comments alone', '# ::1 localhost\n\n', '# ::1 localhost\n\n::1 localhost\n', 3],
    [
      'a byte order mark',
      '\u00ef\u00bb\u00bf::1 localhost\n',
      '\u00ef\u00bb\u00bf::1 localhost\n::1 localhost\n',
      2,
    ],
    ['a line that glibc misreads', '127.0.0.1 a\n  ::1 b', '127.0.0.1 a\n  ::1 b\n::1 localhost', 3],
  ] as const)('has the smallest edit: %s', ([, before, after, line]) => {
    const edit = addLocalhostIpv6(before);
    expect(edit?.text).toBe(after);
    expect(edit?.line).toBe(line);
    expect(edit?.after).toBe(after.split(/\r?\n/)[line - 1]);
  });

  it.each(hostsCases.filter(({ verdict }) => verdict === 'present'))(
    'stays as it is with $what',
    ({ text }) => {
      expect(addLocalhostIpv6(text)).toBeUndefined();
    },
  );

  it.each(hostsCases.filter(({ verdict }) => verdict === 'missing'))(
    'maps it after the edit, with $what before',
    ({ text }) => {
      expectGoodEdit(text);
    },
  );

  it('has no other byte changed, whatever it was; and a second edit has nothing to do', () => {
    fc.assert(fc.property(anyHostsText, expectGoodEdit), { numRuns: 2_000 });
    const anyBytes = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes).toString('latin1'));
    fc.assert(fc.property(anyBytes, expectGoodEdit));
  });
});

function expectGoodEdit(text: string): void {
  const edit = addLocalhostIpv6(text);
  if (edit === undefined) {
    expect(judgeHosts(text).localhostIpv6).toBe('present');
    return;
  }
  expect(judgeHosts(edit.text).localhostIpv6).toBe('present');
  expect(addLocalhostIpv6(edit.text)).toBeUndefined();
  if (edit.before !== undefined) expect(lines(text)[edit.line - 1]).toBe(edit.before);
  expect(lines(edit.text)[edit.line - 1]).toBe(edit.after);
  expect(insertionIn(text, edit.text)).toBe(edit.before === undefined ? '::1localhost' : 'localhost');
  // The bytes are the same in any encoding, as the judge reads UTF-8.
  const asUtf8 = Buffer.from(edit.text, 'latin1').toString('utf8');
  expect(judgeHosts(asUtf8).localhostIpv6).toBe('present');
}

function lines(text: string): string[] {
  return text.split('\n').map((line) => line.replace(/\r$/, ''));
}
