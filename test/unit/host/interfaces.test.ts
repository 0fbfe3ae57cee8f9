import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { createClock } from '../../../src/host/clock.ts';
import { createInterfaces, parseIpAddr } from '../../../src/host/interfaces.ts';
import type { Exec } from '../../../src/host/ports/exec.ts';
import { tryParseAddress } from '../../../src/protocol/address.ts';
import {
  type BoundAddress,
  maxUnreadListed,
  type NetworkInterface,
} from '../../../src/protocol/interfaces.ts';
import { execWithPrograms } from '../../support/programs.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const fixture = new URL('../../fixtures/ip-addr/iproute2-6.1-namespace.json', import.meta.url);

describe('parseIpAddr', () => {
  it('reads a captured answer: loopback, a bridge and its port, a link that is down, labels, peers, lifetimes', async () => {
    const links = parseIpAddr(await readFile(fixture, 'utf8'));
    expect(links.map(({ index, name, operState }) => `${index} ${name} ${operState}`)).toEqual([
      '1 lo unknown',
      '2 br0 up',
      '3 eth1 up',
      '4 eth0 up',
      '5 dn1 down',
      '6 dn0 down',
    ]);
    const [lo, br0, eth1, eth0, , dn0] = links;
    expect(lo).not.toHaveProperty('mac');
    expect(lo).not.toHaveProperty('kind');
    expect(lo?.flags).toEqual(['LOOPBACK', 'UP', 'LOWER_UP']);
    expect(br0).toMatchObject({ kind: 'bridge', mac: 'ae:82:fe:1b:e9:13', mtu: 1500 });
    expect(eth0).toMatchObject({ kind: 'veth', controller: 'br0' });
    expect(dn0?.addresses.map(({ address }) => address)).toEqual(['192.0.2.99']);
    expect(eth1?.addresses).toEqual([
      { address: '198.51.100.1', prefixLength: 32, scope: 'link', label: 'eth1', flags: [] },
      { address: '192.0.2.10', prefixLength: 24, scope: 'global', label: 'eth1:vip', flags: [] },
      {
        address: '10.9.0.1',
        prefixLength: 24,
        scope: 'global',
        label: 'eth1',
        flags: ['dynamic'],
        preferredLifetime: 1800,
        validLifetime: 3600,
      },
      { address: '192.0.2.11', prefixLength: 24, scope: 'global', label: 'eth1', flags: ['secondary'] },
      { address: '2001:db8::5', prefixLength: 128, scope: 'global', flags: ['home', 'tentative'] },
      { address: '2001:db8::3', prefixLength: 128, scope: 'global', flags: ['nodad', 'noprefixroute'] },
      {
        address: '2001:db8::2',
        prefixLength: 64,
        scope: 'global',
        flags: ['deprecated', 'tentative', 'dynamic'],
        preferredLifetime: 0,
        validLifetime: 600,
      },
      { address: '2001:db8::1', prefixLength: 64, scope: 'global', flags: ['tentative'] },
      { address: 'fe80::e8bc:f3ff:fe07:d2c8', prefixLength: 64, scope: 'link', flags: ['tentative'] },
    ]);
  });

  it('gives back any host that it is told about, whatever else ip says', () => {
    fc.assert(
      fc.property(fc.array(anyInterface, { maxLength: 8 }), extras, (links, extra) => {
        const answer = JSON.stringify(links.map((link) => asIpPrints(link, extra)));
        expect(parseIpAddr(answer)).toEqual(links);
      }),
    );
  });

  it('leaves out address families that are neither IPv4 nor IPv6', () => {
    const answer = oneLink([{ family: 'mpls', local: '100' }, loopbackInfo]);
    expect(parseIpAddr(answer)[0]?.addresses.map(({ address }) => address)).toEqual(['127.0.0.1']);
  });

  it.each([
    [
      'an IPv4-mapped one',
      { family: 'inet6', local: '::ffff:1.2.3.4', prefixlen: 96 },
      '::ffff:1.2.3.4/96',
      /mapped: 1\.2\.3\.4$/,
    ],
    ['one that is none', { ...loopbackInfo, local: '10.1' }, '10.1/8', /Invalid address/],
    ['one without prefix', { family: 'inet', local: '10.0.0.1', scope: 'global' }, '10.0.0.1', /prefixlen/],
    ['one with an impossible lifetime', { ...loopbackInfo, valid_life_time: -1 }, '127', /valid_life_time/],
  ] as const)('shows %s as unread, and the addresses beside it', (_, odd, text, why) => {
    const [link] = parseIpAddr(oneLink([loopbackInfo, odd]));
    expect(link?.addresses.map(({ address }) => address)).toEqual(['127.0.0.1']);
    const shown = { text: expect.stringContaining(text), why: expect.stringMatching(why) };
    expect(link?.unread).toEqual({ listed: [shown], more: 0 });
  });

  it('counts what is unread beyond what it shows', () => {
    const mapped = Array.from({ length: 20 }, (_value, index) => ({
      family: 'inet6',
      local: `::ffff:1.2.3.${index}`,
      prefixlen: 96,
    }));
    expect(parseIpAddr(oneLink(mapped))[0]?.unread).toMatchObject({
      listed: { length: maxUnreadListed },
      more: 20 - maxUnreadListed,
    });
  });

  it.each([
    ['nothing', '', 'not JSON'],
    ['half an answer', '[{"ifindex":1,"ifname":"lo"', 'not JSON'],
    ['another shape', '{"ifname":"lo"}', 'not a list'],
    ['an entry without a name', '[{}]', 'entry 1'],
    ['a link without addr_info', '[{"ifname":"eth7","ifindex":1}]', 'eth7'],
  ])('refuses %s as OUTPUT_UNREADABLE and names it', (_, answer, named) => {
    expect(() => parseIpAddr(answer)).toThrow(
      expect.objectContaining({ code: 'OUTPUT_UNREADABLE', message: expect.stringMatching(named) }),
    );
  });
});

