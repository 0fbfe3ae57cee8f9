import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { RlnetError } from '../../src/protocol/errors.ts';
import { kernelAddressesContract, type OpenKernel } from '../support/contracts/kernel-addresses.ts';
import { changesBetween, kernelAddressesOf, killOwner, openHost } from '../support/kernel-addresses.ts';
import { isRoot, type NetworkNamespace, openNetworkNamespace } from '../support/netns.ts';
import { changeOf } from '../support/swap-cases.ts';

const boundSeconds = 60;

const openKernel: OpenKernel = async (host, options) => {
  const stack = new AsyncDisposableStack();
  const namespace = stack.use(await openHost(host, options));
  const kernel = stack.use(await kernelAddressesOf(namespace.exec));
  return {
    exec: namespace.exec,
    kernel,
    killOwner: (death) => killOwner(namespace.pid, kernel, death),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
};

describe.skipIf(!isRoot)('in a network namespace (needs root)', { concurrent: true }, () => {
  kernelAddressesContract({
    place: (work) => work(openKernel),
    sample: { cases: 10, trials: 4, changes: 8, rehearsals: 6, deaths: 4 },
    phaseStep: 1,
  });

  it('an owner that is killed leaves what is to stay once it has said so, though its timer was still armed', async () => {
    await using namespace = await openHost('addr add 10.1.0.5/24 dev eth0');
    await using kernel = await kernelAddressesOf(namespace.exec);
    const change = 'eth0 10.1.0.5/24 10.1.0.7/24';
    await killOwner(namespace.pid, kernel, { kind: 'swap', change, phase: 'kept' });
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

  it('can be taken back also where another address of the link was still in detection when it began', async () => {
    await using namespace = await openHost(host);
    await using kernel = await kernelAddressesOf(namespace.exec);
    const detecting = 'echo 1 >/proc/sys/net/ipv6/conf/eth0/accept_dad; exec ip addr add fd09::5/64 dev eth0';
    await namespace.exec.run('sh', ['-c', detecting], { timeoutMs: 10_000 });
    await kernel.swap(change, boundSeconds);
    // What comes with the end of the detection has come by then.
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    await kernel.takeBack();
    expect(await kernel.standing()).toBeUndefined();
  });

  it.each([
    ['IPv4', change],
    ['IPv6', changeOf('eth0 fd01::5/64 fd01::7/64')],
  ])(
    'waits for the word that nobody else has the address, and is taken back where somebody has (%s)',
    async (_, wanted) => {
      await using namespace = await openHost(`${host}
      addr add fd01::5/64 dev eth0 nodad`);
      await using kernel = await kernelAddressesOf(namespace.exec);
      const bound = async (): Promise<string[]> =>
        (await kernel.snapshot()).addresses.flatMap(({ address, flags }) =>
          flags.includes('deprecated') || flags.includes('tentative') ? [] : address,
        );
      const before = await kernel.snapshot();
      const word = Promise.withResolvers<void>();
      const swapped = kernel.swap(wanted, boundSeconds, word.promise);
      await new Promise((resolve) => setTimeout(resolve, 3_000));
      expect(await bound()).toContain(wanted.from.address);
      expect(await bound()).not.toContain(wanted.to.address);
      word.resolve();
      await swapped;
      expect(await bound()).toContain(wanted.to.address);
      await kernel.takeBack();

      const taken = new Error('somebody has it');
      await expect(kernel.swap(wanted, boundSeconds, Promise.reject(taken))).rejects.toThrow(
        'somebody has it',
      );
      expect(await kernel.standing()).toBeUndefined();
      expect(changesBetween(before, await kernel.snapshot())).toEqual([]);
    },
  );

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
      'is on no link before it is known that nobody else has it (IPv6, where the kernel does not look): %s',
      async (kind) => {
        await using wire = await openWire(
          'addr add fd01::5/64 dev eth0 nodad',
          'addr add fd01::7/64 dev eth0 nodad',
        );
        await using kernel = await kernelAddressesOf(wire.near.exec);
        await vi.waitFor(
          async () => expect(JSON.stringify(await kernel.snapshot())).not.toContain('tentative'),
          { timeout: 20_000 },
        );
        const before = await kernel.snapshot();
        const found = new RlnetError('ADDRESS_IN_USE', 'The card of another host has it.', 'Find that host.');
        const asked = Promise.withResolvers<void>();
        const outcome = kernel[kind](changeOf('eth0 fd01::5/64 fd01::7/64'), boundSeconds, asked.promise);
        const refused = expect(outcome).rejects.toBe(found);
        await vi.waitFor(async () => expect(await kernel.standing()).toBeDefined(), { timeout: 20_000 });
        await sleep(1_000);
        expect(changesBetween(before, await kernel.snapshot())).toEqual([]);
        asked.reject(found);
        await refused;
        expect(changesBetween(before, await kernel.snapshot())).toEqual([]);
        expect(await kernel.standing()).toBeUndefined();
      },
    );
  },
);
