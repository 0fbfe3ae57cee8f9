import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { createExec } from '../../src/host/exec.ts';
import { runBackupScript, writeBackup } from '../../src/host/network-owner/backup.ts';
import { parseAddress } from '../../src/protocol/address.ts';
import type { AddressChange } from '../../src/protocol/address-change.ts';
import { attributesOf, furnish } from '../support/file-attributes.ts';
import { isRoot } from '../support/netns.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const run = promisify(execFile);
const exec = createExec();
const at = (address: string) => ({ address: parseAddress(address), prefixLength: 24 });
const change: AddressChange = { link: { name: 'eth0' }, from: at('192.0.2.1'), to: at('192.0.2.2') };
const edit = { before: Buffer.from('192.0.2.1'), after: Buffer.from('192.0.2.2') };
const longAgo = 981_173_106;

interface Backed {
  path: string;
  backup: string;
}

/** A file of an owner with all that a file can have, and the back-up of a change of it. */
async function backedUp(): Promise<Backed> {
  const root = await temporaryDirectory();
  const [path, backup] = [join(root, 'etc/file'), join(root, 'backup')];
  await mkdir(join(root, 'etc'));
  await writeFile(path, edit.before);
  await furnish(path);
  await utimes(path, longAgo, longAgo);
  await writeBackup(exec, backup, change, [{ path, ...edit }]);
  return { path, backup };
}

describe.skipIf(!isRoot)('a file of an owner (needs root)', () => {
  it('keeps mode, owner, ACL, extended attributes and SELinux label, there and back', async () => {
    const { path, backup } = await backedUp();
    const before = await attributesOf(path);
    expect(before).toMatch(/^664 12 34 system_u:object_r:net_conf_t:s0$/m);
    await runBackupScript(exec, backup, 'persist.sh');
    expect(await readFile(path)).toEqual(edit.after);
    expect(await attributesOf(path)).toBe(before);
    await runBackupScript(exec, backup, 'restore.sh');
    expect(await readFile(path)).toEqual(edit.before);
    expect(await attributesOf(path)).toBe(before);
    expect((await stat(path)).mtimeMs).toBe(longAgo * 1000);
  });

  it('has them again from the back-up where it is gone', async () => {
    const { path, backup } = await backedUp();
    const before = await attributesOf(path);
    await runBackupScript(exec, backup, 'persist.sh');
    await rm(path);
    await runBackupScript(exec, backup, 'restore.sh');
    expect(await readFile(path)).toEqual(edit.before);
    expect(await attributesOf(path)).toBe(before);
  });

  it('has the mode and owner that it was backed up with, where somebody has given it others', async () => {
    const { path, backup } = await backedUp();
    const before = await attributesOf(path);
    await run('chown', ['99:99', path]);
    await run('chmod', ['604', path]);
    await runBackupScript(exec, backup, 'restore.sh');
    expect(await attributesOf(path)).toBe(before);
  });
});

/**
 * A disk that forgets, at a power loss, all that nobody has synced: ext4 is told to stop without its journal (EXT4_IOC_SHUTDOWN, Linux 4.11) and
 * mounted again. In a mount namespace, so that nothing is left of it.
 */
const forgetfulDisk = `
cd "$1"
truncate --size=32M image; mkfs.ext4 -q image; mkdir disk; mount -o loop,data=writeback,noauto_da_alloc image disk
lose_power() {
  perl -e 'open F, "<", "disk"; $f = pack("I", 2); ioctl(F, 0x8004587D, $f) or die $!'
  umount disk; mount -o loop,data=writeback,noauto_da_alloc image disk
}
mkdir -p disk/etc disk/var/lib
for name in routes addresses; do echo "$name 192.0.2.1" >disk/etc/$name; done
sync --file-system disk
echo >disk/etc/not-synced
lose_power
for step in back-up persist.sh restore.sh; do
  "$2" --disable-warning=ExperimentalWarning "$3" $step "$PWD/disk"
  lose_power
  echo "$step:" $(cat disk/etc/*)
done`;

describe.skipIf(!isRoot || !existsSync('/dev/loop-control'))(
  'a disk that loses its power (needs root and a loop device)',
  () => {
    it('has what a step has written, when the step says that it is done', async () => {
      const root = await temporaryDirectory();
      const node = join(import.meta.dirname, '../../node_modules/.bin/node');
      const step = join(import.meta.dirname, '../support/backup-step.ts');
      const { stdout } = await run('unshare', [
        '--mount',
        'sh',
        '-euc',
        forgetfulDisk,
        'sh',
        root,
        node,
        step,
      ]);
      expect(stdout.trim().split('\n')).toEqual([
        'back-up: addresses 192.0.2.1 routes 192.0.2.1',
        'persist.sh: addresses 192.0.2.2 routes 192.0.2.2',
        'restore.sh: addresses 192.0.2.1 routes 192.0.2.1',
      ]);
    });
  },
);
