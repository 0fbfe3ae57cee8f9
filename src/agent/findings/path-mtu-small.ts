import { holdersOf } from '../../protocol/interfaces.ts';
import { known, whyUnknown } from '../observations.ts';
import { type Check, failIfAny, notApplicable, unknown } from './check.ts';
import { meshCauses } from './mesh-causes.ts';

export const pathMtuSmall: Check = {
  code: 'MESH_PATH_MTU_SMALL',
  title: 'The path to another host takes smaller packets than the interface',
  severity: 'warning',
  about:
    'The kernel has learned (PMTU) that packets of the size of the interface do not get through to another host. It works, as the kernel makes them smaller; on a segment of one switch it is a sign of a wrong MTU on the way. Looked at every minute.',
  remedy: 'Compare the MTU of the interfaces and of the switch ports between the two hosts.',
  behind: meshCauses,
  judge({ observations: { interfaces, paths }, internalAddress, peers }) {
    const links = known(interfaces);
    if (links === undefined) return unknown(whyUnknown(interfaces));
    if (internalAddress === undefined) return notApplicable('the internal address is not known');
    const [holder] = holdersOf(links, internalAddress);
    if (holder === undefined) return notApplicable(`${internalAddress} is on no interface`);
    const mtus = known(paths)?.mtus;
    if (mtus === undefined) return unknown(whyUnknown(paths));
    const { name, mtu } = holder.link;
    return failIfAny(
      peers.flatMap(({ host, address }) => {
        const found = address === undefined ? undefined : mtus.get(address);
        return found !== undefined && found < mtu ? [`${host}: ${found}, and ${name} has ${mtu}`] : [];
      }),
      `packets of ${mtu} bytes are not known to be too large for anybody`,
    );
  },
};
