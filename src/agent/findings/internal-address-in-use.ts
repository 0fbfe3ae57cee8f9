import { foreignOwners } from '../../protocol/wire.ts';
import { known, whyUnknown } from '../observations.ts';
import { type Check, fail, notApplicable, pass, unknown } from './check.ts';

/** The wire is asked every ten minutes, as each time is seven packets to everybody. */
export const internalAddressInUse: Check = {
  code: 'INTERNAL_ADDRESS_IN_USE',
  title: "Another machine answers for the node's internal address",
  severity: 'error',
  about:
    'Asked on the wire (ARP probe, neighbour solicitation), a card answered that is none of this host. Connections of the cluster then reach now this host and now the other. The wire is asked every ten minutes and at the start of the agent.',
  remedy: 'Find the machine by the MAC address in the evidence and take the address from it.',
  behind: ['INTERNAL_ADDRESS_NOT_BOUND', 'RENUMBERING_UNDER_WAY'],
  judge({ observations: { interfaces, wireAnswer }, internalAddress }) {
    const links = known(interfaces);
    if (links === undefined) return unknown(whyUnknown(interfaces));
    if (internalAddress === undefined) return notApplicable('the internal address is not known');
    const answer = known(wireAnswer);
    if (answer === undefined) return unknown(whyUnknown(wireAnswer));
    if (answer === 'not_asked') return notApplicable(`${internalAddress} is on no interface that could ask`);
    if (answer.outcome === 'unknown') return unknown(answer.why);
    if (answer.outcome === 'silent') return pass(`nobody else answers for ${internalAddress}`);
    const foreign = foreignOwners(answer.owners, links);
    return foreign.length === 0
      ? pass(`only this host answers for ${internalAddress}`)
      : fail(`${foreign.join(', ')} answered for ${internalAddress}`);
  },
};
