/** How the new content came to be there. */
export interface Replaced {
  /** The file itself, where the path that was given is a symbolic link. */
  file: string;
  /** What it was before, whole. */
  backup: string;
  /** `renamed`: after a crash either the old content is there or the new one. `in_place`: it could be a part, and the back-up is whole. */
  how: 'renamed' | 'in_place';
}

/** Edits files that belong to somebody else: nothing but the content becomes another. */
export interface FileEditor {
  /**
   * Replaces the content of a file that exists. Before that its old content goes into one dated back-up, which is durable first; an older back-up
   * of the same file is taken away, and one with this very content is kept in its stead. Mode, owner,
   * extended attributes (those that this process may see), ACL and SELinux label stay; a symbolic link is followed and stays; a bind-mounted file, or one in a directory that
   * takes no new file, is written in place. When it resolves, the new content is durable and has been read back. Costs two execs.
   * @param expected what the file holds
   * @throws RlnetError FILE_NOT_EDITABLE (no regular file, read-only, immutable, no space …); FILE_CHANGED where somebody else writes it too, before or
   *   after; COMMAND_FAILED and what else Exec throws. All but the second kind of FILE_CHANGED leave the file as it was, or say so.
   */
  replace(path: string, expected: Uint8Array, content: Uint8Array): Promise<Replaced>;
}
