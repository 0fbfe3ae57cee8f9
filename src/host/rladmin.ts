/**
 * What rladmin prints, read into data. Pure: no command runs here. What is not understood comes back as `unread`, with the line
 * and the reason; it is never left out and never taken for healthy. Formats: the vendor's rladmin reference and public captures
 * of versions 5.0 to 7.22 (test/fixtures/rladmin). The words `master` and `slave` are RS's own.
 */
import { type Address, tryParseAddress } from '../protocol/address.ts';
import { answersIn, isBlank, type Row, readTable, type TableKind, type UnreadLine } from './rladmin-table.ts';

export type { UnreadLine } from './rladmin-table.ts';

/** `ok` is the word OK and nothing else; `down` begins with DOWN; any other text, or none, is `unknown`. */
export type Status = 'ok' | 'down' | 'unknown';
export type Role = 'master' | 'slave';

/** One row of `rladmin status nodes`. A field is undefined (`hostname`, `statusText`: '') where the table has no such column. */
export interface NodeRow {
  uid: number;
  /** Starred: the node that rladmin is connected to, which is this host unless rladmin is proxied. Not the cluster master. */
  isLocal: boolean;
  role: Role | undefined;
  /** The internal address. */
  address: Address | undefined;
  /** Often none; as rladmin orders them. */
  externalAddresses: Address[];
  hostname: string;
  /** Shards on the node and the most it takes; 0/0 in maintenance mode and on a quorum-only node. */
  shards: { used: number; limit: number } | undefined;
  /** Without the note `OLD VERSION` of a half-done upgrade, which stays in `columns`. */
  version: string | undefined;
  status: Status;
  /** As printed: `OK`, or such as `DOWN, last seen 33s ago`. */
  statusText: string;
  /** Every cell by the name of its column, as printed but for the spaces around it; '' where blank. */
  columns: Readonly<Record<string, string>>;
}

/** One row of `rladmin status shards`. */
export interface ShardRow {
  databaseUid: number;
  databaseName: string;
  /** 14 of `redis:14`. */
  uid: number;
  nodeUid: number;
  role: Role;
  /** As `node` rows have it. */
  status: Status;
  statusText: string;
  columns: Readonly<Record<string, string>>;
}

/** One block of `rladmin info node`. It holds no up or down. */
export interface NodeInfo {
  uid: number;
  address: Address;
  externalAddresses: Address[];
  /** Undefined for `N/A`. */
  recoveryPath: string | undefined;
  /** Undefined where it is not printed. */
  quorumOnly: boolean | undefined;
  /** Every `key: value` line of the block as printed. */
  fields: Readonly<Record<string, string>>;
}

/** One line of `rladmin cluster running_actions`. */
export interface RunningAction {
  /** Such as `maintenance_on`. */
  name: string;
  uid: string;
  /** Undefined for an action that names no node. */
  nodeUid: number | undefined;
  /** Such as `running`. */
  status: string;
}

const nodeCell = /^(\*?)node:([1-9]\d{0,8})$/;
const databaseCell = /^db:([1-9]\d{0,8})$/;
const shardCell = /^redis:([1-9]\d{0,8})$/;
const shardsCell = /^(\d{1,9})\/(\d{1,9})$/;
const hostnameCell = /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/;
const versionCell = /^(\d+(?:\.\d+)+[\w.+-]*)(?: \(.+\)| OLD VERSION)?$/;
const roleCell = /^(?:master|slave)$/;

/** `16.06GB`, `-` for unknown, `N/A`, and two of them with a slash between (free and total). */
const measure = /^(?:-?\d+(?:\.\d+)?[KMGTP]?B?|-|N\/A)(?:\/(?:-?\d+(?:\.\d+)?[KMGTP]?B?|-|N\/A))?$/;

const nodeTable: TableKind = {
  name: 'node table',
  columns: ['NODE:ID'],
  checks: {
    'NODE:ID': (cell) => nodeCell.test(cell),
    ROLE: (cell) => roleCell.test(cell),
    ADDRESS: (cell) => tryParseAddress(cell) !== undefined,
    EXTERNAL_ADDRESS: (cell) => addressList(cell) !== undefined,
    HOSTNAME: (cell) => hostnameCell.test(cell),
    SHARDS: (cell) => shardsCell.test(cell),
    VERSION: (cell) => versionCell.test(cell),
    STATUS: (cell) => cell !== '',
  },
  shapes: {
    MASTERS: /^\d+$/,
    SLAVES: /^\d+$/,
    OVERBOOKING_DEPTH: measure,
    CORES: measure,
    RAM: measure,
    AVAILABLE_RAM: measure,
    FREE_RAM: measure,
    PROVISIONAL_RAM: measure,
    FLASH: measure,
    AVAILABLE_FLASH: measure,
    SHA: /^[0-9a-f]{6,40}$/,
    // A host can be named by an address, but an address is more often EXTERNAL_ADDRESS out of line.
    HOSTNAME: /^(?!\d+\.\d+\.\d+\.\d+$)/,
    STATUS: /^[A-Za-z]/,
  },
  stray: /^\s*\*?node:\d+\s+(?:master|slave)\s/,
  claims: (line) => {
    const [, star, uid] = /^\s*(\*?)node:(\d+)(?:\s|$)/.exec(line) ?? [];
    return [
      ...(uid === undefined ? [] : [`node:${uid}`]),
      ...(star === '*' ? ['starred as the local node'] : []),
    ];
  },
};

