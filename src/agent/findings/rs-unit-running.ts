import { known, whyUnknown } from '../observations.ts';
import type { Check } from './check.ts';

export const rsUnitRunning: Check = {
  code: 'RS_UNIT_NOT_RUNNING',
  title: 'The systemd unit of Redis Enterprise Software is missing or not running',
  severity: 'error',
  about:
    'systemd knows neither `rlec_supervisor` nor `rlec_supervisord` (or not the one that `rs.unit` names), or the unit is not active. `systemctl status` of the unit says more.',
  remedy: 'See systemctl status of the unit; if it has another name, set rs.unit in /etc/rlnet/agent.yaml.',
  behind: ['RENUMBERING_UNDER_WAY'],
  judge({ observations: { unit } }) {
    if (unit === undefined || 'error' in unit) return { outcome: 'unknown', evidence: whyUnknown(unit) };
    const state = known(unit);
    if (state === undefined || state.loadState === 'not-found') {
      return {
        outcome: 'fail',
        evidence: `systemd knows no unit ${state?.unit ?? 'rlec_supervisor or rlec_supervisord'}`,
      };
    }
    const evidence = `${state.unit} is ${state.activeState} (${state.subState}), ${state.unitFileState || 'no unit file'}`;
    return { outcome: state.activeState === 'active' ? 'pass' : 'fail', evidence };
  },
};
