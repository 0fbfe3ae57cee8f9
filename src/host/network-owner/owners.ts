import { RlnetError } from '../../protocol/errors.ts';
import type { OwnerKind } from '../../protocol/network-owner.ts';
import type { Exec } from '../ports/exec.ts';
import type { NetworkOwner } from '../ports/network-owner.ts';
import { createFileOwner, type FileOwnerPorts } from './file-owner.ts';
import { createHookOwner } from './hook.ts';
import { createIfupdownAdapter } from './ifupdown.ts';
import { createManualOwner } from './manual.ts';
import { createNetplanAdapter } from './netplan.ts';
import { createNetworkManagerAdapter } from './network-manager.ts';
import { createNetworkdAdapter } from './networkd.ts';

/** The operator's program, and what runs it: outside of the sandbox of our unit, where there is one. */
export interface Hook {
  path: string;
  exec: Pick<Exec, 'run'>;
}

/**
 * The real owner of a kind.
 * @param hook what the configuration names, for the kind `hook`
 * @throws RlnetError OWNER_HOOK_REFUSED where it names none
 */
export function createNetworkOwner(kind: OwnerKind, ports: FileOwnerPorts, hook?: Hook): NetworkOwner {
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
      if (hook !== undefined) return createHookOwner(hook.path, hook.exec, ports);
      throw new RlnetError(
        'OWNER_HOOK_REFUSED',
        'The configuration names no hook.',
        'Set network.hook to the path of the program in /etc/rlnet/agent.yaml.',
      );
    case 'manual':
      return createManualOwner(ports);
  }
}
