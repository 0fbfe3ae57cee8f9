import { chmod, writeFile } from 'node:fs/promises';
import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { readCredentials } from '../../../src/cli/bootstrap/credentials.ts';
import { askOnTerminal } from '../../../src/cli/prompt.ts';
import { createFiles } from '../../../src/host/files.ts';
import { RlnetError } from '../../../src/protocol/errors.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const files = createFiles();
const secret = 'Pa55word-planted';

async function fileWith(text: string, mode = 0o600): Promise<string> {
  const file = `${await temporaryDirectory()}/credentials.yaml`;
  await writeFile(file, text);
  await chmod(file, mode);
  return file;
}

test('credentials come from a file that its owner alone may read', async () => {
  const file = await fileWith(`username: admin@example.com\npassword: "${secret}: #"\n`);
  expect(await readCredentials(files, file, undefined)).toEqual({
    username: 'admin@example.com',
    password: `${secret}: #`,
  });
});

test.for([
  [`username: a\npassword: ${secret}\n`, 0o640, 'CREDENTIALS_EXPOSED'],
  [`username: a\npassword: ${secret}\n`, 0o604, 'CREDENTIALS_EXPOSED'],
  [`username: a\npasswort: ${secret}\n`, 0o600, 'CREDENTIALS_INVALID'],
  [`username: a\npassword: [${secret}]\n`, 0o600, 'CREDENTIALS_INVALID'],
  [`username: a\npassword: "${secret}\n`, 0o600, 'CREDENTIALS_INVALID'],
  [`username: a\n ${secret}: *${secret}\n`, 0o600, 'CREDENTIALS_INVALID'],
  [`${secret}\n`, 0o600, 'CREDENTIALS_INVALID'],
] as const)('a file %j of mode %d is refused without a word of what is in it', async ([text, mode, code]) => {
  const refused = await readCredentials(files, await fileWith(text, mode), undefined).catch(
    (thrown: unknown) => thrown,
  );
  if (!(refused instanceof RlnetError)) throw new Error(`not refused: ${JSON.stringify(refused)}`);
  expect(refused.code).toBe(code);
  expect(JSON.stringify([refused.report(), String(refused.cause)])).not.toContain(secret);
});

test('a file that is not there is refused, and so is nobody to ask', async () => {
  const refused = readCredentials(files, '/nonexistent/credentials', undefined);
  await expect(refused).rejects.toMatchObject({
    code: 'CREDENTIALS_INVALID',
    message: expect.stringContaining('ENOENT'),
  });
  await expect(readCredentials(files, undefined, undefined)).rejects.toMatchObject({
    code: 'CREDENTIALS_MISSING',
  });
});

test('a password that is typed is not shown', async () => {
  const input = new PassThrough();
  const output = new PassThrough();
  let shown = '';
  output.on('data', (chunk: Buffer) => {
    shown += chunk.toString();
  });
  const asked: [string, boolean][] = [];
  const credentials = readCredentials(files, undefined, async (question, hidden) => {
    asked.push([question, hidden]);
    const answer = askOnTerminal({ input, output }, question, hidden);
    input.write(hidden ? `${secret}\n` : 'admin\n');
    return await answer;
  });
  expect(await credentials).toEqual({ username: 'admin', password: secret });
  expect(asked).toEqual([
    ['User of RS: ', false],
    ['Password: ', true],
  ]);
  expect(shown).toBe('User of RS: Password: \n');
});
