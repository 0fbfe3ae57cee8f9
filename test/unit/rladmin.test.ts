import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  parseClusterMaster,
  parseNodeInfo,
  parseNodeTable,
  parseRunningActions,
  parseShardTable,
} from '../../src/host/rladmin.ts';

/** A whole capture, and the answers of the commands in it one by one (where it has a `$` line for each). */
function sample(name: string): { text: string; answers: string[] } {
  const text = readFileSync(new URL(`../fixtures/rladmin/${name}.txt`, import.meta.url), 'utf8');
  return { text, answers: text.split(/^(?=\$ )/m) };
}

/** Header and rows as the capture shows them, cells with `|` between, written down by hand from it. */
function cells(header: string, rows: readonly string[]): Record<string, string>[] {
  const names = header.split('|');
  return rows.map((row) => {
    const values = row.split('|');
    expect(values).toHaveLength(names.length);
    return Object.fromEntries(names.map((name, index) => [name, values[index] ?? '']));
  });
}

function nodes(header: string, rows: readonly string[]) {
  return cells(header, rows).map((columns) => {
    const [used, limit] = (columns['SHARDS'] ?? '').split('/').map(Number);
    return {
      uid: Number(columns['NODE:ID']?.replace(/^\*?node:/, '')),
      isLocal: columns['NODE:ID']?.startsWith('*'),
      role: columns['ROLE'],
      address: columns['ADDRESS'],
      externalAddresses: (columns['EXTERNAL_ADDRESS'] ?? '').split(',').filter((address) => address !== ''),
      hostname: columns['HOSTNAME'],
      shards: { used, limit },
      version: columns['VERSION'],
      status: columns['STATUS'] === 'OK' ? 'ok' : 'down',
      statusText: columns['STATUS'],
      columns,
    };
  });
}

function shards(header: string, rows: readonly string[]) {
  return cells(header, rows).map((columns) => ({
    databaseUid: Number(columns['DB:ID']?.replace('db:', '')),
    databaseName: columns['NAME'],
    uid: Number(columns['ID']?.replace('redis:', '')),
    nodeUid: Number(columns['NODE']?.replace('node:', '')),
    role: columns['ROLE'],
    status: 'ok',
    statusText: 'OK',
    columns,
  }));
}

const usual =
  'NODE:ID|ROLE|ADDRESS|EXTERNAL_ADDRESS|HOSTNAME|SHARDS|CORES|FREE_RAM|PROVISIONAL_RAM|VERSION|STATUS';
const usualShards = 'DB:ID|NAME|ID|NODE|ROLE|SLOTS|USED_MEMORY|STATUS';

