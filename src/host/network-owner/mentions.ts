import {
  type Address,
  broadcastOf,
  familyOf,
  type InterfaceAddress,
  isWithin,
  networkOf,
} from '../../protocol/address.ts';
import type { AddressChange } from '../../protocol/address-change.ts';
import { fromByteText, lineAt, type Splice, spliced, toByteText } from '../../protocol/byte-text.ts';
import { RlnetError } from '../../protocol/errors.ts';
import type { FileEdit, OwnerEdit, OwnerFile, OwnerPlace } from '../../protocol/network-owner.ts';

/*
 * A change of one address in files that name it in many places: pure, and the same for each format whose reader can say what the places are.
 */

export interface EditableFile extends OwnerFile {
  /** Why it is not ours to edit; absent where it is. */
  refused?: string;
}

/**
 * What stands at a place:
 * - `address`: it is put on a link
 * - `dependent`: a route or a rule with it as the source, or what takes the address away again
 * - `gateway`: the next hop of a route
 * - `other`: anything else, which no change touches
 */
export type Role = 'address' | 'dependent' | 'gateway' | 'other';

/** What a piece of text is of the address: itself, itself with its prefix length, or what follows from the two. */
export type SpanKind = 'address' | 'prefixed' | 'length' | 'netmask' | 'broadcast' | 'network';

/** At [start, end) of the file's byte text. */
export interface Span {
  kind: SpanKind;
  start: number;
  end: number;
  /** It stands where a colon at an end of it means something, and quotes take that away (a plain scalar of YAML). */
  plain?: boolean;
}

export interface Mention {
  file: EditableFile;
  /** It is of the link that the change is about. */
  own: boolean;
  role: Role;
  address: Address;
  /** Of the network that the address is put into; undefined where nothing says. Only for the role `address`. */
  prefixLength?: number;
  /** All that has to be written anew for another address; the first is the address itself. */
  spans: readonly [Span, ...Span[]];
  /** A gateway that need not be within a network of the link. */
  onLink?: boolean;
  /** What it is a part of is not brought up at boot by itself. */
  idle?: boolean;
  /** Why no change of one address can follow what stands here. */
  refused?: string;
}

/** Where these put the address on the link, and what hangs on it. */
export function placesOf(mentions: readonly Mention[], address: Address): OwnerPlace[] {
  return mentions
    .filter(
      (mention) =>
        mention.address === address &&
        ((mention.role === 'address' && mention.own) || mention.role === 'dependent'),
    )
    .map((mention) => ({
      ...placeOf(mention),
      sets: mention.role === 'address' && mention.idle !== true,
    }));
}

/**
 * @param apply what a person does to have changed files taken up, for the remedies
 * @throws RlnetError as `NetworkOwner.plan`
 */
export function editMentions(mentions: readonly Mention[], change: AddressChange, apply: string): OwnerEdit {
  const holder = addressToReplace(mentions, change, apply);
  if (change.gateway !== undefined && !mentions.some((mention) => isOldGateway(mention, change))) {
    throw refusal(holder, `no route of ${change.link.name} goes through ${change.gateway.from}`, apply);
  }
  refuseLostGateways(mentions, holder, change);
  return rewriteMentions(mentions, change, apply);
}

/**
 * The same without asking whether the link could do with it.
 * @throws RlnetError OWNER_ADDRESS_NOT_FOUND, OWNER_ADDRESS_TWICE, OWNER_FILE_REFUSED, OWNER_CHANGE_REFUSED
 */
export function rewriteMentions(
  mentions: readonly Mention[],
  change: AddressChange,
  apply: string,
): OwnerEdit {
  const { from, to, gateway } = change;
  const holder = addressToReplace(mentions, change, apply);
  const changed = new Map<Mention, InterfaceAddress>([[holder, to]]);
  for (const mention of mentions) {
    if (mention.role === 'dependent' && mention.address === from.address) changed.set(mention, to);
    if (gateway !== undefined && isOldGateway(mention, change))
      changed.set(mention, { ...to, address: gateway.to });
  }
  for (const mention of changed.keys()) {
    if (mention.refused !== undefined) throw refusal(mention, mention.refused, apply);
  }
  const files = [...Map.groupBy(changed, ([{ file }]) => file)]
    // The file with the address comes last.
    .toSorted(([a], [b]) => Number(a === holder.file) - Number(b === holder.file))
    .map(([file, inIt]): FileEdit => {
      if (file.refused !== undefined) {
        throw new RlnetError(
          'OWNER_FILE_REFUSED',
          `${describe(inIt[0]?.[0] ?? holder)} would have to change, and ${file.path} ${file.refused}.`,
          `Move that setting into a file below /etc, ${apply}, and plan again.`,
        );
      }
      const text = toByteText(file.bytes);
      const splices = inIt.flatMap(([{ spans }, next]) =>
        spans.map((span): Splice => {
          const { start, end, plain } = span;
          const wanted = writtenFor(span.kind, next) ?? text.slice(start, end);
          return { start, end, text: plain === true && /^:|:$/.test(wanted) ? `"${wanted}"` : wanted };
        }),
      );
      return { path: file.path, before: file.bytes, after: fromByteText(spliced(text, splices)) };
    });
  const left = mentions.filter((mention) => mention.address === from.address && !changed.has(mention));
  return {
    files,
    warnings: left.map((mention) => `${describe(mention)} names ${from.address} and stays as it is.`),
  };
}

