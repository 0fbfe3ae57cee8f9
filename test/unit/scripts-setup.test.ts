import { spawnSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { arch, platform } from 'node:process';
import { expect, it } from 'vitest';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const checkout = join(import.meta.dirname, '../..');

it('names the packages for this platform that npm left out, and no others', async () => {
  const folder = await temporaryDirectory();
  const here = { os: [platform], cpu: [arch] };
  const packages = {
    '': { name: 'whole' },
    'node_modules/plain': {},
    'node_modules/there': here,
    'node_modules/left-out': here,
    'node_modules/as-text': { os: platform, cpu: arch },
    'node_modules/with-glibc': { ...here, libc: ['glibc'] },
    'node_modules/with-musl': { ...here, libc: ['musl'] },
    'node_modules/binding-linux-x64-musl': here,
    'node_modules/elsewhere': { os: ['darwin'], cpu: [arch] },
  };
  await writeFile(join(folder, 'package-lock.json'), JSON.stringify({ packages }));
  await mkdir(join(folder, 'node_modules/there'), { recursive: true });
  const run = () =>
    spawnSync(process.execPath, [join(checkout, 'scripts/setup.d/native-packages.ts')], {
      cwd: folder,
      encoding: 'utf8',
    });

  const { status, stderr } = run();
  expect(stderr.trim()).toBe('missing: node_modules/left-out, node_modules/as-text, node_modules/with-glibc');
  expect(status).toBe(1);

  for (const name of ['left-out', 'as-text', 'with-glibc']) await mkdir(join(folder, 'node_modules', name));
  expect(run()).toMatchObject({ status: 0, stderr: '' });
});

it('refuses a purpose that it does not know, before it installs anything', () => {
  const { status, stderr } = spawnSync(join(checkout, 'scripts/setup'), ['everything'], { encoding: 'utf8' });
  expect(stderr.trim()).toBe(
    'setup: there is no purpose "everything": give any of base, host, lab, release.',
  );
  expect(status).toBe(1);
});

it('puts the pinned Node first on the PATH of a script that sources it', () => {
  const { stdout } = spawnSync('bash', ['-c', '. scripts/setup base && command -v node && node --version'], {
    cwd: checkout,
    encoding: 'utf8',
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
  });
  expect(stdout.split('\n').slice(0, 2)).toEqual([join(checkout, 'node_modules/.bin/node'), process.version]);
});