describe('captures of rladmin status nodes', () => {
  const captures: { name: string; answer: number; header?: string; rows: string[] }[] = [
    {
      name: 'd1-addr-set',
      answer: 1,
      rows: [
        '*node:1|master|192.0.2.2||3d99db1fdf4b|5/100|6|16.06GB/19.54GB|12.46GB/16.02GB|6.2.12-37|OK',
        'node:2|slave|192.0.2.3||fc7a3d332458|0/100|6|-/19.54GB|-/16.02GB|6.2.12-37|DOWN, last seen 33s ago',
        'node:3|slave|192.0.2.4||b87cc06c830f|5/120|6|16.06GB/19.54GB|12.46GB/16.02GB|6.2.12-37|OK',
      ],
    },
    {
      name: 'd1-addr-set',
      answer: 3,
      rows: [
        '*node:1|master|192.0.2.2||3d99db1fdf4b|5/100|6|14.78GB/19.54GB|11.18GB/16.02GB|6.2.12-37|OK',
        'node:2|slave|192.0.2.5||fc7a3d332458|0/100|6|14.78GB/19.54GB|11.26GB/16.02GB|6.2.12-37|OK',
        'node:3|slave|192.0.2.4||b87cc06c830f|5/120|6|14.78GB/19.54GB|11.18GB/16.02GB|6.2.12-37|OK',
      ],
    },
    {
      name: 'd2a-external-addr-add',
      answer: 2,
      rows: [
        '*node:1|master|192.0.2.2|198.51.100.1|3d99db1fdf4b|5/100|6|14.75GB/19.54GB|11.15GB/16.02GB|6.2.12-37|OK',
        'node:2|slave|192.0.2.3||fc7a3d332458|0/100|6|14.75GB/19.54GB|11.24GB/16.02GB|6.2.12-37|OK',
        'node:3|slave|192.0.2.4||b87cc06c830f|5/120|6|14.75GB/19.54GB|11.15GB/16.02GB|6.2.12-37|OK',
      ],
    },
    ...[
      { name: 'd2b-external-addr-set', answer: 2 },
      { name: 'd2c-external-addr-remove', answer: 1 },
    ].map((capture) => ({
      ...capture,
      rows: [
        '*node:1|master|192.0.2.2|198.51.100.1|3d99db1fdf4b|5/100|6|14.75GB/19.54GB|11.15GB/16.02GB|6.2.12-37|OK',
        'node:2|slave|192.0.2.3|198.51.100.2,198.51.100.3|fc7a3d332458|0/100|6|14.75GB/19.54GB|11.23GB/16.02GB|6.2.12-37|OK',
        'node:3|slave|192.0.2.4||b87cc06c830f|5/120|6|14.75GB/19.54GB|11.15GB/16.02GB|6.2.12-37|OK',
      ],
    })),
    {
      name: 'd2c-external-addr-remove',
      answer: 3,
      rows: [
        '*node:1|master|192.0.2.2|198.51.100.1|3d99db1fdf4b|5/100|6|14.74GB/19.54GB|11.14GB/16.02GB|6.2.12-37|OK',
        'node:2|slave|192.0.2.3|198.51.100.2|fc7a3d332458|0/100|6|14.74GB/19.54GB|11.22GB/16.02GB|6.2.12-37|OK',
        'node:3|slave|192.0.2.4||b87cc06c830f|5/120|6|14.74GB/19.54GB|11.14GB/16.02GB|6.2.12-37|OK',
      ],
    },
    {
      name: 'd3-enslave',
      answer: 2,
      rows: [
        '*node:1|slave|192.0.2.12|198.51.100.1|3d99db1fdf4b|1/100|6|14.43GB/19.54GB|10.87GB/16.02GB|6.2.12-37|OK',
        'node:2|master|192.0.2.13|198.51.100.2|fc7a3d332458|4/100|6|14.43GB/19.54GB|10.88GB/16.02GB|6.2.12-37|OK',
        'node:3|slave|192.0.2.14||b87cc06c830f|5/120|6|14.43GB/19.54GB|10.83GB/16.02GB|6.2.12-37|OK',
      ],
    },
    {
      name: 'd3-enslave',
      answer: 4,
      rows: [
        '*node:1|master|192.0.2.12|198.51.100.1|3d99db1fdf4b|1/100|6|14.72GB/19.54GB|10.91GB/16.02GB|6.2.12-37|OK',
        'node:2|slave|192.0.2.13|198.51.100.2|fc7a3d332458|4/100|6|14.72GB/19.54GB|11.17GB/16.02GB|6.2.12-37|OK',
        'node:3|slave|192.0.2.14||b87cc06c830f|5/120|6|14.72GB/19.54GB|10.92GB/16.02GB|6.2.12-37|OK',
      ],
    },
    {
      name: 'd5a-maintenance-mode',
      answer: 2,
      rows: [
        '*node:1|master|192.0.2.12|198.51.100.1|3d99db1fdf4b|5/100|6|14.21GB/19.54GB|10.62GB/16.02GB|6.2.12-37|OK',
        'node:2|slave|192.0.2.13|198.51.100.2|fc7a3d332458|0/0|6|14.21GB/19.54GB|0KB/0KB|6.2.12-37|OK',
        'node:4|slave|192.0.2.14||6d754fe12cb9|5/100|6|14.21GB/19.54GB|10.62GB/16.02GB|6.2.12-37|OK',
      ],
    },
    {
      name: 'd6-status-extra-all',
      answer: 1,
      header:
        'NODE:ID|ROLE|ADDRESS|EXTERNAL_ADDRESS|HOSTNAME|MASTERS|SLAVES|OVERBOOKING_DEPTH|SHARDS|CORES|FREE_RAM|PROVISIONAL_RAM|VERSION|SHA|RACK-ID|STATUS',
      rows: [
        'node:1|master|198.51.100.2||3d99db1fdf4b|4|0|10.91GB|4/100|6|14.91GB/19.54GB|10.91GB/16.02GB|6.2.12-37|5c2106|-|OK',
        'node:2|slave|198.51.100.3||fc7a3d332458|0|0|11.4GB|0/100|6|14.91GB/19.54GB|11.4GB/16.02GB|6.2.12-37|5c2106|-|OK',
        '*node:3|slave|198.51.100.4||b87cc06c830f|0|0|11.4GB|0/100|6|14.91GB/19.54GB|11.4GB/16.02GB|6.2.12-37|5c2106|-|OK',
      ],
    },
    {
      name: 'd8-out-of-line',
      answer: 1,
      rows: [
        'node:1|master|198.51.100.2||3d99db1fdf4b|4/100|6|14.74GB/19.54GB|10.73GB/16.02GB|7.22.0-250|OK',
        '*node:3|slave|198.51.100.4||b87cc06c830f|0/100|6|14.74GB/19.54GB|11.22GB/16.02GB|7.22.0-250|OK',
        'node:2|slave|198.51.100.3||fc7a3d332458|0/100|6|14.74GB/19.54GB|11.22GB/16.02GB|7.22.0-250|OK',
      ],
    },
    {
      name: 'r4-status',
      answer: 0,
      rows: [
        '*node:1|master|192.168.1.125|3.231.216.156|node1|0/0|2|5.45GB/7.61GB|0KB/0KB|7.16.0-37|OK',
        'node:2|slave|192.168.1.221|44.192.130.255|node2|1/300|4|5.58GB/7.61GB|4.06GB/6.09GB|7.16.0-37|OK',
        'node:3|slave|192.168.1.92|3.236.194.65|node3|1/300|4|5.59GB/7.61GB|4.07GB/6.09GB|7.16.0-37|OK',
        'node:4|slave|192.168.1.93|3.236.194.66|node4|0/300|4|5.59GB/7.61GB|4.07GB/6.09GB|7.16.0-37|OK',
        'node:5|slave|192.168.1.94|3.236.194.67|node5|0/300|4|5.59GB/7.61GB|4.07GB/6.09GB|7.16.0-37|OK',
        'node:6|slave|192.168.1.95|3.236.194.68|node6|0/300|4|5.59GB/7.61GB|4.07GB/6.09GB|7.16.0-37|OK',
      ],
    },
    {
      name: 'r5-status-old-names',
      answer: 0,
      header: usual.replace('FREE_RAM|PROVISIONAL_RAM', 'RAM|AVAILABLE_RAM'),
      rows: [
        '*node:1|master|172.17.0.3|172.17.0.3|fd30e77bf0bf|1/100|8|25.45GB/31.44GB|18.67GB/25.15GB|5.2.0-14|OK',
        'node:2|slave|172.17.0.5|172.17.0.5|69bde89776f5|1/100|8|25.45GB/31.44GB|18.67GB/25.15GB|5.2.0-14|OK',
        'node:3|slave|172.17.0.4|172.17.0.4|8b18d00808ad|0/100|8|25.45GB/31.44GB|19.17GB/25.15GB|5.2.0-14|OK',
      ],
    },
  ];

  test.each(captures)('$name, answer $answer, is read whole', ({ name, answer, header = usual, rows }) => {
    const { answers } = sample(name);
    // Before the first `$` line stands nothing in a record, and the whole output in a capture without one.
    const text = answers[answers.length === 1 ? 0 : answer - 1] ?? '';
    expect(parseNodeTable(text)).toEqual({ nodes: nodes(header, rows), unread: [] });
  });

  test('in a record of several commands the last table counts, being what was so at the end', () => {
    for (const name of new Set(captures.map((capture) => capture.name))) {
      const last = captures.findLast((capture) => capture.name === name);
      expect(parseNodeTable(sample(name).text).nodes).toEqual(nodes(last?.header ?? usual, last?.rows ?? []));
    }
  });

  test('a row is a node with typed fields, its printed cells beside them', () => {
    expect(parseNodeTable(sample('d1-addr-set').answers[0] ?? '').nodes[1]).toEqual({
      uid: 2,
      isLocal: false,
      role: 'slave',
      address: '192.0.2.3',
      externalAddresses: [],
      hostname: 'fc7a3d332458',
      shards: { used: 0, limit: 100 },
      version: '6.2.12-37',
      status: 'down',
      statusText: 'DOWN, last seen 33s ago',
      columns: {
        'NODE:ID': 'node:2',
        ROLE: 'slave',
        ADDRESS: '192.0.2.3',
        EXTERNAL_ADDRESS: '',
        HOSTNAME: 'fc7a3d332458',
        SHARDS: '0/100',
        CORES: '6',
        FREE_RAM: '-/19.54GB',
        PROVISIONAL_RAM: '-/16.02GB',
        VERSION: '6.2.12-37',
        STATUS: 'DOWN, last seen 33s ago',
      },
    });
  });

  test('the captures still have the spaces at their line ends', () => {
    expect(sample('d2c-external-addr-remove').text.match(/ +$/gm)).toHaveLength(3);
    expect(sample('d8-out-of-line').text.match(/ +$/gm)).toHaveLength(4);
    expect(sample('r5-status-old-names').text).toMatch(/STATUS $/m);
  });
});

