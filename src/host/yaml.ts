import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  visit,
} from 'yaml';
import { RlnetError } from '../protocol/errors.ts';
import type { LocatedDocument, LocatedNode } from './ports/document.ts';

/**
 * Reads one YAML 1.2 document and keeps where everything stands in it. An empty file is `{}`.
 *
 * Refused, because a configuration is read by people: keys given twice, anchors, aliases and tags (what they make of a value
 * is not what stands there), keys that are not plain words, a second document.
 *
 * @param file for the errors only
 * @throws RlnetError CONFIG_INVALID with line and column
 */
export function parseYamlDocument(text: string, file: string): LocatedDocument {
  const lines = new LineCounter();
  const position = (offset: number): { line: number; column: number } => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const refuse = (offset: number, message: string, remedy: string): RlnetError =>
    new RlnetError('CONFIG_INVALID', message, remedy, { at: { file, ...position(offset) } });

  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    version: '1.2',
    merge: false,
  });
  const [problem] = [...document.errors, ...document.warnings];
  if (problem !== undefined) {
    const [sentence = ''] = problem.message.split('\n', 1);
    throw refuse(
      problem.pos[0],
      `The file is not valid YAML: ${sentence.replace(/\.?$/, '.')}`,
      'Correct the file at that place.',
    );
  }
  visit(document, {
    Node: (_, node) => {
      const start = startOf(node) ?? 0;
      if (isAlias(node) || node.anchor !== undefined) {
        throw refuse(start, 'The file has a YAML anchor or alias.', 'Write the value out where it is meant.');
      }
      if (node.tag !== undefined) {
        throw refuse(start, `The file has a YAML tag, ${node.tag}.`, 'Write the value without it.');
      }
    },
    Pair: (_, pair) => {
      if (isScalar(pair.key) && typeof pair.key.value === 'string') return;
      const start = isNode(pair.key) ? startOf(pair.key) : undefined;
      throw refuse(
        start ?? 0,
        'The file has a key that is not a word.',
        'Put quotes around it if it is meant so.',
      );
    },
  });

  const root = document.contents;
  return {
    value: document.toJS() ?? {},
    locate: (path) => position(startOf(nearest(root, path).node) ?? 0),
    locateKey: (path) => {
      const { node, pair } = nearest(root, path);
      const key = isNode(pair?.key) ? pair.key : undefined;
      return position(startOf(key ?? node) ?? 0);
    },
  };
}

/** Goes down the path for as long as there is something: the value there, and the pair that it was found in, if the last step had one. */
function nearest(root: Node | null, path: readonly (string | number)[]): { node: Node | null; pair?: Pair } {
  let node = root;
  let pair: Pair | undefined;
  for (const step of path) {
    const next = isMap(node)
      ? node.items.find(({ key }) => isScalar(key) && key.value === String(step))
      : isSeq(node)
        ? node.items[Number(step)]
        : undefined;
    if (next === undefined) return { node };
    pair = isPair(next) ? next : undefined;
    const value = isPair(next) ? (next.value ?? next.key) : next;
    node = isNode(value) ? value : null;
  }
  return pair === undefined ? { node } : { node, pair };
}

/** Where the node begins in the text: the offset of its first character. */
function startOf(node: Node | null): number | undefined {
  return node?.range?.[0];
}

/** Deeper than any configuration, and an end to an alias that stands within what it names. */
const deepest = 100;

/**
 * Reads one YAML document of somebody else, to be changed by splices: anchors, aliases, tags and keys given twice are theirs to use. As YAML 1.1
 * as far as structure goes, and all scalars as text, which is what libyaml gives to a program.
 *
 * @param text positions are into this; one character a byte (`byte-text.ts`) will do
 * @returns undefined for an empty document
 * @throws RlnetError CONFIG_INVALID with line and column
 */
export function parseYamlTree(text: string, file: string): LocatedNode | undefined {
  const document = parseDocument(text, {
    prettyErrors: false,
    version: '1.1',
    schema: 'failsafe',
    merge: false,
    uniqueKeys: false,
  });
  const [problem] = document.errors;
  if (problem !== undefined) {
    const [sentence = ''] = problem.message.split('\n', 1);
    const before = text.slice(0, problem.pos[0]);
    const line = before.split('\n').length;
    throw new RlnetError(
      'CONFIG_INVALID',
      `The file is not valid YAML: ${sentence.replace(/\.?$/, '.')}`,
      'Correct the file at that place.',
      { at: { file, line, column: before.length - before.lastIndexOf('\n') } },
    );
  }
  if (document.contents === null) return undefined;
  const aliases = new Set<string>();
  visit(document, {
    Alias: (_, { source }) => {
      aliases.add(source);
    },
  });
  return treeOf({ document, aliases }, document.contents, { shared: false, depth: 0, at: 0 });
}

function treeOf(
  whole: { document: Document.Parsed; aliases: ReadonlySet<string> },
  given: unknown,
  { shared, depth, at }: { shared: boolean; depth: number; at: number },
): LocatedNode {
  const node = isAlias(given) ? given.resolve(whole.document) : given;
  if (depth > deepest) {
    throw new RlnetError('CONFIG_INVALID', 'The file is nested too deeply.', 'Simplify the file.');
  }
  // A value that is left out has no node, and stands where it would begin.
  if (!isNode(node)) return { kind: 'scalar', value: '', start: at, end: at, shared };
  const start = startOf(node) ?? at;
  const anchor = isAlias(node) ? undefined : node.anchor;
  const inside = {
    shared: shared || (anchor !== undefined && whole.aliases.has(anchor)),
    depth: depth + 1,
    at: start,
  };
  if (isMap(node)) {
    return {
      kind: 'map',
      shared: inside.shared,
      entries: node.items.flatMap(({ key, value }) => {
        const name = treeOf(whole, key, inside);
        if (name.kind !== 'scalar') return [];
        return [{ key: name, value: treeOf(whole, value, { ...inside, at: name.end }) }];
      }),
    };
  }
  if (isSeq(node)) {
    const items = node.items.map((item): LocatedNode => {
      // In flow style an item can be one pair without braces.
      if (!isPair(item)) return treeOf(whole, item, inside);
      const name = treeOf(whole, item.key, inside);
      if (name.kind !== 'scalar') return name;
      const value = treeOf(whole, item.value, { ...inside, at: name.end });
      return { kind: 'map', shared: inside.shared, entries: [{ key: name, value }] };
    });
    return { kind: 'list', shared: inside.shared, items };
  }
  // In this schema every scalar is a string.
  const value = isScalar(node) && typeof node.value === 'string' ? node.value : '';
  return { kind: 'scalar', value, start, end: node.range?.[1] ?? start, shared: inside.shared };
}
