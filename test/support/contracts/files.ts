import { describe, expect, it, vi } from 'vitest';
import type { Files } from '../../../src/host/ports/files.ts';
import { errnoOf } from '../../../src/protocol/errors.ts';

export interface FilesUnderTest {
  files: Files;
  /** An empty directory to work in. */
  root: string;
  /** The names in a directory. */
  list: (path: string) => Promise<string[]>;
}

async function errnoFrom(outcome: Promise<unknown>): Promise<string | undefined> {
  try {
    await outcome;
  } catch (thrown) {
    return errnoOf(thrown);
  }
  return undefined;
}

/** What every Files keeps, the real one and the simulated one. */
export function filesContract(name: string, make: () => Promise<FilesUnderTest>): void {
  describe(`${name} keeps the contract of Files`, () => {
    it('reads back what it wrote, as text and as bytes', async () => {
      const { files, root } = await make();
      await files.writeAtomic(`${root}/a`, 'grüße\n', 0o644);
      expect(await files.read(`${root}/a`)).toBe('grüße\n');
      expect(await files.readIfExists(`${root}/a`)).toBe('grüße\n');
      expect([...(await files.readBytes(`${root}/a`))]).toEqual([...new TextEncoder().encode('grüße\n')]);
    });

    it("rejects with the system's word where there is nothing to read", async () => {
      const { files, root } = await make();
      expect(await errnoFrom(files.read(`${root}/none`))).toBe('ENOENT');
      expect(await errnoFrom(files.readBytes(`${root}/none`))).toBe('ENOENT');
      expect(await errnoFrom(files.read(root))).toBe('EISDIR');
      expect(await errnoFrom(files.readIfExists(root))).toBe('EISDIR');
    });

    it('takes a missing file for an answer where it may be missing', async () => {
      const { files, root } = await make();
      expect(await files.readIfExists(`${root}/none`)).toBeUndefined();
      expect(await files.mode(`${root}/none`)).toBeUndefined();
      await expect(files.remove(`${root}/none`)).resolves.toBeUndefined();
    });

    it('adds to the end of a file, and only of one that exists', async () => {
      const { files, root } = await make();
      await files.create(`${root}/a`, 'one\n', 0o600);
      await files.append(`${root}/a`, 'zwölf\n');
      await files.append(`${root}/a`, 'three\n');
      expect(await files.read(`${root}/a`)).toBe('one\nzwölf\nthree\n');
      expect(await files.mode(`${root}/a`)).toBe(0o600);
      expect(await errnoFrom(files.append(`${root}/none`, 'x'))).toBe('ENOENT');
      expect(await errnoFrom(files.append(root, 'x'))).toBe('EISDIR');
      expect(await files.readIfExists(`${root}/none`)).toBeUndefined();
    });

    it('lists the names in a directory, none where there is no directory', async () => {
      const { files, root } = await make();
      await files.create(`${root}/a`, '', 0o600);
      await files.makeDirectory(`${root}/b/c`, 0o755);
      expect((await files.list(root)).sort()).toEqual(['a', 'b']);
      expect(await files.list(`${root}/none`)).toEqual([]);
      expect(await errnoFrom(files.list(`${root}/a`))).toBe('ENOTDIR');
    });

    it('replaces a file and its mode, and leaves nothing else behind', async () => {
      const { files, root, list } = await make();
      await files.writeAtomic(`${root}/a`, 'old', 0o600);
      await files.writeAtomic(`${root}/a`, 'new', 0o644);
      expect(await files.read(`${root}/a`)).toBe('new');
      expect(await files.mode(`${root}/a`)).toBe(0o644);
      expect(await list(root)).toEqual(['a']);
    });

    it('gives the mode that was asked for, whatever the umask', async () => {
      const { files, root } = await make();
      await files.writeAtomic(`${root}/a`, '', 0o666);
      await files.create(`${root}/b`, '', 0o662);
      await files.makeDirectory(`${root}/c`, 0o777);
      expect(await files.mode(`${root}/a`)).toBe(0o666);
      expect(await files.mode(`${root}/b`)).toBe(0o662);
      expect(await files.mode(`${root}/c`)).toBe(0o777);
    });

    it('writes one of two contents whole when two writes of a file meet', async () => {
      const { files, root, list } = await make();
      const contents = ['a', 'b', 'c', 'd'].map((letter) => letter.repeat(100_000));
      await Promise.all(contents.map((content) => files.writeAtomic(`${root}/a`, content, 0o600)));
      expect(contents).toContain(await files.read(`${root}/a`));
      expect(await list(root)).toEqual(['a']);
    });

    it('leaves no temporary file where the target cannot be replaced', async () => {
      const { files, root, list } = await make();
      await files.makeDirectory(`${root}/a`, 0o755);
      await files.create(`${root}/a/inside`, '', 0o600);
      expect(await errnoFrom(files.writeAtomic(`${root}/a`, 'new', 0o600))).toBe('EISDIR');
      expect(await list(root)).toEqual(['a']);
    });

    it('refuses to write into a directory that is not there', async () => {
      const { files, root } = await make();
      expect(await errnoFrom(files.writeAtomic(`${root}/none/a`, '', 0o600))).toBe('ENOENT');
      expect(await errnoFrom(files.create(`${root}/none/a`, '', 0o600))).toBe('ENOENT');
    });

    it('creates a file once, and leaves the one that is there as it is', async () => {
      const { files, root } = await make();
      await files.create(`${root}/a`, 'first', 0o600);
      expect(await errnoFrom(files.create(`${root}/a`, 'second', 0o644))).toBe('EEXIST');
      expect(await files.read(`${root}/a`)).toBe('first');
      expect(await files.mode(`${root}/a`)).toBe(0o600);
    });

    it('creates directories with their parents, and leaves one that is there as it is', async () => {
      const { files, root } = await make();
      await files.makeDirectory(`${root}/a/b/c`, 0o700);
      await files.makeDirectory(`${root}/a/b`, 0o755);
      expect(await files.mode(`${root}/a/b/c`)).toBe(0o700);
      expect(await files.mode(`${root}/a/b`)).toBe(0o700);
    });

    it('removes a file', async () => {
      const { files, root, list } = await make();
      await files.create(`${root}/a`, '', 0o600);
      await files.remove(`${root}/a`);
      expect(await list(root)).toEqual([]);
    });

    const changes: [string, (files: Files, path: string) => Promise<void>][] = [
      ['replaced', (files, path) => files.writeAtomic(path, 'new', 0o600)],
      ['removed', (files, path) => files.remove(path)],
      [
        'removed and created again',
        async (files, path) => {
          await files.remove(path);
          await files.create(path, 'new', 0o600);
        },
      ],
    ];
    it.each(changes)('hints again and again at a file that is %s', async (_, change) => {
      const { files, root } = await make();
      const path = `${root}/a`;
      const onHint = vi.fn();
      await files.writeAtomic(path, 'old', 0o600);
      const watching = files.watch(path, onHint);
      for (let round = 0; round < 3; round++) {
        await files.writeAtomic(path, 'old', 0o600);
        await vi.waitFor(() => expect(onHint).toHaveBeenCalled(), { timeout: 5000 });
        await settled();
        onHint.mockClear();
        await change(files, path);
        await vi.waitFor(() => expect(onHint).toHaveBeenCalled(), { timeout: 5000 });
        await settled();
        onHint.mockClear();
      }
      watching.close();
    });

    it('hints at a file whose directory did not exist when the watch began', async () => {
      const { files, root } = await make();
      const onHint = vi.fn();
      const watching = files.watch(`${root}/a/b/c`, onHint);
      await files.makeDirectory(`${root}/a/b`, 0o755);
      await settled();
      onHint.mockClear();
      await files.create(`${root}/a/b/c`, '', 0o600);
      await vi.waitFor(() => expect(onHint).toHaveBeenCalled(), { timeout: 5000 });
      watching.close();
    });

    it('does not hint at other files, nor after it was closed', async () => {
      const { files, root } = await make();
      await files.create(`${root}/a`, '', 0o600);
      const onHint = vi.fn();
      const watching = files.watch(`${root}/a`, onHint);
      await files.create(`${root}/b`, '', 0o600);
      await settled();
      expect(onHint).not.toHaveBeenCalled();
      watching.close();
      await files.writeAtomic(`${root}/a`, 'new', 0o600);
      await settled();
      expect(onHint).not.toHaveBeenCalled();
    });
  });
}

/** Time for hints that are still under way; more than any of them takes, less than anybody notices. */
function settled(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 60));
}