const header = 'NODE:ID ROLE   ADDRESS   EXTERNAL_ADDRESS HOSTNAME SHARDS VERSION   STATUS';
const first = ' *node:1 master 192.0.2.1                  host-1   5/100  6.2.12-37 OK'.slice(1);
const second = 'node:2  slave  192.0.2.2 198.51.100.2     host-2   0/100  6.2.12-37 OK';
const uids = (text: string) => parseNodeTable(text).nodes.map((node) => node.uid);
const unreadLines = (text: string) => parseNodeTable(text).unread.map(({ line }) => line);

describe('a row of the node table', () => {
  test('is ok only for the word OK', () => {
    const statusOf = (text: string) =>
      parseNodeTable(`${header}\n${second.replace('OK', text)}`).nodes[0]?.status;
    expect(statusOf('OK')).toBe('ok');
    expect(statusOf('OK    ')).toBe('ok');
    expect(statusOf('DOWN')).toBe('down');
    expect(statusOf('DOWN, last seen 33s ago')).toBe('down');
    for (const text of ['ok', 'OK,', 'OK (stale)', 'NOT OK', 'O', 'OKAY', 'DOWNLOADING', 'UNKNOWN', '-']) {
      expect([text, statusOf(text)]).toEqual([text, 'unknown']);
    }
  });

  test('has no status that is known where there is no STATUS column', () => {
    const [node] = parseNodeTable('NODE:ID ROLE   ADDRESS\nnode:1  master 192.0.2.1').nodes;
    expect(node).toMatchObject({
      uid: 1,
      role: 'master',
      address: '192.0.2.1',
      status: 'unknown',
      statusText: '',
    });
    expect(node).toMatchObject({
      hostname: '',
      shards: undefined,
      version: undefined,
      externalAddresses: [],
    });
  });

  test('keeps its version apart from the note of a half-done upgrade', () => {
    const [node] = parseNodeTable(
      'NODE:ID ADDRESS   VERSION                STATUS\nnode:1  192.0.2.1 7.4.2-54 (OLD VERSION) OK',
    ).nodes;
    expect(node?.version).toBe('7.4.2-54');
    expect(node?.columns['VERSION']).toBe('7.4.2-54 (OLD VERSION)');
    expect(node?.status).toBe('ok');
  });

  test('has addresses in canonical form, so that they compare as addresses (IPv6 rows are made up)', () => {
    const [node] = parseNodeTable(
      [
        'NODE:ID ROLE   ADDRESS              EXTERNAL_ADDRESS                    HOSTNAME STATUS',
        'node:1  master 2001:DB8:0:0:0:0:0:1 2001:db8:1:0:0:0:0:10,198.51.100.10 host-1   OK',
      ].join('\n'),
    ).nodes;
    expect(node?.address).toBe('2001:db8::1');
    expect(node?.externalAddresses).toEqual(['2001:db8:1::10', '198.51.100.10']);
    expect(node?.columns['ADDRESS']).toBe('2001:DB8:0:0:0:0:0:1');
  });

  test.each([
    ['uid', second.replace('node:2 ', 'node:x ')],
    ['uid that is zero', second.replace('node:2', 'node:0')],
    ['role', second.replace('slave ', 'other ')],
    ['address', second.replace('192.0.2.2 ', '192.0.2.2x')],
    ['address that is a prefix', 'node:2  slave  192.0.2.0/24  host-2   0/100  6.2.12-37 OK'],
    ['external address', second.replace('198.51.100.2 ', '198.51.100.x ')],
    ['external address after a comma', second.replace('198.51.100.2  ', '198.51.100.2,')],
    ['hostname, which is blank', second.replace('host-2', '      ')],
    ['shards', second.replace('0/100', '0-100')],
    ['version', second.replace('6.2.12-37', 'version-6')],
    ['status, which is blank', second.replace('OK', '  ')],
  ])('is unread for a wrong %s, and the other rows are read', (_, row) => {
    expect(uids([header, first, row].join('\n'))).toEqual([1]);
    expect(parseNodeTable([header, first, row].join('\n')).unread).toEqual([
      { line: row, lineNumber: 3, reason: 'it does not fit the columns of the header' },
    ]);
  });

  test('is never read with half of an address that crosses the edge of its column', () => {
    const text = 'NODE:ID ROLE   ADDRESS HOSTNAME STATUS\nnode:1  master 10.0.0.12 host-1 OK';
    expect(parseNodeTable(text).nodes[0]).toMatchObject({ address: '10.0.0.12', hostname: 'host-1' });
    const glued = 'NODE:ID ROLE   ADDRESS  EXTERNAL STATUS\nnode:1  master 10.0.0.12         OK';
    expect(parseNodeTable(glued).nodes[0]?.address).toBe('10.0.0.12');
    // Cut at the offsets this would be 10.0.0.1, and 2 in the next column.
    expect(uids('NODE:ID ADDRESS NEW STATUS\nnode:1  10.0.0.12 x OK')).toEqual([]);
  });

  test('that could be read in two ways is unread', () => {
    const text = 'NODE:ID ADDRESS RACK-ID NEW STATUS\nnode:1 192.0.2.1 left OK';
    expect(parseNodeTable(text)).toEqual({
      nodes: [],
      unread: [
        {
          line: 'node:1 192.0.2.1 left OK',
          lineNumber: 2,
          reason: 'it fits the columns of the header in more than one way',
        },
      ],
    });
  });

  test('with a value that does not begin at the offset of its column is out of line', () => {
    expect(uids('NODE:ID ADDRESS   NEW    STATUS\nnode:1  192.0.2.1  x     OK')).toEqual([]);
  });

  test('out of line does not take the dash of a column that is unset for the beginning of its status', () => {
    const text = 'NODE:ID ADDRESS RACK-ID STATUS\nnode:1 192.0.2.111 - OK';
    expect(parseNodeTable(text).nodes[0]).toMatchObject({ status: 'ok', columns: { 'RACK-ID': '-' } });
  });

  test('out of line is not healthy because the last word of its status is OK', () => {
    const text = 'NODE:ID ADDRESS VERSION RACK-ID STATUS\nnode:1 192.0.2.111 6.2.12-37 NOT OK';
    expect(parseNodeTable(text).nodes.filter((node) => node.status === 'ok')).toEqual([]);
  });

  test('under a header that lost its end is not healthy because of an OK further on', () => {
    const text = 'NODE:ID NEW_COLUMN STATUS\nnode:1             DOWN, last seen 33s ago 192.0.2.1   OK';
    expect(uids(text)).toEqual([]);
    expect(unreadLines(text)).toHaveLength(1);
  });

  test('of more words than a row can have is unread without a search through them', () => {
    const row = `node:1 ${'word '.repeat(100_000)}OK`;
    expect(parseNodeTable(`${header}\n${row}`).unread).toEqual([
      { line: row, lineNumber: 2, reason: 'it has too many words for a row' },
    ]);
  });

  test('in line keeps an unusual value in a column that nothing depends on', () => {
    const text = 'NODE:ID ADDRESS   CORES   RACK-ID  STATUS\nnode:1  192.0.2.1 unknown rack two OK';
    expect(parseNodeTable(text).nodes[0]?.columns).toMatchObject({ CORES: 'unknown', 'RACK-ID': 'rack two' });
  });

  test('whose words only happen to stand at the offsets of other columns is unread', () => {
    const text = 'NODE:ID ADDRESS   RAM  NEW_COLUMN\nnode:1  192.0.2.1      16.06GB/19.54GB';
    expect(uids(text)).toEqual([]);
    expect(unreadLines(text)).toEqual(['node:1  192.0.2.1      16.06GB/19.54GB']);
  });

  test('with the uid of another row is unread, and so is the other', () => {
    expect(uids([header, first, second, second.replace('0/100', '1/100')].join('\n'))).toEqual([1]);
    const broken = second.replace('slave ', 'other ');
    expect(uids([header, first, second, broken].join('\n'))).toEqual([1]);
    expect(unreadLines([header, first, second, broken].join('\n'))).toEqual([second, broken]);
  });

  test('that is starred is unread where another one is starred too, since one of them is not the local node', () => {
    const starred = `*${second.replace('node:2 ', 'node:2')}`;
    const { nodes: read, unread } = parseNodeTable([header, first, starred].join('\n'));
    expect(read).toEqual([]);
    expect(unread.map(({ lineNumber, reason }) => [lineNumber, reason])).toEqual([
      [2, 'another line is starred as the local node too'],
      [3, 'another line is starred as the local node too'],
    ]);
  });
});

