import {
  type Address,
  familyOf,
  type InterfaceAddress,
  isWithin,
  parseInterfaceAddress,
  tryParseAddress,
} from '../../protocol/address.ts';
import type { AddressChange } from '../../protocol/address-change.ts';
import { fromByteText, type Splice, spliced, toByteText } from '../../protocol/byte-text.ts';
import { RlnetError } from '../../protocol/errors.ts';
import { type IniEntry, type IniSection, parseIni } from '../../protocol/ini-file.ts';
import type { FileEdit, OwnerEdit, OwnerFile, OwnerPlace } from '../../protocol/network-owner.ts';

/*
 * Where systemd.network(5) files name an address, and what a change of it is in them: pure. Facts about networkd were seen in 252.
 */

export interface NetworkdFile extends OwnerFile {
  /** Why it is not ours to edit; absent where it is. */
  refused?: string;
}

export interface NetworkdConfiguration {
  /** The link's .network file and then its drop-ins, in networkd's order. */
  own: readonly NetworkdFile[];
  /** Those that other links have in use: their rules and sources are the same host's. */
  others: readonly NetworkdFile[];
}

/**
 * What an address in a value is:
 * - `address`: it is put on the link
 * - `dependent`: a route or a rule with it as the source
 * - `gateway`: the next hop of a route
 * - `other`: anything else, which no change touches
 */
type Role = 'address' | 'dependent' | 'gateway' | 'other';

interface Mention {
  file: NetworkdFile;
  own: boolean;
  section: IniSection;
  entry: IniEntry;
  role: Role;
  address: Address;
  /** As it is written; undefined where it is not. */
  prefixLength: number | undefined;
  /** Of the address alone, without a prefix length. */
  start: number;
  end: number;
}

/** Settings whose value is one address, maybe with a prefix length, by section. */
const settings: Readonly<Record<string, Readonly<Record<string, Exclude<Role, 'other'>>>>> = {
  Network: { Address: 'address', Gateway: 'gateway' },
  Address: { Address: 'address' },
  Route: { PreferredSource: 'dependent', Source: 'dependent', Gateway: 'gateway', MultiPathRoute: 'gateway' },
  RoutingPolicyRule: { From: 'dependent' },
  NextHop: { Gateway: 'gateway' },
};

export function locateInNetworkd(configuration: NetworkdConfiguration, address: Address): OwnerPlace[] {
  return mentionsIn(configuration)
    .filter((mention) => mention.address === address && hangsOnIt(mention))
    .map((mention) => ({ ...placeOf(mention), sets: mention.role === 'address' }));
}

/** @throws RlnetError as `NetworkOwner.plan` */
export function editNetworkd(configuration: NetworkdConfiguration, change: AddressChange): OwnerEdit {
  const mentions = mentionsIn(configuration);
  const { from, to, gateway } = change;
  const holder = addressToReplace(mentions, change);
  refuseUnclear(configuration, holder, change);

  const changed = new Map<Mention, string>();
  for (const mention of mentions) {
    if (mention === holder) changed.set(mention, `${to.address}/${to.prefixLength}`);
    else if (mention.role === 'dependent' && mention.address === from.address)
      changed.set(mention, to.address);
    else if (isOldGateway(mention, change)) changed.set(mention, gateway?.to ?? '');
  }
  if (gateway !== undefined && !mentions.some((mention) => isOldGateway(mention, change))) {
    throw refused(`no route of ${change.link.name} goes through ${gateway.from}`, holder);
  }
  refuseLostGateways(mentions, holder, change);

  const files = [...Map.groupBy(changed.keys(), ({ file }) => file)]
    // The file with the address comes last.
    .toSorted(([a], [b]) => Number(a === holder.file) - Number(b === holder.file))
    .map(([file, inIt]): FileEdit => {
      if (file.refused !== undefined) {
        throw new RlnetError(
          'OWNER_FILE_REFUSED',
          `${describe(inIt[0] ?? holder)} would have to change, and ${file.path} ${file.refused}.`,
          'Copy it to /etc/systemd/network under the same name, run networkctl reload, and plan again.',
        );
      }
      const splices = inIt.map((mention): Splice => {
        const end = mention === holder ? endOfWord(mention) : mention.end;
        return { start: mention.start, end, text: changed.get(mention) ?? '' };
      });
      return {
        path: file.path,
        before: file.bytes,
        after: fromByteText(spliced(toByteText(file.bytes), splices)),
      };
    });
  const left = mentions.filter((mention) => mention.address === from.address && !changed.has(mention));
  return {
    files,
    warnings: left.map((mention) => `${describe(mention)} names ${from.address} and stays as it is.`),
  };
}

