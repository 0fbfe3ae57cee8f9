import { constants, type FSWatcher, watch as watchPath } from 'node:fs';
import { chmod, mkdir, open, readdir, readFile, rename, rm, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join, sep } from 'node:path';
import { errnoOf } from '../protocol/errors.ts';
import type { Files } from './ports/files.ts';

/** The real file system. */
export function createFiles(): Files {
  return {
    read: (path) => readFile(path, 'utf8'),
    readIfExists: (path) => unlessMissing(readFile(path, 'utf8')),
    readBytes: (path) => readFile(path),
    writeAtomic,
    create: createFile,
    append,
    list: async (path) => (await unlessMissing(readdir(path))) ?? [],
    makeDirectory,
    remove: async (path) => {
      const removed = await unlessMissing(unlink(path).then(() => true));
      if (removed === true) await syncDirectory(dirname(path));
    },
    mode: async (path) => {
      const found = await unlessMissing(stat(path));
      return found === undefined ? undefined : found.mode & 0o7777;
    },
    watch,
  };
}

async function writeAtomic(path: string, content: string, mode: number): Promise<void> {
  const temporary = await writeTemporary(path, content, mode);
  try {
    await rename(temporary, path);
  } catch (thrown) {
    await rm(temporary, { force: true });
    throw thrown;
  }
  await syncDirectory(dirname(path));
}

/** Writes a new file beside `path`, under a name that nobody has. @returns its path */
async function writeTemporary(path: string, content: string, mode: number): Promise<string> {
  for (let attempt = 0; ; attempt++) {
    const temporary = join(dirname(path), `.${basename(path)}.${process.pid}-${attempt}.tmp`);
    try {
      await writeNew(temporary, content, mode);
      return temporary;
    } catch (thrown) {
      // Left behind by a crash, or in use by a write of the same file that is still under way.
      if (errnoOf(thrown) !== 'EEXIST') throw thrown;
    }
  }
}

async function createFile(path: string, content: string, mode: number): Promise<void> {
  await writeNew(path, content, mode);
  await syncDirectory(dirname(path));
}

/** Creates a file with O_EXCL and syncs it; a file that could not be written whole is taken away again. */
async function writeNew(path: string, content: string, mode: number): Promise<void> {
  const file = await open(path, 'wx', mode);
  try {
    // Explicitly, because open() takes the umask off.
    await file.chmod(mode);
    await file.writeFile(content, 'utf8');
    await file.sync();
  } catch (thrown) {
    await rm(path, { force: true });
    throw thrown;
  } finally {
    await file.close();
  }
}

async function append(path: string, text: string): Promise<void> {
  // Without O_CREAT: a new file is durable only with its directory entry, which is what `create` is for.
  const file = await open(path, constants.O_WRONLY | constants.O_APPEND);
  try {
    await file.writeFile(text, 'utf8');
    await file.sync();
  } finally {
    await file.close();
  }
}

async function makeDirectory(path: string, mode: number): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode });
  if (first === undefined) return;
  // A new directory is durable when its parent has been synced: from the deepest new one up to the first.
  for (let created = path; created.length >= first.length; created = dirname(created)) {
    // Explicitly, because mkdir() takes the umask off.
    await chmod(created, mode);
    await syncDirectory(dirname(created));
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

async function unlessMissing<T>(outcome: Promise<T>): Promise<T | undefined> {
  try {
    return await outcome;
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT') return undefined;
    throw thrown;
  }
}

/**
 * Watches inodes (inotify): the file's own, for writes, also those to a bind-mounted file, which its directory does not see;
 * and every directory on the way to it, filtered by name, for a file or directory that is replaced, removed or
 * created. After anything that may have changed an inode they are all set up anew, from the root down and before the
 * hint, so that nothing falls between.
 */
function watch(path: string, onHint: () => void): { close(): void } {
  let watchers: FSWatcher[] = [];

  const follow = (target: string, concerns: (name: string | null) => boolean): boolean => {
    try {
      const watcher = watchPath(target, (event, name) => {
        if (!concerns(name)) return;
        if (event === 'rename') arm();
        onHint();
      });
      watcher.on('error', () => onHint());
      watchers.push(watcher);
      return true;
    } catch {
      // Missing, not permitted, or no inotify watch left: then a hint may be missed, as the contract says.
      return false;
    }
  };

  const close = (): void => {
    for (const watcher of watchers) watcher.close();
    watchers = [];
  };

  const arm = (): void => {
    close();
    let target: string = sep;
    for (const next of path.split(sep).filter((part) => part !== '')) {
      if (!follow(target, (name) => name === null || name === next)) return;
      target = join(target, next);
    }
    follow(target, () => true);
  };

  arm();
  return { close };
}
