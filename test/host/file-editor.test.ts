import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chown, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { createClock } from '../../src/host/clock.ts';
import { createExec } from '../../src/host/exec.ts';
import { createFileEditor } from '../../src/host/file-editor.ts';
import { isRoot } from '../support/netns.ts';
import { execWithPrograms } from '../support/programs.ts';
import { full } from '../support/sampling.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const run = promisify(execFile);
const checkout = join(import.meta.dirname, '../..');
const node = join(checkout, 'node_modules/.bin/node');
const editForever = join(checkout, 'test/support/edit-forever.ts');

const kills = full ? 200 : 25;

/** Everything of a file but its content: as stat, getfattr (ACL and SELinux label among them) and getfacl say it. */
async function attributesOf(path: string): Promise<string> {
  const parts = await Promise.all([
    run('stat', ['--format=%a %u %g %C', path]),
    run('getfattr', ['--absolute-names', '--dump', '--match=-', path]),
    run('getfacl', ['--absolute-names', path]),
  ]);
  return parts.map(({ stdout }) => stdout).join('\n');
}

async function furnished(): Promise<{ root: string; path: string }> {
  const root = await temporaryDirectory();
  await mkdir(`${root}/etc`);
  const path = `${root}/etc/hosts`;
  await writeFile(path, 'old');
  await chown(path, 12, 34);
  await run('setfacl', ['--modify=user:daemon:r,group:mail:rw,mask::rw', path]);
  for (const [name, value] of [
    ['user.note', 'ours'],
    ['trusted.note', 'theirs'],
    ['security.selinux', 'system_u:object_r:net_conf_t:s0'],
  ] as const)
    await run('setfattr', [`--name=${name}`, `--value=${value}`, path]);
  return { root, path };
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

  it(`holds the old content or the new one, whole, after a kill at any moment (${kills} kills)`, async () => {
    const { root, path } = await furnished();
    const attributes = await attributesOf(path);
    const contents = [Buffer.from('old'), Buffer.from('new'.repeat(5_000))];
    const editor = createFileEditor(createExec(), createClock(), `${root}/backups`);
    const seen = new Set<string>();
    for (let round = 0; round < kills; round += 1) {
      // In a process namespace, so that the programs that it runs are gone with it.
      const command = ['--pid', '--fork', '--kill-child', node, editForever, path, `${root}/backups`];
      const child = spawn('unshare', command, { stdio: ['ignore', 'pipe', 'inherit'] });
      await once(child.stdout, 'data');
      // Some edits later, anywhere in one of them.
      await new Promise((resolve) => setTimeout(resolve, (round * 7) % 40));
      child.kill('SIGKILL');
      await once(child, 'close');
      const now = await readFile(path);
      expect(contents.some((content) => content.equals(now))).toBe(true);
      expect(await attributesOf(path)).toBe(attributes);
      seen.add((await readdir(`${root}/etc`)).join());
      await editor.replace(path, now, Buffer.from('old'));
      expect(await readdir(`${root}/etc`)).toEqual(['hosts']);
      expect(await readdir(`${root}/backups`)).toHaveLength(1);
    }
    // Otherwise no kill came while an edit was under way.
    expect([...seen].some((names) => names.includes('.rlnet.tmp'))).toBe(true);
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
