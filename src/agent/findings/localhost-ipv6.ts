import { known, whyUnknown } from '../observations.ts';
import type { Check } from './check.ts';

/** RS wants `::1 localhost` in /etc/hosts on every node (RS/networking/multi-ip-ipv6). */
export const localhostIpv6: Check = {
  code: 'HOSTS_LOCALHOST_IPV6_MISSING',
  title: '/etc/hosts has no "::1 localhost"',
  severity: 'error',
  about:
    '`/etc/hosts` has no line that maps `::1` to `localhost`, which RS needs on every node, also on IPv4 clusters. `rlnet check --fix` on the host adds it with the smallest edit: `localhost` at the end of a line that is there for `::1`, else the line `::1 localhost` after the one that names localhost. Every other byte stays, and so do mode, owner, ACL, extended attributes and SELinux label; a symbolic link is followed, a bind-mounted file is written in place. What was there before is in `/var/lib/rlnet/backups`, one dated file. Where cloud-init writes `/etc/hosts` anew at each boot (`manage_etc_hosts`), the answer says so: the line has to go into its template, too.',
  remedy: 'Run rlnet check --fix on this host, or add the line "::1 localhost" to its /etc/hosts.',
  judge({ observations: { hostsFile } }) {
    const judgement = known(hostsFile);
    if (judgement === undefined) return { outcome: 'unknown', evidence: whyUnknown(hostsFile) };
    switch (judgement.localhostIpv6) {
      case 'present':
        return { outcome: 'pass', evidence: judgement.evidence };
      case 'missing':
        return { outcome: 'fail', evidence: judgement.evidence };
      case 'unknown':
        return { outcome: 'unknown', evidence: judgement.evidence };
    }
  },
};
