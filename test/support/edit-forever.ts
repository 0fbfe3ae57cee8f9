import { readFile } from 'node:fs/promises';
import { createClock } from '../../src/host/clock.ts';
import { createExec } from '../../src/host/exec.ts';
import { createFileEditor } from '../../src/host/file-editor.ts';

/** Replaces `old` by a long `new` in a file and back again, until it is killed. */
const [path = '', backups = ''] = process.argv.slice(2);
const editor = createFileEditor(createExec(), createClock(), backups);
const contents = [Buffer.from('old'), Buffer.from('new'.repeat(5_000))] as const;
for (;;) {
  const held = await readFile(path);
  await editor.replace(path, held, held.equals(contents[0]) ? contents[1] : contents[0]);
}
