import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { compareSnapshots, describeAddress, parseLinks } from '../../../src/protocol/network-snapshot.ts';
import {
  describeRoute,
  parseRoutes,
  parseRules,
  routeCommand,
  ruleCommand,
  withLocks,
} from '../../../src/protocol/routing.ts';

/** Answers of iproute2 6.1 on Linux 6.18. */
const answer = (name: string): string =>
  readFileSync(new URL(`../../fixtures/iproute2/${name}`, import.meta.url), 'utf8');

const routes4 = parseRoutes(answer('route4.json'), 'ipv4');
const routes6 = parseRoutes(answer('route6.json'), 'ipv6');

describe('routes', () => {
  it('are read, and told in the words of ip route, every default included', () => {
    const texts = [...routes4, ...routes6].filter(({ table }) => table !== 'local').map(describeRoute);
    expect(texts).toEqual([
      'blackhole 10.5.0.0/16 table 5 protocol boot scope global',
      'unicast default via 10.1.0.1 dev eth0 onlink table 100 protocol boot scope global',
      'unicast default via 10.1.0.1 dev eth0 table main protocol static scope global src 10.1.0.6 metric 100 mtu 1400 initcwnd 20',
      'unicast 10.1.0.0/24 dev eth0 table main protocol kernel scope link src 10.1.0.5',
      'unicast 10.2.0.0/24 dev eth0 table main protocol kernel scope link src 10.2.0.6 metric 50',
      'throw 10.3.0.0/16 table main protocol boot scope global metric 4',
      'unicast 10.4.0.0/16 tos 0x10 dev eth0 table main protocol boot scope link advmss 1200 features ecn rto_min 50ms',
      'unicast 10.6.0.0/16 dev eth0 table main protocol boot scope global {"via":{"family":"inet6","host":"fd01::1"}}',
      'unicast 1.2.3.4 tos 0 dev eth0 table main protocol boot scope link {"encap":"ip","id":5,"src":"0.0.0.0","ttl":0}',
      'unreachable 10.8.0.0/16 table main protocol boot scope global',
      'unicast 10.9.0.0/16 table main protocol boot scope global nexthop via 10.1.0.1 dev eth0 weight 2 nexthop via 10.1.0.2 dev eth0 weight 3',
      'unicast 10.20.0.0/16 via 10.1.0.1 dev eth0 table main protocol boot scope global realms 3/4 mtu 1400 rtt 12ms rttvar 1ms advmss 1200 hoplimit 4 features ecn rto_min 50ms initrwnd 3 quickack 1 congctl cubic',
      'unicast 10.45.0.0/16 table main protocol boot scope global nexthop via 10.1.0.1 dev eth0 weight 3 realms 3 nexthop via 10.1.0.2 dev eth0 onlink weight 1',
      'unicast 10.55.0.0/16 via 10.1.0.9 dev eth0 table main protocol boot scope global {"nhid":3,"nh_info":{"id":3,"gateway":"10.1.0.9","dev":"eth0","scope":"link","protocol":"unspec","flags":[]}}',
      'unicast fd01::/64 dev eth0 table main protocol kernel metric 77 pref medium',
      'unicast fd01::/64 dev eth0 table main protocol kernel metric 256 pref medium',
      'unicast fd01:5::/64 via fe80::1 dev eth0 table main protocol boot metric 1024 pref medium',
      'unicast fd02::/64 dev eth0 table main protocol kernel metric 256 pref medium',
      'unicast fd06::/64 from fd01::5 via fd01::1 dev eth0 table main protocol boot metric 1024 pref medium',
      'unreachable fd07::/64 dev lo table main protocol boot metric 1024 pref medium',
      'unicast fd08::/64 via fd01::1 dev eth0 table main protocol boot metric 1024 pref medium',
      'unicast fd09::/64 table main protocol boot metric 1024 pref medium nexthop via fd01::1 dev eth0 weight 2 nexthop via fd01::2 dev eth0 weight 3',
      'unicast fe80::/64 dev far table main protocol kernel metric 256 pref medium',
      'unicast fe80::/64 dev eth0 table main protocol kernel metric 256 pref medium',
      'unicast default via fd01::1 dev eth0 table main protocol boot src fd01::5 metric 100 pref medium',
      'unicast default via fd01::1 dev eth0 table main protocol boot metric 101 pref high',
    ]);
  });

  it('know from the text which metrics are locked', () => {
    const locked = withLocks(routes4, answer('route4.txt'))?.filter((route) => route.locked !== undefined);
    expect(locked?.map(({ dst, locked: names }) => [dst, names])).toEqual([['10.20.0.0/16', ['mtu']]]);
    expect(locked?.map(describeRoute)).toEqual([expect.stringContaining(' mtu lock 1400 rtt 12ms')]);
    expect(withLocks(routes6, answer('route6.txt'))).toEqual(routes6);
    expect(withLocks(routes4, answer('route6.txt'))).toBeUndefined();
    expect(withLocks(routes4, answer('route4.txt').split('\n').toReversed().join('\n'))).toBeUndefined();
  });

  it('keep the time they have left when they are made again, and not for a comparison', () => {
    const route = routes6.find(({ expires }) => expires !== undefined);
    if (route === undefined) throw new Error('no route expires');
    expect(routeCommand('append', route).join(' ')).toMatch(/^route append unicast fd08::.* expires \d+$/);
    expect(routeCommand('del', route).join(' ')).not.toContain('expires');
    expect(describeRoute(route)).toBe(describeRoute({ ...route, expires: 1 }));
  });

  it('are not put into a script where a name in them could mean something to it', () => {
    const [route] = routes4;
    if (route === undefined) throw new Error('no route');
    for (const dev of ['a;reboot', '$(reboot)', 'a b', '#', '"', "'", '\\', 'a\nb', '']) {
      const strange = { ...route, nexthops: [{ dev, flags: [] }] };
      expect(() => routeCommand('add', strange)).toThrow(
        expect.objectContaining({ code: 'ADDRESS_CHANGE_REFUSED' }),
      );
    }
  });

  it('are an error where ip does not answer as expected, never a shorter list', () => {
    for (const text of ['{', '{}', '[{"dst":7}]', '[{"dst":"default","gateway":"nobody"}]']) {
      expect(() => parseRoutes(text, 'ipv4')).toThrow(expect.objectContaining({ code: 'OUTPUT_UNREADABLE' }));
    }
    expect(parseRoutes('', 'ipv4')).toEqual([]);
  });
});

