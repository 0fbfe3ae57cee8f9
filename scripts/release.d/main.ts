import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { filesOf, glibcFloor, packDeb, packTarball, writeControl } from './archives.ts';
import { layTree } from './tree.ts';

/** The oldest glibc that a release runs with: docs/install.md promises it. */
const promisedGlibc = '2.28';

const checkout = join(import.meta.dirname, '../..');
const dist = join(checkout, 'dist');

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(2).padStart(6)} MB`;
}

function git(...words: string[]): string {
  return execFileSync('git', words, { cwd: checkout, encoding: 'utf8' }).trim();
}

/** The time of the commit, for all that is in a release; SOURCE_DATE_EPOCH where there is no git. */
function sourceDate(): number {
  const given = process.env['SOURCE_DATE_EPOCH'];
  return Number(given ?? git('log', '-1', '--format=%ct'));
}

const epoch = sourceDate();
mkdirSync(dist, { recursive: true });
const work = mkdtempSync(join(dist, 'work-'));
try {
  const tree = await layTree(checkout, join(work, 'rlnet'));
  const node = join(tree.folder, 'opt/rlnet/bin/node');
  const floor = glibcFloor(node);
  if (floor !== promisedGlibc)
    throw new Error(`Node needs glibc ${floor}, and docs/install.md promises ${promisedGlibc}.`);

  // Debian sorts what follows ~ before the version itself, as a pre-release is meant.
  const version = tree.version.replace('-', '~');
  const archives = [
    join(dist, `rlnet_${version}_${tree.architecture}.deb`),
    join(dist, `rlnet-${tree.version}-linux-${tree.architecture}.tar.xz`),
  ] as const;
  const [deb, tarball] = archives;
  writeControl(tree, { checkout, version, epoch });
  await Promise.all([packDeb(tree, deb, epoch, 'xz'), packTarball(tree, tarball, epoch, 'xz')]);

  const sizeOf = (path: string): number => statSync(join(tree.folder, path)).size;
  const sum = (paths: readonly string[]): number => paths.reduce((total, path) => total + sizeOf(path), 0);
  const installed = filesOf(tree.folder).filter((path) => !path.startsWith('DEBIAN/'));
  const code = installed.filter((path) => path.startsWith('opt/rlnet/lib/'));
  const { ownBytes, packages } = tree.bundle;
  console.log(`installed ${megabytes(sum(installed))}`);
  console.log(`  node    ${megabytes(sizeOf('opt/rlnet/bin/node'))}  glibc ${floor} or newer`);
  console.log(`  bundle  ${megabytes(sum(code))}  of it ${megabytes(ownBytes).trim()} of its own, and`);
  const large = packages.filter(({ bytes }) => bytes >= 50_000).toSorted((a, b) => b.bytes - a.bytes);
  for (const { bytes, name, version: its, licence } of large)
    console.log(`          ${megabytes(bytes)}  ${name} ${its}, ${licence}`);
  const small = packages.filter((one) => !large.includes(one));
  const smallBytes = small.reduce((total, { bytes }) => total + bytes, 0);
  console.log(
    `          ${megabytes(smallBytes)}  ${small.length} smaller packages; all are in sbom.cdx.json`,
  );
  const other = installed.filter((path) => !code.includes(path) && path !== 'opt/rlnet/bin/node');
  console.log(`  other   ${megabytes(sum(other))}  ${other.length} files: units, licences, manual page`);
  for (const path of archives) {
    const hash = createHash('sha256').update(readFileSync(path)).digest('hex');
    console.log(`${megabytes(statSync(path).size)}  ${hash}  dist/${basename(path)}`);
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
