import * as v from 'valibot';

/** What `/etc/hosts` says about `::1 localhost`, which RS needs on every node. */
export const hostsJudgementSchema = v.object({
  /** `present`: a line maps ::1 to localhost. `missing`: none does. `unknown`: the file could not be read. */
  localhostIpv6: v.picklist(['present', 'missing', 'unknown']),
  /** The line that says so, or what stands in its place, or why it is unknown; for people. */
  evidence: v.string(),
});
export type HostsJudgement = v.InferOutput<typeof hostsJudgementSchema>;