function isOldGateway({ role, own, address }: Mention, { gateway }: AddressChange): boolean {
  return gateway !== undefined && own && role === 'gateway' && address === gateway.from;
}

function hangsOnIt({ role, own }: Mention): boolean {
  return (role === 'address' && own) || role === 'dependent';
}

/** The one place that puts the address on the link. */
function addressToReplace(mentions: readonly Mention[], { link, from, to }: AddressChange): Mention {
  const set = mentions.filter(({ role }) => role === 'address');
  const taken = set.find(({ address }) => address === to.address);
  if (taken !== undefined) {
    throw new RlnetError(
      'OWNER_ADDRESS_TWICE',
      `${to.address} is configured already: ${describe(taken)}.`,
      'Choose another address, or remove that line if nothing needs it.',
    );
  }
  const [holder, ...more] = set.filter(({ address }) => address === from.address);
  if (holder === undefined || (!holder.own && more.length === 0)) {
    const elsewhere = mentions.find(({ address }) => address === from.address);
    throw new RlnetError(
      'OWNER_ADDRESS_NOT_FOUND',
      `No .network file of ${link.name} has ${from.address}/${from.prefixLength} as Address=${elsewhere === undefined ? '' : `; ${describe(elsewhere)} names it`}.`,
      `Find out with networkctl status ${link.name} and ip addr who has put it there, and write it into the .network file.`,
    );
  }
  const [second] = more;
  if (second !== undefined) {
    throw new RlnetError(
      'OWNER_ADDRESS_TWICE',
      `${from.address} is configured twice: ${describe(holder)} and ${describe(second)}.`,
      'Remove one of the two, run networkctl reload, and plan again.',
    );
  }
  if (holder.prefixLength === undefined) {
    // 252 takes the class of the address (/8, /16, /24), and says that later versions will not.
    throw refused(
      'the address is written without a prefix length, which means different things to different versions of systemd',
      holder,
    );
  }
  if (holder.prefixLength !== from.prefixLength) {
    throw new RlnetError(
      'OWNER_ADDRESS_NOT_FOUND',
      `${describe(holder)} has ${from.address} with /${holder.prefixLength} and not /${from.prefixLength}.`,
      'Find out which of the two is right, and plan again.',
    );
  }
  return holder;
}

/** What the file says in a way that this change cannot follow. */
function refuseUnclear({ own }: NetworkdConfiguration, holder: Mention, { from, to }: AddressChange): void {
  const staysInNetwork = from.prefixLength === to.prefixLength && isWithin(to.address, from);
  const entries = own.flatMap((file) =>
    sectionsOf(file).flatMap((section) => section.entries.map((entry) => ({ file, section, entry }))),
  );
  const at = entries.findIndex(({ entry, file }) => file === holder.file && entry.line === holder.entry.line);
  if (
    entries
      .slice(at)
      .some(
        ({ section, entry }) => section.name === 'Network' && entry.key === 'Address' && entry.value === '',
      )
  ) {
    throw refused(
      'an empty Address= comes after it, which some versions of systemd ignore and others do not',
      holder,
    );
  }
  if (holder.section.name === 'Address') {
    for (const { key, value } of holder.section.entries) {
      if (key === 'Peer' && value !== '')
        throw refused('it is one end of a point-to-point link (Peer=)', holder);
      if (key === 'Broadcast' && tryParseAddress(value) !== undefined && !staysInNetwork) {
        throw refused(`its section sets Broadcast=${value}, which is of the old network`, holder);
      }
    }
  }
  for (const { file, section, entry } of entries) {
    if (section.name !== 'Route' || entry.key !== 'Destination' || staysInNetwork) continue;
    const network = tryParsePrefix(entry.value);
    if (
      network === undefined ||
      section.entries.some(({ key }) => key === 'Gateway' || key === 'MultiPathRoute')
    )
      continue;
    if (network.prefixLength === from.prefixLength && isWithin(network.address, from)) {
      throw refused(
        `${file.path}:${entry.line} puts the old network on the link (${entry.key}=${entry.value})`,
        holder,
      );
    }
  }
}