describe('a node table in its text', () => {
  test('is found with colours, carriage returns, tabs and prompts around it', () => {
    const esc = String.fromCharCode(27);
    const table = `rladmin> status nodes  \r\nCLUSTER NODES:\r\n${header}  \r\n${esc}[1m${first}${esc}[0m\r\n${second}\r\nrladmin> `;
    expect(parseNodeTable(table.replace('OK', `${esc}[32mOK${esc}(B${esc}[m`))).toMatchObject({
      nodes: [
        { uid: 1, status: 'ok' },
        { uid: 2, status: 'ok' },
      ],
      unread: [],
    });
    const tabs =
      'NODE:ID\tROLE\tADDRESS\tEXTERNAL_ADDRESS\tHOSTNAME\tSTATUS\nnode:1\tmaster\t192.0.2.1\t\thost-1\tOK';
    expect(parseNodeTable(tabs)).toMatchObject({
      nodes: [{ uid: 1, hostname: 'host-1', status: 'ok' }],
      unread: [],
    });
  });

  test('that is not there makes every line unread, which an empty table does not', () => {
    expect(parseNodeTable(`CLUSTER NODES:\n${header}\n`)).toEqual({ nodes: [], unread: [] });
    expect(parseNodeTable('ERROR: not in a cluster\n')).toEqual({
      nodes: [],
      unread: [
        {
          line: 'ERROR: not in a cluster',
          lineNumber: 1,
          reason: 'there is no node table here: no header line with NODE:ID',
        },
      ],
    });
    expect(parseNodeTable('').unread).toHaveLength(1);
    expect(unreadLines(`CLUSTER NODES:\n${first}\n`)).toEqual(['CLUSTER NODES:', first]);
  });

  test('ends where another section begins, and a row that stands outside of it is unread', () => {
    const text = [
      header,
      first,
      '',
      'DATABASES:',
      'DB:ID NAME STATUS',
      'db:1  one  active',
      '',
      'SHARDS:',
      second,
    ].join('\n');
    expect(uids(text)).toEqual([1]);
    expect(unreadLines(text)).toEqual([second]);
  });

  test('of which a line was replaced by something else keeps its other rows and reports that line', () => {
    for (const line of [
      'gone',
      '$',
      'A:',
      'A:ID',
      'node:',
      '???  ???',
      'node:2 will not accept any more shards',
    ]) {
      expect(uids([header, first, line, second].join('\n'))).toEqual(
        [1, 2].filter((uid) => uid === 1 || !line.startsWith('node:2')),
      );
      expect(unreadLines([header, first, line, second].join('\n'))).toContain(line);
    }
  });

  test('wrapped by a narrow terminal is unread, row by row and rest by rest', () => {
    const wrap = (width: number) =>
      [header, first, second].flatMap((line) => line.match(new RegExp(`.{1,${width}}`, 'g')) ?? []);
    for (let width = 20; width < header.length; width++) {
      const { nodes: read, unread } = parseNodeTable(wrap(width).join('\n'));
      expect(read.filter((node) => node.status === 'ok')).toEqual([]);
      expect(unread.length).toBeGreaterThanOrEqual(2);
    }
  });

  test('wrapped so that a rest of it resembles the title of a section still has all of its rows in the account', () => {
    const text = [header, first, 'GB       :', second, 'A:', second.replace('node:2', 'node:3')].join('\n');
    expect(uids(text)).toEqual([1, 2, 3]);
    expect(unreadLines(text)).toEqual(['GB       :', 'A:']);
  });

  test('whose header goes on after lines that hold only spaces is unread', () => {
    expect(
      uids('NODE:ID STATUS\n              \n   ADDRESS\nnode:1  OK\n              \n   10.0.0.1'),
    ).toEqual([]);
    expect(uids('NODE:ID ADDRESS OVERBOOKING\n_DEPTH\nnode:1  10.0.0.1 1GB')).toEqual([]);
  });

  test('whose header alone was wrapped is unread, since a row may have lost its end', () => {
    const text = `${header.replace('VERSION', '\n')}\n${first}\n${second}`;
    expect(uids(text)).toEqual([]);
    expect(unreadLines(text)).toContain(first);
  });

  test('without STATUS at its end does not trust a row that goes on in the line below', () => {
    const text = 'NODE:ID ROLE   ADDRESS\nnode:1  master 10.0.0.1\n2\nnode:2  slave  10.0.0.2';
    expect(uids(text)).toEqual([2]);
    expect(unreadLines(text)).toEqual(['node:1  master 10.0.0.1', '2']);
  });

  test('with a column twice in its header is unread', () => {
    expect(uids('NODE:ID NEW NEW STATUS\nnode:1  a   b   OK')).toEqual([]);
  });

  test('with columns named as the methods of an object is read', () => {
    expect(uids('NODE:ID constructor toString STATUS\nnode:1  a           b        OK')).toEqual([1]);
  });

  test('may hold thirty nodes with gaps in their ids', () => {
    const rows = Array.from(
      { length: 30 },
      (_, index) => `node:${String(3 * index + 1).padEnd(2)} slave 10.0.0.${index}`,
    );
    expect(uids(['NODE:ID ROLE  ADDRESS', ...rows].join('\n'))).toEqual(
      rows.map((_, index) => 3 * index + 1),
    );
  });

  test('with an escape sequence that is none of a terminal colour is not read as if it were not there', () => {
    const esc = String.fromCharCode(27);
    expect(uids(`${header}\n${second.replace('192.0.2.2', `1${esc}92.0.2.2`)}`)).toEqual([]);
  });
});

