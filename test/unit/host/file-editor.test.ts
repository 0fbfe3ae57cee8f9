import { chmod, mkdir, readdir, readFile, readlink, stat, symlink, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createExec } from '../../../src/host/exec.ts';
import { createFileEditor } from '../../../src/host/file-editor.ts';
import type { FileEditor } from '../../../src/host/ports/file-editor.ts';
import { createManualClock, type ManualClock } from '../../support/manual-clock.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

interface Bench {
  root: string;
  /** What replaces `old` by `next` in the file at `path`. */
  edit: (path: string, old: string, next: string) => ReturnType<FileEditor['replace']>;
  backups: () => Promise<string[]>;
  clock: ManualClock;
}

async function bench(): Promise<Bench> {
  const root = await temporaryDirectory();
  const clock = createManualClock();
  const editor = createFileEditor(createExec(), clock, `${root}/state/backups`);
  await mkdir(`${root}/state`);
  return {
    root,
    clock,
    edit: (path, old, next) => editor.replace(path, Buffer.from(old), Buffer.from(next)),
    backups: async () => (await readdir(`${root}/state/backups`)).sort(),
  };
}

describe('a file that is edited', () => {
  it('holds the new content, longer or shorter, with its mode, and leaves nothing beside it', async () => {
    const { root, edit } = await bench();
    await mkdir(`${root}/etc`);
    const path = `${root}/etc/hosts`;
    await writeFile(path, 'old');
    await chmod(path, 0o613);
    expect(await edit(path, 'old', 'new and longer')).toMatchObject({ file: path, how: 'renamed' });
    expect(await readFile(path, 'utf8')).toBe('new and longer');
    await edit(path, 'new and longer', '');
    expect(await readFile(path, 'utf8')).toBe('');
    expect((await stat(path)).mode & 0o7777).toBe(0o613);
    expect(await readdir(`${root}/etc`)).toEqual(['hosts']);
  });

  it('stays behind its symbolic link', async () => {
    const { root, edit } = await bench();
    await mkdir(`${root}/real`);
    await writeFile(`${root}/real/hosts`, 'old');
    await symlink('real/hosts', `${root}/hosts`);
    expect(await edit(`${root}/hosts`, 'old', 'new')).toMatchObject({ file: `${root}/real/hosts` });
    expect(await readlink(`${root}/hosts`)).toBe('real/hosts');
    expect(await readFile(`${root}/real/hosts`, 'utf8')).toBe('new');
  });

  it('has one dated back-up of what it was before the last edit, and not one for each', async () => {
    const { root, edit, backups, clock } = await bench();
    const path = `${root}/hosts`;
    await writeFile(path, 'first');
    const { backup } = await edit(path, 'first', 'second');
    expect(await readFile(backup, 'utf8')).toBe('first');
    expect(await backups()).toEqual([expect.stringMatching(/-hosts\.\d{8}T\d{6}Z$/)]);

    await clock.pass(60_000);
    const later = await edit(path, 'second', 'first');
    expect(later.backup).not.toBe(backup);
    expect(await readFile(later.backup, 'utf8')).toBe('second');
    expect(await backups()).toHaveLength(1);

    await clock.pass(60_000);
    await writeFile(path, 'second');
    expect(await edit(path, 'second', 'third')).toMatchObject({ backup: later.backup });
    expect(await backups()).toHaveLength(1);
  });

  it('has one back-up also where a crash has left two, and the beginning of a third', async () => {
    const { root, edit, backups } = await bench();
    const path = `${root}/hosts`;
    await writeFile(path, 'first');
    const { backup } = await edit(path, 'first', 'second');
    await writeFile(backup.replace(/\d{8}T/, '20250101T'), 'older');
    await writeFile(`${root}/state/backups/unfinished`, 'half');
    await writeFile(path, 'first');
    expect(await edit(path, 'first', 'second')).toMatchObject({ backup });
    expect(await backups()).toEqual([basename(backup)]);
  });

  it('keeps back-ups of other files', async () => {
    const { root, edit, backups } = await bench();
    for (const name of ['hosts', 'hosts.allow', 'hosts.20260101T000000Z']) {
      await writeFile(`${root}/${name}`, name);
      await edit(`${root}/${name}`, name, 'new');
    }
    expect(await backups()).toHaveLength(3);
  });

  it('takes the place of what a crash has left behind', async () => {
    const { root, edit } = await bench();
    await writeFile(`${root}/hosts`, 'old');
    await writeFile(`${root}/.hosts.rlnet.tmp`, 'half', { mode: 0o400 });
    await mkdir(`${root}/state/backups`);
    await writeFile(`${root}/state/backups/unfinished`, 'half', { mode: 0o400 });
    await edit(`${root}/hosts`, 'old', 'new');
    expect(await readFile(`${root}/hosts`, 'utf8')).toBe('new');
    expect(await readdir(root)).toEqual(['hosts', 'state']);
    expect(await readdir(`${root}/state/backups`)).toHaveLength(1);
  });

  it('is left alone where it holds something else than was thought', async () => {
    const { root, edit } = await bench();
    await writeFile(`${root}/hosts`, 'theirs');
    await expect(edit(`${root}/hosts`, 'old', 'new')).rejects.toMatchObject({ code: 'FILE_CHANGED' });
    expect(await readFile(`${root}/hosts`, 'utf8')).toBe('theirs');
    expect(await readdir(root)).toEqual(['hosts', 'state']);
  });

  it.each([
    ['is a directory', (path: string) => mkdir(path)],
    ['does not exist', async () => {}],
    ['is a link that leads nowhere', (path: string) => symlink('nowhere', path)],
    ['is a link to itself', (path: string) => symlink('hosts', path)],
  ])('is refused where it %s', async (_, make) => {
    const { root, edit } = await bench();
    await make(`${root}/hosts`);
    await expect(edit(`${root}/hosts`, '', 'new')).rejects.toMatchObject({ code: 'FILE_NOT_EDITABLE' });
  });
});
