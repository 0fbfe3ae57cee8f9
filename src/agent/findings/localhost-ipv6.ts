import { known, whyUnknown } from '../observations.ts';
import type { Check } from './check.ts';

/** RS wants `::1 localhost` in /etc/hosts on every node (RS/networking/multi-ip-ipv6). */
export const localhostIpv6: Check = {
  code: 'HOSTS_LOCALHOST_IPV6_MISSING',
  title: '/etc/hosts has no "::1 localhost"',
  severity: 'error',
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
