/** The file system, as far as rlnet needs it. Paths are absolute. Errors carry the system's word (`errnoOf`). */
export interface Files {
  /** The whole file as UTF-8. Rejects with the system's error: ENOENT, EACCES, EISDIR … */
  read(path: string): Promise<string>;
  /** Like `read`, but undefined where the file does not exist. */
  readIfExists(path: string): Promise<string | undefined>;
  /** The whole file as bytes. */
  readBytes(path: string): Promise<Uint8Array>;
  /**
   * Replaces or creates the file so that after a crash at any moment either the old or the new content is there, whole:
   * unique temporary name beside it, fsync of the file, rename, fsync of the directory. When it resolves it is durable.
   */
  writeAtomic(path: string, content: string, mode: number): Promise<void>;
  /**
   * Creates a file that must not exist yet, durable when it resolves.
   * Rejects with EEXIST where it does, and leaves that file as it is.
   */
  create(path: string, content: string, mode: number): Promise<void>;
  /**
   * Adds to the end of a file that exists, durable when it resolves. When it rejects, part of the text may be in the file, and
   * nobody can say what is on the disk: a later fsync that succeeds does not mean that this was written.
   * Rejects with ENOENT, ENOSPC, EIO …
   */
  append(path: string, text: string): Promise<void>;
  /** The names in a directory, in no order; none where it does not exist. */
  list(path: string): Promise<string[]>;
  /** Creates a directory and its parents, all of this mode and durable when it resolves; one that exists is left as it is. */
  makeDirectory(path: string, mode: number): Promise<void>;
  /** Removes a file, durable when it resolves; one that does not exist is fine. */
  remove(path: string): Promise<void>;
  /** Permission bits, such as 0o600; undefined where there is no such file. */
  mode(path: string): Promise<number | undefined>;
  /**
   * Calls `onHint` when the file *may* have changed, been replaced, removed or created. A hint only: read again and
   * compare. Hints can be missed (network file systems, a replaced directory), so poll slowly as well.
   */
  watch(path: string, onHint: () => void): { close(): void };
}
