import { type Check, fail, notApplicable, pass } from './check.ts';

export const spoolFull: Check = {
  code: 'SPOOL_DROPS_EVENTS',
  title: 'Events were dropped before the collector had them',
  severity: 'warning',
  about:
    'The collector was away for longer than 8 MiB of events last, or the disk did not take them. The collector counts what is missing. Records of renumberings are not among it: their journals keep them. It stays until the agent is started again.',
  remedy: 'Bring the collector back, or make room on the disk of /var/lib/rlnet.',
  judge({ report }) {
    if (report === undefined) return notApplicable('no collector is configured');
    return report.dropped > 0 ? fail(`${report.dropped} events were dropped`) : pass('none were');
  },
};
