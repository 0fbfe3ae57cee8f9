import { dirname, matchesGlob, posix } from 'node:path';
import { parseAst } from 'vitest/node';

/** One source file, reduced to what the import rule asks about. */
export type SourceModule = {
  /** Path from the checkout's root, such as `src/host/exec.ts`. */
  readonly file: string;
  /** What it imports, exports from, or imports dynamically; types too. `undefined`: not a literal, so unknown. */
  readonly imports: readonly { readonly specifier: string | undefined; readonly line: number }[];
  /**
   * Every dotted name it uses outside types: `Math.random`, `new Date()`, `process.env.HOME`. Imported names are given
   * by where they come from, without `node:`: `crypto.randomUUID`, however the file calls it. `globalThis.` is left out.
   */
  readonly names: readonly { readonly name: string; readonly line: number }[];
  /** There is nothing in it but `export … from`. */
  readonly isBarrel: boolean;
};

/** The rules, as data: see `test/unit/imports.test.ts` for ours. Files and packages are globs of `path.matchesGlob`. */
export type ImportRules = {
  /** Each file belongs to the layer of its folder, and imports files of ours only as this says. */
  readonly layers: readonly {
    readonly folder: string;
    readonly mayImport: readonly string[];
    /** `only`: no others; `not`: all but these. Without it, all. */
    readonly builtins?: { readonly only: readonly string[] } | { readonly not: readonly string[] };
    readonly why: string;
  }[];
  /** Each third-party package, and the files that may import it. A package without an owner may not be imported. */
  readonly packages: readonly {
    readonly name: string;
    readonly owners: readonly string[];
    readonly why: string;
  }[];
  /** Names that reach for the world directly, each with what hangs on it, and the files that may use them. */
  readonly ambient: readonly {
    readonly names: readonly string[];
    readonly owners: readonly string[];
    readonly why: string;
  }[];
};

type Node = { readonly type: string; readonly start: number } & Readonly<Record<string, unknown>>;

/** Reads one file of TypeScript. Throws a SyntaxError if it cannot be parsed. */
export function readSource(file: string, text: string): SourceModule {
  const imports: { specifier: string | undefined; line: number }[] = [];
  const names: { name: string; line: number }[] = [];
  const origins = new Map<string, string>();
  const line = (node: Node): number => text.slice(0, node.start).split('\n').length;

  /** `a.b.c` of a chain of plain members, `undefined` for anything else. */
  const dotted = (node: Node): string | undefined => {
    if (node.type === 'Identifier') return origins.get(nameOf(node)) ?? nameOf(node);
    if (node.type !== 'MemberExpression' || node['computed'] === true) return undefined;
    const object = dotted(node['object'] as Node);
    if (object === undefined) return undefined;
    const property = nameOf(node['property']);
    return object === 'globalThis' ? property : `${object}.${property}`;
  };

  const visit = (node: Node): void => {
    switch (node.type) {
      case 'ImportDeclaration':
      case 'ExportAllDeclaration':
      case 'ExportNamedDeclaration':
      case 'ImportExpression': {
        const source = node['source'];
        if (!isNode(source)) break;
        const value = source['value'];
        imports.push({ specifier: typeof value === 'string' ? value : undefined, line: line(node) });
        if (node.type !== 'ImportExpression') return;
        break;
      }
      case 'NewExpression': {
        const name = dotted(node['callee'] as Node);
        const given = (node['arguments'] as Node[]).length > 0;
        if (name !== undefined) names.push({ name: `new ${name}(${given ? '…' : ''})`, line: line(node) });
        break;
      }
      case 'VariableDeclarator': {
        // const { env } = process
        const [pattern, from] = [node['id'], node['init']];
        if (!isNode(pattern) || !isNode(from) || pattern.type !== 'ObjectPattern') break;
        const object = dotted(from);
        if (object === undefined) break;
        for (const property of pattern['properties'] as Node[]) {
          names.push({ name: `${object}.${nameOf(property['key'])}`, line: line(property) });
        }
        break;
      }
      case 'Identifier':
      case 'MemberExpression': {
        const name = dotted(node);
        if (name === undefined) break;
        names.push({ name, line: line(node) });
        return;
      }
    }
    for (const child of children(node)) visit(child);
  };

  const program = parseAst(text, { lang: 'ts' }) as unknown as Node & { readonly body: readonly Node[] };
  for (const declaration of program.body) {
    if (declaration.type !== 'ImportDeclaration') continue;
    const source = String((declaration['source'] as Node)['value']).replace(/^node:/, '');
    for (const specifier of declaration['specifiers'] as Node[]) {
      const imported = isNode(specifier['imported']) ? `.${nameOf(specifier['imported'])}` : '';
      origins.set(nameOf(specifier['local']), `${source}${imported}`);
    }
  }
  visit(program);
  const isBarrel =
    program.body.length > 0 && program.body.every((s) => s.type.startsWith('Export') && isNode(s['source']));
  return { file, imports, names, isBarrel };
}

