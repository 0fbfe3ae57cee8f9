import {
  type Address,
  broadcastOf,
  familyOf,
  isWithin,
  networkOf,
  parseInterfaceAddress,
  tryParseAddress,
} from '../../protocol/address.ts';
import type { AddressChange, LinkIdentity } from '../../protocol/address-change.ts';
import { lineAt, toByteText } from '../../protocol/byte-text.ts';
import { RlnetError } from '../../protocol/errors.ts';
import { type FileEdit, type OwnerEdit, type OwnerPlace, reversed } from '../../protocol/network-owner.ts';
import {
  describe,
  type EditableFile,
  editMentions,
  type Mention,
  netmaskOf,
  placesOf,
  type Role,
  refusal,
  rewriteMentions,
  type Span,
  staysInNetwork,
} from './mentions.ts';

/*
 * Where interfaces(5) files name an address, and what a change of it is in them: pure. Facts about ifupdown were seen in 0.8.41.
 */

/** /etc/network/interfaces, or a file that one like it names. */
export interface InterfacesFile {
  file: EditableFile;
  /** What each of its `source` and `source-directory` lines stands for, in their order. */
  sources: readonly (readonly InterfacesFile[])[];
}

/** What a person does to have changed files taken up. */
export const applyIfupdown = 'run ifdown and ifup for the link';

/** A word, at [start, end) of its file's byte text. */
interface Word {
  text: string;
  start: number;
  end: number;
}

/** What ifupdown takes for one line: lines that a backslash ties together are one. */
interface Line {
  file: EditableFile;
  words: [Word, ...Word[]];
}

interface Stanza {
  /** Where it begins. */
  line: Line;
  /** The name after `iface`: the link's, or LINK:LABEL for an alias in the old manner. */
  name: string;
  method: string;
  options: Line[];
}

/** All lines that mean something, in ifupdown's order. */
function* linesOf({ file, sources }: InterfacesFile): Generator<Line> {
  let nth = 0;
  for (const line of linesIn(file)) {
    if (!isSource(line)) yield line;
    else for (const source of sources[nth++] ?? []) yield* linesOf(source);
  }
}

function isSource({ words: [first] }: Line): boolean {
  return first.text === 'source' || first.text === 'source-directory';
}

/** What the `source` and `source-directory` lines of one file name, in their order. */
export function sourcesIn(file: EditableFile): { kind: 'source' | 'source-directory'; patterns: string[] }[] {
  return linesIn(file)
    .filter(isSource)
    .map(({ words: [first, ...rest] }) => ({
      kind: first.text === 'source' ? 'source' : 'source-directory',
      patterns: rest.map(({ text }) => text),
    }));
}

function linesIn(file: EditableFile): Line[] {
  const text = toByteText(file.bytes);
  const lines: Line[] = [];
  let position = 0;
  while (position < text.length) {
    let words: Word[] = [];
    for (;;) {
      const newline = text.indexOf('\n', position);
      const end = newline < 0 ? text.length : newline;
      const content = text.slice(position, end);
      const isComment = words.length === 0 && /^\s*#/.test(content);
      const goesOn = !isComment && content.endsWith('\\') && newline >= 0;
      if (!isComment) {
        const start = position;
        const found = content.slice(0, goesOn ? -1 : undefined).matchAll(/[^ \t\r\v\f]+/g);
        words = [
          ...words,
          ...[...found].map(({ 0: word, index }) => ({
            text: word,
            start: start + index,
            end: start + index + word.length,
          })),
        ];
      }
      position = end + 1;
      if (!goesOn) break;
    }
    const [first, ...rest] = words;
    if (first !== undefined) lines.push({ file, words: [first, ...rest] });
  }
  return lines;
}

function stanzasOf(root: InterfacesFile): Stanza[] {
  const stanzas: Stanza[] = [];
  let open: Stanza | undefined;
  for (const line of linesOf(root)) {
    const [first, name, , method] = line.words;
    if (first.text === 'iface') {
      open = { line, name: name?.text ?? '', method: method?.text ?? '', options: [] };
      stanzas.push(open);
    } else if (/^(auto|allow-.*|mapping|no-auto-down|no-scripts|template|rename)$/.test(first.text)) {
      open = undefined;
    } else {
      open?.options.push(line);
    }
  }
  return stanzas;
}

