import type { Address } from './address.ts';
import { familyOf } from './address.ts';
import { RlnetError } from './errors.ts';
import type { BoundAddress } from './interfaces.ts';
import type { OwnerKind } from './network-owner.ts';

/*
 * Who owns an address: whoever puts it on its link at the next boot. Judged from what the host says, and never guessed: two owners, or one
 * whose files are not ours to edit, are a refusal with the evidence.
 */

/** Who can own an address and is not edited by rlnet. */
const strangers = {
  'cloud-init':
    'Give the network to the host’s own configuration (network: {config: disabled} in /etc/cloud/cloud.cfg.d)',
  dhcp: 'Change the lease on the DHCP server, or give the link a static address first',
  'router-advertisement': 'Give the link a static address first',
  ifcfg: 'Move the connection to a keyfile (nmcli connection migrate)',
  'kernel-command-line': 'Take ip= off the kernel’s command line and configure the link on the host',
  initramfs: 'Configure the link on the host, so that it does not depend on the initramfs',
  generated: 'Configure the link by a file in /etc',
} as const;
export type Stranger = keyof typeof strangers;

/** Somebody who says that a link is theirs, and what says so. */
export interface Claim {
  by: OwnerKind | Stranger;
  /** One sentence without its full stop. */
  evidence: string;
}

/** What the host says. Whatever is not there, or not running, is absent or empty. */
export interface OwnerFacts {
  link: string;
  address: Address;
  /** As the kernel has it on that link. */
  bound: BoundAddress | undefined;
  /** Only while systemd-networkd is active: SETUP of networkctl(1), and the .network file. */
  networkd?: { setup: string; file?: string };
  /** Only while NetworkManager is active: GENERAL.STATE of nmcli, and the file of the active connection. */
  networkManager?: { state: string; file?: string };
  ifupdown: {
    /** ifstate has the link. */
    up: boolean;
    /** networking.service is enabled. */
    enabled: boolean;
    /** `iface` lines for the link, as PATH:LINE. */
    stanzas: string[];
  };
  /** Files in /etc/netplan that name the address. */
  netplan: string[];
  /** ifcfg files of the link that exist, of Red Hat's network-scripts and of wicked. */
  ifcfg: string[];
  /** Words `ip=` of the kernel's command line that name the link or the address. */
  commandLine: string[];
  /** Files that an initramfs left about the link (klibc's ipconfig). */
  initramfs: string[];
  /** cloud-init is there, and nothing keeps it from writing network configuration. */
  cloudInit: boolean;
}

export type OwnerVerdict =
  | { kind: 'owned'; owner: OwnerKind; evidence: string[] }
  | { kind: 'refused'; error: RlnetError };

export function judgeOwner(facts: OwnerFacts): OwnerVerdict {
  const claims = claimsIn(facts);
  const owned = (claim: Claim): claim is Claim & { by: OwnerKind } => !Object.hasOwn(strangers, claim.by);
  const evidence = claims.map((claim) => claim.evidence);
  const [stranger] = claims.filter((claim): claim is Claim & { by: Stranger } => !owned(claim));
  if (stranger !== undefined) {
    return refused(
      'OWNER_NOT_EDITABLE',
      `${facts.address} on ${facts.link} is not rlnet's to change in files: ${evidence.join('; ')}`,
      `${strangers[stranger.by]}; or have the change made by a program or a person (network.owner: hook or manual).`,
    );
  }
  const owners = new Set(claims.filter(owned).map(({ by }) => by));
  const [owner, ...more] = owners;
  if (owner === undefined) {
    return refused(
      'OWNER_UNKNOWN',
      `Nothing on this host says who puts ${facts.address} on ${facts.link}: neither systemd-networkd, NetworkManager, netplan nor ifupdown has it`,
      'Configure the address with one of these, or have the change made by a program or a person (network.owner: hook or manual).',
    );
  }
  if (more.length > 0) {
    return refused(
      'OWNER_AMBIGUOUS',
      `${facts.link} has more than one owner: ${evidence.join('; ')}`,
      'Take the link away from all but one of them, reboot to see that it comes up, and try again.',
    );
  }
  return { kind: 'owned', owner, evidence };
}

function refused(
  code: 'OWNER_NOT_EDITABLE' | 'OWNER_UNKNOWN' | 'OWNER_AMBIGUOUS',
  sentence: string,
  remedy: string,
): OwnerVerdict {
  return { kind: 'refused', error: new RlnetError(code, `${sentence}.`, remedy) };
}