const shardTable: TableKind = {
  name: 'shard table',
  // SLOTS tells it from ENDPOINTS, which has all of the others too.
  columns: ['DB:ID', 'ID', 'NODE', 'ROLE', 'SLOTS'],
  checks: {
    'DB:ID': (cell) => databaseCell.test(cell),
    ID: (cell) => shardCell.test(cell),
    NODE: (cell) => nodeCell.test(cell),
    ROLE: (cell) => roleCell.test(cell),
    STATUS: (cell) => cell !== '',
  },
  shapes: {
    NAME: /^\S+$/,
    SLOTS: /^\d+-\d+(?:,\d+-\d+)*$/,
    USED_MEMORY: measure,
    RAM_FRAG: measure,
    FLASH_FRAG: measure,
    STATUS: /^[A-Za-z]/,
  },
  stray: /^\s*db:\d+\s.*\sredis:\d+\s/,
  claims: (line) => /(?<=\s)redis:\d+(?=\s)/.exec(line) ?? [],
};

/** `a,b` of the node table, `a, b` of `info node`; '' and `N/A` are an empty list. Undefined where one is not an address. */
function addressList(text: string): Address[] | undefined {
  if (text === '') return [];
  const addresses = text.split(/, ?/).map(tryParseAddress);
  return addresses.every((address) => address !== undefined) ? addresses : undefined;
}

function statusOf(text: string): Status {
  if (text === 'OK') return 'ok';
  return /^DOWN\b/.test(text) ? 'down' : 'unknown';
}

function roleOf(text: string | undefined): Role | undefined {
  return text === 'master' || text === 'slave' ? text : undefined;
}

function nodeRow({ cells }: Row): NodeRow {
  const [, star, uid] = nodeCell.exec(cells['NODE:ID'] ?? '') ?? [];
  const [, used, limit] = shardsCell.exec(cells['SHARDS'] ?? '') ?? [];
  const statusText = cells['STATUS'] ?? '';
  return {
    uid: Number(uid),
    isLocal: star === '*',
    role: roleOf(cells['ROLE']),
    address: tryParseAddress(cells['ADDRESS'] ?? ''),
    externalAddresses: addressList(cells['EXTERNAL_ADDRESS'] ?? '') ?? [],
    hostname: cells['HOSTNAME'] ?? '',
    shards: used === undefined ? undefined : { used: Number(used), limit: Number(limit) },
    version: versionCell.exec(cells['VERSION'] ?? '')?.[1],
    status: statusOf(statusText),
    statusText,
    columns: cells,
  };
}

function shardRow({ cells }: Row): ShardRow {
  const statusText = cells['STATUS'] ?? '';
  return {
    databaseUid: Number(databaseCell.exec(cells['DB:ID'] ?? '')?.[1]),
    databaseName: cells['NAME'] ?? '',
    uid: Number(shardCell.exec(cells['ID'] ?? '')?.[1]),
    nodeUid: Number(nodeCell.exec(cells['NODE'] ?? '')?.[2]),
    role: cells['ROLE'] === 'master' ? 'master' : 'slave',
    status: statusOf(statusText),
    statusText,
    columns: cells,
  };
}

/**
 * The node table of `rladmin status nodes`, `status` and `status extra all`.
 *
 * A row is read whole or it is unread: a cell that fails its type, a row that could be read in two ways, rows of one uid and
 * rows that are both starred are unread, all of them. In a record of several commands the last table counts.
 * Without a node table there are no nodes and every line is unread, at least one; an empty table gives two empty lists.
 */
export function parseNodeTable(text: string): { nodes: NodeRow[]; unread: UnreadLine[] } {
  const { rows, unread } = readTable(text, nodeTable);
  return { nodes: rows.map(nodeRow), unread };
}

/** The shard table of `rladmin status shards`, `status` and `status extra all`; by the same rules as `parseNodeTable`. */
export function parseShardTable(text: string): { shards: ShardRow[]; unread: UnreadLine[] } {
  const { rows, unread } = readTable(text, shardTable);
  return { shards: rows.map(shardRow), unread };
}

/**
 * `rladmin info node [ID]`: one block a node, one field a line. A block with a field that fails its type, with a line
 * that is no field, or of a uid that another block has, is unread as a whole; text without a block is unread as `parseNodeTable` says.
 */