export function locateInInterfaces(root: InterfacesFile, link: LinkIdentity, address: Address): OwnerPlace[] {
  return placesOf(mentionsIn(root, link), address);
}

/** The `iface` lines of a link and of its aliases, as PATH:LINE. */
export function stanzasFor(root: InterfacesFile, link: LinkIdentity): string[] {
  return stanzasOf(root)
    .filter(({ name }) => isOwn(name, link))
    .map(({ line: { file, words } }) => `${file.path}:${lineAt(toByteText(file.bytes), words[0].start)}`);
}

/** @throws RlnetError as `NetworkOwner.plan` */
export function editInterfaces(root: InterfacesFile, change: AddressChange): OwnerEdit {
  const mentions = mentionsIn(root, change.link);
  const edit = editMentions(mentions, change, applyIfupdown);
  const holder = mentions.find(({ role, address }) => role === 'address' && address === change.from.address);
  const network = staysInNetwork(change) ? undefined : routeToNetwork(root, change);
  if (holder !== undefined && network !== undefined)
    throw refusal(holder, `a route puts the old network, ${network}, on the link`, applyIfupdown);
  if (holder?.idle !== true) return edit;
  const idle = `${describe(holder)} is of a stanza that no auto and no allow- line names: ifupdown does not bring it up at boot by itself.`;
  return { ...edit, warnings: [...edit.warnings, idle] };
}

/** The whole configuration in one text without `source`, and without what comes between the lines. */
export function flattened(root: InterfacesFile): string {
  return [...linesOf(root)]
    .map(({ file, words }) => {
      const end = words.at(-1)?.end ?? 0;
      return `${toByteText(file.bytes).slice(words[0].start, end).replaceAll('\\\n', '')}\n`;
    })
    .join('');
}

/** The same with other contents. */
export function withContents(root: InterfacesFile, edits: readonly FileEdit[], side: 'before' | 'after') {
  const replace = ({ file, sources }: InterfacesFile): InterfacesFile => ({
    file: { ...file, bytes: edits.find(({ path }) => path === file.path)?.[side] ?? file.bytes },
    sources: sources.map((each) => each.map(replace)),
  });
  return replace(root);
}

/** What the configuration was before the change that it has in it now. */
export function beforeChange(root: InterfacesFile, change: AddressChange): InterfacesFile {
  const edit = rewriteMentions(mentionsIn(root, change.link), reversed(change), applyIfupdown);
  return withContents(root, edit.files, 'after');
}

/** The names by which ifup knows what these edits are in, and the link itself with its aliases. */
export function namesToConfigure(
  root: InterfacesFile,
  edits: readonly { path: string }[],
  link?: LinkIdentity,
): string[] {
  const named = stanzasOf(root)
    .filter(
      ({ name, options }) =>
        (link !== undefined && isOwn(name, link)) ||
        options.some(({ file }) => edits.some(({ path }) => path === file.path)),
    )
    .map(({ name }) => name);
  return [...new Set(named)];
}

/** The names of the stanzas with something in them that names one of these addresses, and the link's own. */
export function namesWith(root: InterfacesFile, link: LinkIdentity, addresses: readonly Address[]): string[] {
  const named = stanzasOf(root).filter(
    (stanza) =>
      isOwn(stanza.name, link) ||
      mentionsOf(stanza, link).some(({ role, address }) => role !== 'other' && addresses.includes(address)),
  );
  return [...new Set(named.map(({ name }) => name))];
}

function isOwn(name: string, link: LinkIdentity): boolean {
  return name === link.name || name.startsWith(`${link.name}:`);
}

function mentionsIn(root: InterfacesFile, link: LinkIdentity): Mention[] {
  const broughtUp = namesAtBoot(root);
  return stanzasOf(root).flatMap((stanza) =>
    mentionsOf(stanza, link).map((mention) => ({ ...mention, idle: !broughtUp(stanza.name) })),
  );
}

