import * as v from 'valibot';
import { describe, expect, it, test } from 'vitest';
import { parseAddress } from '../../../src/protocol/address.ts';
import { defaultBounds } from '../../../src/protocol/renumbering/bounds.ts';
import type { FactValues, Move } from '../../../src/protocol/renumbering/guard.ts';
import { refusalsOf } from '../../../src/protocol/renumbering/guards.ts';
import { makePlan } from '../../../src/protocol/renumbering/make-plan.ts';
import { planSchema } from '../../../src/protocol/renumbering/plan.ts';
import { names, type Places } from '../../../src/protocol/renumbering/references.ts';
import {
  defaultRoute,
  drawnFacts,
  linkWith,
  moveTo,
  noOptions,
  rsNode,
  rsShard,
  soundFacts,
} from '../../support/renumbering/facts.ts';

const nowhere: Places = { hosts: { value: [] }, firewall: { value: [] }, seeds: [] };

function made(move: Move, change: Partial<FactValues> = {}, places = nowhere) {
  const facts = drawnFacts(move, change);
  return makePlan({ ...head, move, facts, places });
}
const head = { id: '0123456789ab', version: '0.1.0', madeAt: 0, cluster: 'demo', bounds: defaultBounds };

const twoNetworks = [linkWith('eth0', ['192.0.2.2/24', '192.0.2.52/24'])];

