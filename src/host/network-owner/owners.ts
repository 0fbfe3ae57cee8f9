import { RlnetError } from '../../protocol/errors.ts';
import type { OwnerKind } from '../../protocol/network-owner.ts';
import type { NetworkOwner } from '../ports/network-owner.ts';
import { createFileOwner, type FileOwnerPorts } from './file-owner.ts';
import { createHookOwner } from './hook.ts';
import { createIfupdownAdapter } from './ifupdown.ts';
import { createManualOwner } from './manual.ts';
import { createNetplanAdapter } from './netplan.ts';
import { createNetworkManagerAdapter } from './network-manager.ts';
import { createNetworkdAdapter } from './networkd.ts';

/**
 * The real owner of a kind.
 * @param hook the path of the operator's program, as the configuration names it, for the kind `hook`
 * @throws RlnetError OWNER_HOOK_REFUSED where it names none
 */
export function createNetworkOwner(kind: OwnerKind, ports: FileOwnerPorts, hook?: string): NetworkOwner {
  const networkd = createNetworkdAdapter(ports.exec, ports.clock);
  const networkManager = createNetworkManagerAdapter(ports.exec);
  switch (kind) {
    case 'systemd-networkd':
      return createFileOwner(networkd, ports);
    case 'NetworkManager':
      return createFileOwner(networkManager, ports);
    case 'netplan':
      return createFileOwner(
        createNetplanAdapter(ports.outer, { networkd, NetworkManager: networkManager }),
        ports,
      );
    case 'ifupdown':
      return createFileOwner(createIfupdownAdapter(ports.exec, ports.outer), ports);
    case 'hook':
      if (hook !== undefined) return createHookOwner(hook, ports);
      throw new RlnetError(
        'OWNER_HOOK_REFUSED',
        'The configuration names no hook.',
        'Set network.hook to the path of the program in /etc/rlnet/agent.yaml.',
      );
    case 'manual':
      return createManualOwner(ports);
  }
}
