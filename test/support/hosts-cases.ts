import fc from 'fast-check';

/** Texts of /etc/hosts, and whether they map ::1 to localhost. The host tier asks glibc itself the same questions. */
export const hostsCases: { what: string; text: string; verdict: 'present' | 'missing' }[] = [
  { what: 'an empty file', text: '', verdict: 'missing' },
  { what: 'the plain line', text: '::1 localhost\n', verdict: 'present' },
  { what: 'a tab', text: '::1\tlocalhost\n', verdict: 'present' },
  { what: 'a vertical tab', text: '::1\vlocalhost\n', verdict: 'present' },
  { what: 'a form feed', text: '::1\flocalhost\n', verdict: 'present' },
  { what: 'a no-break space', text: '::1\u00a0localhost\n', verdict: 'missing' },
  { what: 'a byte order mark', text: '\ufeff::1 localhost\n', verdict: 'missing' },
  { what: 'no final newline', text: '::1 localhost', verdict: 'present' },
  { what: 'DOS line ends', text: '127.0.0.1 localhost\r\n::1 localhost\r\n', verdict: 'present' },
  {
    what: 'a carriage return alone, which ends no line',
    text: '192.0.2.1 x\r::1 localhost\n',
    verdict: 'missing',
  },
  { what: 'the name as the last alias', text: '  ::1 a b\tc localhost#x\n', verdict: 'present' },
  { what: 'an indented line', text: ' ::1 localhost\n', verdict: 'present' },
  { what: 'an indented last line that ends in a comment', text: '\t::1 localhost #', verdict: 'present' },
  { what: 'capital letters', text: '::1 LocalHost\n', verdict: 'present' },
  { what: 'a longer name', text: '::1 localhost6 localhost.localdomain\n', verdict: 'missing' },
  { what: 'a final dot', text: '::1 localhost.\n', verdict: 'missing' },
  {
    what: 'letters that only fold to the name',
    text: '::1 LOCALHO\u017fT \u0130localhost\n',
    verdict: 'missing',
  },
  { what: 'the name in a comment', text: '::1 ip6-localhost # localhost\n', verdict: 'missing' },
  { what: 'a line in a comment', text: '#::1 localhost\n', verdict: 'missing' },
  { what: 'a comment right after the address', text: '::1#localhost\n', verdict: 'missing' },
  { what: 'a comment right after the name', text: '::1 localhost#no\n', verdict: 'present' },
  { what: 'all groups written out', text: '0:0:0:0:0:0:0:1 localhost\n', verdict: 'present' },
  { what: 'padded groups', text: '0000:0000:0000:0000:0000:0000:0000:0001 localhost\n', verdict: 'present' },
  { what: 'a group of five digits', text: '0:0:0:0:0:0:0:00001 localhost\n', verdict: 'missing' },
  { what: 'a dotted tail', text: '0:0:0:0:0:0:0.0.0.1 localhost\n', verdict: 'present' },
  { what: 'nothing but a dotted tail', text: '::0.0.0.1 localhost\n', verdict: 'present' },
  { what: 'a zone', text: '::1%lo localhost\n', verdict: 'missing' },
  { what: 'brackets', text: '[::1] localhost\n', verdict: 'missing' },
  { what: 'a comma', text: '::1,localhost\n', verdict: 'missing' },
  { what: 'IPv4 only', text: '127.0.0.1 localhost\n', verdict: 'missing' },
  { what: 'the mapped IPv4 loopback', text: '::ffff:127.0.0.1 localhost\n', verdict: 'missing' },
  { what: 'IPv4 first', text: '127.0.0.1 localhost\n::1 localhost\n', verdict: 'present' },
  { what: 'another IPv6 address first', text: 'fe80::1 localhost\n::1 localhost\n', verdict: 'present' },
  { what: 'other names for ::1 first', text: '::1 a\n::1 b\n::1 localhost\n', verdict: 'present' },
  { what: 'address and name on two lines', text: '::1\n localhost\n', verdict: 'missing' },
  { what: 'a line continued as a shell would', text: '::1 \\\n localhost\n', verdict: 'missing' },
  { what: 'a NUL after the name', text: '::1 localhost\0 x\n', verdict: 'present' },
  { what: 'a NUL before the address', text: '\0::1 localhost\n', verdict: 'missing' },
  { what: 'a NUL before the name', text: '::1 \0localhost\n', verdict: 'missing' },
  {
    what: 'a very long line',
    text: `::1 ${Array.from({ length: 20_000 }, (_, index) => `host${index}`).join(' ')} localhost\n`,
    verdict: 'present',
  },
];

/** Pieces of hosts files, the good, the bad and the odd, as Latin-1: one character a byte. */
const pieces = [
  ...['::1', '0::1', '0:0:0:0:0:0:0:1', '127.0.0.1', 'fe80::1', '192.0.2.7', 'x'],
  ...['localhost', 'LOCALHOST', 'localhost.', 'ip6-localhost', 'node1', 'n\u00c3\u00b6rd', '\u00ff\u00fe'],
  ...[' ', ' ', '  ', '\t', '\t\t', '\v', '\f', '\r'],
  ...['\n', '\n', '\n', '\r\n', '\n\n', '\n ', '#', '# note', '\0', '\u00ef\u00bb\u00bf', '\u00a0'],
];
const anyPieces = fc.array(fc.constantFrom(...pieces), { maxLength: 14 }).map((chosen) => chosen.join(''));
const usualLine = fc.constantFrom(
  '127.0.0.1 localhost\n',
  '127.0.0.1\tlocalhost localhost.localdomain\n',
  '::1 ip6-localhost ip6-loopback\n',
  '::1\tip6-localhost\tip6-loopback # IPv6\r\n',
  '# The following lines are desirable for IPv6 capable hosts\n',
  'ff02::1 ip6-allnodes\n',
  '192.0.2.7 node1.example node1\n',
  '\n',
);
const anyBytes = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString('latin1'));
/** Texts of hosts files: usual lines with odd pieces and any bytes between, as Latin-1. Chance alone would hardly ever make a line. */
export const anyHostsText: fc.Arbitrary<string> = fc
  .array(
    fc.oneof(
      { weight: 6, arbitrary: usualLine },
      { weight: 2, arbitrary: anyPieces },
      { weight: 1, arbitrary: anyBytes },
    ),
    { maxLength: 8 },
  )
  .map((parts) => parts.join(''));

/**
 * What was put into a text, without blanks and newlines, where one insertion is all that was done to it: then no other line is another one.
 * @returns undefined where more was done
 */
export function insertionIn(before: string, after: string): string | undefined {
  const added = after.length - before.length;
  const longest = after.length - added;
  for (let at = 0; at <= longest; at += 1) {
    if (after.slice(0, at) + after.slice(at + added) === before) {
      // The same insertion can be read a few characters further on, where they repeat; the first whole one counts.
      const inserted = after.slice(at, at + added).replaceAll(/\s/g, '');
      if (['::1localhost', 'localhost'].includes(inserted)) return inserted;
    }
  }
  return undefined;
}
