import type { HostsJudgement } from '../../protocol/hosts-file.ts';

/** `/etc/hosts` of this host. */
export interface HostsFile {
  /** Reads and judges the file. A file that is missing or unreadable is an answer (`unknown` or `missing`), not an error. */
  judge(): Promise<HostsJudgement>;
  watch(onHint: () => void): { close(): void };
}
