import { type Address, isWithin, parseInterfaceAddress, tryParseAddress } from '../../protocol/address.ts';
import type { AddressChange, LinkIdentity } from '../../protocol/address-change.ts';
import { toByteText } from '../../protocol/byte-text.ts';
import { RlnetError } from '../../protocol/errors.ts';
import type { OwnerEdit, OwnerPlace } from '../../protocol/network-owner.ts';
import type { LocatedMap, LocatedNode, LocatedScalar } from '../ports/document.ts';
import { parseYamlTree } from '../yaml.ts';
import {
  type EditableFile,
  editMentions,
  type Mention,
  placesOf,
  type Role,
  refusal,
  type SpanKind,
  staysInNetwork,
} from './mentions.ts';

/*
 * Where netplan(5) files name an address, and what a change of it is in them: pure. Facts about netplan were seen in 0.106.
 *
 * All files are one configuration: of one definition (`ethernets: eth0:`) in several files lists are put together, and a gateway must be the
 * same in all of them: netplan aborts otherwise.
 */

/** In the order in which netplan reads them. */
export type NetplanConfiguration = readonly EditableFile[];

/** What a person does to have changed files taken up. */
export const applyNetplan = 'run netplan apply';

/** One definition as one file has it. */
interface Definition {
  file: EditableFile;
  /** `ethernets`, `vlans`, `vrfs` … */
  type: string;
  id: string;
  body: LocatedMap;
}

const byteOrderMark = '\u00ef\u00bb\u00bf';

export function locateInNetplan(
  files: NetplanConfiguration,
  link: LinkIdentity,
  address: Address,
): OwnerPlace[] {
  return placesOf(mentionsIn(files, link), address);
}

/** @throws RlnetError as `NetworkOwner.plan` */
export function editNetplan(files: NetplanConfiguration, change: AddressChange): OwnerEdit {
  const definitions = files.flatMap(definitionsOf);
  const ids = idsOf(definitions, change.link);
  const [first, second] = ids;
  if (first !== undefined && second !== undefined) {
    throw new RlnetError(
      'OWNER_AMBIGUOUS',
      `Two definitions of netplan match ${change.link.name}: ${first} and ${second}.`,
      'Remove one of the two, or make its match: exact, run netplan apply, and plan again.',
    );
  }
  const mentions = mentionsIn(files, change.link);
  const edit = editMentions(mentions, change, applyNetplan);
  refuseRouteToOldNetwork(definitions, ids, mentions, change);
  return edit;
}

/** The definition that is this link's, by its id; several where netplan leaves it open. */
export function netplanIdsOf(files: NetplanConfiguration, link: LinkIdentity): string[] {
  return idsOf(files.flatMap(definitionsOf), link);
}

function definitionsOf(file: EditableFile): Definition[] {
  const text = toByteText(file.bytes);
  const skipped = text.startsWith(byteOrderMark) ? byteOrderMark.length : 0;
  let root: LocatedNode | undefined;
  try {
    root = parseYamlTree(text.slice(skipped), file.path);
  } catch (cause) {
    if (!(cause instanceof RlnetError && cause.code === 'CONFIG_INVALID')) throw cause;
    const line = cause.at?.line === undefined ? '' : `:${cause.at.line}`;
    throw new RlnetError(
      'OWNER_FILE_REFUSED',
      `${file.path}${line}, which netplan reads, is not understood: ${cause.message}`,
      'Correct the file, check it with netplan generate, and plan again.',
      { cause },
    );
  }
  return valuesAt(root, 'network').flatMap((network) =>
    entriesOf(network).flatMap(({ key: type, value }) =>
      entriesOf(value).flatMap(({ key: id, value: body }) =>
        body.kind === 'map' ? [{ file, type: type.value, id: id.value, body }] : [],
      ),
    ),
  );
}

