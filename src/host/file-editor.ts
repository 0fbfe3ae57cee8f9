import type { Stats } from 'node:fs';
import {
  type FileHandle,
  mkdir,
  open,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  stat,
} from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { errnoOf, RlnetError } from '../protocol/errors.ts';
import type { Clock } from './ports/clock.ts';
import { commandFailed, type Exec } from './ports/exec.ts';
import type { FileEditor, Replaced } from './ports/file-editor.ts';

/** Milliseconds. It takes a few; a network file system may take its time. */
const attributesTimeoutMs = 10_000;

/**
 * With these a file cannot be replaced by another one but may still be written: it is a mount point (EBUSY, EXDEV), or its directory takes no
 * new file (a read-only or immutable one, with the file itself mounted over).
 */
const inPlaceErrors: ReadonlySet<string | undefined> = new Set([
  'EBUSY',
  'EXDEV',
  'EROFS',
  'EACCES',
  'EPERM',
]);

/**
 * @param exec    with root's capabilities: attributes of a file that it may not see are lost (`trusted.*`, capabilities(7))
 * @param backups the directory for back-ups; made when it is needed first
 */
export function createFileEditor(exec: Pick<Exec, 'run'>, clock: Clock, backups: string): FileEditor {
  return {
    async replace(path, expected, content) {
      try {
        const file = await realpath(path);
        const about = await stat(file);
        if (!about.isFile()) throw notEditable(file, 'it is no regular file; it is as it was');
        await expectContent(file, expected);
        const backup = await keepBackup(backups, file, about, expected, clock.wall());
        const how = await swap(exec, file, expected, content, backup);
        await expectContent(file, content);
        return { file, backup, how };
      } catch (thrown) {
        const errno = errnoOf(thrown);
        if (thrown instanceof RlnetError || errno === undefined) throw thrown;
        throw notEditable(path, errno, thrown);
      }
    },
  };
}

async function swap(
  exec: Pick<Exec, 'run'>,
  file: string,
  expected: Uint8Array,
  content: Uint8Array,
  backup: string,
): Promise<Replaced['how']> {
  try {
    await writeAndRename(exec, file, expected, content);
    return 'renamed';
  } catch (thrown) {
    if (!inPlaceErrors.has(errnoOf(thrown))) throw thrown;
  }
  await writeInPlace(file, expected, content, backup);
  return 'in_place';
}

async function writeAndRename(
  exec: Pick<Exec, 'run'>,
  file: string,
  expected: Uint8Array,
  content: Uint8Array,
): Promise<void> {
  const temporary = join(dirname(file), `.${basename(file)}.rlnet.tmp`);
  // One that is there already was left behind by a crash: this host has one agent, and it does one edit at a time.
  await rm(temporary, { force: true });
  const handle = await open(temporary, 'wx', 0o600);
  try {
    await copyAttributes(exec, file, temporary);
    await overwrite(handle, content);
    await expectContent(file, expected);
    await rename(temporary, file);
  } catch (thrown) {
    await rm(temporary, { force: true });
    throw thrown;
  } finally {
    await handle.close();
  }
  await syncDirectory(dirname(file));
}

/**
 * Gives a file the mode, owner, times, ACL, extended attributes and SELinux label of another one. GNU cp is the one tool on every host that does
 * all of it. It takes a label that it cannot copy lightly, so that is compared: where there is none, `stat` prints `?`.
 */
async function copyAttributes(exec: Pick<Exec, 'run'>, from: string, to: string): Promise<void> {
  const copy = ['--attributes-only', '--preserve=all,xattr', '--no-target-directory', '--', from, to];
  const copied = await exec.run('cp', copy, { timeoutMs: attributesTimeoutMs });
  if (copied.exitCode !== 0) {
    const remedy = 'Run it by hand to see what it cannot copy; the file is as it was.';
    throw commandFailed(`cp ${copy.join(' ')}`, copied, remedy);
  }
  const { stdout } = await exec.run('stat', ['--format=%C', '--', from, to], {
    timeoutMs: attributesTimeoutMs,
  });
  const [label, given] = stdout.split('\n');
  if (label === undefined || label !== given)
    throw notEditable(
      from,
      `a new file beside it has the SELinux label ${given}, and not ${label}; it is as it was`,
    );
}

