import { writeFileSync } from 'node:fs';
import { chmod, chown, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createExec } from '../../../src/host/exec.ts';
import { createHookOwner } from '../../../src/host/network-owner/hook.ts';
import { locateAnywhere } from '../../../src/host/network-owner/known-files.ts';
import { createManualOwner } from '../../../src/host/network-owner/manual.ts';
import type { Interfaces } from '../../../src/host/ports/interfaces.ts';
import { type Address, parseAddress } from '../../../src/protocol/address.ts';
import type { AddressChange } from '../../../src/protocol/address-change.ts';
import { RlnetError } from '../../../src/protocol/errors.ts';
import { reversed } from '../../../src/protocol/network-owner.ts';
import { makeFiles } from '../../support/made-files.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const exec = createExec();
const change: AddressChange = {
  link: { name: 'eth0' },
  from: { address: parseAddress('192.0.2.1'), prefixLength: 24 },
  to: { address: parseAddress('192.0.2.2'), prefixLength: 24 },
};

interface Kernel {
  addresses: Address[];
  interfaces: Pick<Interfaces, 'read'>;
}

function kernelWith(...addresses: Address[]): Kernel {
  const kernel: Kernel = {
    addresses,
    interfaces: {
      read: async () => [
        {
          index: 2,
          name: 'eth0',
          mtu: 1500,
          operState: 'up',
          flags: ['UP'],
          addresses: kernel.addresses.map((address) => ({
            ...{ address, prefixLength: 24, scope: 'global' },
            flags: [],
          })),
        },
      ],
    },
  };
  return kernel;
}

async function codeOf(outcome: Promise<unknown>): Promise<string> {
  try {
    await outcome;
  } catch (thrown) {
    if (thrown instanceof RlnetError) return `${thrown.code}: ${thrown.message} ${thrown.remedy}`;
    throw thrown;
  }
  return '';
}

/** The outcome of something that waits on a clock which stands still. */
async function waited<T>(clock: ReturnType<typeof createManualClock>, outcome: Promise<T>): Promise<T> {
  let over = false;
  const end = () => {
    over = true;
  };
  outcome.then(end, end);
  // Time passes only while somebody waits for it: real programs and files are on the way in between.
  while (!over) await clock.pass(clock.pending === 0 ? 0 : 1000);
  return outcome;
}

/** A program of the operator: what it is told goes into a file beside it. */
async function openHook(script: string) {
  const root = await temporaryDirectory();
  const path = join(root, 'hook');
  await writeFile(path, `#!/bin/sh\ncd '${root}'\ncat >>told\n${script}\n`);
  await chmod(path, 0o755);
  const kernel = kernelWith(change.from.address);
  const clock = createManualClock();
  const owner = createHookOwner(path, { exec, outer: exec, clock, interfaces: kernel.interfaces });
  const told = async (): Promise<unknown[]> =>
    (await exec.run('cat', [join(root, 'told')], { timeoutMs: 5000 })).stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as unknown);
  return { root, path, backup: join(root, 'backup'), kernel, clock, owner, told };
}

const asRoot = process.getuid?.() === 0;

