import { mkdir, open, readdir, readlink, realpath, rm, symlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { errnoOf } from '../protocol/errors.ts';

/** A symbolic link among unit files, as `systemctl enable` makes them. */
export interface FoundLink {
  path: string;
  /** As it stands in the link. */
  target: string;
}

/** Where links that pull a unit in stand: `multi-user.target.wants`. */
const dependencyDirectory = /^(?<unit>.+)\.(wants|requires|upholds)$/;

/**
 * The links to a unit in directories of unit files: those with one of its names, and those to a file with one of its names, which is
 * what `systemctl disable` removes. At the top and in `.wants`, `.requires` and `.upholds`, by path. Directories that are one and
 * the same (/lib and /usr/lib) are looked at once; those that do not exist are skipped.
 */
export async function findLinks(
  directories: readonly string[],
  names: readonly string[],
): Promise<FoundLink[]> {
  const found: FoundLink[] = [];
  const look = async (directory: string, recurse: boolean): Promise<void> => {
    for (const entry of (await unlessMissing(readdir(directory, { withFileTypes: true }))) ?? []) {
      const path = join(directory, entry.name);
      if (entry.isDirectory() && recurse && dependencyDirectory.test(entry.name)) await look(path, false);
      if (!entry.isSymbolicLink()) continue;
      const target = await unlessMissing(readlink(path));
      if (target === undefined) continue;
      if (names.includes(entry.name) || names.includes(basename(target))) found.push({ path, target });
    }
  };
  const real = await Promise.all(directories.map((directory) => unlessMissing(realpath(directory))));
  for (const directory of new Set(real)) if (directory !== undefined) await look(directory, true);
  return found.toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

/** The unit in whose `.wants`, `.requires` or `.upholds` directory a link lies; undefined at the top. */
export function dependantOf({ path }: FoundLink): string | undefined {
  return dependencyDirectory.exec(basename(dirname(path)))?.groups?.['unit'];
}

/**
 * Makes the links be the wanted ones, but touches nothing that was there before: that is somebody else's.
 *
 * @param wanted by path and target
 * @param before what was there before `systemctl enable`
 * @param after  what is there since
 * @returns whether there was anything to do
 */
export async function adjustLinks(
  wanted: readonly FoundLink[],
  before: readonly FoundLink[],
  after: readonly FoundLink[],
): Promise<boolean> {
  const isIn = (links: readonly FoundLink[], link: FoundLink): boolean =>
    links.some(({ path, target }) => path === link.path && target === link.target);
  const surplus = after.filter((link) => !isIn(wanted, link) && !isIn(before, link));
  for (const { path } of surplus) await rm(path);
  const kept = after.filter((link) => !surplus.includes(link));
  const missing = wanted.filter(({ path }) => !kept.some((link) => link.path === path));
  for (const { path, target } of missing) {
    await mkdir(dirname(path), { recursive: true, mode: 0o755 });
    await symlink(target, path);
  }
  return surplus.length + missing.length > 0;
}

/**
 * Makes links durable that were made in these directories or removed from them: a link is on the disk when its directory has been
 * synced, and a directory when its parent has. The deepest first; one that is gone is skipped, as its parent tells.
 */
export async function syncDirectories(paths: Iterable<string>): Promise<void> {
  for (const path of [...new Set(paths)].toSorted((a, b) => b.length - a.length)) {
    const directory = await unlessMissing(open(path, 'r'));
    try {
      await directory?.sync();
    } finally {
      await directory?.close();
    }
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
