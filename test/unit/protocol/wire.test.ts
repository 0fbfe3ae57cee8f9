import { describe, expect, it, test } from 'vitest';
import { parseAddress } from '../../../src/protocol/address.ts';
import type { NetworkInterface } from '../../../src/protocol/interfaces.ts';
import {
  foreignOwners,
  judgeDuplicates,
  onLinkInterfaces,
  type WireAnswer,
  type WireReport,
} from '../../../src/protocol/wire.ts';

function link(name: string, mac: string, addresses: string[], parts: Partial<NetworkInterface> = {}) {
  return {
    index: 1,
    name,
    mac,
    mtu: 1500,
    operState: 'up',
    flags: ['UP', 'LOWER_UP'],
    ...parts,
    addresses: addresses.map((text) => {
      const [address = '', length] = text.split('/');
      return {
        address: parseAddress(address),
        prefixLength: Number(length),
        scope: 'global',
        flags: [] as string[],
      };
    }),
  };
}

const down = { operState: 'down', flags: [] };
const own = [
  link('lo', '00:00:00:00:00:00', ['127.0.0.1/8'], { flags: ['LOOPBACK', 'UP', 'LOWER_UP'] }),
  link('eth0', '52:54:00:00:00:01', ['192.0.2.1/24', '2001:db8::1/64']),
  link('eth1', '52:54:00:00:00:02', ['198.51.100.1/24', '203.0.113.9/32']),
  link('eth2', '52:54:00:00:00:03', ['198.51.100.2/24', '10.0.0.1/8'], down),
];

describe('an address is asked for', () => {
  test.for([
    ['on the interface whose subnet has it', '192.0.2.200', ['eth0']],
    ['on one of its family', '2001:db8::ff', ['eth0']],
    ['on active interfaces alone, where there are any', '198.51.100.77', ['eth1']],
    ['on one that is not active, where no other has it, for that to be said', '10.1.2.3', ['eth2']],
    ['nowhere, where it is not on-link', '192.0.3.1', []],
    ['nowhere for a host route', '203.0.113.9', []],
    ['never on loopback', '127.0.0.9', []],
  ] as const)('%s: %s', ([, text, names]) => {
    expect(onLinkInterfaces(own, parseAddress(text)).map(({ name }) => name)).toEqual(names);
  });
});

it('knows its own cards from others, also one that is down', () => {
  const owners = ['52:54:00:00:00:03', '52:54:00:00:00:99', '52:54:00:00:00:01'];
  expect(foreignOwners(owners, own)).toEqual(['52:54:00:00:00:99']);
});

describe('the verdict on an address for n1', () => {
  const silent: WireAnswer = { outcome: 'silent', probes: 7 };
  const owner = (mac: string): WireAnswer => ({ outcome: 'answered', owners: [mac] });
  const unknown: WireAnswer = { outcome: 'unknown', why: 'eth0 is down' };
  const report = (host: string, answers: WireAnswer[], bound: string[] = []): WireReport => ({
    host,
    bound,
    asked: answers.map((answer, index) => ({ interface: `eth${index}`, answer })),
  });

  test.for<[string, WireReport[], object]>([
    ['free where all were silent', [report('n1', [silent]), report('n2', [silent])], { verdict: 'free' }],
    ['free where a peer is not on-link', [report('n1', [silent]), report('n2', [])], { verdict: 'free' }],
    [
      'free where n1’s own card answers n1',
      [report('n1', [owner('52:54:00:00:00:02')])],
      { verdict: 'free' },
    ],
    [
      'free where n1’s own card answers a peer',
      [report('n2', [owner('52:54:00:00:00:01')])],
      { verdict: 'free' },
    ],
    ['free where n1 has it already', [report('n1', [silent], ['eth1'])], { verdict: 'free' }],
    [
      'taken where one of all heard a foreign card',
      [report('n1', [silent]), report('n2', [unknown]), report('n3', [owner('52:54:00:00:00:99')])],
      { verdict: 'taken', evidence: ['52:54:00:00:00:99 answered n3 eth0'] },
    ],
    [
      'taken where a peer has it, which nobody else may have heard',
      [report('n1', [silent]), report('n2', [silent], ['eth1'])],
      { verdict: 'taken', evidence: ['n2 has it on eth1'] },
    ],
    [
      'unknown where one that should ask could not',
      [report('n1', [silent]), report('n2', [silent, unknown])],
      { verdict: 'unknown', evidence: ['n2 eth1: eth0 is down'] },
    ],
    [
      'unknown where nobody could ask',
      [report('n1', []), report('n2', [])],
      { verdict: 'unknown', evidence: ['it is on-link on no host that was asked'] },
    ],
    ['unknown where nobody was asked', [], { verdict: 'unknown' }],
  ])('is %s', ([, reports, expected]) => {
    expect(judgeDuplicates('n1', own, reports)).toMatchObject(expected);
  });
});
