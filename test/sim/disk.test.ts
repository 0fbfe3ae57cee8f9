import { describe, expect, it } from 'vitest';
import { errnoOf } from '../../src/protocol/errors.ts';
import { SimDisk, type SimFile } from '../support/sim/disk.ts';
import { createSimFiles } from '../support/sim/files.ts';
import { Kernel } from '../support/sim/kernel.ts';
import { SimProcess } from '../support/sim/process.ts';
import { Stream } from '../support/sim/random.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (disk: SimDisk, path: string): string | undefined =>
  disk.exists(path) ? new TextDecoder().decode(disk.read(path)) : undefined;

function created(disk: SimDisk, path: string, content: string): SimFile {
  const file = disk.create(path, 0o600);
  disk.write(path, file, bytes(content));
  return file;
}

/** What is at `path` after a power cut, for many fates. */
function fatesOf(prepare: (disk: SimDisk) => void, path: string): Set<string | undefined> {
  const fates = new Set<string | undefined>();
  for (let seed = 0; seed < 60; seed++) {
    const disk = new SimDisk();
    prepare(disk);
    disk.powerCut(new Stream(`fate ${seed}`));
    fates.add(textOf(disk, path));
  }
  return fates;
}

describe('after a power cut', () => {
  it('there is what was synced, and its name if the directory was synced too', () => {
    const prepare = (disk: SimDisk): void => {
      disk.sync('/a', created(disk, '/a', 'content'));
      disk.syncDirectory('/');
    };
    expect(fatesOf(prepare, '/a')).toEqual(new Set(['content']));
  });

  it('a synced file may be gone where its directory was not synced', () => {
    const prepare = (disk: SimDisk): void => disk.sync('/a', created(disk, '/a', 'content'));
    expect(fatesOf(prepare, '/a')).toEqual(new Set(['content', undefined]));
  });

  it('a named file may be empty, whole or torn where it was not synced', () => {
    const content = 'x'.repeat(1_500);
    const fates = fatesOf((disk) => {
      created(disk, '/a', content);
      disk.syncDirectory('/');
    }, '/a');
    expect(fates).toContain('');
    expect(fates).toContain(content);
    expect([...fates].some((fate) => fate !== '' && fate !== content)).toBe(true);
  });

  it('the old or the new content has the name after a rename whose directory was not synced, never neither', () => {
    const prepare = (disk: SimDisk): void => {
      disk.sync('/a', created(disk, '/a', 'old'));
      disk.syncDirectory('/');
      disk.sync('/b', created(disk, '/b', 'new'));
      disk.rename('/b', '/a');
    };
    expect(fatesOf(prepare, '/a')).toEqual(new Set(['old', 'new']));
  });

  it('a removed file may be back where the directory was not synced', () => {
    const prepare = (disk: SimDisk): void => {
      disk.sync('/a', created(disk, '/a', 'content'));
      disk.syncDirectory('/');
      disk.unlink('/a');
    };
    expect(fatesOf(prepare, '/a')).toEqual(new Set(['content', undefined]));
  });

  it('what a failed fsync was for is gone, even where a later fsync succeeds', () => {
    const prepare = (disk: SimDisk): void => {
      const file = created(disk, '/a', 'old');
      disk.sync('/a', file);
      disk.syncDirectory('/');
      disk.write('/a', file, bytes('new'));
      disk.failingSyncs = 1;
      expect(() => disk.sync('/a', file)).toThrow('EIO');
      disk.sync('/a', file);
      expect(textOf(disk, '/a')).toBe('new');
    };
    expect(fatesOf(prepare, '/a')).toEqual(new Set(['old']));
  });

  it('what is appended and synced after a failed fsync has a hole before it', () => {
    const prepare = (disk: SimDisk): void => {
      const file = created(disk, '/a', 'one\n');
      disk.sync('/a', file);
      disk.syncDirectory('/');
      disk.append('/a', file, bytes('two\n'));
      disk.failingSyncs = 1;
      expect(() => disk.sync('/a', file)).toThrow('EIO');
      disk.append('/a', file, bytes('three\n'));
      disk.sync('/a', file);
    };
    expect(fatesOf(prepare, '/a')).toEqual(new Set(['one\n\0\0\0\0three\n']));
  });
});

it('a full disk takes what fits and says ENOSPC', () => {
  const disk = new SimDisk();
  disk.capacity = 10;
  const file = created(disk, '/a', '12345678');
  expect(() => disk.append('/a', file, bytes('9abcdef'))).toThrow('ENOSPC');
  expect(textOf(disk, '/a')).toBe('123456789a');
});

describe('an atomic write', () => {
  /** Replaces `old` by `new` and cuts the power when `events` events have run. @returns what is there then; whether it had ended */
  async function cutAfter(
    events: number,
    seed: number,
  ): Promise<{ found: string | undefined; ended: boolean }> {
    const kernel = new Kernel(`cut ${seed}`);
    const process = new SimProcess(kernel, 'p', { wall: () => kernel.now, monotonic: () => kernel.now });
    const disk = new SimDisk();
    disk.sync('/a', created(disk, '/a', 'old'));
    disk.syncDirectory('/');
    let ended = false;
    void createSimFiles(process, () => disk)
      .writeAtomic('/a', 'new', 0o600)
      .then(() => {
        ended = true;
      });
    await kernel.runUntil(() => kernel.events >= events, 1_000);
    process.exit();
    disk.powerCut(kernel.random.split('power'));
    return { found: textOf(disk, '/a'), ended };
  }

  it('leaves the old or the new content, whole, when the power goes between any two of its steps', async () => {
    const seen = new Set<string | undefined>();
    for (let events = 0; events <= 6; events++) {
      for (let seed = 0; seed < 10; seed++) {
        const { found, ended } = await cutAfter(events, seed);
        expect(['old', 'new']).toContain(found);
        if (ended) expect(found).toBe('new');
        seen.add(`${found} ${ended}`);
      }
    }
    // Both fates were met before it had ended, so the cuts did hit it in the middle.
    expect(seen).toEqual(new Set(['old false', 'new false', 'new true']));
  });

  it('takes its temporary file away where the disk is full, and leaves the old content', async () => {
    const kernel = new Kernel('full');
    const process = new SimProcess(kernel, 'p', { wall: () => kernel.now, monotonic: () => kernel.now });
    const disk = new SimDisk();
    created(disk, '/a', 'old');
    disk.capacity = 8;
    const failed = createSimFiles(process, () => disk)
      .writeAtomic('/a', 'new and long', 0o600)
      .then(
        () => undefined,
        (thrown: unknown) => errnoOf(thrown),
      );
    await kernel.run(1_000);
    expect(await failed).toBe('ENOSPC');
    expect(disk.list('/')).toEqual(['a']);
    expect(textOf(disk, '/a')).toBe('old');
  });
});
