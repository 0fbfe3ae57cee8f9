import { existsSync } from 'node:fs';
import { readdir, readFile, realpath } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import type { HostFile } from './owners.ts';

/** The checkout that this lab belongs to, and whose software its hosts run. */
export const repository = join(import.meta.dirname, '../../..');

/**
 * What of the checkout each host sees, read-only: the software with its runtime under /opt/rlnet, and the whole
 * repository where the stand-in for Redis Enterprise runs from. As options of systemd-nspawn.
 */
export async function softwareBinds(): Promise<string[]> {
  const pinned = join(repository, 'node_modules/.bin/node');
  const node = await realpath(existsSync(pinned) ? pinned : process.execPath);
  const binds = [
    [node, '/opt/rlnet/bin/node'],
    ...['src', 'node_modules', 'package.json'].map((part) => [join(repository, part), `/opt/rlnet/${part}`]),
    [repository, '/opt/redislabs/standin'],
  ];
  return binds.map((pair) => `--bind-ro=${pair.map((path) => path.replaceAll(':', '\\:')).join(':')}`);
}

/** Where a package puts the files of `systemd/`, by the end of their names. */
const systemdFolders: Record<string, string> = {
  service: '/usr/lib/systemd/system',
  socket: '/usr/lib/systemd/system',
  timer: '/usr/lib/systemd/system',
  path: '/usr/lib/systemd/system',
  sysusers: '/usr/lib/sysusers.d',
  tmpfiles: '/usr/lib/tmpfiles.d',
};

/** The files of the software as a package would install them: the command, and what `systemd/` holds. */
export async function softwareFiles(): Promise<HostFile[]> {
  const folder = join(repository, 'systemd');
  const shipped = (await readdir(folder)).flatMap((name) => {
    const kind = extname(name).slice(1);
    const target = systemdFolders[kind];
    const installed =
      kind === 'sysusers' || kind === 'tmpfiles' ? `${basename(name, `.${kind}`)}.conf` : name;
    return target === undefined ? [] : [{ name, path: `${target}/${installed}` }];
  });
  return [
    {
      path: '/usr/bin/rlnet',
      text: '#!/bin/sh\nexec /opt/rlnet/bin/node /opt/rlnet/src/cli/main.ts "$@"\n',
      mode: 0o755,
    },
    ...(await Promise.all(
      shipped.map(async ({ name, path }) => ({
        path,
        text: await readFile(join(folder, name), 'utf8'),
        mode: 0o644,
      })),
    )),
  ];
}

/** What else a package would do on installation: its group and its folders. Lines of sh, with the root in `$root`. */
export const softwareSetUp = [
  'chroot "$root" systemd-sysusers',
  'install -d -m 0755 "$root/etc/rlnet"',
  'install -d -m 0700 "$root/etc/rlnet/tls" "$root/var/lib/rlnet"',
];