export function parseNodeInfo(text: string): { nodes: NodeInfo[]; unread: UnreadLine[] } {
  const { lines, answers } = answersIn(text);
  const blockStart = /^\s*(?:Command Output: )?\*?node:([1-9]\d{0,8})\s*$/;
  const answer = answers.findLast((candidate) => candidate.some((line) => blockStart.test(line.text)));
  const blocks: { uid: number | undefined; lines: typeof lines }[] = [{ uid: undefined, lines: [] }];
  for (const line of (answer ?? lines).filter((candidate) => !isBlank(candidate))) {
    const uid = blockStart.exec(line.text)?.[1];
    if (uid === undefined) blocks.at(-1)?.lines.push(line);
    else blocks.push({ uid: Number(uid), lines: [line] });
  }
  const nodes: NodeInfo[] = [];
  const unread: UnreadLine[] = [];
  for (const { uid, lines: block } of blocks) {
    const alone = blocks.filter((other) => other.uid === uid).length === 1;
    const node =
      uid === undefined
        ? 'it belongs to no node'
        : nodeInfo(
            uid,
            block.slice(1).map((line) => line.text),
          );
    const result = alone ? node : `another block is node:${uid} too`;
    if (typeof result !== 'string') nodes.push(result);
    else unread.push(...block.map((line) => ({ line: line.text, lineNumber: line.number, reason: result })));
  }
  if (nodes.length === 0 && unread.length === 0) {
    unread.push({ line: '', lineNumber: 1, reason: 'there is no node in it' });
  }
  return { nodes, unread };
}

/** One block's fields as data, or why they are not understood. */
function nodeInfo(uid: number, lines: readonly string[]): NodeInfo | string {
  const fields: Record<string, string> = {};
  for (const line of lines) {
    const [, key, value] = /^\s+([a-z][a-z _-]*):\s*(.*?)\s*$/.exec(line) ?? [];
    if (key === undefined || value === undefined) return 'its block has a line that is not "key: value"';
    if (Object.hasOwn(fields, key)) return `its block has two lines "${key}"`;
    fields[key] = value;
  }
  const address = tryParseAddress(fields['address'] ?? '');
  if (address === undefined) return 'its block has no line "address" with an address';
  const external = fields['external addresses'] ?? '';
  const externalAddresses = addressList(external === 'N/A' ? '' : external);
  if (externalAddresses === undefined) return 'its "external addresses" are not addresses';
  const quorumOnly = fields['quorum only'];
  if (quorumOnly !== undefined && quorumOnly !== 'enabled' && quorumOnly !== 'disabled') {
    return 'its "quorum only" is neither enabled nor disabled';
  }
  const recoveryPath = fields['recovery path'];
  return {
    uid,
    address,
    externalAddresses,
    recoveryPath: recoveryPath === 'N/A' || recoveryPath === '' ? undefined : recoveryPath,
    quorumOnly: quorumOnly === undefined ? undefined : quorumOnly === 'enabled',
    fields,
  };
}

/** `rladmin cluster master`: the uid of the cluster master; undefined for any other text, and where two are named. */
export function parseClusterMaster(text: string): number | undefined {
  const named = answersIn(text).answers.flatMap((lines) =>
    lines.flatMap((line) => {
      const uid = /^\s*Node ([1-9]\d{0,8}) is the cluster master node\s*$/.exec(line.text)?.[1];
      return uid === undefined ? [] : [Number(uid)];
    }),
  );
  const [only] = new Set(named);
  return new Set(named).size === 1 ? only : undefined;
}

/**
 * `rladmin cluster running_actions`. Nothing is running only where both lists are empty, and that takes the literal
 * `No active tasks`: a count that is not met, an unknown line and an empty text are unread.
 */
export function parseRunningActions(text: string): { tasks: RunningAction[]; unread: UnreadLine[] } {
  const { answers } = answersIn(text);
  const answer =
    answers.map((lines) => lines.filter((line) => !isBlank(line))).findLast((lines) => lines.length > 0) ??
    [];
  const tasks: RunningAction[] = [];
  const unread: UnreadLine[] = [];
  let announced: number | undefined;
  for (const { text: line, number } of answer) {
    const count = /^\s*(?:Got (\d{1,9}) tasks?:|No active tasks)\s*$/.exec(line);
    const task = /^\s*\d+\) Task: (\S+) \((\S+)\)(?: Node: ([1-9]\d{0,8}))? Status: (\S.*?)\s*$/.exec(line);
    const [, name, uid, node, status] = task ?? [];
    if (count !== null && announced === undefined) announced = Number(count[1] ?? 0);
    else if (name !== undefined && uid !== undefined && status !== undefined) {
      tasks.push({ name, uid, nodeUid: node === undefined ? undefined : Number(node), status });
    } else unread.push({ line, lineNumber: number, reason: 'it is neither a task nor the number of tasks' });
  }
  if (unread.length === 0 && announced !== tasks.length) {
    const reason = `it announces ${announced ?? 'no number of'} tasks and lists ${tasks.length}`;
    unread.push({ line: answer[0]?.text ?? '', lineNumber: answer[0]?.number ?? 1, reason });
  }
  return { tasks, unread };
}
