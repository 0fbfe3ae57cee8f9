import { RlnetError } from '../../protocol/errors.ts';
import type { OwnerKind } from '../../protocol/network-owner.ts';
import type { NetworkOwner } from '../ports/network-owner.ts';
import { createFileOwner, type FileOwnerPorts } from './file-owner.ts';
import { createIfupdownAdapter } from './ifupdown.ts';
import { createNetplanAdapter } from './netplan.ts';
import { createNetworkManagerAdapter } from './network-manager.ts';
import { createNetworkdAdapter } from './networkd.ts';

/** The real owner of a kind. @throws RlnetError OWNER_NOT_EDITABLE for one that this version cannot edit */
export function createNetworkOwner(kind: OwnerKind, ports: FileOwnerPorts): NetworkOwner {
  const networkd = createNetworkdAdapter(ports.exec);
  const networkManager = createNetworkManagerAdapter(ports.exec);
  switch (kind) {
    case 'systemd-networkd':
      return createFileOwner(networkd, ports);
    case 'NetworkManager':
      return createFileOwner(networkManager, ports);
    case 'netplan':
      return createFileOwner(
        createNetplanAdapter(ports.exec, { networkd, NetworkManager: networkManager }),
        ports,
      );
    case 'ifupdown':
      return createFileOwner(createIfupdownAdapter(ports.exec), ports);
    case 'hook':
    case 'manual':
      throw new RlnetError(
        'OWNER_NOT_EDITABLE',
        `This version of rlnet cannot change the address in the files of ${kind}.`,
        'Change the address by hand.',
      );
  }
}
