import type { HostsJudgement, HostsMend } from '../../protocol/hosts-file.ts';

/** `/etc/hosts` of this host. */
export interface HostsFile {
  /** Reads and judges the file. A file that is missing or unreadable is an answer (`unknown` or `missing`), not an error. */
  judge(): Promise<HostsJudgement>;
  /**
   * Makes the file map ::1 to localhost by the smallest edit, and reads that back. Nothing is written where it does so already. One at a time; costs
   * what `FileEditor.replace` does.
   * @throws RlnetError FILE_NOT_EDITABLE, FILE_CHANGED, and what FileEditor throws
   */
  mend(): Promise<HostsMend>;
  watch(onHint: () => void): { close(): void };
}
