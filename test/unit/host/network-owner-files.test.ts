import { chmod, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createExec } from '../../../src/host/exec.ts';
import type { OwnerAdapter } from '../../../src/host/network-owner/adapter.ts';
import { runBackupScript, writeBackup } from '../../../src/host/network-owner/backup.ts';
import { createFileOwner } from '../../../src/host/network-owner/file-owner.ts';
import { quoted, replaceScript, temporaryPath } from '../../../src/host/network-owner/replace-script.ts';
import type { Interfaces } from '../../../src/host/ports/interfaces.ts';
import type { NetworkOwner } from '../../../src/host/ports/network-owner.ts';
import { type Address, parseAddress } from '../../../src/protocol/address.ts';
import type { AddressChange } from '../../../src/protocol/address-change.ts';
import { RlnetError } from '../../../src/protocol/errors.ts';
import { holdingOf, type OwnerFile } from '../../../src/protocol/network-owner.ts';
import { createManualClock, type ManualClock } from '../../support/manual-clock.ts';
import { full, sampleOf } from '../../support/sampling.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const exec = createExec();
const change: AddressChange = {
  link: { name: 'eth0', mac: '52:54:00:00:00:01' },
  from: { address: parseAddress('192.0.2.1'), prefixLength: 24 },
  to: { address: parseAddress('192.0.2.2'), prefixLength: 24 },
};

/** What a host is that has two files with the address, of which an owner of the test's own takes up the first one. */
interface Bench {
  owner: NetworkOwner;
  clock: ManualClock;
  /** Of the two files, and where the back-up goes. */
  paths: [string, string];
  backup: string;
  /** What the kernel has on eth0; undefined where there is no such link. */
  kernel: { mac: string; addresses: Address[] } | undefined;
  /** What the owner does when it is told to take its files up, and what it says to the files before. */
  takeUp: () => Promise<void>;
  judge: () => void;
  /** What happens on the host when the files have been read. */
  afterRead: () => Promise<void>;
}

async function openBench(): Promise<Bench> {
  const root = await temporaryDirectory();
  // A name that a shell would take apart.
  await mkdir(join(root, "et'c $HOME"));
  const paths: [string, string] = [join(root, "et'c $HOME", 'routes'), join(root, "et'c $HOME", 'addresses')];
  await writeFile(paths[0], 'src 192.0.2.1\n', { mode: 0o600 });
  await writeFile(paths[1], '# \u00fc\naddress 192.0.2.1', { mode: 0o640 });
  const bench: Omit<Bench, 'owner'> = {
    clock: createManualClock(),
    paths,
    backup: join(root, 'backup'),
    kernel: { mac: '52:54:00:00:00:01', addresses: [change.from.address] },
    takeUp: async () => {},
    judge: () => {},
    afterRead: async () => {},
  };
  const text = ({ bytes }: OwnerFile) => Buffer.from(bytes).toString();
  const adapter: OwnerAdapter = {
    kind: 'ifupdown',
    read: async () => {
      const files = await Promise.all(paths.map(async (path) => ({ path, bytes: await readFile(path) })));
      await bench.afterRead();
      return files;
    },
    locate: (files, _link, address) =>
      files.flatMap((file) =>
        text(file)
          .split('\n')
          .flatMap((line, index) =>
            line.endsWith(address)
              ? [{ path: file.path, line: index + 1, text: line, sets: line.startsWith('a') }]
              : [],
          ),
      ),
    edit: (files, { from, to }) => ({
      files: files.map((file) => ({
        path: file.path,
        before: file.bytes,
        after: Buffer.from(text(file).replace(from.address, to.address)),
      })),
      warnings: [],
    }),
    judge: async () => bench.judge(),
    takeUp: () => bench.takeUp(),
    report: async ({ from, to }) => {
      const held = bench.kernel?.addresses ?? [];
      return {
        state: 'done',
        holding: holdingOf(held.includes(from.address), held.includes(to.address)),
        evidence: 'it says so',
      };
    },
  };
  const interfaces: Pick<Interfaces, 'read'> = {
    read: async () =>
      bench.kernel === undefined
        ? []
        : [
            {
              index: 2,
              name: 'eth0',
              mac: bench.kernel.mac,
              mtu: 1500,
              operState: 'up',
              flags: ['UP'],
              addresses: bench.kernel.addresses.map((address) => ({
                address,
                prefixLength: 24,
                scope: 'global',
                flags: [],
              })),
            },
          ],
  };
  const owner = createFileOwner(adapter, { exec, outer: exec, clock: bench.clock, interfaces });
  return Object.assign(bench, { owner });
}

