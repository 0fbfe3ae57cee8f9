import { describe, expect, it } from 'vitest';
import { createFiles } from '../../../src/host/files.ts';
import { createHostPower } from '../../../src/host/host-power.ts';
import { execWithPrograms } from '../../support/programs.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

// Real locks and a real reboot are in test/lab/unit.test.ts.

const unlocked = 'echo BlockInhibited=sleep';

async function powerWith(
  programs: Record<string, string>,
): Promise<{ reboot: () => Promise<void>; asked: () => Promise<string | undefined> }> {
  const state = await temporaryDirectory();
  const exec = await execWithPrograms({
    loginctl: unlocked,
    systemctl: `echo "$*" > ${state}/asked`,
    'systemd-inhibit':
      'echo "backup 0 root 551 tar shutdown:sleep running   now block"; echo "nm 0 root 5 nm sleep x delay"',
    ...programs,
  });
  return {
    reboot: () => createHostPower(exec).reboot('renumbering of node 3'),
    asked: () => createFiles().readIfExists(`${state}/asked`),
  };
}

describe('a reboot', () => {
  it('is asked for in order, never by force, with its reason', async () => {
    const { reboot, asked } = await powerWith({});
    await reboot();
    expect(await asked()).toBe('--no-ask-password --message=renumbering of node 3 reboot\n');
  });

  it('is not asked for against a lock, and the holder is named', async () => {
    const { reboot, asked } = await powerWith({ loginctl: 'echo BlockInhibited=idle:shutdown' });
    await expect(reboot()).rejects.toMatchObject({
      code: 'REBOOT_INHIBITED',
      message: expect.stringMatching(/shutdown: backup 0 root 551 tar shutdown:sleep running now block\.$/),
    });
    expect(await asked()).toBeUndefined();
  });

  it('is not asked for where nobody can say whether there is a lock', async () => {
    const { reboot } = await powerWith({ loginctl: 'echo "Connection timed out" >&2; exit 1' });
    await expect(reboot()).rejects.toMatchObject({ code: 'COMMAND_FAILED' });
  });

  it('is asked for on a host without logind, as locks are logind’s', async () => {
    const { reboot } = await powerWith({
      loginctl: 'exit 1',
      systemctl: 'case $* in is-active*) exit 3 ;; esac',
    });
    await expect(reboot()).resolves.toBeUndefined();
  });

  it('that systemd refuses is REBOOT_REFUSED with what it said', async () => {
    const { reboot } = await powerWith({ systemctl: 'echo "already in progress" >&2; exit 1' });
    await expect(reboot()).rejects.toMatchObject({
      code: 'REBOOT_REFUSED',
      message: expect.stringContaining('already in progress'),
    });
  });
});
