import { holdersOf } from '../../protocol/interfaces.ts';
import { known, ownRow, whyUnknown } from '../observations.ts';
import { type Check, failIfAny, notApplicable, unknown } from './check.ts';
import { rsCauses } from './rs-table.ts';

export const rsExternalElsewhere: Check = {
  code: 'RS_EXTERNAL_ADDRESS_ELSEWHERE',
  title: 'An external address of the node is on no interface of its host',
  severity: 'info',
  about:
    'That is as it should be for an elastic IP or the address of a load balancer. Where it is not one of those, somebody has changed the address of the host and not told RS: clients are sent to where nobody is.',
  remedy: 'Where it is not an address of the network outside, correct it with rladmin node ID external_addr.',
  behind: rsCauses,
  judge({ observations }) {
    const links = known(observations.interfaces);
    if (links === undefined) return unknown(whyUnknown(observations.interfaces));
    if (known(observations.nodeTable) === undefined) return unknown(whyUnknown(observations.nodeTable));
    const row = ownRow(observations);
    if (row === undefined) return notApplicable('RS has no row for this host');
    return failIfAny(
      row.externalAddresses
        .filter((address) => holdersOf(links, address).length === 0)
        .map((address) => `${address} is on no interface`),
      `${row.externalAddresses.length} are on interfaces of this host`,
    );
  },
};