/** The ids of the definitions that match the link. A definition with `match:` has an id that means nothing. */
function idsOf(definitions: readonly Definition[], link: LinkIdentity): string[] {
  const byId = Map.groupBy(definitions, ({ id }) => id);
  return [...byId].flatMap(([id, parts]) => {
    const matches = parts.flatMap(({ body }) => valuesAt(body, 'match'));
    const said = (key: string): string | undefined => parts.flatMap(({ body }) => textsAt(body, key)).at(-1);
    if (matches.length === 0) return id === link.name ? [id] : [];
    if (said('set-name') === link.name) return [id];
    const wanted = (key: string): string | undefined =>
      matches.flatMap((match) => textsAt(match, key)).at(-1);
    const [name, mac, driver] = [wanted('name'), wanted('macaddress'), wanted('driver')];
    // What the driver is the files do not say: such a definition can be the link's.
    if (name === undefined && mac === undefined) return driver === undefined ? [] : [id];
    const fits =
      (name === undefined || isMatchedBy(link.name, name)) &&
      (mac === undefined || mac.toLowerCase() === link.mac);
    return fits ? [id] : [];
  });
}

/** fnmatch(3), which both renderers use: `*`, `?` and `[…]`. */
function isMatchedBy(name: string, pattern: string): boolean {
  const escaped = pattern.replaceAll(/[.+^${}()|\\]/g, '\\$&');
  const expression = escaped.replaceAll('*', '.*').replaceAll('?', '.').replaceAll('[!', '[^');
  try {
    return new RegExp(`^${expression}$`).test(name);
  } catch (thrown) {
    if (thrown instanceof SyntaxError) return pattern === name;
    throw thrown;
  }
}

function mentionsIn(files: NetplanConfiguration, link: LinkIdentity): Mention[] {
  const definitions = files.flatMap(definitionsOf);
  const ids = idsOf(definitions, link);
  return definitions.flatMap((definition) => mentionsOf(definition, isOwn(definition, ids)));
}

/** The link's own, or the routing domain that it is in, whose routes go through it. */
function isOwn({ id, type, body }: Definition, ids: readonly string[]): boolean {
  if (ids.includes(id)) return true;
  return (
    type === 'vrfs' &&
    valuesAt(body, 'interfaces')
      .flatMap(itemsOf)
      .some((item) => ids.includes(textOf(item) ?? ''))
  );
}

function mentionsOf({ file, body }: Definition, own: boolean): Mention[] {
  const text = toByteText(file.bytes);
  const offset = text.startsWith(byteOrderMark) ? byteOrderMark.length : 0;
  const mentions: Mention[] = [];

  const add = (node: LocatedNode, role: Role, rest: Partial<Mention> = {}): void => {
    if (node.kind !== 'scalar') addAll(node);
    const mention = node.kind === 'scalar' ? mentionAt(file, text, node, offset, role, own) : undefined;
    if (mention !== undefined) mentions.push({ ...mention, ...rest });
  };
  const addAll = (node: LocatedNode): void => {
    if (node.kind === 'scalar') add(node, 'other');
    else if (node.kind === 'list') node.items.forEach(addAll);
    else {
      for (const { key, value } of node.entries) {
        add(key, 'other');
        addAll(value);
      }
    }
  };
  /** The members of a list of maps, each with its role by its key. */
  const addList = (list: LocatedNode, roles: Readonly<Record<string, Role>>): void => {
    for (const item of itemsOf(list)) {
      const onLink = textsAt(item, 'on-link').some(isYes);
      for (const { key, value } of entriesOf(item)) add(value, roles[key.value] ?? 'other', { onLink });
    }
  };

  for (const { key, value } of body.entries) {
    switch (key.value) {
      case 'addresses':
        for (const item of itemsOf(value)) {
          if (item.kind === 'scalar') add(item, 'address');
          // With options: `10.0.0.5/24: {label: …}`.
          else for (const { key: address } of entriesOf(item)) add(address, 'address');
        }
        break;
      case 'gateway4':
      case 'gateway6':
        add(value, 'gateway');
        break;
      case 'routes':
        addList(value, { via: 'gateway', from: 'dependent' });
        break;
      case 'routing-policy':
        addList(value, { from: 'dependent' });
        break;
      default:
        addAll(value);
    }
  }
  return mentions;
}

