import { dirname, posix } from 'node:path';
import type { Files } from '../../../src/host/ports/files.ts';
import { errnoOf } from '../../../src/protocol/errors.ts';
import { type SimDisk, systemError } from './disk.ts';
import type { Point } from './points.ts';
import type { SimProcess } from './process.ts';

/** How long a call takes that the page cache answers, and one that waits for the disk. Milliseconds. */
const quick = { low: 0.02, high: 0.2 };
const synced = { low: 0.5, high: 8 };

/**
 * The twin of the real file system: the same steps, each of them one event, so that a crash can come between any two.
 * @param mount the disk that a path is on
 * @param point passes a crash point: resolves at once, or never
 */
export function createSimFiles(
  process: SimProcess,
  mount: (path: string) => SimDisk,
  point: (what: string, when: Point['when']) => Promise<void> = async () => {},
): Files {
  const call = <T>(what: string, path: string, action: () => T, time = quick): Promise<T> =>
    process.call(process.latency.between(time.low, time.high), `${what} ${path}`, action);

  const syncDirectory = (path: string): Promise<void> =>
    call('fsync', path, () => mount(path).syncDirectory(path), synced);

  /** As the real one: O_EXCL, whole and synced, or not there. */
  const writeNew = async (path: string, content: string, mode: number): Promise<void> => {
    const disk = mount(path);
    const file = await call('create', path, () => disk.create(path, mode));
    try {
      await call('write', path, () => disk.write(path, file, new TextEncoder().encode(content)));
      await call('fsync', path, () => disk.sync(path, file), synced);
    } catch (thrown) {
      await call('unlink', path, () => disk.unlink(path));
      throw thrown;
    }
  };

  const writeTemporary = async (path: string, content: string, mode: number): Promise<string> => {
    for (let attempt = 0; ; attempt++) {
      const temporary = posix.join(dirname(path), `.${posix.basename(path)}.${attempt}.tmp`);
      try {
        await writeNew(temporary, content, mode);
        return temporary;
      } catch (thrown) {
        if (errnoOf(thrown) !== 'EEXIST') throw thrown;
      }
    }
  };

  const read = (path: string): Promise<Uint8Array> =>
    call('read', path, () => mount(path).read(path).slice());

  const readText = async (path: string): Promise<string> => new TextDecoder().decode(await read(path));

  /** A change, with the crash points around it. */
  const changing = async (what: string, change: () => Promise<void>): Promise<void> => {
    await point(what, 'before');
    await change();
    await point(what, 'after');
  };

  return {
    read: readText,
    readIfExists: (path) => unlessMissing(readText(path)),
    readBytes: read,

    writeAtomic: (path, content, mode) =>
      changing(`write ${path}`, async () => {
        const temporary = await writeTemporary(path, content, mode);
        try {
          await call('rename', path, () => mount(path).rename(temporary, path));
        } catch (thrown) {
          await call('unlink', temporary, () => mount(path).unlink(temporary));
          throw thrown;
        }
        await point(`write ${path}`, 'written');
        await syncDirectory(dirname(path));
      }),

    create: (path, content, mode) =>
      changing(`create ${path}`, async () => {
        await writeNew(path, content, mode);
        await point(`create ${path}`, 'written');
        await syncDirectory(dirname(path));
      }),

    list: async (path) => (await unlessMissing(call('readdir', path, () => mount(path).list(path)))) ?? [],

    append: (path, text) =>
      changing(`append ${path}`, async () => {
        const disk = mount(path);
        const file = await call('append', path, () => {
          const found = disk.find(path);
          if (found.kind === 'directory') throw systemError('EISDIR', path);
          disk.append(path, found, new TextEncoder().encode(text));
          return found;
        });
        await point(`append ${path}`, 'written');
        await call('fdatasync', path, () => disk.sync(path, file), synced);
      }),

    makeDirectory: (path, mode) =>
      changing(`mkdir ${path}`, async () => {
        const disk = mount(path);
        const parts = path.split('/').filter((part) => part !== '');
        for (const [index] of parts.entries()) {
          const each = `/${parts.slice(0, index + 1).join('/')}`;
          if (disk.exists(each)) continue;
          await call('mkdir', each, () => {
            if (!disk.exists(each)) disk.makeDirectory(each, mode);
          });
          await syncDirectory(dirname(each));
        }
      }),

    remove: (path) =>
      changing(`remove ${path}`, async () => {
        const removed = call('unlink', path, () => {
          mount(path).unlink(path);
          return true;
        });
        if ((await unlessMissing(removed)) === true) await syncDirectory(dirname(path));
      }),

    mode: (path) => unlessMissing(call('stat', path, () => mount(path).find(path).mode)),

    watch(path, onHint) {
      let hinted = false;
      let closed = false;
      const watching = mount(path).watch((changed) => {
        const concerns = changed === path || path.startsWith(`${changed}/`);
        if (!concerns || hinted || closed) return;
        hinted = true;
        process.io(process.latency.between(quick.low, quick.high), `inotify ${path}`, () => {
          hinted = false;
          if (!closed) onHint();
        });
      });
      const close = (): void => {
        closed = true;
        watching.close();
      };
      process.onExit(close);
      return { close };
    },
  };
}

async function unlessMissing<T>(outcome: Promise<T>): Promise<T | undefined> {
  try {
    return await outcome;
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT') return undefined;
    throw thrown;
  }
}