describe('rules', () => {
  it('are read, and given back as the arguments that make them', () => {
    const rules = [...parseRules(answer('rule4.json'), 'ipv4'), ...parseRules(answer('rule6.json'), 'ipv6')];
    expect(rules.map((rule) => ruleCommand('add', rule).join(' '))).toEqual([
      'rule add priority 0 from all protocol kernel lookup local',
      'rule add priority 49 not from 9.9.9.9 suppress_ifgroup 4 realms 4/5 protocol unspec lookup 5',
      'rule add priority 50 from all protocol unspec goto 32766',
      'rule add priority 70 from all protocol unspec unreachable',
      'rule add priority 71 from all protocol unspec prohibit',
      'rule add priority 72 from all protocol unspec l3mdev',
      'rule add priority 97 from all uidrange 5-10 ipproto tcp sport 5-7 dport 8 suppress_prefixlength 0 protocol static lookup 101',
      'rule add priority 98 from 1.2.3.4 protocol unspec blackhole',
      'rule add priority 99 from 10.1.0.5/24 to 1.2.3.0/24 tos 0x10 fwmark 0x5/0xff iif eth0 oif lo protocol unspec lookup 100',
      'rule add priority 100 from 10.1.0.5 protocol unspec lookup 100',
      'rule add priority 32766 from all protocol kernel lookup main',
      'rule add priority 32767 from all protocol kernel lookup default',
      'rule add priority 0 from all protocol kernel lookup local',
      'rule add priority 32765 from fd01::5 protocol unspec lookup 100',
      'rule add priority 32766 from all protocol kernel lookup main',
    ]);
  });

  it('of a kind that is not known are an error', () => {
    expect(() => parseRules('[{"priority":5,"src":"all","sorcery":null}]', 'ipv4')).toThrow(
      expect.objectContaining({ code: 'OUTPUT_UNREADABLE' }),
    );
  });
});

describe('a snapshot', () => {
  const { links, addresses } = parseLinks(answer('addr.json'));
  const snapshot = { links, addresses, routes: routes4, rules: [] };

  it('has every address of every link with all that it was given', () => {
    expect(addresses.filter(({ scope }) => scope !== 'host').map(describeAddress)).toEqual(
      expect.arrayContaining([
        '10.1.0.5/24 dev eth0 scope global label eth0',
        '10.1.0.6/24 brd 10.1.0.255 dev eth0 scope global label eth0:x secondary',
        '10.2.0.6/24 dev eth0 scope link label eth0 metric 50',
        'fd02::6/64 dev eth0 scope global deprecated home mngtmpaddr nodad',
        'fd01::6/64 dev eth0 scope global metric 77 nodad',
      ]),
    );
    expect(links.map(({ name, up, loopback }) => [name, up, loopback])).toEqual([
      ['lo', true, true],
      ['far', true, false],
      ['eth0', true, false],
    ]);
  });

  it('equals itself, and one whose lifetimes and passing flags are others', () => {
    expect(compareSnapshots(snapshot, snapshot)).toEqual([]);
    const later = addresses.map((bound) => ({ ...bound, flags: [...bound.flags, 'tentative'] }));
    expect(compareSnapshots(snapshot, { ...snapshot, addresses: later })).toEqual([]);
  });

  it('says what is missing, what is unexpected, and what is in another order', () => {
    const [first, second] = addresses;
    const without = { ...snapshot, addresses: addresses.filter((bound) => bound !== first) };
    if (first === undefined || second === undefined) throw new Error('no address');
    expect(compareSnapshots(snapshot, without)).toEqual([
      { kind: 'address', change: 'missing', links: ['lo'], text: describeAddress(first) },
    ]);
    expect(compareSnapshots(without, snapshot)).toEqual([
      { kind: 'address', change: 'unexpected', links: ['lo'], text: describeAddress(first) },
    ]);
    const twice = { ...snapshot, addresses: [...addresses, second] };
    expect(compareSnapshots(snapshot, twice)).toMatchObject([{ change: 'unexpected' }]);
    const route = (dev: string) => ({
      ...parseRoutes('[{"dst":"10.0.0.0/8"}]', 'ipv4')[0],
      nexthops: [{ dev, flags: [] }],
    });
    const [a, b] = [route('a'), route('b')] as typeof routes4;
    if (a === undefined || b === undefined) throw new Error('no route');
    expect(compareSnapshots({ ...snapshot, routes: [a, b] }, { ...snapshot, routes: [b, a] })).toMatchObject([
      { kind: 'route', change: 'order', links: ['a', 'b'] },
    ]);
  });
});
