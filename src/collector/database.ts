import { DatabaseSync } from 'node:sqlite';
import { RlnetError } from '../protocol/errors.ts';
import type { ReportEvent } from '../protocol/reporting.ts';

/** Who reported: a host of a cluster, by its certificate. */
export interface Source {
  cluster: string;
  host: string;
}

/** One thing to write, from one source. */
export type Write =
  | {
      source: Source;
      what: 'snapshot';
      at: number;
      received: number;
      version: string;
      bootId: string;
      json: string;
    }
  | { source: Source; what: 'events'; stream: string; received: number; events: readonly ReportEvent[] };

export interface HostRow extends Source {
  /** Wall clock of the host, and of the collector when it came; milliseconds since the epoch. */
  at: number;
  received: number;
  version: string;
  bootId: string;
  /** As the agent sent it, checked. */
  snapshot: string;
}

export interface EventRow extends Source {
  /** In the order of arrival, over everything. */
  id: number;
  stream: string;
  n: number;
  at: number;
  received: number;
  kind: string;
  data: string;
}

export interface EventQuery {
  cluster?: string;
  host?: string;
  kind?: string;
  stream?: string;
  /** Only those with a greater id; the oldest first. Without it the newest first. */
  after?: number;
  limit: number;
}

const schemaVersion = 1;
const schema = `
  CREATE TABLE hosts (
    cluster TEXT NOT NULL, host TEXT NOT NULL, at REAL NOT NULL, received REAL NOT NULL,
    version TEXT NOT NULL, boot_id TEXT NOT NULL, snapshot TEXT NOT NULL,
    PRIMARY KEY (cluster, host)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE streams (
    cluster TEXT NOT NULL, host TEXT NOT NULL, stream TEXT NOT NULL,
    last INTEGER NOT NULL, lost INTEGER NOT NULL, received REAL NOT NULL,
    PRIMARY KEY (cluster, host, stream)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    cluster TEXT NOT NULL, host TEXT NOT NULL, stream TEXT NOT NULL, n INTEGER NOT NULL,
    at REAL NOT NULL, received REAL NOT NULL, kind TEXT NOT NULL, data TEXT NOT NULL,
    UNIQUE (cluster, host, stream, n)
  ) STRICT;
  CREATE INDEX events_by_age ON events (received);
`;

/**
 * What the collector keeps, in one SQLite file with a write-ahead log. What `write` has returned is on the disk (`synchronous=FULL`).
 * Calls block the event loop: a millisecond for a hundred writes together, and the time of an fsync.
 */
export class Database {
  readonly #db: DatabaseSync;
  readonly #statements: ReturnType<typeof prepare>;

  /**
   * @param path of the file, or `:memory:`
   * @throws RlnetError DATABASE_UNUSABLE
   */
  constructor(path: string) {
    try {
      this.#db = new DatabaseSync(path);
      this.#db.exec('PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA journal_size_limit=16777216;');
      const version = this.#db.prepare('PRAGMA user_version').get()?.['user_version'];
      if (version === 0) this.#db.exec(`BEGIN; ${schema} PRAGMA user_version=${schemaVersion}; COMMIT;`);
      else if (version !== schemaVersion) throw new Error(`it is of version ${String(version)}`);
      this.#statements = prepare(this.#db);
    } catch (cause) {
      throw new RlnetError(
        'DATABASE_UNUSABLE',
        `The database ${path} cannot be used: ${cause instanceof Error ? cause.message : String(cause)}.`,
        'Make room or correct the rights; a damaged file is to be moved away, and agents send again what they still have.',
        { cause },
      );
    }
  }

