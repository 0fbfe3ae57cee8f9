import { readFile } from 'node:fs/promises';
import { describe, expect, it, vi } from 'vitest';
import { type Family, familyOf } from '../../src/protocol/address.ts';
import type { NetworkSnapshot } from '../../src/protocol/network-snapshot.ts';
import { planRehearsal } from '../../src/protocol/rehearsal.ts';
import { planSwap } from '../../src/protocol/swap.ts';
import {
  changesBetween,
  kernelAddressesOf,
  killOwner,
  openHost,
  textOf,
} from '../support/kernel-addresses.ts';
import { isRoot, type NetworkNamespace, openNetworkNamespace } from '../support/netns.ts';
import { full, sampleOf } from '../support/sampling.ts';
import { changeOf, ipv4Cases, ipv6Cases, type SwapCase } from '../support/swap-cases.ts';
import { swapMatrix } from '../support/swap-matrix.ts';

const cases: (SwapCase & { promote: 0 | 1; family: Family })[] = [
  ...([0, 1] as const).flatMap((promote) =>
    ipv4Cases.map((entry) => ({ ...entry, promote, family: 'ipv4' as const })),
  ),
  ...ipv6Cases.map((entry) => ({ ...entry, promote: 0 as const, family: 'ipv6' as const })),
];

const boundSeconds = 60;

