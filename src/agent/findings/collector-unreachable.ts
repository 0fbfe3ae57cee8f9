import { type Check, fail, notApplicable, pass } from './check.ts';
import { meshCauses } from './mesh-causes.ts';

export const collectorUnreachable: Check = {
  code: 'COLLECTOR_UNREACHABLE',
  title: 'This host does not get its reports to the collector',
  severity: 'warning',
  about:
    'There has been no connection for a minute; the agent tries again by itself, at ever longer intervals of up to a minute. What happens meanwhile is kept on disk, and renumberings go on as ever.',
  remedy:
    'See whether rlnet collector runs, whether its port is open and its certificate good; collector.url names it.',
  showAfterMs: 60_000,
  behind: meshCauses,
  judge({ report }) {
    if (report === undefined) return notApplicable('no collector is configured');
    return report.connected ? pass('connected') : fail(report.why);
  },
};