/** Whether something brings up a name at boot: `auto`, or the hotplug of a class. What a pattern (`/eth*`) matches is left open. */
function namesAtBoot(root: InterfacesFile): (name: string) => boolean {
  const words = [...linesOf(root)]
    .filter(({ words: [first] }) => /^(auto|allow-.*)$/.test(first.text))
    .flatMap(({ words: [, ...rest] }) => rest.map(({ text }) => text));
  return (name) => words.some((word) => word.startsWith('/') || word.split('=').includes(name));
}

const hooks = ['pre-up', 'up', 'post-up', 'pre-down', 'down', 'post-down'];

function mentionsOf(stanza: Stanza, link: LinkIdentity): Mention[] {
  const own = isOwn(stanza.name, link);
  const mentions = stanza.options.flatMap((line): Mention[] => {
    const [{ text: option }, value] = line.words;
    if (hooks.includes(option)) return mentionsInHook(line, stanza, link);
    if (option === 'address' && stanza.method === 'static') {
      const mention = staticAddress(stanza, line, own);
      return mention === undefined ? [] : [mention];
    }
    // They belong to the address.
    if (stanza.method === 'static' && ['netmask', 'broadcast', 'network'].includes(option)) return [];
    if (option === 'gateway' && value !== undefined)
      return mentionOf(line.file, value, 'gateway', own) ?? othersIn(line, []);
    return othersIn(line, []);
  });
  return mentions;
}

/** `address A/L`, or `address A` with `netmask`, and what of `broadcast` and `network` follows from the two. */
function staticAddress(stanza: Stanza, { file, words }: Line, own: boolean): Mention | undefined {
  const [, value] = words;
  const [, bare = '', length] = /^([0-9A-Fa-f:.]+)(?:\/(\d{1,3}))?$/.exec(value?.text ?? '') ?? [];
  const address = tryParseAddress(bare);
  if (value === undefined || address === undefined) return undefined;
  const option = (name: string): (Word & { file: EditableFile }) | undefined => {
    const found = stanza.options.find(({ words: [first] }) => first.text === name);
    const word = found?.words[1];
    return found === undefined || word === undefined ? undefined : { ...word, file: found.file };
  };
  const netmask = option('netmask');
  const masked = netmask === undefined ? undefined : lengthOfMask(netmask.text);
  const written = length === undefined ? undefined : Number(length);
  const prefixLength = masked ?? written;

  const spans: [Span, ...Span[]] = [
    { kind: length === undefined ? 'address' : 'prefixed', start: value.start, end: value.end },
  ];
  const problems: string[] = [];
  if (netmask !== undefined) {
    spans.push({ ...netmask, kind: netmask.text.includes('.') ? 'netmask' : 'length' });
    if (masked === undefined) problems.push(`its netmask, ${netmask.text}, is none that rlnet understands`);
    // ifup takes the netmask then.
    if (written !== undefined && written !== masked)
      problems.push(`it says /${length} and netmask ${netmask.text}`);
  }
  if (prefixLength !== undefined) {
    const broadcast = option('broadcast');
    const network = option('network');
    if (broadcast !== undefined && tryParseAddress(broadcast.text) !== undefined) {
      if (tryParseAddress(broadcast.text) === broadcastOf({ address, prefixLength }))
        spans.push({ ...broadcast, kind: 'broadcast' });
      else problems.push(`its broadcast address, ${broadcast.text}, is not that of its network`);
    }
    if (network !== undefined && network.text === networkOf({ address, prefixLength }).replace(/\/\d+$/, ''))
      spans.push({ ...network, kind: 'network' });
    if (option('pointopoint') !== undefined || option('endpoint') !== undefined)
      problems.push('it is one end of a point-to-point link');
  }
  const variable = stanza.options.find(
    ({ words: [first, ...rest] }) =>
      hooks.includes(first.text) &&
      rest.some(({ text }) => /\bIF_(ADDRESS|NETMASK|BROADCAST|NETWORK|GATEWAY)\b/.test(text)),
  );
  if (variable !== undefined) {
    const command = variable.words.map(({ text }) => text).join(' ');
    problems.push(`“${command}” takes it from a variable, which cannot be followed to what it is used for`);
  }
  const [refused] = problems;
  return {
    file,
    own,
    role: 'address',
    address,
    ...(prefixLength === undefined ? {} : { prefixLength }),
    spans,
    ...(refused === undefined ? {} : { refused }),
  };
}

