import * as v from 'valibot';
import type { Files } from '../../host/ports/files.ts';
import type { Credentials } from '../../host/ports/rs-rest.ts';
import { parseYamlDocument } from '../../host/yaml.ts';
import { errnoOf, RlnetError } from '../../protocol/errors.ts';

const schema = v.strictObject({
  username: v.pipe(v.string(), v.minLength(1)),
  password: v.pipe(v.string(), v.minLength(1)),
});

/**
 * The user and password of RS from a file (`username:` and `password:`, YAML) that nobody else may read, or by asking on the terminal.
 * There is no third way: what stands on a command line is everybody's to read.
 * @param ask asks on the terminal; undefined where there is none
 * @throws RlnetError CREDENTIALS_MISSING, CREDENTIALS_EXPOSED, CREDENTIALS_INVALID; no message repeats anything of the file
 */
export async function readCredentials(
  files: Files,
  file: string | undefined,
  ask: ((question: string, hidden: boolean) => Promise<string>) | undefined,
): Promise<Credentials> {
  if (file !== undefined) return await fromFile(files, file);
  if (ask === undefined) {
    throw new RlnetError(
      'CREDENTIALS_MISSING',
      'There is no terminal to ask for the password of RS on.',
      'Give a file with --credentials; docs/bootstrap.md says what is in it.',
    );
  }
  const username = await ask('User of RS: ', false);
  const password = await ask('Password: ', true);
  if (username === '' || password === '') throw invalid('what was typed', 'user and password are wanted');
  return { username, password };
}

async function fromFile(files: Files, file: string): Promise<Credentials> {
  const mode = await files.mode(file).catch(() => undefined);
  if (mode !== undefined && (mode & 0o077) !== 0) {
    throw new RlnetError(
      'CREDENTIALS_EXPOSED',
      `${file} can be read by others than its owner (mode ${mode.toString(8)}).`,
      `chmod 600 ${file}, and think about whether the password has to be changed.`,
    );
  }
  let text: string;
  try {
    text = await files.read(file);
  } catch (thrown) {
    throw invalid(file, `it cannot be read (${errnoOf(thrown) ?? 'unexpected'})`);
  }
  let value: unknown;
  try {
    ({ value } = parseYamlDocument(text, file));
  } catch {
    // What the parser says can have a part of the text in it.
    throw invalid(file, 'it is not YAML');
  }
  const parsed = v.safeParse(schema, value);
  if (parsed.success) return parsed.output;
  throw invalid(file, 'it has to have username and password, both text, and nothing else');
}

function invalid(file: string, why: string): RlnetError {
  return new RlnetError(
    'CREDENTIALS_INVALID',
    `${file} has no credentials of RS: ${why}.`,
    'docs/bootstrap.md says what is in it.',
  );
}
