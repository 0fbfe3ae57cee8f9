import { mkdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { createClock } from '../../../src/host/clock.ts';
import { createExec } from '../../../src/host/exec.ts';
import { createFileEditor } from '../../../src/host/file-editor.ts';
import { createFiles } from '../../../src/host/files.ts';
import { createHostsFile } from '../../../src/host/hosts-file.ts';
import { judgeHosts } from '../../../src/host/hosts-syntax.ts';
import type { HostsFile } from '../../../src/host/ports/hosts-file.ts';
import { hostsCases } from '../../support/hosts-cases.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

describe('judgeHosts', () => {
  it.each(hostsCases)('takes $what for $verdict', ({ text, verdict }) => {
    expect(judgeHosts(text).localhostIpv6).toBe(verdict);
  });

  it('finds exactly the lines that were put there', () => {
    fc.assert(
      fc.property(fc.array(anyLine, { maxLength: 12 }), (lines) => {
        const text = lines.map((line) => `${line.text}\n`).join('');
        const verdict = lines.some(({ says }) => says) ? 'present' : 'missing';
        expect(judgeHosts(text).localhostIpv6).toBe(verdict);
      }),
    );
  });

  it('does not trust an indented last line without a newline, whose last name glibc misreads', () => {
    expect(judgeHosts('127.0.0.1 localhost\n  ::1 localhost')).toEqual({
      localhostIpv6: 'missing',
      evidence: expect.stringMatching(/^line 2: ::1 localhostst \(.*no newline\); line 1/),
    });
    expect(judgeHosts('  ::1 localhost\n').localhostIpv6).toBe('present');
    expect(judgeHosts('  ::1 localhost ip6').localhostIpv6).toBe('present');
  });

  it('shows the line that says so', () => {
    expect(judgeHosts('127.0.0.1 localhost\n\n ::1\tip6-localhost  localhost # both\n')).toEqual({
      localhostIpv6: 'present',
      evidence: 'line 3: ::1 ip6-localhost localhost',
    });
  });

  it('shows what stands in its place', () => {
    expect(judgeHosts('127.0.0.1 localhost\n::1 ip6-localhost\n').evidence).toBe(
      'line 2: ::1 ip6-localhost; line 1: 127.0.0.1 localhost',
    );
    expect(judgeHosts('192.0.2.1 node1\n').evidence).toBe('no line for ::1, and none for localhost');
  });
});

describe('the hosts file', () => {
  it('that does not exist is missing the line, and says why', async () => {
    const path = `${await temporaryDirectory()}/hosts`;
    expect(await hostsFileIn(path).judge()).toEqual({
      localhostIpv6: 'missing',
      evidence: `${path} does not exist`,
    });
  });

  it('that cannot be read is unknown, and says why', async () => {
    const path = `${await temporaryDirectory()}/hosts`;
    await mkdir(path);
    expect(await hostsFileIn(path).judge()).toEqual({
      localhostIpv6: 'unknown',
      evidence: `${path} cannot be read (EISDIR)`,
    });
  });

  it('is judged anew after each hint', async () => {
    const path = `${await temporaryDirectory()}/hosts`;
    await writeFile(path, '::1 localhost\n');
    const hostsFile = hostsFileIn(path);
    expect((await hostsFile.judge()).localhostIpv6).toBe('present');
    const onHint = vi.fn();
    const watching = hostsFile.watch(onHint);
    await writeFile(path, '127.0.0.1 localhost\n');
    await vi.waitFor(() => expect(onHint).toHaveBeenCalled(), { timeout: 5000 });
    expect((await hostsFile.judge()).localhostIpv6).toBe('missing');
    watching.close();
  });

  it('is mended once: the line, the back-up and what is said of it are there, and twice is once', async () => {
    const path = `${await temporaryDirectory()}/hosts`;
    await writeFile(path, '127.0.0.1 localhost\n::1\tip6-localhost # IPv6\n', { mode: 0o640 });
    const hostsFile = hostsFileIn(path);
    const { change, note } = await hostsFile.mend();
    expect(note).toBeUndefined();
    expect(change).toEqual({
      file: path,
      how: 'renamed',
      line: 2,
      before: '::1\tip6-localhost # IPv6',
      after: '::1\tip6-localhost\tlocalhost # IPv6',
      backup: expect.stringMatching(/-hosts\.\d{8}T\d{6}Z$/),
    });
    expect(await readFile(path, 'utf8')).toBe('127.0.0.1 localhost\n::1\tip6-localhost\tlocalhost # IPv6\n');
    expect(await readFile(change?.backup ?? '', 'utf8')).toBe(
      '127.0.0.1 localhost\n::1\tip6-localhost # IPv6\n',
    );
    const { ino } = await stat(path);
    expect(await hostsFile.mend()).toEqual({});
    expect((await stat(path)).ino).toBe(ino);
  });

  it('is mended once when it is asked for twice at a time', async () => {
    const path = `${await temporaryDirectory()}/hosts`;
    await writeFile(path, '127.0.0.1 localhost\n');
    const hostsFile = hostsFileIn(path);
    const [first, second] = await Promise.all([hostsFile.mend(), hostsFile.mend()]);
    expect(first.change).toMatchObject({ line: 2, after: '::1 localhost' });
    expect(second.change).toBeUndefined();
  });

  it('is made where there is none', async () => {
    const path = `${await temporaryDirectory()}/hosts`;
    expect(await hostsFileIn(path).mend()).toEqual({
      change: { file: path, how: 'created', line: 1, after: '::1 localhost' },
    });
    expect(await readFile(path, 'utf8')).toBe('::1 localhost\n');
    expect((await stat(path)).mode & 0o777).toBe(0o644);
  });

  it('is not mended where it is a directory, or a link that leads nowhere', async () => {
    const path = `${await temporaryDirectory()}/hosts`;
    await mkdir(path);
    await expect(hostsFileIn(path).mend()).rejects.toMatchObject({ code: 'FILE_NOT_EDITABLE' });
    const link = `${await temporaryDirectory()}/hosts`;
    await symlink('nowhere', link);
    await expect(hostsFileIn(link).mend()).rejects.toMatchObject({ code: 'FILE_NOT_EDITABLE' });
  });

  it('comes with a note where cloud-init will write it anew', async () => {
    const directory = await temporaryDirectory();
    await mkdir(`${directory}/cloud/cloud.cfg.d`, { recursive: true });
    await writeFile(`${directory}/cloud/cloud.cfg`, 'manage_etc_hosts: false\n');
    await writeFile(`${directory}/cloud/cloud.cfg.d/90_hosts.cfg`, 'manage_etc_hosts: true\n');
    await writeFile(`${directory}/hosts`, '127.0.0.1 localhost\n');
    const hostsFile = hostsFileIn(`${directory}/hosts`, `${directory}/cloud`);
    const { change, note } = await hostsFile.mend();
    expect(change).toBeDefined();
    expect(note?.evidence).toContain(`manage_etc_hosts: true in ${directory}/cloud/cloud.cfg.d/90_hosts.cfg`);
    expect((await hostsFile.mend()).note).toEqual(note);
  });
});

/** The real one, with its back-ups beside it. */
function hostsFileIn(path: string, cloud = `${dirname(path)}/none`): HostsFile {
  const editor = createFileEditor(createExec(), createClock(), `${dirname(path)}/backups`);
  return createHostsFile(createFiles(), editor, path, cloud);
}

const blank = fc.stringMatching(/^[ \t]{1,3}$/);
const otherName = fc.constantFrom(
  'node1',
  'ip6-localhost',
  'localhost.localdomain',
  'localhost6',
  'LOCAL',
  'host',
);
const theName = fc.constantFrom('localhost', 'LOCALHOST', 'LocalHost');
const theAddress = fc.constantFrom('::1', '0:0:0:0:0:0:0:1', '0::1', '0000::0001');
const otherAddress = fc.constantFrom('127.0.0.1', 'fe80::1', '::', '::2', '1::', 'localhost', 'x');

/** A line, and whether it maps ::1 to localhost: known because it was built so, not because it was parsed. */
const anyLine = fc
  .record({
    isLoopback: fc.boolean(),
    isLocalhost: fc.boolean(),
    theAddress,
    otherAddress,
    theName,
    before: fc.array(otherName, { maxLength: 3 }),
    after: fc.array(otherName, { maxLength: 3 }),
    blank,
    indent: fc.constantFrom('', ' ', '\t'),
    end: fc.constantFrom('', ' ', '\r', '# localhost', ' #::1 localhost', '\t'),
    commented: fc.boolean(),
  })
  .map((part) => ({
    says: part.isLoopback && part.isLocalhost && !part.commented,
    text:
      part.indent +
      (part.commented ? '#' : '') +
      [
        part.isLoopback ? part.theAddress : part.otherAddress,
        ...part.before,
        ...(part.isLocalhost ? [part.theName] : []),
        ...part.after,
      ].join(part.blank) +
      part.end,
  }));
