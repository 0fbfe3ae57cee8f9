import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { expect, it, vi } from 'vitest';
import { createExec } from '../../../src/host/exec.ts';
import { execContract } from '../../support/contracts/exec.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

async function script(directory: string, name: string, body: string): Promise<string> {
  const path = `${directory}/${name}`;
  await writeFile(path, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  return path;
}

/** Ids of the live processes that have `word` as one of their arguments. */
async function processesWith(word: string): Promise<number[]> {
  const found: number[] = [];
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const commandLine = await readFile(`/proc/${entry}/cmdline`, 'utf8').catch(() => '');
    if (commandLine.split('\0').includes(word)) found.push(Number(entry));
  }
  return found;
}

execContract('the real Exec', async () => {
  const root = await temporaryDirectory();
  let count = 0;
  return {
    exec: createExec(),
    install: async ({ stdout = '', stderr = '', holdMs = 0, stubborn = false, signal, exitCode = 0 }) => {
      const name = `program-${count++}`;
      await writeFile(`${root}/${name}.out`, stdout);
      await writeFile(`${root}/${name}.err`, stderr);
      return script(
        root,
        name,
        [
          ...(stubborn ? ["trap '' TERM"] : []),
          `cat "$0.out"; cat "$0.err" >&2`,
          `sleep ${holdMs / 1000}`,
          ...(signal === undefined ? [] : [`kill -s ${signal.slice(3)} $$`]),
          `exit ${exitCode}`,
        ].join('\n'),
      );
    },
    isRunning: async (program) => (await processesWith(program)).length > 0,
  };
});

it('hands arguments over as they are, whatever a shell would make of them', async () => {
  const odd = ['$HOME; echo no', '', ' two  blanks ', '*', 'grüße\n'];
  const { stdout } = await createExec().run('printf', ['[%s]', ...odd], { timeoutMs: 5000 });
  expect(stdout).toBe(odd.map((argument) => `[${argument}]`).join(''));
});

it('gives a command PATH, LC_ALL, LANG and what was asked for, and nothing of our own environment', async () => {
  const { stdout } = await createExec().run('env', [], { timeoutMs: 5000, env: { EXTRA: 'yes' } });
  expect(stdout.trim().split('\n').toSorted()).toEqual([
    'EXTRA=yes',
    'LANG=C',
    'LC_ALL=C',
    'PATH=/usr/sbin:/usr/bin:/sbin:/bin',
  ]);
});

it('gives a command an empty standard input', async () => {
  expect(await createExec().run('cat', [], { timeoutMs: 5000 })).toMatchObject({ exitCode: 0, stdout: '' });
});

it('says COMMAND_NOT_FOUND for a file that is not executable, with the path in it', async () => {
  const path = `${await temporaryDirectory()}/plain`;
  await writeFile(path, 'text', { mode: 0o644 });
  await expect(createExec().run(path, [], { timeoutMs: 5000 })).rejects.toMatchObject({
    code: 'COMMAND_NOT_FOUND',
    message: expect.stringContaining(path),
  });
});

it('comes back from a command that has ended but left a daemon with its output open', async () => {
  const root = await temporaryDirectory();
  const path = await script(root, 'leaver', `setsid sh -c 'echo $$ > ${root}/pid; exec sleep 60' &\nexit 0`);
  const started = performance.now();
  await expect(createExec().run(path, [], { timeoutMs: 300 })).rejects.toMatchObject({
    code: 'COMMAND_TIMEOUT',
  });
  expect(performance.now() - started).toBeLessThan(30_000);
  process.kill(Number(await readFile(`${root}/pid`, 'utf8')), 'SIGKILL');
});

it('ends what a killed shell script had started', async () => {
  const root = await temporaryDirectory();
  // 61.5 seconds and a path of its own: nobody else's sleep.
  const path = await script(root, 'parent', `sh -c 'sleep 61.5; :' ${root}/child`);
  await expect(createExec().run(path, [], { timeoutMs: 200 })).rejects.toMatchObject({
    code: 'COMMAND_TIMEOUT',
  });
  await vi.waitFor(async () => expect(await processesWith(`${root}/child`)).toEqual([]), { timeout: 5000 });
});

it('takes its long-lived programs with it when the process ends by a signal', async () => {
  const root = await temporaryDirectory();
  const mark = `${root}/long-lived`;
  const parent = spawn(
    process.execPath,
    [
      '--input-type=module',
      '--eval',
      `import { createExec } from ${JSON.stringify(new URL('../../../src/host/exec.ts', import.meta.url).href)};
       createExec().lines('sh', ['-c', 'echo up; sleep 60; :', ${JSON.stringify(mark)}], (line) => console.log(line));`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  await once(parent.stdout, 'data');
  expect(await processesWith(mark)).toHaveLength(1);
  parent.kill('SIGTERM');
  await once(parent, 'exit');
  await vi.waitFor(async () => expect(await processesWith(mark)).toEqual([]), { timeout: 5000 });
});