describe('rladmin status shards', () => {
  test('is read from the capture before and after enslave, where the roles change', () => {
    const { answers } = sample('d3-enslave');
    const before = [
      'db:6|tr02|redis:14|node:2|master|0-4095|3.2MB|OK',
      'db:6|tr02|redis:16|node:2|master|4096-8191|3.12MB|OK',
      'db:6|tr02|redis:18|node:2|master|8192-12287|3.16MB|OK',
      'db:6|tr02|redis:20|node:2|master|12288-16383|3.12MB|OK',
    ];
    const after = [
      'db:6|tr02|redis:14|node:2|slave|0-4095|2.99MB|OK',
      'db:6|tr02|redis:16|node:2|slave|4096-8191|3.01MB|OK',
      'db:6|tr02|redis:18|node:2|slave|8192-12287|2.93MB|OK',
      'db:6|tr02|redis:20|node:2|slave|12288-16383|3.06MB|OK',
    ];
    expect(parseShardTable(answers[0] ?? '')).toEqual({ shards: shards(usualShards, before), unread: [] });
    expect(parseShardTable(answers[4] ?? '')).toEqual({ shards: shards(usualShards, after), unread: [] });
    expect(parseShardTable(sample('d3-enslave').text).shards).toEqual(shards(usualShards, after));
  });

  test.each([
    {
      name: 'd6-status-extra-all',
      header: 'DB:ID|NAME|ID|NODE|ROLE|SLOTS|USED_MEMORY|BACKUP_PROGRESS|RAM_FRAG|WATCHDOG_STATUS|STATUS',
      rows: [
        'db:3|database3|redis:4|node:1|master|0-4095|2.08MB|N/A|4.73MB|OK|OK',
        'db:3|database3|redis:5|node:1|master|4096-8191|2.08MB|N/A|4.62MB|OK|OK',
        'db:3|database3|redis:6|node:1|master|8192-12287|2.08MB|N/A|4.59MB|OK|OK',
        'db:3|database3|redis:7|node:1|master|12288-16383|2.08MB|N/A|4.66MB|OK|OK',
      ],
    },
    {
      name: 'r4-status',
      header: usualShards,
      rows: [
        'db:51417897|db|redis:1|node:3|master|0-16383|2.46MB|OK',
        'db:51417897|db|redis:2|node:2|slave|0-16383|1.97MB|OK',
      ],
    },
    {
      name: 'r5-status-old-names',
      header: usualShards,
      rows: [
        'db:2|demo|redis:2|node:1|master|0-8191|2.58MB|OK',
        'db:2|demo|redis:3|node:2|master|8192-16383|2.58MB|OK',
      ],
    },
  ])('is read among the other sections of $name, of which DATABASES and ENDPOINTS begin alike', (capture) => {
    expect(parseShardTable(sample(capture.name).text)).toEqual({
      shards: shards(capture.header, capture.rows),
      unread: [],
    });
  });

  const shardHeader = 'DB:ID NAME ID       NODE   ROLE   SLOTS   USED_MEMORY STATUS';
  const shard = 'db:6  tr02 redis:14 node:2 master 0-16383 3.2MB       OK';

  test('of a node without shards has a header and no rows, which is not the same as no table', () => {
    expect(parseShardTable(`SHARDS:\n${shardHeader}\n`)).toEqual({ shards: [], unread: [] });
    expect(parseShardTable(sample('d1-addr-set').text).shards).toEqual([]);
    expect(parseShardTable(sample('d1-addr-set').text).unread.length).toBeGreaterThan(0);
  });

  test('leaves a shard that is named twice, or that it cannot read, unread', () => {
    expect(parseShardTable([shardHeader, shard, shard].join('\n'))).toMatchObject({
      shards: [],
      unread: [{}, {}],
    });
    for (const wrong of [
      shard.replace('node:2', 'node:?'),
      shard.replace('master', 'mister'),
      'db:6',
      'wrapped',
    ]) {
      expect(parseShardTable([shardHeader, wrong].join('\n'))).toMatchObject({
        shards: [],
        unread: [{ line: wrong }],
      });
    }
  });
});

