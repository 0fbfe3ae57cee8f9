import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseNodeTable } from '../../src/host/rladmin.ts';
import { parseAddress, tryParseAddress } from '../../src/protocol/address.ts';

const controlSequence = new RegExp(`${String.fromCharCode(27)}\\[[0-9;?]*[A-Za-z]`, 'g');

/** `RLNET_PROPERTY_RUNS=20000` to hunt for longer. */
const numRuns = Number(process.env['RLNET_PROPERTY_RUNS'] ?? 300);
const timeout = Math.max(30_000, numRuns * 20);

/** A made-up node table as data: what is printed in each cell, '' for a blank one. */
interface Table {
  names: string[];
  rows: Record<string, string>[];
}

const addressText = fc.oneof(
  fc.ipV4(),
  // Addresses of one subnet: half of one is another.
  fc.integer({ min: 1, max: 254 }).map((last) => `10.0.0.${last}`),
  fc.ipV6().filter((text) => tryParseAddress(text) !== undefined),
);
const size = fc.constantFrom('16.06GB/19.54GB', '0KB/0KB', '-/19.54GB', '1023.99MB/1.2TB', '-1.5GB/20GB');
const freeText = fc.constantFrom('', '-', 'OK', 'rack-1', 'rack 1', 'eu-west-1a', '7', '192.0.2.77', 'DOWN');
const statusText = fc.oneof(
  { weight: 3, arbitrary: fc.constant('OK') },
  fc.nat(9999).map((seconds) => `DOWN, last seen ${seconds}s ago`),
  fc.constantFrom(
    'DOWN',
    'NOT OK',
    'OK (stale)',
    'ok',
    'OK, joining',
    'RECOVERING',
    'in maintenance mode',
    'UNKNOWN',
  ),
);

/** What a cell of each column can hold. */
const cellsOf: Record<string, fc.Arbitrary<string>> = {
  ROLE: fc.constantFrom('master', 'slave'),
  ADDRESS: addressText,
  EXTERNAL_ADDRESS: fc.array(addressText, { maxLength: 3 }).map((list) => list.join(',')),
  HOSTNAME: fc.stringMatching(/^[a-z0-9][a-zA-Z0-9_.-]{0,24}$/),
  SHARDS: fc.tuple(fc.nat(300), fc.nat(300)).map(([used, limit]) => `${used}/${limit}`),
  VERSION: fc
    .tuple(fc.constantFrom('7.4.2-54', '100.0.21-16135', '8.0.2-17'), fc.constantFrom('', ' (OLD VERSION)'))
    .map(([version, note]) => version + note),
  STATUS: statusText,
  MASTERS: fc.nat(99).map(String),
  SLAVES: fc.nat(99).map(String),
  OVERBOOKING_DEPTH: fc.constantFrom('10.91GB', '-3.2GB', '0KB'),
  CORES: fc.integer({ min: 1, max: 96 }).map(String),
  FREE_RAM: size,
  PROVISIONAL_RAM: size,
  RAM: size,
  AVAILABLE_RAM: size,
  FLASH: size,
  SHA: fc.stringMatching(/^[0-9a-f]{6}$/),
  'RACK-ID': freeText,
  NEW_COLUMN: freeText,
  ANOTHER_ONE: freeText,
};

function tableOf(always: readonly string[]): fc.Arbitrary<Table> {
  const optional = Object.keys(cellsOf).filter((name) => !always.includes(name));
  return fc
    .shuffledSubarray(optional)
    .chain((chosen) =>
      fc.shuffledSubarray([...always, ...chosen], { minLength: always.length + chosen.length }),
    )
    .chain((names) =>
      fc.record({
        names: fc.constant(['NODE:ID', ...names]),
        uids: fc.uniqueArray(fc.integer({ min: 1, max: 400 }), { maxLength: 30, size: 'max' }),
        star: fc.nat(40),
        rows: fc.array(
          fc.record(Object.fromEntries(names.map((name) => [name, cellsOf[name] ?? freeText]))),
          {
            minLength: 30,
            maxLength: 30,
          },
        ),
      }),
    )
    .map(
      ({ names, uids, star, rows }): Table => ({
        names: [...names],
        rows: uids.map((uid, index) => ({
          'NODE:ID': `${index === star ? '*' : ''}node:${uid}`,
          ...rows[index],
        })),
      }),
    );
}

const freeTextColumns = ['RACK-ID', 'NEW_COLUMN', 'ANOTHER_ONE'];

