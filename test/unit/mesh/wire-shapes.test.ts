import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { closeCodes, meshPort, messageSchemas, subprotocol } from '../../../src/protocol/messages.ts';
import { methods } from '../../../src/protocol/methods.ts';
import { type Names, notationOf, shapeOf } from '../../support/schema-notation.ts';

const checkout = join(import.meta.dirname, '../../..');

/** Every schema that src/protocol exports, by its name without the word. */
async function namedSchemas(): Promise<Names> {
  const names = new Map<unknown, string>();
  for (const file of globSync('src/protocol/**/*.ts', { cwd: checkout }).sort()) {
    const exported = (await import(join(checkout, file))) as Record<string, unknown>;
    for (const [name, value] of Object.entries(exported)) {
      const short = /^(\w+)Schema$/.exec(name)?.[1];
      if (short !== undefined) names.set(value, short.charAt(0).toUpperCase() + short.slice(1));
    }
  }
  return names;
}

const head = `# Shapes on the wire

All that [wire-protocol.md](wire-protocol.md) speaks of, as JSON, printed from the schemas in \`src/protocol\` (\`npx vitest run --project unit
test/unit/mesh/wire-shapes.test.ts -u\` prints it anew). \`key?\` may be absent, \`[X, …]\` is an array, \`{ [X]: Y }\` an object with any such keys; text in
quotes stands for itself; a word with a capital is spelt out under Names. Fields that are not here are to be ignored. Times are milliseconds since
the epoch of the wall clock of the host that says them, unless the name of a field has another unit.
`;

async function page(): Promise<string> {
  const names = await namedSchemas();
  const used = new Set<string>();
  const use = (name: string): void => {
    used.add(name);
  };
  const messages = messageSchemas.map((schema) => `${notationOf(schema, names, use)}\n`);
  const calls = Object.entries(methods).map(
    ([name, { callers, params, result }]) =>
      `${name} (${callers.join(', ')})\n  params ${notationOf(params, names, use, '  ')}\n  result ${notationOf(result, names, use, '  ')}\n`,
  );
  const shapes = new Map<string, string>();
  for (let size = -1; size !== shapes.size; ) {
    size = shapes.size;
    for (const [schema, name] of names)
      if (used.has(name) && !shapes.has(name)) shapes.set(name, `${name} = ${shapeOf(schema, names, use)}\n`);
  }
  const spelt = [...shapes].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, shape]) => shape);
  const block = (texts: readonly string[]): string => `\`\`\`\n${texts.join('\n')}\`\`\`\n`;
  return [
    head,
    '## Messages\n',
    block(messages),
    '## Methods\n',
    'With the least callers that may ask for each: `candidate` and `member` over the mesh, `read` and `act` on the local sockets.\n',
    block(calls),
    '## Names\n',
    '`Address` is one host address in its canonical form (dotted decimal, RFC 5952), never with a prefix length, a zone, or IPv4-mapped.\n',
    block(spelt),
  ].join('\n');
}

it('docs/wire-shapes.md is what the schemas say', async () => {
  await expect(await page()).toMatchFileSnapshot(join(checkout, 'docs/wire-shapes.md'));
});

describe('docs/wire-protocol.md', () => {
  const text = readFileSync(join(checkout, 'docs/wire-protocol.md'), 'utf8');

  it('has every message, close code and refusal, the port and the subprotocol', () => {
    const types = messageSchemas.map(({ entries }) => entries.type.literal);
    for (const type of types) expect(text).toMatch(new RegExp(`^\\| \`${type}\` \\|`, 'm'));
    for (const [name, code] of Object.entries(closeCodes))
      expect(text).toMatch(new RegExp(`^\\| ${code} \\| \`${name}\` \\|`, 'm'));
    const source = readFileSync(join(checkout, 'src/agent/mesh/channel.ts'), 'utf8');
    const [, union = ''] = /export type RefusalCode =([^;]+);/.exec(source) ?? [];
    const refusals = [...union.matchAll(/'(\w+)'/g)].map(([, code = '']) => code);
    expect(refusals.length).toBeGreaterThan(15);
    for (const code of refusals) expect(text).toMatch(new RegExp(`^\\|[^|]*\`${code}\``, 'm'));
    expect(text).toContain(`port ${meshPort}`);
    expect(text).toContain(`\`${subprotocol}\``);
  });
});