describe('rladmin info node', () => {
  const old = {
    uid: 3,
    address: '172.31.50.67',
    externalAddresses: ['34.195.100.46', '172.31.50.67'],
    recoveryPath: undefined,
    quorumOnly: false,
    fields: {
      address: '172.31.50.67',
      'external addresses': '34.195.100.46, 172.31.50.67',
      'recovery path': 'N/A',
      'quorum only': 'disabled',
    },
  };

  test('is read from the captures, of the interactive shell too', () => {
    expect(parseNodeInfo(sample('info-node-interactive').text)).toEqual({ nodes: [old], unread: [] });
    expect(parseNodeInfo(sample('info-node-and-external-addr-remove').text)).toEqual({
      nodes: [old],
      unread: [],
    });
    expect(parseNodeInfo(sample('info-node-documented').text)).toEqual({
      nodes: [
        {
          uid: 3,
          address: '198.51.100.17',
          externalAddresses: [],
          recoveryPath: undefined,
          quorumOnly: false,
          fields: {
            address: '198.51.100.17',
            'external addresses': 'N/A',
            'recovery path': 'N/A',
            'quorum only': 'disabled',
            'max redis servers': '100',
            'max listeners': '100',
          },
        },
      ],
      unread: [],
    });
  });

  const block = (uid: number, address: string) =>
    `node:${uid}\n    address: ${address}\n    external addresses: N/A\n    recovery path: /mnt/recovery\n    quorum only: enabled\n`;

  test('without an id has a block for every node (IPv6 blocks are made up)', () => {
    expect(parseNodeInfo(`${block(1, '192.0.2.1')}\n${block(5, '2001:DB8:0::5')}`)).toMatchObject({
      nodes: [
        { uid: 1, address: '192.0.2.1', recoveryPath: '/mnt/recovery', quorumOnly: true },
        { uid: 5, address: '2001:db8::5', recoveryPath: '/mnt/recovery', quorumOnly: true },
      ],
      unread: [],
    });
  });

  test.each([
    ['an address that is none', block(2, '192.0.2')],
    ['an external address that is none', block(2, '192.0.2.2').replace('N/A', '198.51.100.2, x')],
    ['quorum only of another kind', block(2, '192.0.2.2').replace('enabled', 'maybe')],
    ['a line that is no field', `${block(2, '192.0.2.2')}ERROR: lost\n`],
    ['a field twice', `${block(2, '192.0.2.2')}    address: 192.0.2.3\n`],
    ['no fields', 'node:2\n'],
  ])('leaves a block with %s unread, all of its lines, and reads the others', (_, wrong) => {
    const { nodes: read, unread } = parseNodeInfo(
      `${block(1, '192.0.2.1')}\n${wrong}\n${block(3, '192.0.2.3')}`,
    );
    expect(read.map((node) => node.uid)).toEqual([1, 3]);
    expect(unread.map(({ line }) => line)).toEqual(wrong.trimEnd().split('\n'));
  });

  test('leaves two blocks of one node unread', () => {
    expect(parseNodeInfo(block(1, '192.0.2.1') + block(1, '192.0.2.2'))).toMatchObject({ nodes: [] });
  });

  test('of any other text is unread, of an empty one too', () => {
    expect(parseNodeInfo('ERROR: no such node')).toMatchObject({ nodes: [], unread: [{ lineNumber: 1 }] });
    expect(parseNodeInfo('')).toMatchObject({ nodes: [], unread: [{ line: '' }] });
  });
});

