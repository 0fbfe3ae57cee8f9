import * as v from 'valibot';
import { finiteSchema } from './schema.ts';

/** What `/etc/hosts` says about `::1 localhost`, which RS needs on every node. */
export const hostsJudgementSchema = v.object({
  /** `present`: a line maps ::1 to localhost. `missing`: none does. `unknown`: the file could not be read. */
  localhostIpv6: v.picklist(['present', 'missing', 'unknown']),
  /** The line that says so, or what stands in its place, or why it is unknown; for people. */
  evidence: v.string(),
});
export type HostsJudgement = v.InferOutput<typeof hostsJudgementSchema>;

/** What was done to make the hosts file map ::1 to localhost. */
export const hostsMendSchema = v.object({
  /** Absent where nothing was to be done. */
  change: v.optional(
    v.object({
      /** The file itself, where /etc/hosts is a symbolic link. */
      file: v.string(),
      /** `created`: there was none. The others as FileEditor has them. */
      how: v.picklist(['renamed', 'in_place', 'created']),
      /** 1-based, in the file as it is now. */
      line: finiteSchema,
      /** The line as it was; absent where it is new. */
      before: v.optional(v.string()),
      after: v.string(),
      /** The whole file as it was; absent where there was none. */
      backup: v.optional(v.string()),
    }),
  ),
  /** Who will undo it, and what to do about that. */
  note: v.optional(v.object({ evidence: v.string(), remedy: v.string() })),
});
export type HostsMend = v.InferOutput<typeof hostsMendSchema>;
