import {
  type Address,
  familyOf,
  type InterfaceAddress,
  isWithin,
  tryParseAddress,
} from '../../protocol/address.ts';
import type { AddressChange } from '../../protocol/address-change.ts';
import { fromByteText, type Splice, spliced, toByteText } from '../../protocol/byte-text.ts';
import { RlnetError } from '../../protocol/errors.ts';
import { type IniEntry, type IniWord, parseIni } from '../../protocol/ini-file.ts';
import type { FileEdit, OwnerEdit, OwnerFile, OwnerPlace } from '../../protocol/network-owner.ts';

/*
 * Where keyfiles of NetworkManager (nm-settings-keyfile(5)) name an address, and what a change of it is in them: pure. Facts about
 * NetworkManager were seen in 1.42, by `nmcli --offline connection modify`.
 */

export interface Keyfile extends OwnerFile {
  /** Why it is not ours to edit; absent where it is. */
  refused?: string;
}

export interface KeyfileConfiguration<F extends Keyfile = Keyfile> {
  /** The profile of the link. */
  own: F;
  /** Those of other links: their rules and sources are the same host's. */
  others: readonly F[];
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
  file: Keyfile;
  own: boolean;
  entry: IniEntry;
  role: Role;
  address: Address;
  /** As it is written; undefined where it is not. */
  prefixLength: number | undefined;
  /** Of the address alone. */
  start: number;
  end: number;
}

/** A setting as NetworkManager has it: sections of one name are one, and of equal keys the last one counts (GKeyFile). */
interface Setting {
  section: string;
  entry: IniEntry;
}

export function locateInKeyfiles(configuration: KeyfileConfiguration, address: Address): OwnerPlace[] {
  const comesUp = isActivatedAtBoot(configuration.own);
  return mentionsIn(configuration)
    .filter(
      (mention) => mention.address === address && (mention.role === 'dependent' || isAddressOfLink(mention)),
    )
    .map((mention) => ({ ...placeOf(mention), sets: isAddressOfLink(mention) && comesUp }));
}

/** @throws RlnetError as `NetworkOwner.plan` */
export function editKeyfiles(configuration: KeyfileConfiguration, change: AddressChange): OwnerEdit {
  const mentions = mentionsIn(configuration);
  const { from, to, gateway } = change;
  const holder = addressToReplace(mentions, change);
  if (!staysInNetwork(change)) refuseOldNetwork(configuration.own, holder, change);

  const changed = new Map<Mention, string>();
  for (const mention of mentions) {
    if (mention === holder) changed.set(mention, to.address);
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
          'Make a profile in /etc/NetworkManager/system-connections instead (nmcli connection clone), activate it, and plan again.',
        );
      }
      const splices = inIt.flatMap((mention): Splice[] => {
        const { start, end, prefixLength = 0 } = mention;
        const address = { start, end, text: changed.get(mention) ?? '' };
        if (mention !== holder || prefixLength === to.prefixLength) return [address];
        // What separates the two stays as it is written: one of / ; and a comma.
        return [
          address,
          { start: end + 1, end: end + 1 + String(prefixLength).length, text: String(to.prefixLength) },
        ];
      });
      const text = toByteText(file.bytes);
      const behind = file === holder.file ? inNewSubnetBehind(mentions, holder, change) : [];
      return {
        path: file.path,
        before: file.bytes,
        after: fromByteText(spliced(text, lastOf([holder, ...behind], text, splices))),
      };
    });
  const left = mentions.filter((mention) => mention.address === from.address && !changed.has(mention));
  return {
    files,
    warnings: [
      ...left.map((mention) => `${describe(mention)} names ${from.address} and stays as it is.`),
      ...(isActivatedAtBoot(configuration.own)
        ? []
        : [
            `${configuration.own.path} has autoconnect=false: NetworkManager does not activate it at boot by itself.`,
          ]),
    ],
  };
}

/** The other addresses of the link that are in a new subnet and come after the holder, as NetworkManager counts: by the numbers of their keys. */
function inNewSubnetBehind(mentions: readonly Mention[], holder: Mention, change: AddressChange): Mention[] {
  const { to } = change;
  if (familyOf(to.address) === 'ipv6' || staysInNetwork(change)) return [];
  const numberOf = ({ entry }: Mention): number => Number(/\d+$/.exec(entry.key)?.[0] ?? -1);
  return mentions
    .filter(
      (mention) =>
        isAddressOfLink(mention) &&
        numberOf(mention) > numberOf(holder) &&
        mention.prefixLength === to.prefixLength &&
        isWithin(mention.address, to),
    )
    .toSorted((a, b) => numberOf(a) - numberOf(b));
}

/**
 * The same splices with the first of these places moved to the last one, and the others up by one. The first address of an IPv4 subnet is its primary one, and
 * a swap leaves that as it is. A file that has the new address in front makes NetworkManager exchange the two, and 1.42 loses the new one in that.
 */