describe('rladmin cluster', () => {
  test('master names the node, and any other text names none', () => {
    expect(parseClusterMaster(sample('cluster-master').text)).toBe(1);
    expect(parseClusterMaster('Node 12 is the cluster master node\n')).toBe(12);
    expect(parseClusterMaster('Node 3 set to be the cluster master node')).toBeUndefined();
    expect(
      parseClusterMaster('Node 1 is the cluster master node\nNode 2 is the cluster master node'),
    ).toBeUndefined();
    expect(parseClusterMaster('ERROR: Node 1 is the cluster master node?')).toBeUndefined();
    expect(parseClusterMaster('')).toBeUndefined();
  });

  test('running_actions lists the tasks', () => {
    expect(parseRunningActions(sample('running-actions-one').text)).toEqual({
      tasks: [
        {
          name: 'maintenance_on',
          uid: 'ce391d81-8d51-4ce2-8f63-729c7ac2589e',
          nodeUid: 1,
          status: 'running',
        },
      ],
      unread: [],
    });
  });

  test('running_actions says that nothing runs only with the literal words for it', () => {
    expect(parseRunningActions(sample('running-actions-none').text)).toEqual({ tasks: [], unread: [] });
    expect(parseRunningActions('Got 0 tasks:\n')).toEqual({ tasks: [], unread: [] });
    for (const text of [
      '',
      "ERROR: invalid token 'running_actions'",
      'Got 1 tasks:',
      'Got 2 tasks:\n1) Task: remove (u-1) Node: 1 Status: running',
      'No active tasks\n1) Task: remove (u-1) Node: 1 Status: running',
      'Got 1 tasks:\n1) Task: remove something else',
      'No active tasks\nNo active tasks',
    ]) {
      expect([text, parseRunningActions(text).unread.length]).toEqual([text, 1]);
    }
  });
});