/** A netmask as interfaces(5) has it: dotted, or a length. */
function lengthOfMask(text: string): number | undefined {
  if (/^\d{1,3}$/.test(text)) return Number(text);
  for (let length = 0; length <= 32; length++) if (netmaskOf(length) === text) return length;
  return undefined;
}

function mentionOf(file: EditableFile, word: Word, wanted: Role, own: boolean): Mention[] | undefined {
  const [, bare = '', length] = /^([0-9A-Fa-f:.]+)(?:\/(\d{1,3}))?$/.exec(word.text) ?? [];
  const address = tryParseAddress(bare);
  if (address === undefined) return undefined;
  const whole = length === undefined || ['32', '128'].includes(length);
  const role =
    (wanted === 'dependent' && !whole) || (wanted === 'gateway' && length !== undefined) ? 'other' : wanted;
  const span: Span = { kind: 'address', start: word.start, end: word.start + bare.length };
  return [{ file, own, role, address, spans: [span] }];
}

/** Every address in the line but in these words. */
function othersIn({ file, words }: Line, taken: readonly Word[]): Mention[] {
  return words
    .filter((word) => !taken.includes(word))
    .flatMap(({ text, start }) =>
      [...text.matchAll(/[0-9A-Fa-f:.]+/g)].flatMap(({ 0: token, index }) => {
        const address = tryParseAddress(token);
        if (address === undefined) return [];
        const at = start + index;
        return [
          {
            file,
            own: false,
            role: 'other' as const,
            address,
            spans: [{ kind: 'address', start: at, end: at + token.length }] as [Span],
          },
        ];
      }),
    );
}

/** A simple command of a hook that is one of iproute2. */
interface IpCommand {
  object: 'addr' | 'route' | 'rule';
  verb: string;
  words: Word[];
}

/** The commands of iproute2 among words of a shell's command line; quotes and substitutions are not looked into. */
function ipCommandsIn(words: readonly Word[]): IpCommand[] {
  const commands: Word[][] = [[]];
  for (const word of words) {
    const bare = word.text.replace(/;$/, '');
    if (/^(;|&&|\|\||\||&)$/.test(word.text)) commands.push([]);
    else {
      if (bare !== '') commands.at(-1)?.push({ ...word, text: bare, end: word.start + bare.length });
      if (bare !== word.text) commands.push([]);
    }
  }
  return commands.flatMap((command): IpCommand[] => {
    const [program, ...rest] = command;
    if (program === undefined || !/^(\/(usr\/)?s?bin\/)?ip$/.test(program.text)) return [];
    while (rest[0]?.text.startsWith('-') === true) {
      const option = rest.shift();
      if (option !== undefined && /^-f(amily)?$/.test(option.text)) rest.shift();
    }
    const [object, verb, ...others] = rest;
    const known = objectOf(object?.text ?? '');
    if (known === undefined || verb === undefined) return [];
    return [{ object: known, verb: verb.text, words: others }];
  });
}

/** iproute2 takes abbreviations. */
function objectOf(word: string): IpCommand['object'] | undefined {
  if (word === '') return undefined;
  if ('address'.startsWith(word)) return 'addr';
  if ('route'.startsWith(word)) return 'route';
  return 'rule'.startsWith(word) ? 'rule' : undefined;
}

