import { createExec } from '../../src/host/exec.ts';
import { requireBackup, runBackupScript, writeBackup } from '../../src/host/network-owner/backup.ts';
import { parseAddress } from '../../src/protocol/address.ts';

/*
 * One step of a change of two files in ROOT/etc, with its back-up in ROOT/var/lib/rlnet: `node backup-step.ts STEP ROOT`, STEP one of `back-up`,
 * `persist.sh` and `restore.sh`. It ends as soon as the step is done, and syncs nothing of its own.
 */

const [step, root = ''] = process.argv.slice(2);
const exec = createExec();
const directory = `${root}/var/lib/rlnet/backup`;
const at = (address: string) => ({ address: parseAddress(address), prefixLength: 24 });

if (step === 'back-up') {
  const change = { link: { name: 'eth0' }, from: at('192.0.2.1'), to: at('192.0.2.2') };
  const edits = ['routes', 'addresses'].map((name) => ({
    path: `${root}/etc/${name}`,
    before: Buffer.from(`${name} 192.0.2.1\n`),
    after: Buffer.from(`${name} 192.0.2.2\n`),
  }));
  await writeBackup(exec, directory, change, edits);
} else if (step === 'persist.sh' || step === 'restore.sh') {
  await requireBackup(directory);
  await runBackupScript(exec, directory, step);
} else {
  throw new Error(`no step ${step}`);
}