/**
 * The same table as every one that is known of is made: STATUS at its end, and in other columns no free text. Where rows or
 * header are out of line, a text of several words can by chance break at the very offset of the next column, and a free text can
 * stand at the offset of another: there is no telling.
 */
function asKnown({ names, rows }: Table): Table {
  const kept = names.filter((name) => name !== 'STATUS' && !freeTextColumns.includes(name));
  if (names.includes('STATUS')) kept.push('STATUS');
  return {
    names: kept,
    rows: rows.map((row) => Object.fromEntries(kept.map((name) => [name, row[name] ?? '']))),
  };
}

/** Lines of a table, header first: cells padded to their column's width, one space between. A wider value pushes what follows. */
function render(
  { names, rows }: Table,
  widthOf: (name: string, column: number) => number,
  trailing = 0,
): string[] {
  const widths = names.map(widthOf);
  const line = (cells: string[]) =>
    cells
      .map((cell, index) => cell.padEnd(widths[index] ?? 0))
      .join(' ')
      .trimEnd() + ' '.repeat(trailing);
  return [line(names), ...rows.map((row) => line(names.map((name) => row[name] ?? '')))];
}

function widest(table: Table, name: string): number {
  return Math.max(name.length, ...table.rows.map((row) => row[name]?.length ?? 0));
}

/** What should be read from a row, worked out from the data and not from text. */
function expected(row: Record<string, string>) {
  const [star, uid] = (row['NODE:ID'] ?? '').split('node:');
  const [used, limit] = (row['SHARDS'] ?? '').split('/');
  const status = row['STATUS'] ?? '';
  return {
    uid: Number(uid),
    isLocal: star === '*',
    role: row['ROLE'],
    address: row['ADDRESS'] === undefined ? undefined : parseAddress(row['ADDRESS']),
    externalAddresses: (row['EXTERNAL_ADDRESS'] ?? '').split(',').filter(Boolean).map(parseAddress),
    hostname: row['HOSTNAME'] ?? '',
    shards: row['SHARDS'] === undefined ? undefined : { used: Number(used), limit: Number(limit) },
    version: row['VERSION']?.replace(' (OLD VERSION)', ''),
    status: status === 'OK' ? 'ok' : status.startsWith('DOWN') ? 'down' : 'unknown',
    statusText: status,
    columns: row,
  };
}

const surroundings = fc.record({
  before: fc.constantFrom(
    '',
    'CLUSTER NODES:\n',
    '$ rladmin status nodes\nCLUSTER NODES:\n',
    'rladmin> status  \nCLUSTER NODES:\n',
    'CLUSTER:\nOK. Cluster master: 1 (198.51.100.2)\nCluster health: OK, [1, 0.1, 0.03]\n\nCLUSTER NODES:\n',
    'node:2 will not accept any more shards\nOK\n$ rladmin status nodes\nCLUSTER NODES:\n',
  ),
  after: fc.constantFrom(
    '',
    '\n',
    '\nrladmin> ',
    '\n$ rladmin node 2 addr set 192.0.2.5\nUpdated successfully.\n',
    '\n\nDATABASES:\nDB:ID NAME STATUS\ndb:3  demo active\n\nSHARDS:\nDB:ID NAME ID NODE ROLE SLOTS STATUS\ndb:3 demo redis:1 node:1 master 0-1 OK\n',
  ),
});

/** Colours as a terminal program puts them: around a word, or around the whole line. */
function coloured(lines: readonly string[], how: 'none' | 'words' | 'lines'): string[] {
  const esc = String.fromCharCode(27);
  if (how === 'none') return [...lines];
  if (how === 'lines') return lines.map((line) => `${esc}[1;31m${line}${esc}[0m`);
  return lines.map((line) => line.replace(/\bOK\b|DOWN.*|\*?node:\d+/g, `${esc}[32m$&${esc}[39;49m${esc}(B`));
}

