import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, watch, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createClock } from '../../src/host/clock.ts';
import { createExec } from '../../src/host/exec.ts';
import { createFileEditor } from '../../src/host/file-editor.ts';
import { attributesOf, furnish } from '../support/file-attributes.ts';
import { isRoot } from '../support/netns.ts';
import { execWithPrograms } from '../support/programs.ts';
import { full } from '../support/sampling.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const run = promisify(execFile);
const checkout = join(import.meta.dirname, '../..');
const node = join(checkout, 'node_modules/.bin/node');
const editForever = join(checkout, 'test/support/edit-forever.ts');

const kills = full ? 200 : 10;

async function furnished(): Promise<{ root: string; path: string }> {
  const root = await temporaryDirectory();
  await mkdir(`${root}/etc`);
  const path = `${root}/etc/hosts`;
  await writeFile(path, 'old');
  await furnish(path);
  return { root, path };
}

/** Resolves when so much has happened in a directory: each edit is a dozen events there, from the new file to its new name. */
async function untilEvents(directory: string, count: number): Promise<void> {
  let seen = 0;
  for await (const _ of watch(directory)) {
    seen += 1;
    if (seen >= count) return;
  }
}

describe.skipIf(!isRoot)('a file that is edited (needs root)', () => {
  it('keeps mode, owner, ACL, extended attributes and SELinux label', async () => {
    const { root, path } = await furnished();
    const before = await attributesOf(path);
    expect(before).toMatch(/^664 12 34 system_u:object_r:net_conf_t:s0$/m);
    expect(before).toMatch(/^user:daemon:r--$/m);
    expect(before).toMatch(/^trusted\.note="theirs"$/m);
    const editor = createFileEditor(createExec(), createClock(), `${root}/backups`);
    expect(await editor.replace(path, Buffer.from('old'), Buffer.from('new'))).toMatchObject({
      how: 'renamed',
    });
    expect(await readFile(path, 'utf8')).toBe('new');
    expect(await attributesOf(path)).toBe(before);
  });

  it(`holds the old content or the new one, whole, after a kill at any moment (${kills} kills)`, {
    timeout: 300_000,
  }, async () => {
    const { root, path } = await furnished();
    const attributes = await attributesOf(path);
    const contents = [Buffer.from('old'), Buffer.from('new'.repeat(5_000))];
    const editor = createFileEditor(createExec(), createClock(), `${root}/backups`);
    for (let round = 0; round < kills; round += 1) {
      // The first process of a process namespace: when it has ended, all the programs that it ran have.
      const command = ['--pid', '--fork', '--kill-child', node, editForever, path, `${root}/backups`];
      const child = spawn('unshare', command, { stdio: 'ignore' });
      onTestFinished(() => {
        child.kill('SIGKILL');
      });
      await untilEvents(`${root}/etc`, 1 + (round % 40));
      const first = await readFile(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8');
      expect(Number(first)).toBeGreaterThan(1);
      process.kill(Number(first), 'SIGKILL');
      await once(child, 'close');
      const now = await readFile(path);
      expect(contents.some((content) => content.equals(now))).toBe(true);
      expect(await attributesOf(path)).toBe(attributes);
      await editor.replace(path, now, Buffer.from('old'));
      expect(await readdir(`${root}/etc`)).toEqual(['hosts']);
      expect(await readdir(`${root}/backups`)).toHaveLength(1);
    }
  });

  it.each([
    [
      'cannot copy an attribute',
      { cp: 'echo "cp: setting attributes: Operation not supported" >&2; exit 1' },
      'COMMAND_FAILED',
    ],
    ['is not there', { cp: 'exit 127' }, 'COMMAND_FAILED'],
    ['leaves the label behind', { stat: 'echo net_conf_t; echo etc_t' }, 'FILE_NOT_EDITABLE'],
  ])('is as it was where cp %s', async (_, programs, code) => {
    const { root, path } = await furnished();
    const before = await attributesOf(path);
    const editor = createFileEditor(await execWithPrograms(programs), createClock(), `${root}/backups`);
    await expect(editor.replace(path, Buffer.from('old'), Buffer.from('new'))).rejects.toMatchObject({
      code,
    });
    expect(await readFile(path, 'utf8')).toBe('old');
    expect(await attributesOf(path)).toBe(before);
    expect((await run('ls', ['-A', `${root}/etc`])).stdout).toBe('hosts\n');
  });
});
