import { describe, expect, it } from 'vitest';
import { type NetworkSnapshot, parseLinks } from '../../../src/protocol/network-snapshot.ts';
import { parseRoutes, parseRules } from '../../../src/protocol/routing.ts';
import { planSwap } from '../../../src/protocol/swap.ts';
import { changeOf } from '../../support/swap-cases.ts';

interface HostParts {
  addresses?: object[];
  /** Of eth1. */
  other?: object[];
  routes?: object[];
  routes6?: object[];
  rules?: object[];
  flags?: string[];
}

const own = { family: 'inet', local: '10.1.0.5', prefixlen: 24, scope: 'global', label: 'eth0' };
const onLink = { dst: '10.1.0.0/24', dev: 'eth0', protocol: 'kernel', scope: 'link', prefsrc: '10.1.0.5' };

/** A host whose eth0 has 10.1.0.5/24, and what else is said. */
function host({
  addresses = [],
  other = [],
  routes = [],
  routes6 = [],
  rules = [],
  flags = ['UP'],
}: HostParts): NetworkSnapshot {
  const link = { link_type: 'ether', address: '02:00:00:00:00:01' };
  return {
    ...parseLinks(
      JSON.stringify([
        { ...link, ifname: 'eth0', flags, addr_info: [own, ...addresses] },
        { ...link, ifname: 'eth1', flags: ['UP'], addr_info: other },
      ]),
    ),
    routes: [
      ...parseRoutes(JSON.stringify([onLink, ...routes]), 'ipv4'),
      ...parseRoutes(JSON.stringify(routes6), 'ipv6'),
    ],
    rules: parseRules(JSON.stringify(rules), 'ipv4'),
  };
}

const change = changeOf('eth0 10.1.0.5/24 10.1.0.7/24');

