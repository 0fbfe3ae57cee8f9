import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { isRoot } from '../support/netns.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const files = new URL('../../src/host/files.ts', import.meta.url).href;

/** Runs a program in a mount namespace of its own, in which `source` is bound over `target`. */
function withBindMount(source: string, target: string, program: string): [string, string[]] {
  return [
    'unshare',
    [
      ...['--mount', 'sh', '-c', 'mount --bind "$1" "$2" && exec "$3" --input-type=module --eval "$4"', 'sh'],
      ...[source, target, process.execPath, `import { createFiles } from '${files}'; ${program}`],
    ],
  ];
}

/** A file `source`, and a file `etc/hosts` for it to be bound over, as container engines do. */
async function twoFiles(): Promise<{ source: string; directory: string; target: string }> {
  const root = await temporaryDirectory();
  await mkdir(`${root}/etc`);
  const found = { source: `${root}/source`, directory: `${root}/etc`, target: `${root}/etc/hosts` };
  await writeFile(found.source, 'bound\n');
  await writeFile(found.target, 'hidden\n');
  return found;
}

describe.skipIf(!isRoot)('a file that is a bind mount (needs root)', () => {
  it('hints when it is written, though nothing happens in its directory', async () => {
    const { source, target } = await twoFiles();
    const program = `createFiles().watch('${target}', () => console.log('hint')); console.log('watching');`;
    const child = spawn(...withBindMount(source, target, program), { stdio: ['ignore', 'pipe', 'inherit'] });
    onTestFinished(async () => {
      child.kill();
      await once(child, 'exit');
    });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    expect((await lines.next()).value).toBe('watching');
    await appendFile(source, '::1 localhost\n');
    expect((await lines.next()).value).toBe('hint');
  });

  it('cannot be replaced, says EBUSY, and nothing is left beside it', async () => {
    const { source, directory, target } = await twoFiles();
    const program = `
      try { await createFiles().writeAtomic('${target}', 'new', 0o644); } catch (error) { console.log(error.code); }`;
    const { stdout } = await promisify(execFile)(...withBindMount(source, target, program));
    expect(stdout).toBe('EBUSY\n');
    expect(await readFile(source, 'utf8')).toBe('bound\n');
    expect(await readdir(directory)).toEqual(['hosts']);
  });
});