function mentionAt(
  file: EditableFile,
  text: string,
  scalar: LocatedScalar,
  offset: number,
  wanted: Role,
  own: boolean,
): Mention | undefined {
  const [, word = '', length] = /^([0-9A-Fa-f:.]+)(?:\/(\d{1,3}))?$/.exec(scalar.value.trim()) ?? [];
  const address = tryParseAddress(word);
  if (address === undefined) return undefined;
  const whole = length === undefined || ['32', '128'].includes(length);
  const role =
    (wanted === 'dependent' && !whole) || (wanted === 'gateway' && length !== undefined) ? 'other' : wanted;

  const written = text.slice(scalar.start + offset, scalar.end + offset);
  const kind: SpanKind = role === 'address' ? 'prefixed' : 'address';
  const spoken = kind === 'prefixed' ? scalar.value.trim() : word;
  const at = written.indexOf(spoken);
  const start = scalar.start + offset + Math.max(0, at);
  const refused = scalar.shared
    ? 'a YAML alias has the same text stand in another place'
    : at < 0
      ? 'it is written with escapes'
      : undefined;
  return {
    file,
    own,
    role,
    address,
    ...(role === 'address' && length !== undefined ? { prefixLength: Number(length) } : {}),
    spans: [{ kind, start, end: at < 0 ? start : start + spoken.length, plain: written === spoken }],
    ...(refused === undefined ? {} : { refused }),
  };
}

/** A route that says that the old network is on the link would go on saying so. */
function refuseRouteToOldNetwork(
  definitions: readonly Definition[],
  ids: readonly string[],
  mentions: readonly Mention[],
  change: AddressChange,
): void {
  const { from } = change;
  if (staysInNetwork(change)) return;
  const routes = definitions
    .filter((definition) => isOwn(definition, ids))
    .flatMap(({ body }) => valuesAt(body, 'routes').flatMap(itemsOf));
  for (const route of routes) {
    if (valuesAt(route, 'via').length > 0) continue;
    for (const to of textsAt(route, 'to')) {
      const network = tryParsePrefix(to);
      if (network?.prefixLength !== from.prefixLength || !isWithin(network.address, from)) continue;
      const holder = mentions.find(({ role, address }) => role === 'address' && address === from.address);
      if (holder !== undefined)
        throw refusal(holder, `a route puts the old network, ${to}, on the link`, applyNetplan);
    }
  }
}

function tryParsePrefix(text: string): ReturnType<typeof parseInterfaceAddress> | undefined {
  try {
    return parseInterfaceAddress(text);
  } catch (thrown) {
    if (thrown instanceof RlnetError && thrown.code === 'ADDRESS_INVALID') return undefined;
    throw thrown;
  }
}

function isYes(text: string): boolean {
  return ['true', 'yes', 'on', 'y'].includes(text.toLowerCase());
}

function entriesOf(node: LocatedNode | undefined): LocatedMap['entries'] {
  return node?.kind === 'map' ? node.entries : [];
}

function itemsOf(node: LocatedNode): LocatedNode[] {
  return node.kind === 'list' ? node.items : [];
}

function valuesAt(node: LocatedNode | undefined, key: string): LocatedNode[] {
  return entriesOf(node).flatMap((entry) => (entry.key.value === key ? [entry.value] : []));
}

function textsAt(node: LocatedNode, key: string): string[] {
  return valuesAt(node, key).flatMap((value) => textOf(value) ?? []);
}

function textOf(node: LocatedNode): string | undefined {
  return node.kind === 'scalar' ? node.value : undefined;
}
