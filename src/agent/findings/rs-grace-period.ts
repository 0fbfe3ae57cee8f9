import { known, whyUnknown } from '../observations.ts';
import { type Check, fail, isNoNode, notApplicable, pass, unknown } from './check.ts';
import { rsCauses } from './rs-table.ts';

/** A host with much memory takes that long to restart, and RS two minutes more to come up. */
const wantedSeconds = 600;

export const rsGracePeriod: Check = {
  code: 'RS_HA_GRACE_SHORT',
  title: 'RS replaces the replicas of a node sooner than a host may take to restart',
  severity: 'info',
  about:
    '`slave_ha_grace_period` is below its default of 600 s. Where replica HA is on, a restart of a host makes RS copy its shards to other nodes. Read every half hour.',
  remedy: 'rladmin tune cluster slave_ha_grace_period 600, for the time of a renumbering at least.',
  behind: rsCauses,
  judge({ observations }) {
    if (isNoNode(observations)) return notApplicable('this host is not a node');
    const reading = observations.replicaHaGrace;
    if (reading === undefined || 'error' in reading) return unknown(whyUnknown(reading));
    const seconds = known(reading);
    if (seconds === undefined) return notApplicable('rladmin info cluster does not show it');
    return seconds < wantedSeconds ? fail(`it waits ${seconds} s`) : pass(`it waits ${seconds} s`);
  },
};
