import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createClock } from '../../src/host/clock.ts';
import { createExec } from '../../src/host/exec.ts';
import { createFileEditor } from '../../src/host/file-editor.ts';
import { createFiles } from '../../src/host/files.ts';
import { createHostsFile } from '../../src/host/hosts-file.ts';
import { asRlnetError } from '../../src/protocol/errors.ts';

/**
 * Mends /etc/hosts for each of the texts in a file (JSON, Latin-1; null takes the file as it is), asks glibc, and mends it again. Run in a mount namespace that has an /etc/hosts
 * of its own; prints a list of `Mended`.
 */
export interface Mended {
  before: string;
  /** What the file held after the first and the second time, and what getent said in between. */
  after: string;
  twice: string;
  glibc: string;
  /** `renamed`, `in_place`, `nothing`, or the code of an error. */
  how: string;
}

const [textsFile = '', backups = ''] = process.argv.slice(2);
const path = '/etc/hosts';
const texts = JSON.parse(readFileSync(textsFile, 'utf8')) as (string | null)[];
const hostsFile = createHostsFile(
  createFiles(),
  createFileEditor(createExec(), createClock(), backups),
  path,
);
mkdirSync(backups, { recursive: true });

const read = (): string => readFileSync(path, 'latin1');
const mend = async (): Promise<string> => {
  try {
    return (await hostsFile.mend()).change?.how ?? 'nothing';
  } catch (thrown) {
    return asRlnetError(thrown).code;
  }
};
const ask = (): string => {
  try {
    return execFileSync('getent', ['-s', 'hosts:files', 'ahosts', 'localhost'], { encoding: 'utf8' });
  } catch {
    return '';
  }
};

const results: Mended[] = [];
for (const text of texts) {
  if (text !== null) writeFileSync(path, text, 'latin1');
  const before = read();
  const how = await mend();
  const after = read();
  const glibc = ask();
  await mend();
  results.push({ before, after, twice: read(), glibc, how });
}
rmSync(backups, { recursive: true });
process.stdout.write(JSON.stringify(results));