  /** The number of the last event of a stream that is here; 0 for none. */
  last({ cluster, host }: Source, stream: string): number {
    return Number(this.#statements.last.get(cluster, host, stream)?.['last'] ?? 0);
  }

  /**
   * All of it or nothing. Events that are here already are passed over; a gap before them is counted as lost.
   * @throws the error of SQLite, such as a full disk: then nothing was written
   */
  write(writes: readonly Write[]): void {
    this.#db.exec('BEGIN IMMEDIATE');
    try {
      for (const write of writes) this.#writeOne(write);
      this.#db.exec('COMMIT');
    } catch (thrown) {
      // A full disk makes SQLite roll back by itself.
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      throw thrown;
    }
  }

  hosts(): HostRow[] {
    return this.#statements.hosts.all().map((row) => ({
      cluster: String(row['cluster']),
      host: String(row['host']),
      at: Number(row['at']),
      received: Number(row['received']),
      version: String(row['version']),
      bootId: String(row['boot_id']),
      snapshot: String(row['snapshot']),
    }));
  }

  events({ cluster, host, kind, stream, after, limit }: EventQuery): EventRow[] {
    const given = Object.entries({ cluster, host, kind, stream }).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, value] as const],
    );
    const where = [...given.map(([name]) => `${name} = ?`), ...(after === undefined ? [] : ['id > ?'])];
    const order = after === undefined ? 'DESC' : 'ASC';
    const sql = `SELECT * FROM events ${where.length === 0 ? '' : `WHERE ${where.join(' AND ')}`} ORDER BY id ${order} LIMIT ?`;
    const values = [...given.map(([, value]) => value), ...(after === undefined ? [] : [after]), limit];
    return this.#db
      .prepare(sql)
      .all(...values)
      .map((row) => ({
        id: Number(row['id']),
        cluster: String(row['cluster']),
        host: String(row['host']),
        stream: String(row['stream']),
        n: Number(row['n']),
        at: Number(row['at']),
        received: Number(row['received']),
        kind: String(row['kind']),
        data: String(row['data']),
      }));
  }

  /** Events that are known to be lost: numbers that were passed over. */
  lost(): number {
    return Number(this.#statements.lost.get()?.['lost'] ?? 0);
  }

  /**
   * Removes events that came before these moments; the records of renumberings have one of their own. How far each stream had got stays, so that
   * nothing comes twice. Deletes a bounded number at a time: call it again while it says that there is more.
   */
  forget(before: { events: number; journals: number }): { more: boolean } {
    const batch = 5_000;
    const events = this.#statements.forgetEvents.run(before.events, batch).changes;
    const journals = this.#statements.forgetJournals.run(before.journals, batch).changes;
    return { more: Number(events) === batch || Number(journals) === batch };
  }

  /** Bytes of the database as SQLite counts its pages. */
  size(): number {
    const value = (name: string) => Number(this.#db.prepare(`PRAGMA ${name}`).get()?.[name] ?? 0);
    return value('page_count') * value('page_size');
  }

  close(): void {
    this.#db.close();
  }

  #writeOne(write: Write): void {
    const { cluster, host } = write.source;
    const { putSnapshot, putEvent, putStream } = this.#statements;
    if (write.what === 'snapshot') {
      putSnapshot.run(cluster, host, write.at, write.received, write.version, write.bootId, write.json);
      return;
    }
    const { stream, received, events } = write;
    let last = this.last(write.source, stream);
    let lost = 0;
    for (const { n, at, kind, data } of events) {
      if (n <= last) continue;
      lost += n - last - 1;
      putEvent.run(cluster, host, stream, n, at, received, kind, JSON.stringify(data ?? null));
      last = n;
    }
    putStream.run(cluster, host, stream, last, lost, received);
  }
}

function prepare(db: DatabaseSync) {
  return {
    last: db.prepare('SELECT last FROM streams WHERE cluster = ? AND host = ? AND stream = ?'),
    lost: db.prepare('SELECT coalesce(sum(lost), 0) AS lost FROM streams'),
    hosts: db.prepare('SELECT * FROM hosts ORDER BY cluster, host'),
    putSnapshot: db.prepare(
      'INSERT INTO hosts VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET at = excluded.at, received = excluded.received, version = excluded.version, boot_id = excluded.boot_id, snapshot = excluded.snapshot',
    ),
    putEvent: db.prepare(
      'INSERT INTO events (cluster, host, stream, n, at, received, kind, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
    ),
    putStream: db.prepare(
      'INSERT INTO streams VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET last = excluded.last, lost = lost + excluded.lost, received = excluded.received',
    ),
    forgetEvents: db.prepare(
      "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE received < ? AND kind <> 'journal' LIMIT ?)",
    ),
    forgetJournals: db.prepare(
      "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE received < ? AND kind = 'journal' LIMIT ?)",
    ),
  };
}
