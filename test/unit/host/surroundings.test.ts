import { describe, expect, it } from 'vitest';
import { createFiles } from '../../../src/host/files.ts';
import { createSurroundings } from '../../../src/host/surroundings.ts';
import { execWithPrograms } from '../../support/programs.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const withPrograms = async (programs: Record<string, string>) =>
  createSurroundings(await execWithPrograms(programs), createFiles());

describe('the surroundings of a renumbering', () => {
  it('say how many bytes a directory has left, by the real df', async () => {
    const path = await temporaryDirectory();
    const bytes = await (await withPrograms({})).freeBytes(path);
    expect(Number.isSafeInteger(bytes)).toBe(true);
    await expect((await withPrograms({})).freeBytes(`${path}/none`)).rejects.toMatchObject({
      code: 'COMMAND_FAILED',
    });
  });

  it.each([
    ['yes', true],
    ['no', false],
  ])('take NTPSynchronized=%s for %s', async (said, is) => {
    expect(await (await withPrograms({ timedatectl: `echo ${said}` })).clockSynchronised()).toBe(is);
  });

  it('do not take another answer for a synchronised clock', async () => {
    const odd = await withPrograms({ timedatectl: 'echo' });
    await expect(odd.clockSynchronised()).rejects.toMatchObject({ code: 'OUTPUT_UNREADABLE' });
  });

  it('show the rules of nft, and no fewer because it failed', async () => {
    const nft = await withPrograms({ nft: 'echo "ip saddr 192.0.2.2 accept"' });
    expect(await nft.firewallRules()).toEqual([{ tool: 'nft', lines: ['ip saddr 192.0.2.2 accept', ''] }]);
    const failing = await withPrograms({ nft: 'echo "Operation not permitted" >&2; exit 1' });
    await expect(failing.firewallRules()).rejects.toMatchObject({ code: 'COMMAND_FAILED' });
  });
});