describe('a swap is refused', () => {
  const away = changeOf('eth0 10.1.0.5/24 10.2.0.7/24');
  const default1 = { dst: 'default', gateway: '10.1.0.1', dev: 'eth0' };
  it.for<[string, NetworkSnapshot, ReturnType<typeof changeOf>, string]>([
    [
      'of a link that is not there',
      host({}),
      changeOf('eth9 10.1.0.5/24 10.1.0.7/24'),
      'there is no link eth9',
    ],
    [
      'of a NIC that has another name now',
      host({}),
      { ...change, link: { name: 'eth0', mac: '02:00:00:00:00:02' } },
      '02:00:00:00:00:01, and not 02:00:00:00:00:02',
    ],
    ['on a link that is down', host({ flags: [] }), change, 'eth0 is down'],
    [
      'of an address that is nowhere',
      host({}),
      changeOf('eth0 10.1.0.4/24 10.1.0.7/24'),
      'no link has 10.1.0.4',
    ],
    [
      'of another prefix length',
      host({}),
      changeOf('eth0 10.1.0.5/25 10.1.0.7/24'),
      'not on eth0, but 10.1.0.5/24',
    ],
    [
      'of an address on another link',
      host({}),
      changeOf('eth1 10.1.0.5/24 10.1.0.7/24'),
      'not on eth1, but 10.1.0.5/24',
    ],
    [
      'for an address that is there already',
      host({ addresses: [{ ...own, local: '10.1.0.7' }] }),
      change,
      '10.1.0.7 is there already',
    ],
    ['from one family to the other', host({}), changeOf('eth0 10.1.0.5/24 fd01::7/64'), 'not of one family'],
    [
      'of an address that is leased',
      host({ addresses: [{ ...own, local: '10.1.0.9', dynamic: true, valid_life_time: 60 }] }),
      changeOf('eth0 10.1.0.9/24 10.1.0.7/24'),
      '10.1.0.9 is not static',
    ],
    ['that leaves a gateway behind', host({ routes: [default1] }), away, 'goes through 10.1.0.1'],
    [
      'to a gateway that is not in the network',
      host({ routes: [default1] }),
      changeOf('eth0 10.1.0.5/24 10.2.0.7/24 10.1.0.1 10.3.0.1'),
      'goes through 10.3.0.1',
    ],
    [
      'where a nexthop object would have to be made again',
      host({ routes: [{ ...default1, nhid: 3, prefsrc: '10.1.0.5' }] }),
      change,
      'has what is not known here',
    ],
    [
      'where a rule would have to be made again that is not understood',
      host({ rules: [{ priority: 5, src: '10.1.0.5', table: '100', sorcery: 1 }] }),
      change,
      'has what is not known here',
    ],
    [
      'where a route would have to be made again whose source has gone',
      host({
        routes: [
          { ...default1, prefsrc: '10.1.0.5', dev: 'eth0', table: '5' },
          { ...default1, table: '5', prefsrc: '10.9.0.9' },
        ],
      }),
      change,
      'the source 10.9.0.9, which no link has',
    ],
    [
      'to a gateway that IPv6 finds on another NIC, though it is said to be on this one',
      host({
        addresses: [{ family: 'inet6', local: 'fd01::5', prefixlen: 64, scope: 'global' }],
        other: [{ family: 'inet6', local: 'fd02::5', prefixlen: 64, scope: 'global', metric: 50 }],
        routes6: [
          { dst: 'fd01::/64', dev: 'eth0', protocol: 'kernel', metric: 256, pref: 'medium' },
          { dst: 'fd02::/64', dev: 'eth1', protocol: 'kernel', metric: 50, pref: 'medium' },
          {
            dst: 'default',
            gateway: 'fd01::1',
            dev: 'eth0',
            flags: ['onlink'],
            metric: 1024,
            pref: 'medium',
          },
        ],
      }),
      changeOf('eth0 fd01::5/64 fd02::7/64 fd01::1 fd02::1'),
      'goes through fd02::1, which eth0 does not reach',
    ],
    [
      'where an address that would go with the old one is on another NIC too',
      host({
        addresses: [{ ...own, local: '10.1.0.9', secondary: true }],
        other: [{ ...own, local: '10.1.0.9' }],
      }),
      change,
      '10.1.0.9 is on eth0 and on eth1',
    ],
  ])('%s', ([, snapshot, refused, why]) => {
    expect(() => planSwap(snapshot, refused)).toThrow(
      expect.objectContaining({ code: 'ADDRESS_CHANGE_REFUSED', message: expect.stringContaining(why) }),
    );
  });

  it('and not where what is not understood does not hang on the address', () => {
    const snapshot = host({
      routes: [{ dst: '10.9.0.0/16', dev: 'eth0', encap: 'ip', id: 5 }],
      rules: [{ priority: 5, src: '10.9.0.5', table: '100', sorcery: 1 }],
    });
    const { expected } = planSwap(snapshot, change);
    expect(expected.routes).toContainEqual(snapshot.routes[1]);
    expect(expected.rules).toEqual(snapshot.rules);
  });
});

describe('the plan of a swap', () => {
  it('touches nothing of the other family', () => {
    const snapshot = host({
      addresses: [{ family: 'inet6', local: 'fd01::5', prefixlen: 64, scope: 'global' }],
      routes6: [{ dst: 'default', gateway: 'fd01::1', dev: 'eth0', metric: 1024, pref: 'medium' }],
    });
    const { expected, forward, back } = planSwap(snapshot, change);
    expect([...forward, ...back].flat().filter((word) => word.includes('fd01'))).toEqual([]);
    expect(expected.routes.filter(({ family }) => family === 'ipv6')).toEqual(
      snapshot.routes.filter(({ family }) => family === 'ipv6'),
    );
  });

  it('puts no word into a script that could mean something to it', () => {
    const snapshot = host({
      addresses: [{ ...own, local: '10.1.0.6', label: 'eth0:$(reboot)', secondary: true }],
    });
    expect(() => planSwap(snapshot, change)).toThrow(
      expect.objectContaining({ code: 'ADDRESS_CHANGE_REFUSED' }),
    );
  });
});