function mentionsInHook(line: Line, { name }: Stanza, link: LinkIdentity): Mention[] {
  const [, ...words] = line.words;
  const taken: Word[] = [];
  const found = ipCommandsIn(words).flatMap(({ object, verb, words: rest }): Mention[] => {
    const dev = rest.find((_, index) => rest[index - 1]?.text === 'dev')?.text;
    const on = dev === undefined || /^"?\$\{?IFACE\}?"?$/.test(dev) ? name : dev;
    const own = isOwn(on, link);
    return rest.flatMap((word, index): Mention[] => {
      const before = rest[index - 1]?.text ?? '';
      const mentions =
        object === 'addr'
          ? addressCommand(line.file, verb, rest, index, own)
          : before === 'from' || (object === 'route' && before === 'src')
            ? mentionOf(line.file, word, 'dependent', own)
            : object === 'route' && before === 'via'
              ? mentionOf(line.file, word, 'gateway', own)
              : undefined;
      if (mentions === undefined) return [];
      taken.push(...words.filter(({ start }) => start === word.start));
      return mentions;
    });
  });
  return [...found, ...othersIn(line, taken)];
}

/** `ip addr add A/L [broadcast B] dev LINK` puts it there, `ip addr del A/L` takes it away. */
function addressCommand(
  file: EditableFile,
  verb: string,
  words: readonly Word[],
  index: number,
  own: boolean,
): Mention[] | undefined {
  const word = words[index];
  const before = words[index - 1]?.text;
  if (word === undefined || (index > 0 && before !== 'local')) return undefined;
  const [, bare = '', length] = /^([0-9A-Fa-f:.]+)(?:\/(\d{1,3}))?$/.exec(word.text) ?? [];
  const address = tryParseAddress(bare);
  if (address === undefined) return undefined;
  const kind = length === undefined ? 'address' : 'prefixed';
  const spans: [Span, ...Span[]] = [{ kind, start: word.start, end: word.end }];
  if (/^d/.test(verb)) return [{ file, own, role: 'dependent', address, spans }];
  if (!/^(a|add|repl.*|ch.*)$/.test(verb)) return undefined;
  const after = (...names: string[]): Word | undefined =>
    words.find((_, at) => names.includes(words[at - 1]?.text ?? ''));
  const longest = familyOf(address) === 'ipv4' ? 32 : 128;
  const prefixLength = length === undefined ? longest : Number(length);
  const broadcast = after('brd', 'broadcast');
  const standard =
    broadcast !== undefined &&
    tryParseAddress(broadcast.text) === broadcastOf({ address, prefixLength }) &&
    tryParseAddress(broadcast.text) !== undefined;
  if (broadcast !== undefined && standard) spans.push({ ...broadcast, kind: 'broadcast' });
  const refused =
    after('peer') !== undefined
      ? 'it is one end of a point-to-point link'
      : broadcast !== undefined && !standard && !['+', '-'].includes(broadcast.text)
        ? `its broadcast address, ${broadcast.text}, is not that of its network`
        : undefined;
  return [
    {
      file,
      own,
      role: 'address',
      address,
      prefixLength,
      spans,
      ...(refused === undefined ? {} : { refused }),
    },
  ];
}

/** A hook that says that the old network is on the link would go on saying so. */
function routeToNetwork(root: InterfacesFile, { link, from }: AddressChange): string | undefined {
  const routes = stanzasOf(root)
    .filter(({ name }) => isOwn(name, link))
    .flatMap(({ options }) => options)
    .filter(({ words: [first] }) => hooks.includes(first.text))
    .flatMap(({ words: [, ...words] }) => ipCommandsIn(words))
    .filter(
      ({ object, verb, words }) =>
        object === 'route' && !/^d/.test(verb) && !words.some(({ text }) => text === 'via'),
    );
  return routes
    .flatMap(({ words }) => words.map(({ text }) => text))
    .find((text) => {
      const network = tryParsePrefix(text);
      return network?.prefixLength === from.prefixLength && isWithin(network.address, from);
    });
}

function tryParsePrefix(text: string): ReturnType<typeof parseInterfaceAddress> | undefined {
  try {
    return parseInterfaceAddress(text);
  } catch (thrown) {
    if (thrown instanceof RlnetError && thrown.code === 'ADDRESS_INVALID') return undefined;
    throw thrown;
  }
}
