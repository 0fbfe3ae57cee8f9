import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { anyHostsText, hostsCases, insertionIn } from '../support/hosts-cases.ts';
import type { Mended } from '../support/mend-hosts.ts';
import { isRoot } from '../support/netns.ts';
import { full } from '../support/sampling.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const run = promisify(execFile);
const checkout = join(import.meta.dirname, '../..');
const node = join(checkout, 'node_modules/.bin/node');
const program = join(checkout, 'test/support/mend-hosts.ts');

const runs = full ? 2_000 : 60;

describe.skipIf(!isRoot)('/etc/hosts after it was mended (needs root)', () => {
  it(`maps ::1 to localhost for glibc, has no other line changed, and twice is once (${runs} files)`, {
    timeout: 600_000,
  }, async () => {
    const known = hostsCases.map(({ text }) => Buffer.from(text, 'utf8').toString('latin1'));
    const texts = [...known, ...fc.sample(anyHostsText, runs)];
    const results = await mendEach(texts, ownEtc);
    expect(results.map(({ before }) => before)).toEqual(texts);
    for (const result of results) expectMended(result, 'renamed');
    expect(results.filter(({ how }) => how === 'renamed').length).toBeGreaterThan(runs / 3);
  });

  it('is the same where it is bind-mounted, as in a container', async () => {
    const results = await mendEach(['127.0.0.1 localhost\n', '', '::1 a # b\n', '::1 localhost\n'], ownFile);
    for (const result of results) expectMended(result, 'in_place');
    expect(results.map(({ how }) => how)).toEqual(['in_place', 'in_place', 'in_place', 'nothing']);
  });

  it('is the same where it is bind-mounted and all around it is read-only', async () => {
    const results = await mendEach(['127.0.0.1 localhost\n'], `${ownFile} && mount -o remount,bind,ro /etc`);
    for (const result of results) expectMended(result, 'in_place');
  });

  it.each([
    ['it is mounted read-only', `${ownFile} && mount -o remount,bind,ro /etc/hosts`],
    ['its file system is read-only', `${ownEtc} && mount -o remount,bind,ro /etc`],
    [
      'its file system is full',
      `mount -t tmpfs -o size=8k none /etc && cp "$1/etc/hosts" /etc && head -c 4096 /dev/zero >/etc/full`,
    ],
    [
      'it is bind-mounted from a file system that is full, where a part of it can be written',
      `${ownEtc} && mkdir "$1/full" && mount -t tmpfs -o size=8k none "$1/full" && cp "$1/etc/hosts" "$1/full" &&
       head -c 4096 /dev/zero >"$1/full/full" && mount --bind "$1/full/hosts" /etc/hosts`,
    ],
    ['it is immutable', `${ownEtc} && chattr +i /etc/hosts && trap 'chattr -i /etc/hosts' EXIT`],
    ['it can only be appended to', `${ownEtc} && chattr +a /etc/hosts && trap 'chattr -a /etc/hosts' EXIT`],
  ])('is what it was before, with a code, where %s', async (_, mounts) => {
    // So long that the line to be added does not fit its page of memory any more.
    const held = `127.0.0.1 localhost\n${'#'.repeat(4096 - 25)}\n`;
    const [result] = await mendEach([null], mounts, held);
    expect(result).toMatchObject({ how: 'FILE_NOT_EDITABLE', before: held, after: held, twice: held });
  });
});

/** A directory of its own as /etc, with what getent looks at there. */
const ownEtc = 'cp /etc/nsswitch.conf /etc/host.conf "$1/etc" 2>/dev/null; mount --bind "$1/etc" /etc';
/** A file of its own as /etc/hosts. */
const ownFile = 'mount --bind /etc /etc && mount --bind "$1/etc/hosts" /etc/hosts';

async function mendEach(texts: readonly (string | null)[], mounts: string, held = ''): Promise<Mended[]> {
  const root = await temporaryDirectory();
  await writeFile(`${root}/texts.json`, JSON.stringify(texts));
  await mkdir(`${root}/etc`);
  await writeFile(`${root}/etc/hosts`, held, 'latin1');
  const script = `{ ${mounts}; } && "$2" "$3" "$1/texts.json" "$1/backups" && ! ls -A /etc | grep -F .rlnet.tmp`;
  const { stdout } = await run('unshare', ['--mount', 'sh', '-c', script, 'sh', root, node, program], {
    maxBuffer: 64 * 1024 * 1024,
  });
  return JSON.parse(stdout) as Mended[];
}

function expectMended({ before, after, twice, glibc, how }: Mended, written: string): void {
  expect({ before, glibc }).toEqual({ before, glibc: expect.stringMatching(/^::1 /m) });
  expect(twice).toBe(after);
  expect([written, 'nothing']).toContain(how);
  if (how === 'nothing') {
    expect(after).toBe(before);
    return;
  }
  expect(['::1localhost', 'localhost']).toContain(insertionIn(before, after));
}