describe('interfaces', () => {
  it('say COMMAND_FAILED with the complaint when ip fails', async () => {
    const exec = await execWithIp('echo "Cannot open netlink socket: Permission denied" >&2; exit 1');
    await expect(createInterfaces(exec, createClock()).read()).rejects.toMatchObject({
      code: 'COMMAND_FAILED',
      message: expect.stringContaining('netlink socket'),
    });
  });

  it("say where a NIC's device is, and nothing of links that have none", async () => {
    const sysfs = await temporaryDirectory();
    const device = 'devices/pci0000:00/0000:00:03.0/virtio0';
    for (const made of [`${device}/net/eth7`, 'class/net/eth7', 'class/net/eth8', 'class/net/eth9'])
      await mkdir(`${sysfs}/${made}`, { recursive: true });
    for (const name of ['eth7', 'eth9'])
      await symlink(`../../../${device}`, `${sysfs}/class/net/${name}/device`);
    const ether = { link_type: 'ether', address: '02:00:00:00:00:01', mtu: 1500, operstate: 'UP', flags: [] };
    const answer = JSON.stringify([
      { ...ether, ifindex: 7, ifname: 'eth7', addr_info: [] },
      { ...ether, ifindex: 8, ifname: 'eth8', addr_info: [] },
      { ...ether, ifindex: 9, ifname: 'eth9', linkinfo: { info_kind: 'veth' }, addr_info: [] },
    ]);
    const exec = await execWithIp(`cat <<'END'\n${answer}\nEND`);
    const links = await createInterfaces(exec, createClock(), sysfs).read();
    expect(links.map(({ name, path }) => [name, path])).toEqual([
      ['eth7', 'pci0000:00/0000:00:03.0/virtio0'],
      ['eth8', undefined],
      ['eth9', undefined],
    ]);
  });

  it('give one hint for a burst of events, and hints during a burst that does not end', async () => {
    const directory = await temporaryDirectory();
    const exec = await execWithIp(
      `until test -e ${directory}/go; do sleep 0.05; done; printf 'event\\nevent\\nevent\\n'; sleep 60`,
    );
    const onHint = vi.fn();
    const watching = createInterfaces(exec, createClock()).watch(onHint);
    // The one of its start, which would take up a burst that came at the same time.
    await vi.waitFor(() => expect(onHint).toHaveBeenCalledTimes(1), { timeout: 5000 });
    await writeFile(`${directory}/go`, '');
    await vi.waitFor(() => expect(onHint).toHaveBeenCalledTimes(2), { timeout: 5000 });
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(onHint).toHaveBeenCalledTimes(2);
    watching.close();

    const endless = await execWithIp('while :; do echo event; sleep 0.01; done');
    const onEndless = vi.fn();
    const watchingEndless = createInterfaces(endless, createClock()).watch(onEndless);
    await vi.waitFor(() => expect(onEndless.mock.calls.length).toBeGreaterThan(3), { timeout: 5000 });
    watchingEndless.close();
  });

  it('start a monitor that died again, and hint at what it may have missed', async () => {
    const directory = await temporaryDirectory();
    const exec = await execWithIp(`echo run >> ${directory}/runs; exit 1`);
    const onHint = vi.fn();
    const watching = createInterfaces(exec, createClock()).watch(onHint);
    const runs = async () => (await readFile(`${directory}/runs`, 'utf8')).trim().split('\n').length;
    await vi.waitFor(async () => expect(await runs()).toBe(2), { timeout: 10_000 });
    expect(onHint).toHaveBeenCalled();
    watching.close();
  });

  it('do not hint after the watch was closed', async () => {
    const exec = await execWithIp('while :; do echo event; sleep 0.01; done');
    const onHint = vi.fn();
    const watching = createInterfaces(exec, createClock()).watch(onHint);
    await vi.waitFor(() => expect(onHint).toHaveBeenCalled(), { timeout: 5000 });
    watching.close();
    onHint.mockClear();
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(onHint).not.toHaveBeenCalled();
  });
});

