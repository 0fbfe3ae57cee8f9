import { type Address, familyOf } from '../address.ts';
import type { Fact } from './guard.ts';
import type { Reference } from './plan.ts';

/** Lines of the host's own files and tools in which an address may stand, beside what its network's owner has. */
export interface Places {
  /** Of /etc/hosts. */
  hosts: Fact<readonly string[]>;
  /** By tool; none where no tool is there. */
  firewall: Fact<readonly { tool: string; lines: readonly string[] }[]>;
  /** `mesh.seeds` of this host's agent.yaml. */
  seeds: readonly Address[];
}

/** A plan shows so many lines of one file or tool; who has more needs an editor. */
const maxLines = 16;

/**
 * Whether a line names the address itself, and not another one that only begins or ends like it. Another notation of an IPv6
 * address than the canonical one is not found.
 */
export function names(line: string, address: Address): boolean {
  const isIpv6 = familyOf(address) === 'ipv6';
  const goesOnBefore = isIpv6 ? /[\da-f:]$/ : /[\d.]$/;
  // A port (192.0.2.2:8443) and the full stop of a sentence go with the address.
  const goesOnAfter = isIpv6 ? /^([\da-f]|:[\da-f:])/ : /^(\d|\.\d)/;
  const parts = line.toLowerCase().split(address);
  return parts
    .slice(1)
    .some((after, index) => !goesOnBefore.test(parts[index] ?? '') && !goesOnAfter.test(after));
}

/** Every place that is known, or sure, to name the old address; who changes it; and where nobody has looked. */
export function referencesTo(
  old: Address,
  {
    external,
    owner,
    files,
    places,
  }: { external: boolean; owner: string; files: readonly string[]; places: Places },
): Reference[] {
  const rlnet = (where: string, what: string): Reference => ({ where, who: 'rlnet', what });
  const person = (where: string, what: string): Reference => ({ where, who: 'person', what });
  const { hosts, firewall, seeds } = places;
  return [
    rlnet('RS', `the internal address of the node (addr)`),
    ...(external ? [rlnet('RS', 'the external addresses of the node (external_addr)')] : []),
    ...files.map((path) => rlnet(path, `the configuration of the network, by ${owner}`)),
    ...('unknown' in hosts
      ? [person('/etc/hosts of this host', `could not be read: ${hosts.unknown}`)]
      : found('/etc/hosts of this host', hosts.value, old)),
    ...firewallOf(firewall, old),
    ...(seeds.includes(old)
      ? [person('mesh.seeds in /etc/rlnet/agent.yaml of this host', `names ${old}`)]
      : []),
    person('/etc/hosts and mesh.seeds of the other hosts', 'not looked at: may name the address'),
    person('DNS', 'NS glue and A or AAAA records of the cluster in the parent zone may name the address'),
    person('load balancers, firewalls of the network, monitoring', 'not looked at: may name the address'),
  ];
}

function firewallOf(firewall: Places['firewall'], old: Address): Reference[] {
  if ('unknown' in firewall) {
    return [
      { where: 'packet filter of this host', who: 'person', what: `could not be read: ${firewall.unknown}` },
    ];
  }
  if (firewall.value.length === 0) {
    return [
      {
        where: 'packet filter of this host',
        who: 'person',
        what: 'not looked at: neither nft nor iptables-save is there',
      },
    ];
  }
  return firewall.value.flatMap(({ tool, lines }) =>
    found(`packet filter of this host (${tool})`, lines, old),
  );
}

function found(where: string, lines: readonly string[], old: Address): Reference[] {
  const naming = lines.filter((line) => names(line, old)).map((line) => line.trim());
  const more = naming.length - maxLines;
  return [
    ...naming.slice(0, maxLines).map((what): Reference => ({ where, who: 'person', what })),
    ...(more > 0 ? [{ where, who: 'person' as const, what: `and ${more} more lines` }] : []),
  ];
}