const contents = ({ paths }: Bench) => Promise.all(paths.map((path) => readFile(path, 'utf8')));
const old = ['src 192.0.2.1\n', '# \u00fc\naddress 192.0.2.1'];
const fresh = ['src 192.0.2.2\n', '# \u00fc\naddress 192.0.2.2'];

async function codeOf(outcome: Promise<unknown>): Promise<string | undefined> {
  try {
    await outcome;
  } catch (thrown) {
    if (thrown instanceof RlnetError) return thrown.code;
    throw thrown;
  }
  return undefined;
}

describe('the files of an owner', () => {
  it('are changed and come back with content, mode, owner and time of change', async () => {
    const bench = await openBench();
    const attributes = () =>
      Promise.all(
        bench.paths.map(async (path) => {
          const { mode, uid, gid, mtimeMs } = await stat(path);
          return { mode, uid, gid, mtimeMs };
        }),
      );
    const before = await attributes();
    await bench.owner.persist(change, bench.backup);
    expect(await contents(bench)).toEqual(fresh);
    expect((await attributes()).map(({ mode }) => mode)).toEqual(before.map(({ mode }) => mode));
    await bench.owner.restore(bench.backup);
    expect(await contents(bench)).toEqual(old);
    expect(await attributes()).toEqual(before);
    expect((await readdir(join(bench.paths[0], '..'))).toSorted()).toEqual(['addresses', 'routes']);
  });

  it(`come back as they were, whatever is in them and whatever they are called (${full ? 50 : 10} times)`, async () => {
    const file = fc.record({
      before: fc.uint8Array({ maxLength: 300 }),
      after: fc.uint8Array({ maxLength: 300 }),
      mode: fc.constantFrom(0o400, 0o600, 0o640, 0o644, 0o755),
      name: fc.constantFrom('a.yaml', 'Wired: 1', "it's", '-rf', ' $HOME `id` ', 'new\nline', 'ü'),
    });
    const some = fc.uniqueArray(file, { minLength: 1, maxLength: 3, selector: ({ name }) => name });
    await fc.assert(
      fc.asyncProperty(some, async (files) => {
        const root = await temporaryDirectory();
        const edits = files.map(({ name, before, after }) => ({ path: join(root, name), before, after }));
        const state = () =>
          Promise.all(
            edits.map(async ({ path }) => {
              const { mode, uid, gid, mtimeMs } = await stat(path);
              return { mode, uid, gid, mtimeMs, content: (await readFile(path)).toString('hex') };
            }),
          );
        for (const { name, before, mode } of files) await writeFile(join(root, name), before, { mode });
        const old = await state();
        const backup = join(root, 'backup');
        await writeBackup(exec, backup, change, edits);
        await runBackupScript(exec, backup, 'persist.sh');
        const changed = await state();
        expect(changed.map(({ content }) => content)).toEqual(
          files.map(({ after }) => Buffer.from(after).toString('hex')),
        );
        expect(changed.map(({ mode }) => mode)).toEqual(old.map(({ mode }) => mode));
        await runBackupScript(exec, backup, 'restore.sh');
        expect(await state()).toEqual(old);
      }),
      { numRuns: full ? 50 : 10 },
    );
  }, 120_000);

  it('are backed up before they are touched, by as much as restore.sh needs when rlnet is gone', async () => {
    const bench = await openBench();
    await bench.owner.backUp(change, bench.backup);
    expect(await contents(bench)).toEqual(old);
    await writeFile(bench.paths[0], 'ruined');
    await rm(bench.paths[1]);
    const { exitCode } = await exec.run('sh', [join(bench.backup, 'restore.sh')], { timeoutMs: 10_000 });
    expect(exitCode).toBe(0);
    expect(await contents(bench)).toEqual(old);
    expect((await stat(bench.paths[1])).mode & 0o777).toBe(0o640);
  });

  it('are backed up anew where a back-up was never finished', async () => {
    const bench = await openBench();
    await mkdir(bench.backup);
    await writeFile(join(bench.backup, '0.before'), 'half');
    await writeFile(join(bench.backup, 'restore.sh'), '#!/bin/sh');
    await bench.owner.persist(change, bench.backup);
    await bench.owner.restore(bench.backup);
    expect(await contents(bench)).toEqual(old);
  });

  it('are not taken for what they were when somebody edits them while they are backed up', async () => {
    const bench = await openBench();
    const racing = bench.afterRead;
    bench.afterRead = () => writeFile(bench.paths[1], 'address 192.0.2.1 # mine');
    expect(await codeOf(bench.owner.persist(change, bench.backup))).toBe('OWNER_FILES_CHANGED');
    expect(await contents(bench)).toEqual([old[0], 'address 192.0.2.1 # mine']);
    bench.afterRead = racing;
    await bench.owner.persist(change, bench.backup);
    expect(await contents(bench)).toEqual([fresh[0], 'address 192.0.2.2 # mine']);
  });

  it('stay as somebody else has made them since the back-up', async () => {
    const bench = await openBench();
    await bench.owner.backUp(change, bench.backup);
    await writeFile(bench.paths[1], 'address 192.0.2.1 # mine');
    expect(await codeOf(bench.owner.persist(change, bench.backup))).toBe('OWNER_FILES_CHANGED');
    expect(await contents(bench)).toEqual([old[0], 'address 192.0.2.1 # mine']);
  });

  it('are as before when their owner rejects them', async () => {
    const bench = await openBench();
    let judged: string[] = [];
    bench.judge = () => {
      judged = ['asked'];
      throw new RlnetError('OWNER_REJECTED', 'It does not like them.', 'Ask it why.');
    };
    expect(await codeOf(bench.owner.persist(change, bench.backup))).toBe('OWNER_REJECTED');
    expect(judged).toEqual(['asked']);
    expect(await contents(bench)).toEqual(old);
  });

  it('are not restored from a back-up that is damaged, unfinished or missing', async () => {
    const bench = await openBench();
    expect(await codeOf(bench.owner.restore(bench.backup))).toBe('OWNER_BACKUP_INVALID');
    await bench.owner.persist(change, bench.backup);
    await writeFile(join(bench.backup, '1.before'), 'address 192.0.2.9');
    expect(await codeOf(bench.owner.restore(bench.backup))).toBe('OWNER_BACKUP_INVALID');
    await rm(join(bench.backup, 'manifest.json'));
    expect(await codeOf(bench.owner.restore(bench.backup))).toBe('OWNER_BACKUP_INVALID');
    expect(await contents(bench)).toEqual(fresh);
  });

  it('are not written by the back-up of another change', async () => {
    const bench = await openBench();
    await bench.owner.backUp(change, bench.backup);
    const other = { ...change, to: { ...change.to, prefixLength: 25 } };
    expect(await codeOf(bench.owner.persist(other, bench.backup))).toBe('OWNER_BACKUP_INVALID');
    expect(await contents(bench)).toEqual(old);
  });

  it.each([
    ['gone', undefined],
    ['another one', { mac: '52:54:00:00:00:02', addresses: [] }],
  ])('are not changed when the link is %s, and can be restored all the same', async (_how, kernel) => {
    const bench = await openBench();
    await bench.owner.persist(change, bench.backup);
    bench.kernel = kernel;
    expect(await codeOf(bench.owner.plan(change))).toBe('OWNER_LINK_GONE');
    expect(await codeOf(bench.owner.persist(change, bench.backup))).toBe('OWNER_LINK_GONE');
    await bench.owner.restore(bench.backup);
    expect(await contents(bench)).toEqual(old);
  });

  it('are read back as what they hold, half-written ones as both', async () => {
    const bench = await openBench();
    const files = async () => (await bench.owner.readBack(change)).files;
    expect(await files()).toBe('from');
    await writeFile(bench.paths[0], 'src 192.0.2.2\n');
    expect(await files()).toBe('both');
    await bench.owner.persist(change, bench.backup).catch(() => {});
    await writeFile(bench.paths[1], 'address 192.0.2.2');
    expect(await files()).toBe('to');
  });

  it('are each the old or the new one wherever the power goes, and the same script ends it', async () => {
    const bench = await openBench();
    await bench.owner.backUp(change, bench.backup);
    for (const [script, there, here] of [
      ['persist.sh', fresh, old],
      ['restore.sh', old, fresh],
    ] as const) {
      const other = script === 'persist.sh' ? 'restore.sh' : 'persist.sh';
      const whole = await crashAt(bench, script, -1);
      expect(whole).toBeGreaterThan(20);
      for (const step of sampleOf(
        Array.from({ length: whole }, (_, index) => index + 1),
        10,
      )) {
        await exec.run('sh', [join(bench.backup, other)], { timeoutMs: 10_000 });
        expect(await contents(bench)).toEqual(here);
        await crashAt(bench, script, step);
        for (const [index, content] of (await contents(bench)).entries()) {
          expect([here[index], there[index]]).toContain(content);
        }
        await exec.run('sh', [join(bench.backup, script)], { timeoutMs: 10_000 });
        expect(await contents(bench)).toEqual(there);
        expect((await readdir(join(bench.paths[0], '..'))).toSorted()).toEqual(['addresses', 'routes']);
      }
    }
  }, 120_000);
});