function claimsIn(facts: OwnerFacts): Claim[] {
  return [
    ...claimOfLease(facts),
    ...claimOfNetworkd(facts),
    ...claimOfNetworkManager(facts),
    ...claimOfIfupdown(facts),
    ...claimOfIfcfg(facts),
    ...facts.commandLine.map(
      (word): Claim => ({ by: 'kernel-command-line', evidence: `the kernel was started with ${word}` }),
    ),
    ...facts.initramfs.map(
      (path): Claim => ({ by: 'initramfs', evidence: `an initramfs has configured it (${path})` }),
    ),
  ];
}

/** An address with an end was given by somebody who can give another one. */
function claimOfLease({ address, bound, link }: OwnerFacts): Claim[] {
  if (bound === undefined || !bound.flags.includes('dynamic')) return [];
  const advertised = familyOf(address) === 'ipv6' && bound.prefixLength !== 128;
  return [
    {
      by: advertised ? 'router-advertisement' : 'dhcp',
      evidence: `${address} is dynamic on ${link}${advertised ? ', made of a router advertisement' : ', a lease'}`,
    },
  ];
}

function claimOfNetworkd({ link, networkd, ...facts }: OwnerFacts): Claim[] {
  if (networkd?.file === undefined || networkd.setup === 'unmanaged') return [];
  const { file, setup } = networkd;
  const evidence = `systemd-networkd has ${link} (${setup}) by ${file}`;
  if (/^\/run\/systemd\/network\/\d+-netplan-/.test(file)) return claimOfNetplan(evidence, facts);
  return [claimOfFile('systemd-networkd', file, evidence, facts)];
}

function claimOfNetworkManager({ link, networkManager, ...facts }: OwnerFacts): Claim[] {
  // `100 (connected)`; `100 (connected (externally))` is a link that somebody else has configured.
  if (networkManager?.file === undefined) return [];
  const { file, state } = networkManager;
  if (/unmanaged|externally/.test(state)) return [];
  const evidence = `NetworkManager has ${link} (${state}) by ${file}`;
  if (/^\/run\/NetworkManager\/system-connections\/netplan-/.test(file))
    return claimOfNetplan(evidence, facts);
  if (file.includes('/network-scripts/')) return [{ by: 'ifcfg', evidence }];
  return [claimOfFile('NetworkManager', file, evidence, facts)];
}

/** What netplan has rendered belongs to the YAML that it was rendered from. */
function claimOfNetplan(
  evidence: string,
  { netplan, cloudInit }: Pick<OwnerFacts, 'netplan' | 'cloudInit'>,
): Claim[] {
  const from = netplan.length === 0 ? 'from /etc/netplan' : `from ${netplan.join(', ')}`;
  const whole = `${evidence}, which netplan has rendered ${from}`;
  if (cloudInit && netplan.some(isCloudInits))
    return [{ by: 'cloud-init', evidence: `${whole}, a file of cloud-init` }];
  return [{ by: 'netplan', evidence: whole }];
}

function claimOfIfupdown({ link, ifupdown: { up, enabled, stanzas }, ...facts }: OwnerFacts): Claim[] {
  if (stanzas.length === 0 || !(up || enabled)) return [];
  const evidence = `ifupdown has ${link} (${up ? 'up' : 'at boot'}) by ${stanzas.join(', ')}`;
  const cloud = stanzas.some((place) => isCloudInits(place));
  return [
    facts.cloudInit && cloud
      ? { by: 'cloud-init', evidence: `${evidence}, of cloud-init` }
      : { by: 'ifupdown', evidence },
  ];
}

function claimOfIfcfg({ ifcfg, networkd, networkManager }: OwnerFacts): Claim[] {
  // Left over from earlier times where another one has the link; NetworkManager says so itself where it uses them.
  const taken =
    (networkd?.file !== undefined && networkd.setup !== 'unmanaged') || networkManager?.file !== undefined;
  return taken ? [] : ifcfg.map((path): Claim => ({ by: 'ifcfg', evidence: `${path} is there` }));
}

function claimOfFile(
  owner: OwnerKind,
  file: string,
  evidence: string,
  { cloudInit }: Pick<OwnerFacts, 'cloudInit'>,
): Claim {
  if (cloudInit && isCloudInits(file))
    return { by: 'cloud-init', evidence: `${evidence}, a file of cloud-init` };
  // systemd-network-generator, dracut's initrd, and whoever else writes there: it is made anew at the next boot.
  if (file.startsWith('/run/'))
    return { by: 'generated', evidence: `${evidence}, which is made anew at each boot` };
  return { by: owner, evidence };
}

/** By the names that cloud-init's renderers give their files. */
function isCloudInits(path: string): boolean {
  return /\/[^/]*cloud-init[^/]*$/.test(path);
}