const loopbackInfo = { family: 'inet', local: '127.0.0.1', prefixlen: 8, scope: 'host' };

function oneLink(addrInfo: object[]): string {
  return JSON.stringify([
    {
      ifindex: 7,
      ifname: 'eth7',
      flags: ['UP'],
      mtu: 1500,
      operstate: 'UP',
      link_type: 'ether',
      addr_info: addrInfo,
    },
  ]);
}

const execWithIp = (script: string): Promise<Exec> => execWithPrograms({ ip: script });

const anyAddress = fc
  .oneof(fc.ipV4(), fc.ipV6())
  .map(tryParseAddress)
  .filter((address) => address !== undefined);
const lifetime = fc.integer({ min: 0, max: 2 ** 32 - 2 });
const anyBoundAddress: fc.Arbitrary<BoundAddress> = fc.record(
  {
    address: anyAddress,
    prefixLength: fc.integer({ min: 0, max: 32 }),
    scope: fc.constantFrom('global', 'link', 'host', '77'),
    label: fc.constantFrom('eth0', 'eth0:vip'),
    flags: fc.subarray(['secondary', 'dynamic', 'tentative', 'deprecated', 'stable-privacy', 'newer']),
    preferredLifetime: lifetime,
    validLifetime: lifetime,
  },
  { requiredKeys: ['address', 'prefixLength', 'scope', 'flags'] },
);
const anyInterface: fc.Arbitrary<NetworkInterface> = fc.record(
  {
    index: fc.nat(),
    name: fc.stringMatching(/^[a-z0-9.@_-]{1,15}$/),
    mac: fc.stringMatching(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/),
    mtu: fc.nat(65_536),
    operState: fc.constantFrom('up', 'down', 'unknown', 'lowerlayerdown', 'dormant'),
    flags: fc.subarray(['UP', 'LOWER_UP', 'NO-CARRIER', 'LOOPBACK']),
    kind: fc.constantFrom('bridge', 'veth'),
    controller: fc.constantFrom('br0', 'bond0'),
    addresses: fc.array(anyBoundAddress, { maxLength: 6 }),
  },
  { requiredKeys: ['index', 'name', 'mtu', 'operState', 'flags', 'addresses'] },
);

/** Members that rlnet has no use for, and others that a newer ip may print. */
const extras = fc.dictionary(
  fc.stringMatching(/^x_[a-z]{1,5}$/),
  fc.oneof(fc.string(), fc.integer(), fc.constant(null)),
);

/** iproute2's way to say the same. */
function asIpPrints(link: NetworkInterface, extra: object): object {
  return {
    ...extra,
    ifindex: link.index,
    ifname: link.name,
    flags: link.flags,
    mtu: link.mtu,
    qdisc: 'noqueue',
    operstate: link.operState.toUpperCase(),
    ...(link.mac === undefined
      ? { link_type: 'sit', address: '192.0.2.1' }
      : { link_type: 'ether', address: link.mac.toUpperCase() }),
    ...(link.controller === undefined ? {} : { master: link.controller }),
    ...(link.kind === undefined ? {} : { linkinfo: { ...extra, info_kind: link.kind, info_data: extra } }),
    addr_info: link.addresses.map((bound) => ({
      family: bound.address.includes(':') ? 'inet6' : 'inet',
      local: bound.address,
      address: '192.0.2.254',
      prefixlen: bound.prefixLength,
      scope: bound.scope,
      ...Object.fromEntries(bound.flags.map((flag) => [flag, true])),
      ...(bound.label === undefined ? {} : { label: bound.label }),
      valid_life_time: bound.validLifetime ?? 4294967295,
      preferred_life_time: bound.preferredLifetime ?? 4294967295,
      ...extra,
    })),
  };
}