/** A route through a gateway that no address of the link reaches fails the link (“Network is unreachable”). */
function refuseLostGateways(mentions: readonly Mention[], holder: Mention, change: AddressChange): void {
  const { from, to, gateway } = change;
  const others = mentions
    .filter((mention) => mention.role === 'address' && mention.own && mention !== holder)
    .flatMap(({ address, prefixLength }) => (prefixLength === undefined ? [] : [{ address, prefixLength }]));
  const reaches = (hop: Address, networks: readonly InterfaceAddress[]): boolean =>
    networks.some((network) => isWithin(hop, network));
  for (const mention of mentions) {
    if (mention.role !== 'gateway' || !mention.own || familyOf(mention.address) !== familyOf(to.address))
      continue;
    if (mention.section.entries.some(({ key, value }) => key === 'GatewayOnLink' && isYes(value))) continue;
    const moved = isOldGateway(mention, change);
    const next = moved && gateway !== undefined ? gateway.to : mention.address;
    if (reaches(next, [...others, to])) continue;
    // Where it was not reached before either, something else reaches it: a route, say.
    if (!moved && !reaches(mention.address, [...others, from])) continue;
    throw refused(
      `the route through ${next} (${describe(mention)}) would have a gateway outside ${to.address}/${to.prefixLength}`,
      holder,
      'Name a gateway of the new network in the change, or remove that route first.',
    );
  }
}

function isYes(value: string): boolean {
  return ['1', 'yes', 'y', 'true', 't', 'on'].includes(value.toLowerCase());
}

function mentionsIn({ own, others }: NetworkdConfiguration): Mention[] {
  return [
    ...own.flatMap((file) => mentionsInFile(file, true)),
    ...others.flatMap((file) => mentionsInFile(file, false)),
  ];
}

function mentionsInFile(file: NetworkdFile, own: boolean): Mention[] {
  return sectionsOf(file).flatMap((section) =>
    section.entries.flatMap((entry) =>
      entry.words.flatMap((word, index) =>
        [...word.text.matchAll(/[0-9A-Fa-f:.]+/g)].flatMap((match): Mention[] => {
          const address = tryParseAddress(match[0]);
          if (address === undefined) return [];
          const start = word.start + match.index;
          const end = start + match[0].length;
          const rest = word.text.slice(match.index + match[0].length);
          const prefixLength = /^\/\d{1,3}$/.test(rest) ? Number(rest.slice(1)) : undefined;
          const whole = match.index === 0 && index === 0;
          const role = whole ? roleOf(section, entry, rest) : 'other';
          return [{ file, own, section, entry, role, address, prefixLength, start, end }];
        }),
      ),
    ),
  );
}

/** @param rest what follows the address in its word */
function roleOf(section: IniSection, entry: IniEntry, rest: string): Role {
  const role = settings[section.name ?? '']?.[entry.key];
  if (role === undefined) return 'other';
  // A next hop of several: ADDRESS[@LINK] [WEIGHT].
  if (entry.key === 'MultiPathRoute') return rest === '' || rest.startsWith('@') ? role : 'other';
  if (entry.words.length !== 1) return 'other';
  const prefixLength = /^\/(\d{1,3})$/.exec(rest)?.[1];
  if (rest !== '' && prefixLength === undefined) return 'other';
  switch (role) {
    case 'address':
      // Of several in one [Address] section the last one counts.
      return section.name === 'Address' && section.entries.findLast(({ key }) => key === 'Address') !== entry
        ? 'other'
        : role;
    case 'dependent':
      // A rule or a route from a network is not one from an address of it.
      return prefixLength === undefined || ['32', '128'].includes(prefixLength) ? role : 'other';
    case 'gateway':
      return rest === '' ? role : 'other';
  }
}

function sectionsOf({ bytes }: OwnerFile): IniSection[] {
  return parseIni(toByteText(bytes), 'systemd');
}

function endOfWord({ entry, start, end }: Mention): number {
  return entry.words.find((word) => word.start === start)?.end ?? end;
}

function tryParsePrefix(text: string): InterfaceAddress | undefined {
  try {
    return parseInterfaceAddress(text);
  } catch (thrown) {
    if (thrown instanceof RlnetError && thrown.code === 'ADDRESS_INVALID') return undefined;
    throw thrown;
  }
}

function placeOf({ file, entry }: Mention): Omit<OwnerPlace, 'sets'> {
  return { path: file.path, line: entry.line, text: `${entry.key}=${entry.value}` };
}

function describe(mention: Mention): string {
  const { path, line, text } = placeOf(mention);
  return `${path}:${line} (${text})`;
}

function refused(
  why: string,
  holder: Mention,
  remedy = 'Change that in the file by hand, run networkctl reload, and plan again.',
): RlnetError {
  return new RlnetError('OWNER_CHANGE_REFUSED', `${describe(holder)} cannot be changed: ${why}.`, remedy);
}
