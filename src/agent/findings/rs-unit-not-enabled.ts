import { known, whyUnknown } from '../observations.ts';
import { type Check, fail, notApplicable, pass, unknown } from './check.ts';

const disabled = ['disabled', 'enabled-runtime', 'linked', 'linked-runtime', 'masked', 'masked-runtime'];

export const rsUnitNotEnabled: Check = {
  code: 'RS_UNIT_NOT_ENABLED',
  title: 'The unit of Redis Enterprise Software does not start with the host',
  severity: 'warning',
  about:
    'The node is gone after the next restart of the host. A renumbering disables the unit for a while, and then this is not said.',
  remedy: 'systemctl enable the unit that the evidence names.',
  behind: ['RENUMBERING_UNDER_WAY'],
  judge({ observations: { unit } }) {
    if (unit === undefined || 'error' in unit) return unknown(whyUnknown(unit));
    const state = known(unit);
    if (state === undefined || state.loadState === 'not-found') return notApplicable('there is no such unit');
    const said = `${state.unit} is ${state.unitFileState || 'without a unit file'}`;
    return disabled.includes(state.unitFileState) ? fail(said) : pass(said);
  },
};