describe.runIf(asRoot)('a hook', () => {
  it('is told the phase and the whole change, in JSON on standard input', async () => {
    const { owner, backup, told, kernel } = await openHook('');
    await owner.persist(change, backup);
    kernel.addresses = [change.to.address];
    await owner.activate(change);
    await owner.restore(backup);
    kernel.addresses = [change.from.address];
    await owner.activate(reversed(change));
    expect(await told()).toEqual([
      { version: 1, phase: 'persist', ...change },
      { version: 1, phase: 'activate', ...change },
      { version: 1, phase: 'restore', ...change },
      { version: 1, phase: 'activate', ...reversed(change) },
    ]);
  });

  it('is asked again for as long as it says that it is not done yet', async () => {
    const { owner, backup, told, clock } = await openHook('[ "$(wc -l <told)" -ge 3 ] || exit 75');
    await waited(clock, owner.persist(change, backup));
    expect(await told()).toHaveLength(3);
  });

  it('that never gets done is given up', async () => {
    const { owner, backup, clock } = await openHook('echo busy >&2; exit 75');
    expect(await waited(clock, codeOf(owner.persist(change, backup)))).toMatch(
      /OWNER_HOOK_FAILED: .* exit status 75 .*busy/,
    );
  });

  it.each([
    ['persist', 'echo no quota >&2; exit 3', /exit status 3 in the phase persist: no quota/],
    ['readBack', 'echo perhaps', /did not answer from, to, both, neither .*: perhaps/],
    ['readBack', '', /did not answer/],
  ] as const)('that fails in %s by “%s” is not believed', async (phase, script, message) => {
    const { owner, backup } = await openHook(script);
    const outcome = codeOf(phase === 'persist' ? owner.persist(change, backup) : owner.readBack(change));
    expect(await outcome).toMatch(message);
  });

  it('that ends well without effect is not believed', async () => {
    const { owner, clock } = await openHook('');
    expect(await waited(clock, codeOf(owner.activate(change)))).toMatch(
      /^OWNER_NOT_TAKEN_UP: .*no 192\.0\.2\.2 on eth0/,
    );
  });

  it('says which address would be there after a boot', async () => {
    const { owner } = await openHook('echo to');
    expect((await owner.readBack(change)).files).toBe('to');
  });

  it.each([
    ['is not there', (path: string) => exec.run('rm', [path], { timeoutMs: 5000 }), 'ENOENT'],
    ['can be written by others', (path: string) => chmod(path, 0o757), 'others than its owner'],
    ['can be written by its group', (path: string) => chmod(path, 0o775), 'others than its owner'],
    ['is not executable', (path: string) => chmod(path, 0o644), 'not executable'],
    ["is another user's", (path: string) => chown(path, 65534, 65534), 'uid 65534'],
  ])('that %s is not run', async (_how, spoil, why) => {
    const { owner, backup, path, root } = await openHook('touch ran');
    await spoil(path);
    const outcome = await codeOf(owner.persist(change, backup));
    expect(outcome).toContain('OWNER_HOOK_REFUSED');
    expect(outcome).toContain(why);
    expect((await exec.run('ls', [join(root, 'ran')], { timeoutMs: 5000 })).exitCode).not.toBe(0);
  });
});

describe('a change by hand', () => {
  const open = async () => {
    const root = await makeFiles({
      'etc/network/interfaces': '# was 192.0.2.1\niface eth0 inet static\n  address 192.0.2.1/24\n',
      'etc/netplan/.hidden.yaml': '192.0.2.1',
      'etc/netplan/01.yaml': 'addresses: [192.0.2.10/24]\n',
    });
    const kernel = kernelWith(change.from.address);
    const clock = createManualClock();
    const owner = createManualOwner({ exec, outer: exec, clock, interfaces: kernel.interfaces }, root);
    const file = join(root, 'etc/network/interfaces');
    return { root, kernel, clock, owner, file, backup: join(root, 'backup') };
  };

  it('finds lines that name an address, and no comments, hidden files or longer addresses', async () => {
    const { root, file } = await open();
    expect(await locateAnywhere(change.from.address, root)).toEqual([
      { path: file, line: 3, text: 'address 192.0.2.1/24', sets: true },
    ]);
  });

  it('is told to a person by the plan, with where the old address stands', async () => {
    const { owner, file } = await open();
    const { files, warnings } = await owner.plan({
      ...change,
      gateway: { from: parseAddress('192.0.2.254'), to: parseAddress('192.0.2.253') },
    });
    expect(files).toEqual([]);
    expect(warnings).toEqual([
      'Let 192.0.2.2/24 be on eth0 in the place of 192.0.2.1/24, now and after a boot.',
      'Let what goes through the gateway 192.0.2.254 go through 192.0.2.253.',
      `${file}:3 names 192.0.2.1: address 192.0.2.1/24`,
      'Done is what ip -4 addr show dev eth0 shows: 192.0.2.2/24 and no 192.0.2.1.',
    ]);
  });

  it('is waited for until the files and then the kernel have it, and until they have it no more', async () => {
    const { owner, file, kernel, clock, backup } = await open();
    const text = '  address 192.0.2.2/24\n';
    clock.after(60_000, () => writeFileSync(file, text));
    await waited(clock, owner.persist(change, backup));
    expect((await owner.readBack(change)).files).toBe('to');
    clock.after(60_000, () => {
      kernel.addresses = [change.to.address];
    });
    await waited(clock, owner.activate(change));
    clock.after(60_000, () => writeFileSync(file, '  address 192.0.2.1/24\n'));
    await waited(clock, owner.restore(backup));
    expect((await owner.readBack(change)).files).toBe('from');
  });

  it('that nobody makes ends with what there is to do', async () => {
    const { owner, clock, backup } = await open();
    const outcome = await waited(clock, codeOf(owner.persist(change, backup)));
    expect(outcome).toMatch(
      /^OWNER_NOT_TAKEN_UP: .*interfaces:3 names 192\.0\.2\.1 .*Let 192\.0\.2\.2\/24 be/,
    );
  });
});
