import { execFile, execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Host } from './lab.ts';

const run = promisify(execFile);

/** Whether this machine has loop devices, which not every container has. */
export const hasLoopDevices = ((): boolean => {
  try {
    execFileSync('losetup', ['--find'], { stdio: 'pipe' });
    return true;
  } catch {
    return false;
  }
})();

export interface Disk extends AsyncDisposable {
  /** The symbolic links that are on it if the power goes now, `PATH -> TARGET`, sorted. */
  linksAfterPowerCut(): Promise<string[]>;
}

/**
 * Puts a disk of its own under a directory of a host, with what is in there. The disk of a lab's host is memory, and forgets nothing
 * when the power goes; this one is a file with ext4 on it, and what the kernel has not written to that file by then would be lost.
 */
export async function diskUnder(host: Host, directory: string): Promise<Disk> {
  const folder = await mkdtemp(join(tmpdir(), 'rlnet-disk-'));
  const image = `${folder}/image`;
  await run('truncate', ['--size=8M', image]);
  await run('mkfs.ext4', ['-q', image]);
  const device = (await run('losetup', ['--find', '--show', image])).stdout.trim();
  const [major = '', minor = ''] = (await run('stat', ['--format=%Hr %Lr', device])).stdout.trim().split(' ');
  const script = `
    mknod /dev/rlnet-disk b ${major} ${minor}
    mkdir -p /run/rlnet-disk
    # Nothing is written unasked meanwhile.
    mount -t ext4 -o commit=300 /dev/rlnet-disk /run/rlnet-disk
    rm /dev/rlnet-disk
    cp -a ${directory}/. /run/rlnet-disk/
    sync --file-system /run/rlnet-disk
    mount --bind /run/rlnet-disk ${directory}`;
  try {
    await host.execOk(['sh', '-euc', script]);
  } finally {
    // It goes when nobody has it mounted any more.
    await run('losetup', ['--detach', device]);
  }
  return {
    linksAfterPowerCut: async () => {
      const look =
        'cp "$1" "$1.cut"; mount -o loop "$1.cut" /mnt; cd /mnt; find . -type l -printf "%P -> %l\\n"';
      const { stdout } = await run('unshare', ['--mount', 'sh', '-euc', look, 'sh', image]);
      return stdout
        .split('\n')
        .filter((line) => line !== '')
        .toSorted();
    },
    [Symbol.asyncDispose]: async () => {
      await host.exec(['sh', '-c', `umount ${directory}; umount /run/rlnet-disk; systemctl daemon-reload`]);
      await rm(folder, { recursive: true });
    },
  };
}
