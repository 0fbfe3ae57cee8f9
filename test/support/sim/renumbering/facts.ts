import type { FactDependencies } from '../../../../src/agent/renumbering/facts.ts';
import type { NetworkOwner } from '../../../../src/host/ports/network-owner.ts';
import type { UnitControl } from '../../../../src/host/ports/unit-control.ts';
import { enabledUnit } from '../../unit-record.ts';
import { rsUnit, type SimHost } from '../host.ts';

const agentUnit = 'rlnet.service';
const dayMs = 86_400_000;

type Ports = Pick<FactDependencies, 'clock' | 'rs' | 'peers' | 'interfaces' | 'kernel'> & {
  owner: NetworkOwner;
  units: UnitControl;
};

/** What guards go by on a simulated host: what is simulated as it is there, and for the rest a host in order. */
export function simFacts({ owner, units, ...ports }: Ports, host: SimHost): FactDependencies {
  return {
    ...ports,
    hostsFile: { judge: async () => ({ localhostIpv6: 'present', evidence: '::1 localhost' }) },
    units: {
      record: async (unit) =>
        unit === agentUnit ? enabledUnit({ unit: agentUnit }) : await units.record(unit),
    },
    ...simFactsBeside(host, owner),
    mode: 'manage',
  };
}

/** Of that, what an agent does not have anyway. */
export function simFactsBeside(
  host: SimHost,
  owner: NetworkOwner,
): Pick<
  FactDependencies,
  'surroundings' | 'ownerOf' | 'rsUnit' | 'agentUnit' | 'certificateEnds' | 'directories'
> {
  return {
    surroundings: {
      freeBytes: async () => 2 ** 30,
      clockSynchronised: async () => true,
      vendor: async () => undefined,
      firewallRules: async () => [],
    },
    ownerOf: async () => owner,
    rsUnit: async () => rsUnit,
    agentUnit,
    certificateEnds: async () => host.wall() + 365 * dayMs,
    directories: ['/var/lib/rlnet', '/etc'],
  };
}
