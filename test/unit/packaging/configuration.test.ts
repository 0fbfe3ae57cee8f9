import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { decodeSettings } from '../../../src/agent/settings.ts';
import { parseYamlDocument } from '../../../src/host/yaml.ts';

/** The configuration file that a package installs. */

const path = new URL('../../../packaging/agent.yaml', import.meta.url);
const shipped = readFileSync(path, 'utf8');
const decode = (text: string) => decodeSettings(parseYamlDocument(text, 'agent.yaml'), 'agent.yaml');
/** A setting is commented out by `#` alone; `# ` begins a sentence. */
const uncommented = shipped.replaceAll(/^( *)#(?=\w)/gm, '$1');

/** Of all levels, in the order of the file. */
function keysOf(settings: object): string[] {
  return Object.entries(settings).flatMap(([key, value]) => [
    key,
    ...(typeof value === 'object' && !Array.isArray(value) ? keysOf(value as object) : []),
  ]);
}

test('as it is shipped it sets nothing', () => {
  expect(decode(shipped)).toEqual(decode(''));
});

test('its comments show every setting with the value that holds without it', () => {
  const { rs, ...rest } = decode('');
  expect(decode(uncommented)).toEqual({ ...rest, rs: { ...rs, unit: 'rlec_supervisor' } });
  const keys = [...uncommented.matchAll(/^( *)(\w+):/gm)].map(([, , key]) => key);
  expect(keys).toEqual(keysOf(decode(uncommented)));
});
