import { describe, expect, it } from 'vitest';
import { openHost } from '../support/kernel-addresses.ts';
import { isRoot, type NetworkNamespace } from '../support/netns.ts';
import { openSegment } from '../support/segment.ts';

/**
 * What the kernel does with addresses, by itself and without any of our code: the facts that a change of an address is made around.
 * Where one of them does not hold on a kernel, its plan is to be looked at again.
 */

async function said({ exec }: Pick<NetworkNamespace, 'exec'>, command: string): Promise<string[]> {
  const { exitCode, stdout, stderr } = await exec.run('sh', ['-ec', command], { timeoutMs: 30_000 });
  if (exitCode !== 0) throw new Error(`${command}: ${stderr}`);
  return stdout.split('\n').flatMap((line) => (line.trim() === '' ? [] : [line.trim()]));
}

const addressesOf = async (host: NetworkNamespace) =>
  (await said(host, 'ip -o addr show dev eth0 scope global')).map((line) => line.split(/ +/)[3]);
const routesOf = (host: NetworkNamespace, family: '-4' | '-6' = '-4') =>
  said(host, `ip ${family} route show`);
const sourceTo = async (host: NetworkNamespace, destination: string) =>
  / src (\S+)/.exec((await said(host, `ip -o route get ${destination}`)).join())?.[1];

describe.skipIf(!isRoot)('the kernel (needs root)', { concurrent: true }, () => {
  const two = `
    addr add 10.1.0.5/24 dev eth0
    addr add 10.1.0.6/24 dev eth0
    route add default via 10.1.0.1`;
  const three = `${two}\n addr add 10.2.0.5/24 dev eth0`;

  it('takes the second address of a network, its route and the default route along with the first, where promote_secondaries is 0', async () => {
    await using host = await openHost(two, { promote: 0 });
    await host.ip('addr del 10.1.0.5/24 dev eth0');
    expect(await addressesOf(host)).toEqual([]);
    expect(await routesOf(host)).toEqual([]);
  });

  it('leaves a default route behind whose gateway went out of reach with them, where the link has another network', async () => {
    await using host = await openHost(three, { promote: 0 });
    await host.ip('addr del 10.1.0.5/24 dev eth0');
    expect(await addressesOf(host)).toEqual(['10.2.0.5/24']);
    expect(await routesOf(host)).toEqual([
      'default via 10.1.0.1 dev eth0',
      '10.2.0.0/24 dev eth0 proto kernel scope link src 10.2.0.5',
    ]);
  });

  it('makes the second address the first one where promote_secondaries is 1, and takes routes with the first as their source away', async () => {
    await using host = await openHost(`${three}\n route add 10.9.0.0/16 via 10.1.0.1 src 10.1.0.5`, {
      promote: 1,
    });
    await host.ip('addr del 10.1.0.5/24 dev eth0');
    expect(await addressesOf(host)).toEqual(['10.2.0.5/24', '10.1.0.6/24']);
    expect((await routesOf(host)).toSorted()).toEqual([
      '10.1.0.0/24 dev eth0 proto kernel scope link src 10.1.0.6',
      '10.2.0.0/24 dev eth0 proto kernel scope link src 10.2.0.5',
      'default via 10.1.0.1 dev eth0',
    ]);
  });

  it('takes all IPv4 routes of a link away with its last address, also those without a source', async () => {
    await using host = await openHost('addr add 10.1.0.5/32 dev eth0\n route add 10.9.0.0/16 dev eth0');
    await host.ip('addr del 10.1.0.5/32 dev eth0\n addr add 10.1.0.5/32 dev eth0');
    expect(await routesOf(host)).toEqual([]);
  });

  it('sends from a deprecated IPv4 address all the same, and from a deprecated IPv6 address only where there is no other', async () => {
    await using host = await openHost(`
      addr add 10.1.0.5/24 dev eth0 preferred_lft 0
      addr add 10.1.0.6/24 dev eth0
      addr add fd01::5/64 dev eth0
      addr add fd01::6/64 dev eth0 preferred_lft 0`);
    expect(await sourceTo(host, '10.1.0.9')).toBe('10.1.0.5');
    expect(await sourceTo(host, 'fd01::9')).toBe('fd01::5');
    await host.ip('addr del fd01::5/64 dev eth0');
    expect(await sourceTo(host, 'fd01::9')).toBe('fd01::6');
  });

  it('sends from the IPv6 address that was added last of two that are equally good, and from the IPv4 address that was added first', async () => {
    await using host = await openHost(`
      addr add 10.1.0.5/24 dev eth0
      addr add 10.1.0.6/24 dev eth0
      addr add fd01::5/64 dev eth0
      addr add fd01::6/64 dev eth0`);
    expect(await sourceTo(host, '10.1.0.9')).toBe('10.1.0.5');
    expect(await sourceTo(host, 'fd01::9')).toBe('fd01::6');
  });

  it.for([
    ['ipv4', '10.2.0.7/24', '10.2.0.7/32', '10.2.0.9'],
    ['ipv6', 'fd02::7/64', 'fd02::7/128', 'fd02::9'],
  ])(
    'puts the network of an address on the link at once, and not that of one that is a network of its own with noprefixroute: %s',
    async ([, whole = '', trial = '', neighbour = '']) => {
      await using host = await openHost('addr add 10.1.0.5/24 dev eth0\n addr add fd01::5/64 dev eth0');
      const reach = () =>
        host.exec
          .run('ip', ['route', 'get', neighbour], { timeoutMs: 10_000 })
          .then(({ exitCode }) => exitCode === 0);
      await host.ip(`addr add ${trial} dev eth0 noprefixroute`);
      expect(await reach()).toBe(false);
      await host.ip(`addr del ${trial} dev eth0\n addr add ${whole} dev eth0`);
      expect(await reach()).toBe(true);
    },
  );

  it('answers ARP for each of its addresses on every one of its cards, also for one whose card is down', async () => {
    await using segment = await openSegment();
    const [asker, host] = [await segment.host(), await segment.host(3)];
    await asker.ip('addr add 10.1.0.1/24 dev eth0');
    await host.ip('addr add 10.1.0.5/24 dev eth0\n addr add 10.1.0.6/24 dev eth2\n link set eth2 down');
    const macs = [await host.mac('eth0'), await host.mac('eth1')].toSorted();
    const answersFor = async (address: string) => {
      const lines = await said(asker, `arping -c 2 -w 2 -I eth0 ${address} || true`);
      const found = lines.flatMap((line) => /reply from \S+ \[(\S+)\]/.exec(line)?.[1]?.toLowerCase() ?? []);
      return [...new Set(found)].toSorted();
    };
    expect(await answersFor('10.1.0.5')).toEqual(macs);
    expect(await answersFor('10.1.0.6')).toEqual(macs);
  });

  it('does not notice another owner of an IPv4 address when it adds it', async () => {
    await using segment = await openSegment();
    const [one, other] = [await segment.host(), await segment.host()];
    await one.ip('addr add 10.1.0.5/24 dev eth0');
    await other.ip('addr add 10.1.0.5/24 dev eth0');
    expect(await said(other, 'ip -o -4 addr show dev eth0')).toEqual([
      expect.not.stringMatching(/tentative|dadfailed/),
    ]);
  });
});
