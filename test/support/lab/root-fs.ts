import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RlnetError } from '../../../src/protocol/errors.ts';
import { run } from './run.ts';

const cache = '/var/cache/rlnet-lab';
const script = join(import.meta.dirname, 'root-fs.sh');

/** What a host has installed. All four owners are there; each host enables the one it was given. */
const packages = [
  'systemd',
  'systemd-sysv',
  'dbus',
  'network-manager',
  'netplan.io',
  'ifupdown',
  'iproute2',
  'iputils-ping',
  'iputils-arping',
  'nftables',
  'procps',
  'curl',
  'openssl',
  'tcpdump',
  'less',
  'vim-tiny',
];

/** A cold build takes about 40 s on two cores; a slow mirror is given its time. */
const buildTimeoutMs = 15 * 60_000;

/**
 * The directory of the hosts' shared root file system, built on first use and kept under a name that tells what it
 * was built from. Builders at the same time wait for the one that came first.
 *
 * @param building called before a build, which takes a while
 * @throws RlnetError COMMAND_FAILED with the last lines of the build
 */
export async function rootFileSystem(building: () => void, signal?: AbortSignal): Promise<string> {
  const basis = [await readFile(script), await readFile('/etc/os-release'), packages.join()];
  const hash = createHash('sha256');
  for (const part of basis) hash.update(part);
  const target = join(cache, hash.digest('hex').slice(0, 16));
  if (existsSync(target)) return target;

  building();
  await mkdir(cache, { recursive: true });
  // In namespaces of its own that end with this process: an interrupted build leaves no process and no mount.
  const argv = ['setpriv', '--pdeathsig', 'KILL', 'unshare', '--mount', '--pid', '--fork', '--kill-child'];
  const { exitCode, stderr } = await run(
    [...argv, '--mount-proc', 'sh', script, target, packages.join(',')],
    { timeoutMs: buildTimeoutMs, ...(signal === undefined ? {} : { signal }) },
  );
  if (exitCode !== 0) {
    const last = stderr.trim().split('\n').slice(-5).join('; ');
    throw new RlnetError(
      'COMMAND_FAILED',
      `The root file system of the hosts could not be built: ${last}.`,
      'Check that apt-get update works on this machine, then try again.',
    );
  }
  return target;
}