async function writeInPlace(
  file: string,
  expected: Uint8Array,
  content: Uint8Array,
  backup: string,
): Promise<void> {
  const handle = await open(file, 'r+');
  try {
    if (!(await handle.readFile()).equals(expected)) throw changed(file);
    try {
      await overwrite(handle, content);
    } catch (thrown) {
      // The old content has room there: it had it a moment ago.
      await overwrite(handle, expected).catch((cause: unknown) => {
        throw new RlnetError(
          'FILE_NOT_EDITABLE',
          `${file} could be written only in part (${errnoOf(thrown)}), and not be put back (${errnoOf(cause)}).`,
          `Copy ${backup} over it.`,
          { cause },
        );
      });
      throw thrown;
    }
  } finally {
    await handle.close();
  }
}

/** Durable when it resolves. */
async function overwrite(handle: FileHandle, content: Uint8Array): Promise<void> {
  let written = 0;
  while (written < content.length) {
    written += (await handle.write(content, written, content.length - written, written)).bytesWritten;
  }
  await handle.truncate(content.length);
  await handle.sync();
}

/** @returns the path of the one back-up of the file, which holds `content` */
async function keepBackup(
  directory: string,
  file: string,
  { mode, uid, gid }: Stats,
  content: Uint8Array,
  now: number,
): Promise<string> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await syncDirectory(dirname(directory));
  const prefix = `${file.slice(1).replaceAll('/', '-')}.`;
  const names = (await readdir(directory)).filter(
    (name) => name.startsWith(prefix) && /^\d{8}T\d{6}Z$/.test(name.slice(prefix.length)),
  );
  // Under this name until it is whole, so that a crash leaves nothing that looks like a back-up.
  const unfinished = join(directory, 'unfinished');
  await rm(unfinished, { force: true });
  let kept: string | undefined;
  for (const name of names) if ((await readFile(join(directory, name))).equals(content)) kept = name;
  if (kept === undefined) {
    kept = `${prefix}${new Date(now).toISOString().replaceAll(/[-:]|\.\d+/g, '')}`;
    const handle = await open(unfinished, 'wx', 0o600);
    try {
      await handle.chown(uid, gid);
      await handle.chmod(mode & 0o7777);
      await overwrite(handle, content);
    } finally {
      await handle.close();
    }
    await rename(unfinished, join(directory, kept));
  }
  await syncDirectory(directory);
  // Several only where a crash came between the last line and this one.
  for (const name of names) if (name !== kept) await rm(join(directory, name));
  return join(directory, kept);
}

async function expectContent(file: string, expected: Uint8Array): Promise<void> {
  if (!(await readFile(file)).equals(expected)) throw changed(file);
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

function changed(file: string): RlnetError {
  return new RlnetError(
    'FILE_CHANGED',
    `${file} was changed by somebody else meanwhile.`,
    'Find out who edits it, and try again.',
  );
}

function notEditable(file: string, why: string, cause?: unknown): RlnetError {
  return new RlnetError(
    'FILE_NOT_EDITABLE',
    `${file} cannot be edited: ${reasons[why] ?? why}.`,
    remedies[why] ?? 'Edit it by hand.',
    { cause },
  );
}

const reasons: Readonly<Record<string, string>> = {
  EROFS: 'its file system is read-only, or it is where rlnet.service may not write (EROFS); it is as it was',
  EPERM: 'it is immutable or append-only (EPERM); it is as it was',
  EACCES: 'rlnet may not write it (EACCES); it is as it was',
  ENOSPC: 'there is no space left on its file system or that of the back-up (ENOSPC); it is as it was',
  ENOENT: 'it, or what it is a symbolic link to, does not exist (ENOENT); it is as it was',
};

const remedies: Readonly<Record<string, string>> = {
  EROFS:
    'Edit it where this host is built, or mount the file system read-write (mount -o remount,rw); outside of /etc, name its place as ReadWritePaths= in a drop-in of rlnet.service.',
  EPERM: 'See lsattr for who made it so and why; chattr -i -a takes it off.',
  EACCES: 'See the audit log (ausearch -m avc) and the sandbox of rlnet.service for what keeps rlnet out.',
  ENOSPC: 'Make room (df), and try again.',
  ENOENT: 'See where the link leads (readlink -f), and put a file there.',
};