/** Runs a script of the back-up up to a command, and kills it there. @returns how many commands it ran */
async function crashAt({ backup }: Bench, script: string, step: number): Promise<number> {
  const trap = `n=0; trap 'n=$((n+1)); echo . >&3; [ $n != ${step} ] || kill -KILL $$' DEBUG`;
  const text = (await readFile(join(backup, script), 'utf8')).replace('\nset -eu\n', `\n${trap}\nset -eu\n`);
  const crashing = join(backup, 'crashing.sh');
  await writeFile(crashing, text);
  const count = join(backup, 'count');
  await exec
    .run('bash', ['-T', '-c', 'exec bash -T "$1" 3>"$2"', 'bash', crashing, count], { timeoutMs: 10_000 })
    // Killed, as was wanted.
    .catch(() => undefined);
  return (await readFile(count, 'utf8')).trim().split('\n').length;
}

describe('a plan', () => {
  it('warns of an address that is on the link and in no file', async () => {
    const bench = await openBench();
    expect((await bench.owner.plan(change)).warnings).toEqual([]);
    const added = parseAddress('192.0.2.7');
    bench.kernel = { mac: '52:54:00:00:00:01', addresses: [change.from.address, added, change.to.address] };
    expect((await bench.owner.plan(change)).warnings).toEqual([
      expect.stringMatching(/^192\.0\.2\.7 is on eth0 and in no file/),
    ]);
  });
});