/** Undefined where there is no such thing: the broadcast address of a network of two. */
function writtenFor(kind: SpanKind, next: InterfaceAddress): string | undefined {
  switch (kind) {
    case 'address':
      return next.address;
    case 'prefixed':
      return `${next.address}/${next.prefixLength}`;
    case 'length':
      return `${next.prefixLength}`;
    case 'netmask':
      return netmaskOf(next.prefixLength);
    case 'network':
      return networkOf(next).replace(/\/\d+$/, '');
    case 'broadcast':
      return broadcastOf(next);
  }
}

/** In dotted decimal. */
export function netmaskOf(prefixLength: number): string {
  return [0, 8, 16, 24].map((at) => 256 - 2 ** (8 - Math.min(8, Math.max(0, prefixLength - at)))).join('.');
}

/** The one place that puts the address on the link. */
function addressToReplace(
  mentions: readonly Mention[],
  { link, from, to }: AddressChange,
  apply: string,
): Mention {
  const set = mentions.filter(({ role }) => role === 'address');
  for (const mention of set) {
    if (mention.address === from.address && mention.refused !== undefined)
      throw refusal(mention, mention.refused, apply);
  }
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
      `No file puts ${from.address}/${from.prefixLength} on ${link.name}${elsewhere === undefined ? '' : `; ${describe(elsewhere)} names it`}.`,
      `Find out with ip addr show dev ${link.name} who has put it there, and write it into the owner's file.`,
    );
  }
  if (second !== undefined) {
    throw new RlnetError(
      'OWNER_ADDRESS_TWICE',
      `${from.address} is configured twice: ${describe(holder)} and ${describe(second)}.`,
      `Remove one of the two, ${apply}, and plan again.`,
    );
  }
  if (holder.prefixLength !== undefined && holder.prefixLength !== from.prefixLength) {
    throw new RlnetError(
      'OWNER_ADDRESS_NOT_FOUND',
      `${describe(holder)} has ${from.address} with /${holder.prefixLength} and not /${from.prefixLength}.`,
      'Find out which of the two is right, and plan again.',
    );
  }
  if (holder.prefixLength === undefined) {
    throw refusal(
      holder,
      'the address is written without a prefix length, so what it means is not in the file',
      apply,
    );
  }
  return holder;
}

function isOldGateway({ role, own, address }: Mention, { gateway }: AddressChange): boolean {
  return gateway !== undefined && own && role === 'gateway' && address === gateway.from;
}

/** A route through a gateway that no address of the link reaches. */
function refuseLostGateways(mentions: readonly Mention[], holder: Mention, change: AddressChange): void {
  const { from, to, gateway } = change;
  const others = mentions
    .filter((mention) => mention.role === 'address' && mention.own && mention !== holder)
    .flatMap(({ address, prefixLength }) => (prefixLength === undefined ? [] : [{ address, prefixLength }]));
  const reaches = (hop: Address, networks: readonly InterfaceAddress[]): boolean =>
    networks.some((network) => isWithin(hop, network));
  for (const mention of mentions) {
    if (mention.role !== 'gateway' || !mention.own || mention.onLink === true) continue;
    if (familyOf(mention.address) !== familyOf(to.address)) continue;
    const moved = isOldGateway(mention, change);
    const next = moved && gateway !== undefined ? gateway.to : mention.address;
    if (reaches(next, [...others, to])) continue;
    // Where it was not reached before either, something else reaches it: a route, say.
    if (!moved && !reaches(mention.address, [...others, from])) continue;
    throw new RlnetError(
      'OWNER_CHANGE_REFUSED',
      `${describe(holder)} cannot be changed: the route through ${next} (${describe(mention)}) would have a gateway outside ${to.address}/${to.prefixLength}.`,
      'Name a gateway of the new network in the change, or remove that route first.',
    );
  }
}

/** Whether the network that the link is in stays the same. */
export function staysInNetwork({ from, to }: AddressChange): boolean {
  return from.prefixLength === to.prefixLength && isWithin(to.address, from);
}

function placeOf({ file, spans: [{ start }] }: Mention): Omit<OwnerPlace, 'sets'> {
  const text = toByteText(file.bytes);
  const line = lineAt(text, start);
  const begin = text.lastIndexOf('\n', start - 1) + 1;
  const end = text.indexOf('\n', start);
  return { path: file.path, line, text: text.slice(begin, end < 0 ? text.length : end).trim() };
}

export function describe(mention: Mention): string {
  const { path, line, text } = placeOf(mention);
  return `${path}:${line} (${text})`;
}

export function refusal(mention: Mention, why: string, apply: string): RlnetError {
  return new RlnetError(
    'OWNER_CHANGE_REFUSED',
    `${describe(mention)} cannot be changed: ${why}.`,
    `Change that in the file by hand, ${apply}, and plan again.`,
  );
}