function lastOf(places: readonly Mention[], text: string, splices: readonly Splice[]): Splice[] {
  if (places.length === 1) return [...splices];
  const words = places.flatMap(({ entry }) => entry.words);
  const within = (word: IniWord) =>
    splices.filter(({ start, end }) => start >= word.start && end <= word.end);
  const written = words.map((word) =>
    spliced(
      text.slice(word.start, word.end),
      within(word).map((each) => ({ ...each, start: each.start - word.start, end: each.end - word.start })),
    ),
  );
  return [
    ...splices.filter((splice) => !words.some((word) => within(word).includes(splice))),
    ...words.map(({ start, end }, index) => ({
      start,
      end,
      text: written[(index + 1) % written.length] ?? '',
    })),
  ];
}

/**
 * What a keyfile puts on the link, and what hangs on it, in a form that is the same however it is written: to be compared with what
 * NetworkManager has read.
 */
export function meaningOf(bytes: Uint8Array): string[] {
  return mentionsInFile({ path: '', bytes }, true)
    .filter(({ role }) => role === 'address' || role === 'dependent')
    .map(({ role, address }) => `${role} ${address}`)
    .toSorted();
}

/** `connection.interface-name` and the MAC address by which a profile is bound to a card, in lower case. */
export function bindingOf(file: OwnerFile): { name?: string; mac?: string } {
  const settings = settingsOf(file);
  const value = (section: RegExp, key: string): string | undefined =>
    settings.find((each) => section.test(each.section) && each.entry.key === key)?.entry.value;
  const name = value(/^connection$/, 'interface-name');
  const mac = value(/^(802-3-)?ethernet$/, 'mac-address')?.toLowerCase();
  return { ...(name === undefined ? {} : { name }), ...(mac === undefined ? {} : { mac }) };
}

function isActivatedAtBoot(file: OwnerFile): boolean {
  const setting = settingsOf(file).find(
    ({ section, entry }) => section === 'connection' && entry.key === 'autoconnect',
  );
  return setting === undefined || !['false', '0'].includes(setting.entry.value);
}

function isAddressOfLink({ role, own }: Mention): boolean {
  return role === 'address' && own;
}

function isOldGateway({ role, own, address }: Mention, { gateway }: AddressChange): boolean {
  return gateway !== undefined && own && role === 'gateway' && address === gateway.from;
}