describe('an owner that is told to take its files up', () => {
  const began = async (bench: Bench) => {
    await bench.owner.persist(change, bench.backup);
    const outcome = codeOf(bench.owner.activate(change));
    // Real reads are on the way between the polls of a clock that stands still.
    const result = { code: 'busy' as string | undefined };
    void outcome.then((code) => {
      result.code = code;
    });
    for (let turn = 0; turn < 1000 && result.code === 'busy'; turn++) await bench.clock.pass(200);
    return outcome;
  };

  it('is waited for until the kernel has the address', async () => {
    const bench = await openBench();
    bench.takeUp = async () => {
      bench.clock.after(3000, () => {
        bench.kernel = { mac: '52:54:00:00:00:01', addresses: [change.to.address] };
      });
    };
    expect(await began(bench)).toBeUndefined();
  });

  it('is not believed when nothing comes of it, and the files stay', async () => {
    const bench = await openBench();
    expect(await began(bench)).toBe('OWNER_NOT_TAKEN_UP');
    expect(await contents(bench)).toEqual(fresh);
  });

  it('is not believed while the old address is still there', async () => {
    const bench = await openBench();
    bench.kernel = { mac: '52:54:00:00:00:01', addresses: [change.from.address, change.to.address] };
    expect(await began(bench)).toBe('OWNER_NOT_TAKEN_UP');
  });
});

describe('a script that replaces files', () => {
  it('puts new files where no owner reads them, until they are renamed', () => {
    expect(temporaryPath('/etc/netplan/01-netcfg.yaml')).toBe('/etc/netplan/.01-netcfg.yaml.rlnet-tmp');
  });

  it('keeps any name a name', async () => {
    const name = 'a \'b\' $(touch x) `c` "d" \\ \n e';
    const { stdout } = await exec.run('sh', ['-c', `printf %s ${quoted(name)}`], { timeoutMs: 5000 });
    expect(stdout).toBe(name);
  });

  it('leaves files alone that are as they should be, also where nothing can be written', async () => {
    const root = await temporaryDirectory();
    await writeFile(join(root, 'target'), 'same');
    await writeFile(join(root, '0.before'), 'same');
    await writeFile(
      join(root, 'restore.sh'),
      replaceScript([{ target: join(root, 'target'), source: '0.before' }]),
    );
    const { ino } = await stat(join(root, 'target'));
    await chmod(root, 0o500);
    const { exitCode } = await exec.run('sh', [join(root, 'restore.sh')], { timeoutMs: 5000 });
    await chmod(root, 0o700);
    expect([exitCode, (await stat(join(root, 'target'))).ino]).toEqual([0, ino]);
  });
});