function lines(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

/** What changed, but for the routes of the table `local`. */
function seenChanges(before: NetworkSnapshot, after: NetworkSnapshot): string[] {
  return changesBetween(before, after).filter((line) => !line.includes(' table local '));
}

describe.skipIf(!isRoot)('a swap in the kernel (needs root)', { concurrent: true }, () => {
  it.for(sampleOf(cases, 10))(
    '$family, promote_secondaries=$promote: $title',
    async ({ host, change, changes, promote }) => {
      await using namespace = await openHost(host, { promote });
      await using kernel = await kernelAddressesOf(namespace.exec);
      const before = await kernel.snapshot();

      const { elsewhere } = await kernel.swap(changeOf(change), boundSeconds);
      expect(elsewhere).toEqual([]);
      expect(seenChanges(before, await kernel.snapshot()).toSorted()).toEqual(lines(changes).toSorted());

      await kernel.takeBack();
      expect(changesBetween(before, await kernel.snapshot())).toEqual([]);
      expect(await kernel.standing()).toBeUndefined();
    },
  );

  it.for(
    sampleOf(
      cases.filter(({ promote }) => promote === 0),
      4,
    ),
  )('can be rehearsed without a change to what is there, $family: $title', async ({ host, change }) => {
    await using namespace = await openHost(host, { promote: 0 });
    await using kernel = await kernelAddressesOf(namespace.exec);
    const before = await kernel.snapshot();
    await kernel.rehearse(changeOf(change), boundSeconds);
    const changes = changesBetween(before, await kernel.snapshot());
    const { to } = changeOf(change);
    const trial =
      familyOf(to.address) === 'ipv4'
        ? `+ ${to.address}/32 dev eth0 scope global label eth0 noprefixroute`
        : `+ ${to.address}/128 dev eth0 scope global deprecated noprefixroute`;
    expect(changes).toContain(trial);
    expect(changes).toContainEqual(expect.stringContaining(` rule priority 1 from ${to.address} `));
    expect(changes.filter((line) => line.startsWith('-'))).toEqual([]);
    expect(changes.filter((line) => line.includes(' table main '))).toEqual([]);
    await kernel.takeBack();
    expect(changesBetween(before, await kernel.snapshot())).toEqual([]);
  });
});

/** Every combination of family, subnet, gateway, other addresses, rules and `promote_secondaries`: 48 changes. */
describe.skipIf(!isRoot)('any change (needs root)', { concurrent: true }, () => {
  it.for(sampleOf(swapMatrix, 8))(
    '$title: afterwards the host is as if it had had the new address from the start, and as before once it is taken back',
    async ({ host, change, after, promote }) => {
      await using namespace = await openHost(host, { promote });
      await using kernel = await kernelAddressesOf(namespace.exec);
      const before = textOf(await kernel.snapshot());
      if (after === undefined) {
        await expect(kernel.swap(changeOf(change), boundSeconds)).rejects.toMatchObject({
          code: 'ADDRESS_CHANGE_REFUSED',
        });
        expect(textOf(await kernel.snapshot())).toEqual(before);
        return;
      }
      await using wanted = await openHost(after, { promote });
      await using like = await kernelAddressesOf(wanted.exec);
      await kernel.swap(changeOf(change), boundSeconds);
      expect(textOf(await kernel.snapshot())).toEqual(textOf(await like.snapshot()));
      await kernel.takeBack();
      expect(textOf(await kernel.snapshot())).toEqual(before);
    },
  );

  it.for(sampleOf(swapMatrix, 6))(
    '$title: a rehearsal adds what it has to, has nothing sent from there, and leaves nothing',
    async ({ host, change, rehearsed, promote, family }) => {
      await using namespace = await openHost(host, { promote });
      await using kernel = await kernelAddressesOf(namespace.exec);
      const before = await kernel.snapshot();
      const sentFrom = async () => {
        const destination = family === 'ipv4' ? '192.0.2.1' : '2001:db8::1';
        const { stdout } = await namespace.exec.run('ip', ['-o', 'route', 'get', destination], {
          timeoutMs: 10_000,
        });
        return /\bsrc (\S+)/.exec(stdout)?.[1];
      };
      const source = await sentFrom();
      expect(source).toBeDefined();
      await kernel.rehearse(changeOf(change), boundSeconds);
      expect(changesBetween(before, await kernel.snapshot()).toSorted()).toEqual(rehearsed.toSorted());
      expect(await sentFrom()).toBe(source);
      await kernel.takeBack();
      expect(changesBetween(before, await kernel.snapshot())).toEqual([]);
    },
  );
});

/** The phases of a change of one host, as `kernel-owner.ts` names them: every one of the way there, some of the way back. */
function phasesOf({ forward, back }: { forward: readonly unknown[]; back: readonly unknown[] }): string[] {
  const each = (part: string, { length }: readonly unknown[]) =>
    Array.from({ length: length + 1 }, (_, count) => `${part} ${count}`);
  const way = ['unarmed', 'armed', ...each('forward', forward), 'done', 'extending'];
  return [...sampleOf(way, 3), ...sampleOf(each('back', back), full ? 5 : 2, false)];
}

describe.skipIf(!isRoot)('an owner that is killed (needs root)', { concurrent: true }, () => {
  const rich = (
    [
      [ipv4Cases[1], 0],
      [ipv4Cases[2], 1],
      [ipv4Cases[7], 0],
      [ipv6Cases[1], 0],
    ] as const
  ).flatMap(([entry, promote]) => (entry === undefined ? [] : [{ ...entry, promote }]));
  const deaths = [...swapMatrix.filter(({ after }) => after !== undefined), ...rich].flatMap((entry) =>
    (['swap', 'rehearse'] as const).map((kind) => ({ ...entry, kind })),
  );
  it.for(sampleOf(deaths, 4))(
    `leaves what was there before, in ${full ? 'every phase' : 'some phases'} of a $kind: $title`,
    { timeout: full ? 3_600_000 : 240_000 },
    async ({ kind, promote, host, change }) => {
      await using namespace = await openHost(host, { promote });
      await using kernel = await kernelAddressesOf(namespace.exec);
      const before = await kernel.snapshot();
      const plan = (kind === 'swap' ? planSwap : planRehearsal)(before, changeOf(change));
      for (const phase of phasesOf(plan)) {
        await killOwner(namespace, kernel.directory, { kind, change, phase });
        if (phase !== 'unarmed') {
          expect(await kernel.elapse(), phase).toBe('same\n');
          expect(changesBetween(before, await kernel.snapshot()), phase).toEqual([]);
        }
        expect(await kernel.standing(), phase).toMatchObject({ takenBack: phase !== 'unarmed' });
        await expect(kernel.swap(changeOf(change), boundSeconds)).rejects.toMatchObject({
          code: 'ADDRESS_CHANGE_UNDER_WAY',
        });
        // Reads back what it comes to.
        await kernel.takeBack();
        expect(await kernel.standing(), phase).toBeUndefined();
      }
      expect(changesBetween(before, await kernel.snapshot())).toEqual([]);
    },
  );

  it('leaves what is to stay once it has said so, though its timer was still armed', async () => {
    await using namespace = await openHost('addr add 10.1.0.5/24 dev eth0');
    await using kernel = await kernelAddressesOf(namespace.exec);
    const change = 'eth0 10.1.0.5/24 10.1.0.7/24';
    await killOwner(namespace, kernel.directory, { kind: 'swap', change, phase: 'kept' });
    const kept = await kernel.snapshot();
    expect(kept.addresses).toContainEqual(expect.objectContaining({ address: '10.1.0.7' }));
    await kernel.timerEnds();
    expect(await kernel.standing()).toBeUndefined();
    expect(changesBetween(kept, await kernel.snapshot())).toEqual([]);
    // And another change can follow.
    await kernel.swap(changeOf('eth0 10.1.0.7/24 10.1.0.5/24'), boundSeconds);
    await kernel.keep();
  });
});

describe.skipIf(!isRoot)('a standing change (needs root)', { concurrent: true }, () => {
  const host = `
    addr add 10.1.0.5/24 brd + dev eth0
    addr add 10.1.0.6/24 dev eth0
    route add default via 10.1.0.1`;
  const change = changeOf('eth0 10.1.0.5/24 10.1.0.7/24');

  it('stays when it is kept, and is then nothing that could be taken back', async () => {
    await using namespace = await openHost(host);
    await using kernel = await kernelAddressesOf(namespace.exec);
    await kernel.swap(change, boundSeconds);
    expect(await kernel.standing()).toMatchObject({ kind: 'swap', change, takenBack: false });
    await kernel.extend(2 * boundSeconds);
    await kernel.extend(boundSeconds);
    await kernel.keep();
    expect(await kernel.standing()).toBeUndefined();
    const kept = await kernel.snapshot();
    await kernel.takeBack();
    await kernel.keep();
    expect(changesBetween(kept, await kernel.snapshot())).toEqual([]);
    expect(kept.addresses).toContainEqual(expect.objectContaining({ address: '10.1.0.7' }));
  });

  it('cannot be kept or extended once its time was over, and says so', async () => {
    await using namespace = await openHost(host);
    await using kernel = await kernelAddressesOf(namespace.exec);
    const before = await kernel.snapshot();
    await kernel.swap(change, boundSeconds);
    // What the timer would run.
    await namespace.exec.run('sh', [`${kernel.directory}/change/take-back.sh`], { timeoutMs: 30_000 });
    expect(changesBetween(before, await kernel.snapshot())).toEqual([]);
    expect(await kernel.standing()).toMatchObject({ takenBack: true });
    for (const late of [kernel.keep(), kernel.extend(boundSeconds)]) {
      await expect(late).rejects.toMatchObject({ code: 'ADDRESS_CHANGE_TAKEN_BACK' });
    }
    await kernel.takeBack();
    expect(await kernel.standing()).toBeUndefined();
  });

  it('can be taken back twice by its script, and by hand after that', async () => {
    await using namespace = await openHost(host);
    await using kernel = await kernelAddressesOf(namespace.exec);
    const before = await kernel.snapshot();
    await kernel.swap(change, boundSeconds);
    for (let time = 0; time < 2; time++) {
      const script = `${kernel.directory}/change/take-back.sh`;
      const { exitCode } = await namespace.exec.run('sh', [script], { timeoutMs: 30_000 });
      expect(exitCode).toBe(0);
      expect(changesBetween(before, await kernel.snapshot())).toEqual([]);
    }
    await kernel.takeBack();
  });

  it('is not called undone where something else stands in the way, and its script says what differs', async () => {
    await using namespace = await openHost(host);
    await using kernel = await kernelAddressesOf(namespace.exec);
    await kernel.swap(change, boundSeconds);
    await namespace.ip('addr add 10.98.0.1/24 dev eth0');
    await expect(kernel.takeBack()).rejects.toMatchObject({
      code: 'KERNEL_NOT_AS_PLANNED',
      message: expect.stringContaining('unexpected address 10.98.0.1/24'),
    });
    expect(await kernel.standing()).toMatchObject({ takenBack: true });
    expect(await readFile(`${kernel.directory}/change/result`, 'utf8')).toContain('10.98.0.1');
    await namespace.ip('addr del 10.98.0.1/24 dev eth0');
    await kernel.takeBack();
    expect(await kernel.standing()).toBeUndefined();
  });

  it('is no failure when something of another link changes meanwhile, and tells it', async () => {
    await using namespace = await openHost(host);
    await using kernel = await kernelAddressesOf(namespace.exec);
    await kernel.swap(change, boundSeconds);
    await namespace.ip('addr add 10.99.0.1/24 dev eth1');
    const { elsewhere } = await kernel.takeBack();
    expect(elsewhere).toContainEqual(
      expect.objectContaining({ kind: 'address', change: 'unexpected', links: ['eth1'] }),
    );
  });

  it('is given no less time than it takes', async () => {
    await using namespace = await openHost(host);
    await using kernel = await kernelAddressesOf(namespace.exec);
    const before = await kernel.snapshot();
    for (const seconds of [0, 9, -1, Number.NaN]) {
      await expect(kernel.swap(change, seconds)).rejects.toMatchObject({ code: 'ADDRESS_CHANGE_REFUSED' });
    }
    expect(changesBetween(before, await kernel.snapshot())).toEqual([]);
    await kernel.swap(change, boundSeconds);
    await expect(kernel.extend(0)).rejects.toMatchObject({ code: 'ADDRESS_CHANGE_REFUSED' });
    expect(await kernel.standing()).toMatchObject({ takenBack: false });
    await kernel.takeBack();
  });
});

describe.skipIf(!isRoot)(
  'a trial address, with another host on the link (needs root)',
  { concurrent: true },
  () => {
    /** Two hosts on one wire; duplicate address detection takes its time here. */
    async function openWire(here: string, there: string) {
      const stack = new AsyncDisposableStack();
      const near = stack.use(await openNetworkNamespace());
      const far = stack.use(await openNetworkNamespace());
      await near.ip(`link add eth0 type veth peer name eth0 netns ${far.pid}\nlink set eth0 up`);
      await far.ip(`link set eth0 up\n${there}`);
      await near.ip(here);
      return { near, far, [Symbol.asyncDispose]: () => stack.disposeAsync() };
    }

    async function answers(host: NetworkNamespace, address: string): Promise<boolean> {
      const { exitCode } = await host.exec.run('ping', ['-c', '1', '-W', '5', address], {
        timeoutMs: 10_000,
      });
      return exitCode === 0;
    }

    it.for([
      ['10.1.0.5/24', '10.1.0.7/24', '10.1.0.9/24'],
      ['10.1.0.5/24', '10.2.0.7/24', '10.2.0.9/24'],
      ['fd01::5/64', 'fd01::7/64', 'fd01::9/64'],
      ['fd01::5/64', 'fd02::7/64', 'fd02::9/64'],
    ])(
      'is reached while it stands, and not after: %s, then %s, from %s',
      async ([from = '', to = '', other = '']) => {
        await using wire = await openWire(
          `addr add ${from} dev eth0 nodad`,
          `addr add ${other} dev eth0 nodad`,
        );
        await using kernel = await kernelAddressesOf(wire.near.exec);
        // Links of their own have link-local addresses that are being checked at first.
        await vi.waitFor(
          async () => expect(JSON.stringify(await kernel.snapshot())).not.toContain('tentative'),
          {
            timeout: 20_000,
          },
        );
        const before = await kernel.snapshot();
        const address = to.split('/')[0] ?? '';
        await kernel.rehearse(changeOf(`eth0 ${from} ${to}`), boundSeconds);
        expect(await answers(wire.far, address)).toBe(true);
        await kernel.takeBack();
        expect(await answers(wire.far, address)).toBe(false);
        expect(changesBetween(before, await kernel.snapshot())).toEqual([]);
      },
    );

    it.for(['rehearse', 'swap'] as const)(
      'that another host has is found by the kernel (IPv6), and %s takes it back',
      async (kind) => {
        await using wire = await openWire(
          'addr add fd01::5/64 dev eth0 nodad',
          'addr add fd01::7/64 dev eth0 nodad',
        );
        await using kernel = await kernelAddressesOf(wire.near.exec);
        await vi.waitFor(
          async () => expect(JSON.stringify(await kernel.snapshot())).not.toContain('tentative'),
          {
            timeout: 20_000,
          },
        );
        const before = await kernel.snapshot();
        await expect(
          kernel[kind](changeOf('eth0 fd01::5/64 fd01::7/64'), boundSeconds),
        ).rejects.toMatchObject({
          code: 'ADDRESS_DUPLICATE',
        });
        expect(changesBetween(before, await kernel.snapshot())).toEqual([]);
        expect(await kernel.standing()).toBeUndefined();
      },
    );
  },
);