/** The parts of a node that run: no types, no names of members, keys or parameters of types. */
function children(node: Node): Node[] {
  const types = new Set([
    'typeAnnotation',
    'returnType',
    'typeParameters',
    'typeArguments',
    'superTypeArguments',
  ]);
  if (['TSTypeAliasDeclaration', 'TSInterfaceDeclaration'].includes(node.type)) return [];
  return Object.entries(node)
    .filter(([key]) => !types.has(key) && key !== 'implements')
    .filter(([key]) => node['computed'] === true || (key !== 'key' && key !== 'property'))
    .flatMap(([, value]) => value)
    .filter(isNode);
}

/** What an identifier says; `?` for a part without a name, such as `#private` or `...rest`. */
function nameOf(value: unknown): string {
  return isNode(value) && typeof value['name'] === 'string' ? value['name'] : '?';
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string';
}

/** One sentence for each breach, with file, line and rule; empty if all is well. */
export function breaches(modules: readonly SourceModule[], rules: ImportRules): string[] {
  return [
    ...modules.flatMap((module) => [
      ...layerBreaches(module, rules),
      ...packageBreaches(module, rules),
      ...ambientBreaches(module, rules),
    ]),
    ...modules
      .filter(({ file, isBarrel }) => isBarrel || posix.basename(file) === 'index.ts')
      .map(({ file }) => `${file} is a barrel file: import from the file that has the thing.`),
    ...cycles(modules).map(
      (cycle) => `${cycle.join(' → ')} is a cycle: move what they share into a file below both.`,
    ),
  ];
}

function layerBreaches({ file, imports }: SourceModule, rules: ImportRules): string[] {
  const layer = rules.layers.find(({ folder }) => file.startsWith(folder));
  if (layer === undefined) return [`${file} is in no folder that the import rule knows.`];
  const { mayImport, builtins, why } = layer;
  return imports.flatMap(({ specifier, line }) => {
    if (specifier === undefined) {
      return [`${file}:${line} imports what only a run can tell: give import() a literal.`];
    }
    const target = resolve(file, specifier);
    if (target !== undefined) {
      const allowed = mayImport.some((prefix) => target.startsWith(prefix));
      return allowed ? [] : [`${file}:${line} imports ${target}: ${why}`];
    }
    if (builtins !== undefined && specifier.startsWith('node:')) {
      const allowed =
        'only' in builtins ? builtins.only.includes(specifier) : !builtins.not.includes(specifier);
      return allowed ? [] : [`${file}:${line} imports ${specifier}: ${why}`];
    }
    return [];
  });
}

function packageBreaches({ file, imports }: SourceModule, { packages }: ImportRules): string[] {
  return imports.flatMap(({ specifier, line }) => {
    if (specifier === undefined || specifier.startsWith('.') || specifier.startsWith('node:')) return [];
    const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
    const owned = packages.find((entry) => entry.name === name);
    if (owned === undefined) return [`${file}:${line} imports ${name}, which no file owns.`];
    if (owned.owners.some((owner) => matchesGlob(file, owner))) return [];
    return [`${file}:${line} imports ${name}, which belongs to ${owned.owners.join(', ')}: ${owned.why}`];
  });
}

function ambientBreaches({ file, names }: SourceModule, { ambient }: ImportRules): string[] {
  return ambient.flatMap((rule) => {
    if (rule.owners.some((owner) => matchesGlob(file, owner))) return [];
    return names
      .filter(({ name }) => rule.names.some((watched) => name === watched || name.startsWith(`${watched}.`)))
      .map(
        ({ name, line }) =>
          `${file}:${line} uses ${name}, which belongs to ${rule.owners.join(', ')}: ${rule.why}`,
      );
  });
}

/** The path of a file of ours, from the root; `undefined` for packages and Node's own modules. */
function resolve(file: string, specifier: string): string | undefined {
  return specifier.startsWith('.') ? posix.join(dirname(file), specifier) : undefined;
}

/** Each cycle once, from the file that was met first and back to it. */
function cycles(modules: readonly SourceModule[]): string[][] {
  const edges = new Map(
    modules.map(({ file, imports }) => [
      file,
      imports.flatMap(({ specifier }) => (specifier === undefined ? [] : (resolve(file, specifier) ?? []))),
    ]),
  );
  const found: string[][] = [];
  const done = new Set<string>();
  const follow = (file: string, path: readonly string[]): void => {
    const seen = path.indexOf(file);
    if (seen >= 0) found.push([...path.slice(seen), file]);
    if (seen >= 0 || done.has(file)) return;
    for (const next of edges.get(file) ?? []) follow(next, [...path, file]);
    done.add(file);
  };
  for (const { file } of modules) follow(file, []);
  return found;
}
