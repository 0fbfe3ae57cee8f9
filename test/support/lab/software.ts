import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, stat, utimes } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { packDeb, packTarball, writeControl } from '../../../scripts/release.d/archives.ts';
import { releaseInputs } from '../../../scripts/release.d/inputs.ts';
import { layTree } from '../../../scripts/release.d/tree.ts';
import { RlnetError } from '../../../src/protocol/errors.ts';
import { run } from './run.ts';

/** The checkout that this lab belongs to, and whose software its hosts run. */
export const repository = join(import.meta.dirname, '../../..');

const cache = '/var/cache/rlnet-lab/software';
const script = join(import.meta.dirname, 'software.sh');

const installTimeoutMs = 5 * 60_000;

/**
 * The whole repository where the stand-in for Redis Enterprise runs from, read-only. As options of systemd-nspawn.
 */
export function standinBinds(): string[] {
  const bind = [repository, '/opt/redislabs/standin'].map((path) => path.replaceAll(':', '\\:')).join(':');
  return [`--bind-ro=${bind}`];
}

/**
 * Builds the package of a checkout, this one unless said, as a release does, but for its compression. Takes some seconds.
 * @param tarball where the tarball of a release goes; none is made unless said
 */
export async function buildPackage(
  target: string,
  { version, checkout = repository, tarball }: { version?: string; checkout?: string; tarball?: string } = {},
): Promise<void> {
  const work = await mkdtemp(`${target}.`);
  try {
    const tree = await layTree(checkout, join(work, 'rlnet'));
    writeControl(tree, { checkout, version: version ?? tree.version, epoch: 0 });
    await packDeb(tree, target, 0, 'none');
    if (tarball !== undefined) await packTarball(tree, tarball, 0, 'none');
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/**
 * The directory of what the package changes when it is installed on a root file system: a layer to be mounted over it.
 * Built once for each state of the checkout, and kept.
 *
 * @param building called before it is built, which takes some seconds
 * @throws RlnetError COMMAND_FAILED with the last lines of dpkg
 */
export async function softwareLayer(
  rootFs: string,
  building: () => void,
  signal?: AbortSignal,
): Promise<string> {
  const node = await realpath(join(repository, 'node_modules/.bin/node'));
  const { size, mtimeMs } = await stat(node);
  const runtime = `${size}-${Math.round(mtimeMs)}`;
  const hash = createHash('sha256');
  for (const part of [basename(rootFs), runtime, await readFile(script)]) hash.update(part).update('\0');
  for (const path of await sourceFiles()) {
    hash.update(path).update('\0');
    hash.update(await readFile(join(repository, path))).update('\0');
  }
  const target = join(cache, hash.digest('hex').slice(0, 16));
  if (existsSync(target)) {
    const now = new Date();
    await utimes(target, now, now);
    return target;
  }

  building();
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(join(cache, 'package-'));
  try {
    const deb = join(work, 'rlnet.deb');
    await buildPackage(deb);
    signal?.throwIfAborted();
    // In namespaces of its own that end with this process: an interrupted installation leaves no process and no mount.
    const argv = ['setpriv', '--pdeathsig', 'KILL', 'unshare', '--mount', '--pid', '--fork', '--kill-child'];
    const arguments_ = [target, rootFs, deb, join(cache, `node-${runtime}`)];
    const { exitCode, stderr } = await run([...argv, '--mount-proc', 'sh', script, ...arguments_], {
      timeoutMs: installTimeoutMs,
      ...(signal === undefined ? {} : { signal }),
    });
    if (exitCode !== 0) {
      const last = stderr.trim().split('\n').slice(-5).join('; ');
      throw new RlnetError(
        'COMMAND_FAILED',
        `The package could not be installed for the hosts: ${last}.`,
        'Correct what dpkg complains about.',
      );
    }
    return target;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function sourceFiles(): Promise<string[]> {
  const found = await Promise.all(
    releaseInputs.map(async (source) => {
      const path = join(repository, source);
      if (!(await stat(path)).isDirectory()) return [source];
      const entries = await readdir(path, { recursive: true, withFileTypes: true });
      return entries
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name).slice(repository.length + 1));
    }),
  );
  return found.flat().sort();
}