describe('node tables made from data', () => {
  test(
    'a table in line with its header is read as the data it was made from, whatever its columns, widths and colours',
    () => {
      fc.assert(
        fc.property(
          tableOf([]),
          fc.array(fc.nat(12), { minLength: 30, maxLength: 30 }),
          fc.nat(4),
          surroundings,
          fc.constantFrom('\n', '\r\n'),
          fc.constantFrom('none' as const, 'words' as const, 'lines' as const),
          (table, padding, trailing, { before, after }, lineEnd, colour) => {
            const lines = render(
              table,
              (name, column) => widest(table, name) + (padding[column] ?? 0),
              trailing,
            );
            const text = (before + coloured(lines, colour).join('\n') + after).replaceAll('\n', lineEnd);
            expect(parseNodeTable(text)).toEqual({ nodes: table.rows.map(expected), unread: [] });
          },
        ),
        { numRuns },
      );
    },
    timeout,
  );

  const readRightOrUnread = (table: Table, lines: string[]) => {
    const { nodes, unread } = parseNodeTable(lines.join('\n'));
    const unreadAt = new Set(unread.map(({ lineNumber }) => lineNumber));
    const rest = table.rows.filter((_, index) => !unreadAt.has(index + 2));
    expect(nodes).toEqual(rest.map(expected));
    expect(unread.map(({ line }) => line)).toEqual([...unreadAt].map((lineNumber) => lines[lineNumber - 1]));
  };

  test(
    'a row that values too wide for their columns push out of line is read as its data or is unread',
    () => {
      const tables = tableOf([]).map(asKnown);
      fc.assert(
        fc.property(tables, fc.array(fc.nat(8), { minLength: 30, maxLength: 30 }), (table, padding) => {
          readRightOrUnread(
            table,
            render(table, (name, column) => name.length + (padding[column] ?? 0)),
          );
        }),
        { numRuns },
      );
    },
    timeout,
  );

  test(
    'a row with any number of spaces between its cells is read as its data or is unread',
    () => {
      const tables = tableOf([]).map(asKnown);
      fc.assert(
        fc.property(tables, fc.infiniteStream(fc.integer({ min: 1, max: 9 })), (table, gaps) => {
          const rows = table.rows.map((row) =>
            table.names
              .map((name) => row[name] ?? '')
              .reduce((line, cell) => line + ' '.repeat(gaps.next().value) + cell)
              .trimEnd(),
          );
          readRightOrUnread(table, [table.names.join('  '), ...rows]);
        }),
        { numRuns },
      );
    },
    timeout,
  );

  test(
    'the columns that rladmin prints by itself are read also where a row is out of line',
    () => {
      const usual =
        'ROLE ADDRESS EXTERNAL_ADDRESS HOSTNAME SHARDS CORES FREE_RAM PROVISIONAL_RAM VERSION STATUS'.split(
          ' ',
        );
      const row = fc.record({
        ...Object.fromEntries(usual.map((name) => [name, cellsOf[name] ?? freeText])),
        HOSTNAME: fc.stringMatching(/^[a-z]{1,24}$/),
        STATUS: fc.constantFrom('OK', 'DOWN, last seen 33s ago'),
      });
      fc.assert(
        fc.property(fc.array(row, { minLength: 1, maxLength: 9 }), (cells) => {
          const rows = cells.map((cell, index) => ({ 'NODE:ID': `node:${2 * index + 1}`, ...cell }));
          const table = { names: ['NODE:ID', ...usual], rows: rows as Record<string, string>[] };
          const text = render(table, (name) => name.length).join('\n');
          expect(parseNodeTable(text)).toEqual({ nodes: table.rows.map(expected), unread: [] });
        }),
        { numRuns },
      );
    },
    timeout,
  );
});