describe('a plan', () => {
  test.each([
    ['same_subnet', moveTo('192.0.2.52/24'), {}],
    ['dual_homed', moveTo('198.51.100.2/24', { gateway: parseAddress('198.51.100.1') }), {}],
    [
      'cut_over',
      moveTo('198.51.100.2/24', {
        gateway: parseAddress('198.51.100.1'),
        options: { ...noOptions, cutOver: true },
      }),
      {},
    ],
    [
      'already_bound',
      moveTo('192.0.2.52/24'),
      { interfaces: twoNetworks, owner: { ...soundFacts().owner, hasNew: true } },
    ],
  ] as [string, Move, Partial<FactValues>][])('says that a move is %s', (kind, move, change) => {
    const { plan, guards } = made(move, change);
    expect(refusalsOf(guards)).toEqual([]);
    expect(plan?.kind).toBe(kind);
    expect(v.is(planSchema, plan)).toBe(true);
  });

  it('knows the card by its MAC address, the gateway that is replaced, and the nodes that hold the lock', () => {
    const { plan } = made(moveTo('198.51.100.2/24', { gateway: parseAddress('198.51.100.1') }));
    expect(plan?.change).toEqual({
      link: { name: 'eth0', mac: '02:00:00:00:00:02' },
      from: { address: '192.0.2.2', prefixLength: 24 },
      to: { address: '198.51.100.2', prefixLength: 24 },
      gateway: { from: '192.0.2.254', to: '198.51.100.1' },
    });
    expect(plan?.members).toEqual(soundFacts().members);
  });

  it('leaves a gateway alone that is the same as before', () => {
    const move = moveTo('192.0.2.52/24', { gateway: parseAddress('192.0.2.254') });
    expect(made(move, { routes: [defaultRoute('192.0.2.254')] }).plan?.change.gateway).toBeUndefined();
  });

  it('changes the external address where it is the same one, and keeps the others in order', () => {
    const row = rsNode(2, { externalAddresses: ['203.0.113.9', '192.0.2.2'].map(parseAddress) });
    const { plan } = made(moveTo('192.0.2.52/24'), {
      nodes: { nodes: [rsNode(1), row, rsNode(3)], unread: [] },
    });
    expect(plan?.external).toEqual({ from: row.externalAddresses, to: ['203.0.113.9', '192.0.2.52'] });
    expect(plan?.references.map(({ what }) => what)).toContain(
      'the external addresses of the node (external_addr)',
    );
    expect(made(moveTo('192.0.2.52/24')).plan?.external).toBeUndefined();
  });

  it("shows what changes in the owner's files, and what its owner warns of", () => {
    const [before, after] = ['Address=192.0.2.2/24\n', 'Address=192.0.2.52/24\n'].map((text) =>
      new TextEncoder().encode(text),
    );
    const edit = {
      files: [
        { path: '/etc/n.network', before: before ?? new Uint8Array(), after: after ?? new Uint8Array() },
      ],
      warnings: ['A drop-in is left.'],
    };
    const { plan } = made(moveTo('192.0.2.52/24'), {
      owner: { is: 'found', kind: 'systemd-networkd', hasNew: false, edit },
    });
    expect(plan?.files[0]?.diff).toContain('-Address=192.0.2.2/24\n+Address=192.0.2.52/24\n');
    expect(plan?.effects).toContain('A drop-in is left.');
    expect(plan?.references).toContainEqual(
      expect.objectContaining({ where: '/etc/n.network', who: 'rlnet' }),
    );
  });

  it('says which masters move, which shards are offline, and that roles stay moved', () => {
    const shards = [rsShard(1, 2), rsShard(2, 3), rsShard(5, 2, { databaseUid: 2, databaseName: 'alone' })];
    const effects = made(moveTo('192.0.2.52/24'), { shards: { shards, unread: [] } }).plan?.effects.join(
      '\n',
    );
    expect(effects).toContain('The masters redis:1 of db move');
    expect(effects).toContain('redis:5 of alone is offline');
    expect(effects).toContain('rladmin failover shard 2 ');
    expect(effects).toContain('not proven by a boot');
  });

  it('is not drawn where the change cannot be, and every guard is asked all the same', () => {
    const lost = made(moveTo('192.0.2.52/24'), { interfaces: [] });
    expect(lost.plan).toBeUndefined();
    expect(lost.guards).toHaveLength(made(moveTo('192.0.2.52/24')).guards.length);
    expect(refusalsOf(lost.guards).map(({ code }) => code)).toContain('LINK_NOT_FOUND');
    const other = made(moveTo('2001:db8::20/64'));
    expect(other.plan).toBeUndefined();
    expect(refusalsOf(other.guards).map(({ code }) => code)).toContain('FAMILY_DIFFERS');
  });

  it('lists the places that name the old address, and those where nobody looked', () => {
    const { plan } = made(
      moveTo('192.0.2.52/24'),
      {},
      {
        hosts: { value: ['192.0.2.2 n2', '192.0.2.20 n20'] },
        firewall: {
          value: [{ tool: 'nft', lines: ['\t\tip saddr 192.0.2.2 accept', 'ip saddr 192.0.2.21 drop'] }],
        },
        seeds: [parseAddress('192.0.2.2')],
      },
    );
    const byPerson = plan?.references
      .filter(({ who }) => who === 'person')
      .map(({ where, what }) => `${where}: ${what}`);
    expect(byPerson).toEqual(
      expect.arrayContaining([
        '/etc/hosts of this host: 192.0.2.2 n2',
        'packet filter of this host (nft): ip saddr 192.0.2.2 accept',
        'mesh.seeds in /etc/rlnet/agent.yaml of this host: names 192.0.2.2',
      ]),
    );
    expect(byPerson?.join()).not.toMatch(/192\.0\.2\.2[01]/);
    const blind = made(
      moveTo('192.0.2.52/24'),
      {},
      { ...nowhere, firewall: { unknown: 'nft ended with exit status 1' } },
    );
    expect(blind.plan?.references).toContainEqual(
      expect.objectContaining({ what: 'could not be read: nft ended with exit status 1' }),
    );
  });
});

describe('naming an address', () => {
  test.each([
    ['192.0.2.2', true],
    ['192.0.2.2:8443 is open', true],
    ['from 192.0.2.2/32.', true],
    ['It is 192.0.2.2.', true],
    ['192.0.2.21', false],
    ['1192.0.2.2', false],
    ['192.0.2.2.3', false],
  ])('%s: %s', (line, is) => {
    expect(names(line, parseAddress('192.0.2.2'))).toBe(is);
  });
  test.each([
    ['2001:db8::2/64', true],
    ['[2001:db8::2]:8443', true],
    ['2001:db8::2f', false],
    ['2001:db8::2:1', false],
    ['a2001:db8::2', false],
  ])('%s: %s', (line, is) => {
    expect(names(line, parseAddress('2001:db8::2'))).toBe(is);
  });
});
