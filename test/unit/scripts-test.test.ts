import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { compare, marker, mountPoints, processesOf } from '../../scripts/test.d/machine.ts';
import { runsOf, tiers } from '../../scripts/test.d/tiers.ts';
import { sampleOf } from '../support/sampling.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const checkout = join(import.meta.dirname, '../..');

const config = `
  import { defineConfig } from 'vitest/config';
  const project = (name) => ({ extends: true, test: { name, include: ['test/' + name + '/**/*.test.ts'] } });
  export default defineConfig({
    test: {
      maxWorkers: 1,
      runner: '${join(checkout, 'test/support/begin-by.ts')}',
      reporters: ['default', '${join(checkout, 'test/support/totals-reporter.ts')}'],
      projects: [project('unit'), project('sim')],
    },
  });`;

/** Runs the program behind scripts/test in a project of its own, given as path and text. */
async function runTiers(
  files: Record<string, string>,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<{ status: number; lines: string[] }> {
  const project = await temporaryDirectory();
  const all = {
    'package.json': JSON.stringify({ type: 'module', scripts: { 'check:fast': 'true' } }),
    'vitest.config.js': config,
    ...files,
  };
  for (const [path, text] of Object.entries(all)) {
    await mkdir(join(project, dirname(path)), { recursive: true });
    await writeFile(join(project, path), text);
  }
  await symlink(join(checkout, 'node_modules'), join(project, 'node_modules'));
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [join(checkout, 'scripts/test.d/main.ts'), ...args],
      { cwd: project, env: { ...process.env, NO_COLOR: '1', ...env } },
      (_error, stdout, stderr) =>
        resolve(withoutOthers(child.exitCode ?? -1, `${stderr}${stdout}`.trimEnd().split('\n'))),
    );
  });
}

/** What the run would have come to, had nobody else brought labs up or down on this machine at the same time. */
function withoutOthers(status: number, said: readonly string[]): { status: number; lines: string[] } {
  const ofOthers = said.filter((line) => /^machine: (?:left behind|taken away): (?!process)/.test(line));
  if (ofOthers.length === 0) return { status, lines: [...said] };
  const lines = said.filter((line) => !ofOthers.includes(line));
  const [, passed, failed, skipped] =
    /^(\d+) passed, (\d+) failed, (\d+) skipped$/.exec(lines.pop() ?? '') ?? [];
  // Each is told twice: when it is found, and before the closing line.
  const ours = Number(failed) - ofOthers.length / 2;
  if (!lines.some((line) => line.startsWith('machine: '))) lines.splice(-1, 0, 'machine: is as it was');
  return {
    status: ours === 0 && status === 1 ? 0 : status,
    lines: [...lines, `${passed} passed, ${ours} failed, ${skipped} skipped`],
  };
}

const passing = "import { it } from 'vitest'; it('passes', () => {});";

describe('scripts/test', { timeout: 60_000 }, () => {
  it('adds the tiers up in a closing line and says which are empty', async () => {
    const { status, lines } = await runTiers({ 'test/unit/a.test.ts': passing }, ['unit', 'sim']);
    expect(lines.slice(-6)).toEqual([
      'check:fast: passed',
      expect.stringMatching(/^unit: 1 passed, 0 failed, 0 skipped, in \d+ s$/),
      'sim: has no tests yet',
      'machine: is as it was',
      '',
      '1 passed, 0 failed, 0 skipped',
    ]);
    expect(lines.filter((line) => /^\d+ passed/.test(line))).toHaveLength(1);
    expect(status).toBe(0);
  });

  it('goes on after a failed check:fast and a failed tier, and counts both', async () => {
    const { status, lines } = await runTiers(
      {
        'package.json': JSON.stringify({ type: 'module', scripts: { 'check:fast': 'exit 3' } }),
        'test/unit/a.test.ts': "import { it } from 'vitest'; it('fails', () => { throw new Error('no'); });",
        'test/sim/a.test.ts': passing,
      },
      ['sim', 'unit'],
    );
    expect(lines).toContain('check:fast: ended with status 3');
    expect(lines).toContainEqual(expect.stringMatching(/^unit: 0 passed, 1 failed, 0 skipped, in \d+ s$/));
    expect(lines.at(-1)).toBe('1 passed, 2 failed, 0 skipped');
    expect(lines.slice(-6)).toContain('  failed: test/unit/a.test.ts > fails: no');
    expect(status).toBe(1);
  });

  it('counts a tier that ends without totals as one failure', async () => {
    const { status, lines } = await runTiers(
      { 'vitest.config.js': "throw new Error('no configuration');", 'test/unit/a.test.ts': passing },
      ['unit'],
    );
    expect(lines).toContainEqual(
      expect.stringMatching(
        /^unit: 0 passed, 0 failed, 0 skipped, in \d+ s; ended with status 1 before it had totals$/,
      ),
    );
    expect(lines.at(-1)).toBe('0 passed, 1 failed, 0 skipped');
    expect(status).toBe(1);
  });

  it('names and ends a process that a test left behind in a session of its own', async () => {
    const leaving = `
      import { spawn } from 'node:child_process';
      import { it } from 'vitest';
      it('leaves one', () => { spawn('sleep', ['86399'], { detached: true, stdio: 'ignore' }).unref(); });`;
    const { status, lines } = await runTiers({ 'test/unit/a.test.ts': leaving }, ['unit']);
    const left = lines.find((line) => line.startsWith('machine: left behind: process')) ?? '';
    expect(left).toMatch(/process \d+ sleep 86399$/);
    expect(lines.at(-1)).toBe('1 passed, 1 failed, 0 skipped');
    expect(status).toBe(1);
    // A zombie, where nobody reaps it, has no command line any more.
    const commandLine = `/proc/${left.split(' ')[4]}/cmdline`;
    await expect.poll(() => (existsSync(commandLine) ? readFileSync(commandLine, 'utf8') : '')).toBe('');
  });

  it('skips whole the files that would begin too late', async () => {
    const late = `
      import { beforeAll, describe, it } from 'vitest';
      beforeAll(() => { throw new Error('a lab comes up') });
      describe('a suite', () => { it('passes', () => {}); it.skip('is skipped', () => {}); });`;
    const files = { 'test/unit/a.test.ts': late, 'test/sim/a.test.ts': passing };
    const begun = async (by: number) =>
      (await runTiers(files, ['unit', 'sim'], { RLNET_TEST_BEGIN_BY: `${by}` })).lines.at(-1);
    expect(await begun(Date.now() - 1)).toBe('0 passed, 0 failed, 3 skipped');
    expect(await begun(Date.now() + 3_600_000)).toBe('1 passed, 1 failed, 2 skipped');
  });

  it('asks for samples unless --full is given', async () => {
    const sampling = `
      import { it, expect } from 'vitest';
      import { full } from '${join(checkout, 'test/support/sampling.ts')}';
      it.skipIf(!full)('takes long', () => {});`;
    const files = { 'test/unit/a.test.ts': sampling };
    expect((await runTiers(files, ['unit'])).lines.at(-1)).toBe('0 passed, 0 failed, 1 skipped');
    expect((await runTiers(files, ['--full', 'unit'])).lines.at(-1)).toBe('1 passed, 0 failed, 0 skipped');
  });

  it.each([['everything'], ['--fast']])('refuses %s with its usage', async (argument) => {
    const { status, lines } = await runTiers({}, [argument]);
    expect(lines.at(-1)).toBe('usage: scripts/test [--full] [unit|sim|host|lab]...');
    expect(status).toBe(2);
  });
});