function staysInNetwork({ from, to }: AddressChange): boolean {
  return from.prefixLength === to.prefixLength && isWithin(to.address, from);
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
  const [holder, second] = set.filter(({ address }) => address === from.address);
  if (holder === undefined || (!holder.own && second === undefined)) {
    const elsewhere = mentions.find(({ address }) => address === from.address);
    throw new RlnetError(
      'OWNER_ADDRESS_NOT_FOUND',
      `The profile of ${link.name} has no address ${from.address}/${from.prefixLength}${elsewhere === undefined ? '' : `; ${describe(elsewhere)} names it`}.`,
      `Find out with nmcli device show ${link.name} and ip addr who has put it there, and write it into the profile.`,
    );
  }
  if (second !== undefined) {
    throw new RlnetError(
      'OWNER_ADDRESS_TWICE',
      `${from.address} is configured twice: ${describe(holder)} and ${describe(second)}.`,
      'Remove one of the two, activate the profile, and plan again.',
    );
  }
  if (holder.prefixLength === undefined) {
    throw refused('the address is written without a prefix length', holder);
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

/** A route that puts the old network on the link would outlast it. */
function refuseOldNetwork(own: Keyfile, holder: Mention, { from }: AddressChange): void {
  for (const { entry } of settingsOf(own)) {
    if (!routeKey.test(entry.key)) continue;
    const [network = '', length = '', hop = ''] = entry.value.split(/[/;,]/);
    const address = tryParseAddress(network);
    const unspecified = hop === '' || /^[0:.]+$/.test(hop);
    if (address === undefined || Number(length) !== from.prefixLength || !unspecified) continue;
    if (isWithin(address, from)) {
      throw refused(
        `${own.path}:${entry.line} puts the old network on the link (${entry.key}=${entry.value})`,
        holder,
      );
    }
  }
}

/** NetworkManager makes a gateway outside of all networks on-link, where nobody answers for it. */
function refuseLostGateways(mentions: readonly Mention[], holder: Mention, change: AddressChange): void {
  const { from, to, gateway } = change;
  const others = mentions
    .filter((mention) => isAddressOfLink(mention) && mention !== holder)
    .flatMap(({ address, prefixLength }) => (prefixLength === undefined ? [] : [{ address, prefixLength }]));
  const reaches = (hop: Address, networks: readonly InterfaceAddress[]): boolean =>
    networks.some((network) => isWithin(hop, network));
  for (const mention of mentions) {
    if (mention.role !== 'gateway' || !mention.own || familyOf(mention.address) !== familyOf(to.address))
      continue;
    if (isSaidToBeOnLink(mention)) continue;
    const moved = isOldGateway(mention, change);
    const next = moved && gateway !== undefined ? gateway.to : mention.address;
    if (reaches(next, [...others, to])) continue;
    // Where it was not reached before either, something else reaches it: a link-local one, say.
    if (!moved && !reaches(mention.address, [...others, from])) continue;
    throw refused(
      `the route through ${next} (${describe(mention)}) would have a gateway outside ${to.address}/${to.prefixLength}`,
      holder,
      'Name a gateway of the new network in the change, or remove that route first.',
    );
  }
}

function isSaidToBeOnLink({ file, entry }: Mention): boolean {
  return settingsOf(file).some(
    (each) => each.entry.key === `${entry.key}_options` && /(^|,)onlink=(true|1)(,|$)/.test(each.entry.value),
  );
}

/** `address1`, `addresses`, `addresses2`; a number with a leading zero is none. */
const addressKey = /^address(es)?(0|[1-9]\d*)?$/;
const routeKey = /^routes?(0|[1-9]\d*)?$/;
const optionsKey = /^routes?(0|[1-9]\d*)?_options$/;
const ruleKey = /^routing-rules?(0|[1-9]\d*)?$/;

function mentionsIn({ own, others }: KeyfileConfiguration): Mention[] {
  return [...mentionsInFile(own, true), ...others.flatMap((file) => mentionsInFile(file, false))];
}

function mentionsInFile(file: Keyfile, own: boolean): Mention[] {
  return settingsOf(file).flatMap(({ section, entry }) =>
    entry.words.flatMap((word, index) =>
      [...word.text.matchAll(/[0-9A-Fa-f:.]+/g)].flatMap((match): Mention[] => {
        const address = tryParseAddress(match[0]);
        if (address === undefined) return [];
        const before = word.text.slice(0, match.index);
        const after = word.text.slice(match.index + match[0].length);
        const length = /^[/;,](\d{1,3})(?![0-9A-Fa-f:.])/.exec(after)?.[1];
        const mine = section === familyOf(address);
        const role = mine ? roleOf(entry, index, before, after) : 'other';
        const start = word.start + match.index;
        return [
          {
            ...{ file, own, entry, role, address },
            prefixLength: length === undefined ? undefined : Number(length),
            start,
            end: start + match[0].length,
          },
        ];
      }),
    ),
  );
}

/** @param before what precedes the address in its word, @param after what follows it there */
function roleOf(entry: IniEntry, index: number, before: string, after: string): Role {
  const { key, words } = entry;
  if (addressKey.test(key) && words.length === 1) {
    // ADDRESS/LENGTH,GATEWAY, with each of / ; and a comma between and after them.
    if (before === '')
      return /^([/;,]\d{1,3}([/;,][0-9A-Fa-f:.]+)?)?[/;,]*$/.test(after) ? 'address' : 'other';
    return /^[0-9A-Fa-f:.]+[/;,]\d{1,3}[/;,]$/.test(before) && /^[/;,]*$/.test(after) ? 'gateway' : 'other';
  }
  if (routeKey.test(key) && words.length === 1) {
    // NETWORK/LENGTH,GATEWAY,METRIC
    return /^[0-9A-Fa-f:.]+[/;,]\d{1,3}[/;,]$/.test(before) && /^([/;,]\d+)?[/;,]*$/.test(after)
      ? 'gateway'
      : 'other';
  }
  if (optionsKey.test(key) && words.length === 1) {
    const alone = /^(\/(32|128))?(,|$)/.test(after);
    return /(^|,)(src|from)=$/.test(before) && alone ? 'dependent' : 'other';
  }
  if (key === 'gateway') return before === '' && after === '' && words.length === 1 ? 'gateway' : 'other';
  if (ruleKey.test(key)) return isRuleFrom(words, index, before, after) ? 'dependent' : 'other';
  return 'other';
}

/** `from ADDRESS`, as ip-rule(8) has it. */
function isRuleFrom(words: readonly IniWord[], index: number, before: string, after: string): boolean {
  return words[index - 1]?.text === 'from' && before === '' && /^(\/(32|128))?$/.test(after);
}

function settingsOf({ bytes }: OwnerFile): Setting[] {
  const settings = new Map<string, Setting>();
  for (const { name, entries } of parseIni(toByteText(bytes), 'keyfile')) {
    for (const entry of entries) {
      if (name !== undefined) settings.set(`${name}]${entry.key}`, { section: name, entry });
    }
  }
  return [...settings.values()];
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
  remedy = 'Change that in the profile with nmcli connection modify, activate it, and plan again.',
): RlnetError {
  return new RlnetError('OWNER_CHANGE_REFUSED', `${describe(holder)} cannot be changed: ${why}.`, remedy);
}
