import type { Files } from '../../host/ports/files.ts';
import { RlnetError } from '../../protocol/errors.ts';
import { advance, type Progress, progressOf } from '../../protocol/renumbering/progress.ts';
import type { JournalRecord } from '../../protocol/renumbering/records.ts';
import { damaged, decodeJournal, encodeRecord } from './journal-text.ts';

/** Nobody but root has business in what an agent is about to do. */
const mode = 0o600;

/**
 * The journal of one renumbering, open for writing.
 *
 * Invariants: `progress` is what the file says, never more. After a write or an fsync that failed nothing is written any more,
 * since nobody knows what the disk holds (a second fsync would lie: the kernel has dropped the page).
 */
export class Journal {
  readonly path: string;
  readonly #files: Files;
  #records: JournalRecord[];
  #progress: Progress;
  #failed: RlnetError | undefined;

  private constructor(files: Files, path: string, records: JournalRecord[], progress: Progress) {
    this.#files = files;
    this.path = path;
    this.#records = records;
    this.#progress = progress;
  }

  /**
   * Begins a journal; it is on disk, with its directory entry, when this resolves.
   * @throws RlnetError JOURNAL_NOT_WRITABLE
   */
  static async begin(files: Files, path: string, open: JournalRecord): Promise<Journal> {
    const progress = progressOf([open]);
    try {
      await files.create(path, encodeRecord(1, open), mode);
    } catch (cause) {
      throw notWritable(path, cause);
    }
    return new Journal(files, path, [open], progress);
  }

  /**
   * Takes a journal up again. A torn last line never counted, and is taken off. What is left is written anew: after an fsync that
   * failed in the run before, a line can be read here that is not on the disk, and later fsyncs would not put it there.
   * @returns undefined for a journal whose first record never got to the disk whole: nothing was begun
   * @throws RlnetError JOURNAL_DAMAGED; JOURNAL_NOT_WRITABLE
   */
  static async take(files: Files, path: string): Promise<Journal | undefined> {
    const { records, whole } = decodeJournal(await files.read(path), path);
    if (records.length === 0) return undefined;
    const progress = readProgress(records, path);
    try {
      await files.writeAtomic(path, whole, mode);
    } catch (cause) {
      throw notWritable(path, cause);
    }
    return new Journal(files, path, records, progress);
  }

  get progress(): Progress {
    return this.#progress;
  }

  /** Why nothing is written any more. */
  get failed(): RlnetError | undefined {
    return this.#failed;
  }

  get records(): readonly JournalRecord[] {
    return this.#records;
  }

  /**
   * Adds a record; it is durable when this resolves, and counts from then on.
   * @throws RlnetError JOURNAL_NOT_WRITABLE, and from then on always
   */
  async append(record: JournalRecord): Promise<void> {
    if (this.#failed !== undefined) throw this.#failed;
    const next = advance(this.#progress, record);
    try {
      await this.#files.append(this.path, encodeRecord(this.#records.length + 1, record));
    } catch (cause) {
      this.#failed = notWritable(this.path, cause);
      throw this.#failed;
    }
    this.#records = [...this.#records, record];
    this.#progress = next;
  }
}

/** @throws RlnetError JOURNAL_DAMAGED where the records contradict each other. */
export function readProgress(records: readonly JournalRecord[], path: string): Progress {
  try {
    return progressOf(records);
  } catch (cause) {
    throw damaged(path, records.length, cause instanceof Error ? cause.message : String(cause), cause);
  }
}

function notWritable(path: string, cause: unknown): RlnetError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new RlnetError(
    'JOURNAL_NOT_WRITABLE',
    `${path} could not be written: ${why}.`,
    'Make room on the disk or replace it, then restart rlnet; until then nothing more is done.',
    { cause },
  );
}
