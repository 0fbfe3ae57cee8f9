import { known, whyUnknown } from '../observations.ts';
import { type Check, fail, pass, unknown } from './check.ts';

export const agentNotEnabled: Check = {
  code: 'AGENT_NOT_ENABLED',
  title: 'The agent does not start with the host',
  severity: 'warning',
  about:
    'After a restart nobody looks after this host, and a renumbering refuses to begin. Looked at every five minutes.',
  remedy: 'systemctl enable rlnet',
  judge({ observations: { agentUnit } }) {
    const unit = known(agentUnit);
    if (unit === undefined) return unknown(whyUnknown(agentUnit));
    const said = `${unit.unit} is ${unit.unitFileState === '' ? 'without a unit file' : unit.unitFileState}`;
    return unit.unitFileState === 'enabled' ? pass(said) : fail(said);
  },
};
