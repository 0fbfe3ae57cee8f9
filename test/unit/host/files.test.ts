import { appendFile, mkdir, readdir, rename, writeFile } from 'node:fs/promises';
import { expect, it, vi } from 'vitest';
import { createFiles } from '../../../src/host/files.ts';
import { filesContract } from '../../support/contracts/files.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

filesContract('the real file system', async () => ({
  files: createFiles(),
  root: await temporaryDirectory(),
  list: (path) => readdir(path),
}));

it('passes by a temporary file that a crash left behind', async () => {
  const root = await temporaryDirectory();
  await writeFile(`${root}/.a.${process.pid}-0.tmp`, 'torn');
  await createFiles().writeAtomic(`${root}/a`, 'whole', 0o600);
  expect(await createFiles().read(`${root}/a`)).toBe('whole');
});

it('hints at a file that is written in place', async () => {
  const root = await temporaryDirectory();
  await writeFile(`${root}/a`, 'old');
  const onHint = vi.fn();
  const watching = createFiles().watch(`${root}/a`, onHint);
  await appendFile(`${root}/a`, 'more');
  await vi.waitFor(() => expect(onHint).toHaveBeenCalled(), { timeout: 5000 });
  watching.close();
});

it('hints at a file whose directory is replaced as a whole, and at its changes after that', async () => {
  const root = await temporaryDirectory();
  await mkdir(`${root}/live`);
  await mkdir(`${root}/next`);
  await writeFile(`${root}/next/a`, 'new');
  const onHint = vi.fn();
  const watching = createFiles().watch(`${root}/live/a`, onHint);
  await rename(`${root}/live`, `${root}/old`);
  await rename(`${root}/next`, `${root}/live`);
  await vi.waitFor(() => expect(onHint).toHaveBeenCalled(), { timeout: 5000 });
  await new Promise((resolve) => setTimeout(resolve, 60));
  onHint.mockClear();
  await appendFile(`${root}/live/a`, 'more');
  await vi.waitFor(() => expect(onHint).toHaveBeenCalled(), { timeout: 5000 });
  watching.close();
});
