import { describe, expect, it, vi } from 'vitest';
import { createClock } from '../../src/host/clock.ts';
import { createInterfaces } from '../../src/host/interfaces.ts';
import { parseAddress } from '../../src/protocol/address.ts';
import { holdersOf, isActive, isUsable } from '../../src/protocol/interfaces.ts';
import { crowd, isRoot, openNetworkNamespace } from '../support/netns.ts';

const manyLinks = 80;
const manyAddresses = 400;

describe.skipIf(!isRoot)('interfaces in a network namespace (needs root)', { concurrent: true }, () => {
  it('reads every address of a link, with its label, scope, flags and lifetimes', async () => {
    await using namespace = await openNetworkNamespace();
    const { exec, ip } = namespace;
    await ip(`
      link add eth0 type veth peer name far
      link set far up
      link set eth0 up
      addr add 192.0.2.10/24 dev eth0 label eth0:vip
      addr add 192.0.2.11/24 dev eth0
      addr add 198.51.100.1 peer 198.51.100.2/32 dev eth0 scope link
      addr add 203.0.113.7/32 dev eth0 scope 77
      addr add 10.9.0.1/24 dev eth0 valid_lft 3600 preferred_lft 1800
      addr add 2001:db8::1/64 dev eth0 nodad
      addr add 2001:db8::2/128 dev eth0 nodad noprefixroute preferred_lft 0 valid_lft 600
    `);
    const links = await createInterfaces(exec, createClock()).read();
    const eth0 = links.find(({ name }) => name === 'eth0');
    expect(eth0).toMatchObject({
      kind: 'veth',
      operState: 'up',
      mac: expect.stringMatching(/^[0-9a-f:]{17}$/),
    });
    const byAddress = Object.fromEntries(
      (eth0?.addresses ?? []).map(({ address, ...rest }): [string, object] => [address, rest]),
    );
    expect(byAddress).toMatchObject({
      '192.0.2.10': { prefixLength: 24, scope: 'global', label: 'eth0:vip', flags: [] },
      '192.0.2.11': { prefixLength: 24, scope: 'global', label: 'eth0', flags: ['secondary'] },
      '198.51.100.1': { prefixLength: 32, scope: 'link', flags: [] },
      '203.0.113.7': { prefixLength: 32, scope: '77', flags: [] },
      '10.9.0.1': { flags: ['dynamic'], preferredLifetime: 1800, validLifetime: 3600 },
      '2001:db8::1': { prefixLength: 64, scope: 'global' },
      '2001:db8::2': { prefixLength: 128, preferredLifetime: 0, validLifetime: 600 },
    });
    expect(byAddress['192.0.2.10']).not.toHaveProperty('validLifetime');
    const flagsOf = (text: string) =>
      holdersOf(links, parseAddress(text)).flatMap(({ bound }) => bound.flags);
    expect(flagsOf('2001:db8::2')).toEqual(
      expect.arrayContaining(['deprecated', 'dynamic', 'noprefixroute']),
    );
    expect(flagsOf('2001:db8::1')).not.toContain('deprecated');
  });

  it('reads links that are down, links without carrier and ports of a bridge', async () => {
    await using namespace = await openNetworkNamespace();
    const { exec, ip } = namespace;
    await ip(`
      link add br0 type bridge
      link add port type veth peer name plugged
      link set port master br0 up
      link set br0 up
      link set plugged up
      link add off type veth peer name unplugged
      link set unplugged up
      addr add 192.0.2.1/24 dev off
    `);
    const links = await createInterfaces(exec, createClock()).read();
    const named = (wanted: string) => {
      const link = links.find(({ name }) => name === wanted);
      if (link === undefined) throw new Error(`${wanted} is missing`);
      return link;
    };
    expect(named('port')).toMatchObject({ controller: 'br0', kind: 'veth' });
    expect(named('br0').kind).toBe('bridge');
    expect(isActive(named('lo'))).toBe(true);
    expect(named('lo').mac).toBeUndefined();
    expect(isActive(named('plugged'))).toBe(true);
    expect(isActive(named('off'))).toBe(false);
    expect(named('off').addresses.map(({ address }) => address)).toEqual(['192.0.2.1']);
    expect(isActive(named('unplugged'))).toBe(false);
    expect(named('unplugged').flags).toContain('NO-CARRIER');
  });

  it('tells an IPv6 address that is still being checked, and one that another host has', async () => {
    await using here = await openNetworkNamespace();
    await using there = await openNetworkNamespace();
    await here.ip(`link add eth0 type veth peer name eth0 netns ${there.pid}`);
    await there.ip('link set eth0 up\naddr add 2001:db8::5/64 dev eth0 nodad');
    await here.ip('link set eth0 up\naddr add 2001:db8::5/64 dev eth0');
    const interfaces = createInterfaces(here.exec, createClock());
    const bound = async () =>
      holdersOf(await interfaces.read(), parseAddress('2001:db8::5')).map((holder) => holder.bound);
    expect(await bound()).toSatisfy((found: Awaited<ReturnType<typeof bound>>) => !found.some(isUsable));
    await vi.waitFor(async () => expect((await bound())[0]?.flags).toContain('dadfailed'), {
      timeout: 20_000,
    });
  });

  it('reads all addresses beside those that hold an IPv4 address', async () => {
    await using namespace = await openNetworkNamespace();
    await namespace.ip(`
      link add eth0 type veth peer name far
      addr add 192.0.2.10/24 dev eth0
      addr add ::1.2.3.4/64 dev eth0 nodad
      addr add ::ffff:1.2.3.4/96 dev eth0 nodad
    `);
    const links = await createInterfaces(namespace.exec, createClock()).read();
    const eth0 = links.find(({ name }) => name === 'eth0');
    expect(eth0?.addresses.map(({ address }) => address)).toEqual(['192.0.2.10', '::102:304']);
    expect(eth0?.unread).toEqual({
      listed: [{ text: '::ffff:1.2.3.4/96', why: 'IPv4-mapped: 1.2.3.4' }],
      more: 0,
    });
  });

  it('hints soon after an address comes or goes', async () => {
    await using namespace = await openNetworkNamespace();
    const { exec, ip } = namespace;
    const onHint = vi.fn();
    const watching = createInterfaces(exec, createClock()).watch(onHint);
    // The first hint says that the monitor has had its time to start.
    await vi.waitFor(() => expect(onHint).toHaveBeenCalled(), { timeout: 10_000 });
    for (const change of [
      'addr add 192.0.2.1/32 dev lo',
      'addr del 192.0.2.1/32 dev lo',
      'link set lo down',
    ]) {
      onHint.mockClear();
      await ip(change);
      await vi.waitFor(() => expect(onHint).toHaveBeenCalled(), { timeout: 10_000 });
    }
    watching.close();
  });

  it(`reads ${manyLinks} interfaces with ${manyAddresses} addresses completely`, async () => {
    await using namespace = await openNetworkNamespace();
    const wanted = await crowd(namespace, manyLinks, manyAddresses);
    const links = await createInterfaces(namespace.exec, createClock()).read();
    expect(links.filter(({ name }) => name !== 'lo')).toHaveLength(manyLinks);
    const found = links.flatMap(({ addresses }) => addresses).filter(({ scope }) => scope === 'global');
    expect(found.map(({ address }) => address).toSorted()).toEqual(wanted.toSorted());
  });
});