describe('damaged node tables', () => {
  const damage = fc.record({
    line: fc.nat(31),
    at: fc.nat(160),
    how: fc.constantFrom(
      'replace' as const,
      'insert' as const,
      'delete' as const,
      'cut' as const,
      'twice' as const,
      'whole' as const,
    ),
    text: fc.oneof(
      fc.string({ maxLength: 3 }),
      fc.constantFrom(
        '\n',
        '\r',
        '\t',
        ' ',
        '  ',
        '\u001b',
        '\u001b[2K',
        '\u00a0',
        '*',
        ',',
        'O',
        'K',
        '1',
        ':',
        '.',
        '/',
      ),
    ),
  });

  function damaged(
    lines: readonly string[],
    { line, at, how, text }: { line: number; at: number; how: string; text: string },
  ) {
    const index = line % lines.length;
    const old = lines[index] ?? '';
    const place = at % (old.length + 1);
    const changed: Record<string, string[]> = {
      replace: [old.slice(0, place) + text + old.slice(place + 1)],
      insert: [old.slice(0, place) + text + old.slice(place)],
      delete: [old.slice(0, place) + old.slice(place + 1 + text.length)],
      cut: [old.slice(0, place)],
      twice: [old, old],
      whole: [text],
    };
    return { index, lines: changed[how] ?? [] };
  }

  test(
    'no damage to a row throws, hides a line, heals a node or changes what another row says',
    () => {
      fc.assert(
        fc.property(
          tableOf(['ADDRESS', 'STATUS']),
          fc.array(damage, { minLength: 1, maxLength: 4 }),
          (table, hits) => {
            const [header = '', ...rows] = render(table, (name) => widest(table, name));
            fc.pre(rows.length > 0);
            const touched = rows.map((row) => ({ lines: [row], touched: false }));
            for (const hit of hits) {
              const index = hit.line % rows.length;
              const before = touched[index]?.lines ?? [];
              const after = damaged(before, { ...hit, line: 0 });
              touched[index] = { lines: [...after.lines, ...before.slice(1)], touched: true };
            }
            const text = [header, ...touched.flatMap((row) => row.lines)].join('\n');
            const { nodes, unread } = parseNodeTable(text);

            const linesRead = text.split('\n').flatMap((line, index) => {
              const isBlank = line.replace(controlSequence, '').trim() === '';
              const isUnread = unread.some(({ lineNumber }) => lineNumber === index + 1);
              return index === 0 || isBlank || isUnread ? [] : [line];
            });
            expect(nodes).toHaveLength(linesRead.length);
            for (const [index, node] of nodes.entries()) {
              if (node.status === 'ok')
                expect(linesRead[index]?.replace(controlSequence, '')).toMatch(/(^|\s)OK(\s|$)/);
            }
            for (const [index, row] of table.rows.entries()) {
              const { uid } = expected(row);
              if (touched[index]?.touched) continue;
              const found = nodes.filter((node) => node.uid === uid);
              if (found.length > 0) expect(found).toEqual([expected(row)]);
            }
          },
        ),
        { numRuns },
      );
    },
    timeout,
  );

  test(
    'no damage to the header throws, hides a row, heals a node or gives it an address that is not its own',
    () => {
      fc.assert(
        fc.property(tableOf(['ADDRESS', 'STATUS']).map(asKnown), damage, (table, hit) => {
          const [header = '', ...rows] = render(table, (name) => widest(table, name));
          const { lines } = damaged([header], hit);
          const text = [...lines, ...rows].join('\n');
          const { nodes, unread } = parseNodeTable(text);

          for (const row of table.rows) {
            const truth = expected(row);
            const [node, ...others] = nodes.filter(({ uid }) => uid === truth.uid);
            expect(others).toEqual([]);
            if (node === undefined) {
              expect(unread.some(({ line }) => line.startsWith(row['NODE:ID'] ?? '?'))).toBe(true);
            } else {
              expect([truth.address, undefined]).toContain(node.address);
              if (node.status === 'ok') expect(truth.status).toBe('ok');
            }
          }
        }),
        { numRuns },
      );
    },
    timeout,
  );

  test(
    'a table broken at any width leaves no node healthy that is not read whole',
    () => {
      fc.assert(
        fc.property(tableOf(['ADDRESS', 'STATUS']), fc.integer({ min: 8, max: 200 }), (table, width) => {
          const lines = render(table, (name) => widest(table, name));
          const wrapped = lines.flatMap((line) => line.match(new RegExp(`.{1,${width}}`, 'g')) ?? []);
          const { nodes, unread } = parseNodeTable(wrapped.join('\n'));
          for (const row of table.rows) {
            const truth = expected(row);
            const node = nodes.find(({ uid }) => uid === truth.uid);
            if (node?.status === 'ok') expect(node).toEqual(truth);
            if (node !== undefined) expect([truth.address, undefined]).toContain(node.address);
          }
          expect(nodes.length + unread.length).toBeGreaterThanOrEqual(table.rows.length);
        }),
        { numRuns },
      );
    },
    timeout,
  );

  test(
    'any text at all gives an answer, and without a header nothing in it is a node',
    () => {
      fc.assert(
        fc.property(fc.string({ unit: 'binary', maxLength: 400 }), (text) => {
          fc.pre(!text.includes('NODE:ID'));
          const { nodes, unread } = parseNodeTable(text);
          expect(nodes).toEqual([]);
          expect(unread.length).toBeGreaterThan(0);
        }),
        { numRuns },
      );
    },
    timeout,
  );
});
