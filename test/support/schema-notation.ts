/**
 * A valibot schema in the notation of docs/wire-shapes.md, for the reader who writes another implementation. A kind of schema that is not known
 * here is an error, so that nothing is left out.
 */

interface Schema {
  kind: 'schema';
  type: string;
  pipe?: readonly (Schema | Action)[];
  [part: string]: unknown;
}

interface Action {
  kind: 'validation' | 'transformation' | 'metadata';
  type: string;
  requirement?: unknown;
}

/** Names by schema: what has one is written as its name. */
export type Names = ReadonlyMap<unknown, string>;

/** @param used is told each name that was written */
export function notationOf(schema: unknown, names: Names, used: (name: string) => void, indent = ''): string {
  const name = names.get(schema);
  if (name === undefined) return shapeOf(schema, names, used, indent);
  used(name);
  return name;
}

/** The same for a schema that has a name, spelt out. */
export function shapeOf(schema: unknown, names: Names, used: (name: string) => void, indent = ''): string {
  const { pipe, type, ...parts } = schema as Schema;
  const [first, ...actions] = pipe ?? [];
  const bounds = actions.flatMap((action) => boundOf(action as Action));
  // A pipe has all that its first part has, but is not it.
  const base = first === undefined ? undefined : names.get(first);
  if (base !== undefined) used(base);
  const inner = `${indent}  `;
  const of = (part: unknown, deeper = indent): string => notationOf(part, names, used, deeper);
  const shape = (): string => {
    switch (type) {
      case 'object':
      case 'strict_object': {
        const entries = Object.entries(parts['entries'] as Record<string, Schema>).map(([key, entry]) =>
          entry.type === 'optional' && names.get(entry) === undefined
            ? `${key}?: ${of(entry['wrapped'], inner)}`
            : `${key}: ${of(entry, inner)}`,
        );
        const line = `{ ${entries.join(', ')} }`;
        const only = type === 'object' ? '' : ' and no other';
        if (entries.length === 0) return `{}${only}`;
        if (line.length <= 100 && !line.includes('\n')) return `${line}${only}`;
        return `{\n${entries.map((entry) => `${inner}${entry}\n`).join('')}${indent}}${only}`;
      }
      case 'tuple':
        return `[${(parts['items'] as Schema[]).map((item) => of(item)).join(', ')}]`;
      case 'array':
        return `[${of(parts['item'])}, …]`;
      case 'record':
        return `{ [${of(parts['key'])}]: ${of(parts['value'])} }`;
      case 'union':
      case 'variant':
        return (parts['options'] as Schema[]).map((option) => of(option)).join(' | ');
      case 'picklist':
        return (parts['options'] as unknown[]).map((option) => JSON.stringify(option)).join(' | ');
      case 'literal':
        return JSON.stringify(parts['literal']);
      case 'optional':
        return of(parts['wrapped']);
      case 'string':
      case 'number':
      case 'boolean':
        return type;
      case 'null':
        return 'null';
      case 'nullable':
        return `${of(parts['wrapped'])} | null`;
      case 'any':
      case 'unknown':
        return 'any';
      default:
        throw new Error(`there is no notation for ${type}`);
    }
  };
  const said = base ?? shape();
  return bounds.length === 0 ? said : `${said} (${bounds.join(', ')})`;
}

function boundOf({ kind, type, requirement }: Action): string[] {
  const limit = String(requirement);
  switch (type) {
    case 'min_length':
      return [`length ≥ ${limit}`];
    case 'max_length':
      return [`length ≤ ${limit}`];
    case 'min_value':
      return [`≥ ${limit}`];
    case 'max_value':
      return [`≤ ${limit}`];
    case 'integer':
      return ['integer'];
    case 'to_lower_case':
      return ['lower case'];
    case 'regex':
      return [`matches ${String(requirement)}`];
    // JSON has no other numbers; blanks around are taken off; the rest is said in prose.
    case 'finite':
    case 'trim':
    case 'check':
    case 'raw_transform':
    case 'raw_check':
    case 'transform':
    case 'readonly':
      return [];
    default:
      return [`${kind} ${type}`];
  }
}
