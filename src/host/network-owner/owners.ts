import { RlnetError } from '../../protocol/errors.ts';
import type { OwnerKind } from '../../protocol/network-owner.ts';
import type { NetworkOwner } from '../ports/network-owner.ts';
import { createFileOwner, type FileOwnerPorts } from './file-owner.ts';
import { createNetworkManagerAdapter } from './network-manager.ts';
import { createNetworkdAdapter } from './networkd.ts';

/** The real owner of a kind. @throws RlnetError OWNER_NOT_EDITABLE for one that this version cannot edit */
export function createNetworkOwner(kind: OwnerKind, ports: FileOwnerPorts): NetworkOwner {
  switch (kind) {
    case 'systemd-networkd':
      return createFileOwner(createNetworkdAdapter(ports.exec), ports);
    case 'NetworkManager':
      return createFileOwner(createNetworkManagerAdapter(ports.exec), ports);
    case 'netplan':
    case 'ifupdown':
    case 'hook':
    case 'manual':
      throw new RlnetError(
        'OWNER_NOT_EDITABLE',
        `This version of rlnet cannot change the address in the files of ${kind}.`,
        'Change the address by hand.',
      );
  }
}
