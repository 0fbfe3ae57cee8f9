import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';

const checkout = join(import.meta.dirname, '../..');

/** Runs vitest with the reporter in a project of its own, whose test files are given as name and text. */
async function runVitest(
  files: Record<string, string>,
  env: Record<string, string> = {},
): Promise<{ status: number; lines: string[]; folder: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'rlnet-totals-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await symlink(join(checkout, 'node_modules'), join(folder, 'node_modules'));
  for (const [name, text] of Object.entries(files)) {
    await writeFile(
      join(folder, name),
      `import { afterAll, beforeAll, describe, expect, it } from 'vitest';\n${text}`,
    );
  }
  const vitest = join(checkout, 'node_modules/vitest/vitest.mjs');
  const reporter = join(checkout, 'test/support/totals-reporter.ts');
  const { RLNET_TOTALS_FILE: _, ...inherited } = process.env;
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [vitest, 'run', '--root', folder, '--reporter=default', `--reporter=${reporter}`, '--maxWorkers=1'],
      { env: { ...inherited, ...env, NO_COLOR: '1' } },
      (_error, stdout) =>
        resolve({ status: child.exitCode ?? -1, lines: stdout.trimEnd().split('\n'), folder }),
    );
  });
}

describe('the closing line', { timeout: 60_000 }, () => {
  it('comes once, last and alone, and counts tests that pass, are skipped, are to do and fail as expected', async () => {
    const { status, lines } = await runVitest({
      'good.test.ts': `
        it('passes', () => {});
        it.skip('is skipped', () => {});
        it('skips itself', ({ skip }) => skip());
        it.todo('is to do');
        it.fails('fails as expected', () => expect(1).toBe(2));`,
    });
    expect(lines.at(-1)).toBe('2 passed, 0 failed, 3 skipped');
    expect(lines.filter((line) => /^\d+ passed, \d+ failed/.test(line))).toHaveLength(1);
    expect(status).toBe(0);
  });

  it('counts a test that fails and one that passes though it should fail', async () => {
    const { status, lines } = await runVitest({
      'bad.test.ts': `
        it('fails', () => expect(1).toBe(2));
        it.fails('passes though it should fail', () => {});
        it('passes', () => {});`,
    });
    expect(lines.at(-1)).toBe('1 passed, 2 failed, 0 skipped');
    expect(status).toBe(1);
  });

  it('counts a file that does not load, one that does not parse and one without tests as a failure each', async () => {
    const { status, lines } = await runVitest({
      'throws.test.ts': `throw new Error('while loading'); it('is never seen', () => {});`,
      'torn.test.ts': `it('has no end', () => {`,
      'empty.test.ts': '',
      'good.test.ts': `it('passes', () => {});`,
    });
    expect(lines.at(-1)).toBe('1 passed, 3 failed, 0 skipped');
    expect(status).toBe(1);
  });

  it('counts a failed beforeAll or afterAll as one failure, in a file and in a suite', async () => {
    const { status, lines } = await runVitest({
      'file-before.test.ts': `beforeAll(() => { throw new Error('no'); }); it('is not run', () => {});`,
      'file-after.test.ts': `afterAll(() => { throw new Error('no'); }); it('passes', () => {});`,
      'suite.test.ts': `
        describe('suite', () => { beforeAll(() => { throw new Error('no'); }); it('is not run', () => {}); });
        describe('other', () => { afterAll(() => { throw new Error('no'); }); it('passes', () => {}); });
        it('passes beside them', () => {});`,
    });
    expect(lines.at(-1)).toBe('3 passed, 4 failed, 2 skipped');
    expect(status).toBe(1);
  });

  it('counts errors that nobody caught', async () => {
    const { status, lines } = await runVitest({
      'floating.test.ts': `it('leaves a promise behind', () => { Promise.reject(new Error('nobody listens')); });`,
      'late.test.ts': `
        it('throws later', async () => {
          setTimeout(() => { throw new Error('later'); }, 1);
          await new Promise((resolve) => setTimeout(resolve, 50));
        });`,
    });
    expect(lines.at(-1)).toBe('2 passed, 2 failed, 0 skipped');
    expect(status).toBe(1);
  });

  it('is left to the caller, as JSON, when a file is named for the totals', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'rlnet-totals-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const file = join(folder, 'totals.json');
    const { lines } = await runVitest(
      {
        'a.test.ts': `it('passes', () => {}); it.skip('is skipped', () => {});
          describe('a suite', () => { it('fails', () => expect(1).toBe(2)); });`,
        'b.test.ts': `describe('b suite', () => { beforeAll(() => { throw new Error('no lab\\nhere'); }); it('is not run', () => {}); });`,
        'c.test.ts': `throw new Error('while loading');`,
      },
      { RLNET_TOTALS_FILE: file },
    );
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({
      passed: 1,
      failed: 3,
      skipped: 2,
      failures: [
        'a.test.ts > a suite > fails: expected 1 to be 2 // Object.is equality',
        'b.test.ts > b suite: no lab',
        'c.test.ts: while loading',
      ],
    });
    expect(lines.filter((line) => /^\d+ passed, \d+ failed/.test(line))).toEqual([]);
  });
});

it('where the time of a run went is said, longest first, when the totals are left to the caller', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'rlnet-totals-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const slow = (ms: number) => `it('waits', () => new Promise((resolve) => setTimeout(resolve, ${ms})));`;
  const { lines } = await runVitest(
    {
      'quick.test.ts': `it('passes', () => {});`,
      'slow.test.ts': `beforeAll(() => new Promise((resolve) => setTimeout(resolve, 2_000)));${slow(1)}`,
      'slower.test.ts': slow(4_500),
    },
    { RLNET_TOTALS_FILE: join(folder, 'totals.json') },
  );
  expect(lines.slice(-3)).toEqual([
    expect.stringMatching(/^ +[4-9]\.\d s {2}slower\.test\.ts$/),
    expect.stringMatching(/^ +[2-4]\.\d s {2}slow\.test\.ts$/),
    expect.stringMatching(/^ +\d\.\d s {2}1 other files$/),
  ]);
}, 60_000);
