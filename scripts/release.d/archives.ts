import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join, relative } from 'node:path';
import { readInput } from './inputs.ts';
import type { Tree } from './tree.ts';

/** Regular files below a folder, by path from there. */
export function filesOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort();
}

/**
 * Makes the tree one that dpkg-deb packs: adds its DEBIAN folder, with the maintainer scripts of the checkout, and dates all
 * that is in it.
 *
 * @param version as Debian compares versions
 * @param epoch   seconds
 */
export function writeControl(
  { folder, architecture }: Tree,
  { checkout, version, epoch }: { checkout: string; version: string; epoch: number },
): void {
  const files = filesOf(folder).filter((path) => !path.startsWith('DEBIAN/'));
  const kibibytes = files.reduce((sum, path) => sum + Math.ceil(statSync(join(folder, path)).size / 1024), 0);
  const control = join(folder, 'DEBIAN');
  mkdirSync(control, { recursive: true, mode: 0o755 });
  const put = (name: string, text: string, mode: number): void => {
    writeFileSync(join(control, name), text);
    chmodSync(join(control, name), mode);
  };
  put(
    'control',
    [
      'Package: rlnet',
      `Version: ${version}`,
      `Architecture: ${architecture}`,
      'Maintainer: the authors of rlnet <rlnet@invalid>',
      'Section: admin',
      'Priority: optional',
      // Node is built against these; `glibcFloor` proves the first.
      'Depends: libc6 (>= 2.28), libgcc-s1 | libgcc1, libstdc++6 (>= 8), iproute2, systemd',
      `Installed-Size: ${kibibytes}`,
      'Description: looks after the addresses of a Redis Enterprise Software cluster',
      ' An agent on every node knows every interface and address of its host, watches what Redis Enterprise',
      ' Software needs of them, and talks to the agents of the other nodes. It brings a Node.js of its own,',
      ' which nothing else uses.',
      '',
    ].join('\n'),
    0o644,
  );
  put('md5sums', files.map((path) => `${md5(join(folder, path))}  ${path}\n`).join(''), 0o644);
  for (const name of ['postinst', 'prerm', 'postrm'])
    put(name, readInput(checkout, `packaging/debian/${name}`), 0o755);

  date(folder, epoch);
}

/** Without compression for who installs it at once: xz takes a minute. */
export type Compression = 'xz' | 'none';

export async function packDeb(
  { folder }: Tree,
  target: string,
  epoch: number,
  compression: Compression,
): Promise<void> {
  await pack('dpkg-deb', ['--root-owner-group', `-Z${compression}`, '--build', folder, target], epoch);
}

/** A tarball to unpack at `/`. It has no folders, as those of the host have modes and owners of their own. */
export async function packTarball(
  { folder }: Tree,
  target: string,
  epoch: number,
  compression: Compression,
): Promise<void> {
  const files = filesOf(folder).filter((path) => !path.startsWith('DEBIAN/'));
  const dated = ['--format=gnu', '--owner=0', '--group=0', '--numeric-owner', `--mtime=@${epoch}`];
  // One thread, as more of them write other bytes.
  const compressed = compression === 'xz' ? ['--use-compress-program=xz -T1 -6'] : [];
  const how = [...compressed, `--directory=${folder}`, `--file=${target}`];
  await pack('tar', ['--create', ...dated, ...how, '--', ...files], epoch);
}

async function pack(command: string, args: readonly string[], epoch: number): Promise<void> {
  const child = spawn(command, args, {
    env: { ...process.env, SOURCE_DATE_EPOCH: String(epoch), LC_ALL: 'C' },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const [status] = (await once(child, 'close')) as [number | null];
  if (status !== 0) throw new Error(`${command} failed with status ${status}.`);
}

/** The newest version of glibc that a binary asks for, from the symbol versions that it needs. */
export function glibcFloor(binary: string): string {
  const printed = execFileSync('readelf', ['--version-info', '--wide', binary], { encoding: 'utf8' });
  const versions = [...printed.matchAll(/\bGLIBC_(\d+)\.(\d+)/g)].map(
    ([, major, minor]) => [Number(major), Number(minor)] as const,
  );
  const newest = versions.reduce((a, b) => (b[0] > a[0] || (b[0] === a[0] && b[1] > a[1]) ? b : a), [0, 0]);
  return newest.join('.');
}

/** One time for all that is below, folders too. */
function date(folder: string, epoch: number): void {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isDirectory()) chmodSync(path, 0o755);
    lutimesSync(path, epoch, epoch);
  }
  chmodSync(folder, 0o755);
  lutimesSync(folder, epoch, epoch);
}

function md5(path: string): string {
  return createHash('md5').update(readFileSync(path)).digest('hex');
}