describe('the runs of a tier', () => {
  const files = ['test/lab/a.test.ts', 'test/lab/b.test.ts', 'test/lab/c.test.ts'];
  const tier = { name: 'lab', limitMinutes: 1, hindrance: () => undefined };
  const filesOf = (alone?: readonly string[]) =>
    runsOf({ ...tier, ...(alone === undefined ? {} : { alone }) }, files).map((args) =>
      args.filter((argument) => files.includes(argument)),
    );

  it('are one of all files, unless some are to be alone', () => {
    expect(runsOf(tier, files)).toEqual([['run', '--project', 'lab']]);
    expect(filesOf(['test/lab/b.test.ts'])).toEqual([
      ['test/lab/b.test.ts'],
      ['test/lab/a.test.ts', 'test/lab/c.test.ts'],
    ]);
    expect(filesOf(files)).toEqual([files]);
    expect(filesOf([])).toEqual([files]);
  });

  it('name files that there are', () => {
    for (const file of tiers.flatMap(({ alone = [] }) => alone))
      expect(existsSync(join(checkout, file)), file).toBe(true);
  });
});

describe('the look at the machine', () => {
  it('names what came and what went', () => {
    const before = new Set(['link lo', 'mount /']);
    expect(compare(before, new Set(['link lo', 'mount /', 'link br0']))).toEqual(['left behind: link br0']);
    expect(compare(before, new Set(['mount /']))).toEqual(['taken away: link lo']);
    expect(compare(before, before)).toEqual([]);
  });

  it('reads mount points, but for those of logins and of named network namespaces', () => {
    const mountinfo = [
      '22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw',
      '90 22 0:45 / /var/lib/lab/n1\\040root rw,relatime - overlay overlay rw',
      '91 22 0:46 / /run/user/1000 rw,nosuid - tmpfs tmpfs rw',
      '92 22 0:24 /netns /run/netns rw,nosuid shared:5 - tmpfs tmpfs rw',
      '93 92 0:4 net:[4026532200] /run/netns/n1 rw shared:9 - nsfs nsfs rw',
    ].join('\n');
    expect(mountPoints(mountinfo)).toEqual(['/', '/var/lib/lab/n1\\040root']);
  });

  it('finds the processes of a run by its id, also in a run within a run', async () => {
    const child = spawn('sleep', ['60'], {
      env: { PATH: process.env['PATH'], [marker]: 'outer-id:inner-id' },
    });
    try {
      await once(child, 'spawn');
      for (const id of ['outer-id', 'inner-id']) {
        expect(processesOf(id)).toEqual([{ pid: child.pid, command: 'sleep 60' }]);
      }
      expect(processesOf('inner')).toEqual([]);
    } finally {
      child.kill();
    }
  });
});

describe('a sample', () => {
  const cases = Array.from({ length: 100 }, (_, i) => i);

  it('is spread from the first case to the last', () => {
    expect(sampleOf(cases, 4, false)).toEqual([0, 33, 66, 99]);
    expect(sampleOf(cases, 1, false)).toEqual([0]);
  });

  it('is everything where everything is asked for or there is no more', () => {
    expect(sampleOf(cases, 4, true)).toEqual(cases);
    expect(sampleOf([1, 2], 4, false)).toEqual([1, 2]);
  });
});
