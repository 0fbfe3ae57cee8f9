import { expect, it } from 'vitest';
import { createAddressPersistences } from '../../../src/host/network-owner/persistence.ts';
import type { NetworkOwner, NetworkOwners } from '../../../src/host/ports/network-owner.ts';
import { parseAddress } from '../../../src/protocol/address.ts';
import { RlnetError } from '../../../src/protocol/errors.ts';
import type { OwnerPlace } from '../../../src/protocol/network-owner.ts';
import type { OwnerVerdict } from '../../../src/protocol/owner-detection.ts';

const address = parseAddress('192.0.2.1');
const link = { name: 'eth0' };
const files = { watch: () => ({ close: () => {} }) };
const place = (sets: boolean): OwnerPlace => ({ path: '/etc/f', line: 3, text: 'address', sets });
const owned: OwnerVerdict = { kind: 'owned', owner: 'ifupdown', evidence: ['ifupdown has eth0'] };
const leased: OwnerVerdict = {
  kind: 'refused',
  error: new RlnetError('OWNER_NOT_EDITABLE', 'It is a lease.', 'Ask the server.'),
};

function read(configured: 'auto' | 'hook' | 'manual', verdict: OwnerVerdict, places: OwnerPlace[]) {
  const owners: NetworkOwners = { detect: async () => verdict };
  const ownerOf = (): NetworkOwner => ({ locate: async () => places }) as unknown as NetworkOwner;
  return createAddressPersistences(configured, owners, ownerOf, files).read(link, address);
}

it.each([
  ['auto', owned, [place(false), place(true)], 'persistent', '/etc/f:3 puts 192.0.2.1 on eth0'],
  ['auto', owned, [place(false)], 'missing', /in no file of its owner .*: ifupdown has eth0$/],
  ['auto', owned, [], 'missing', /192\.0\.2\.1 is on eth0/],
  ['auto', leased, [place(true)], 'unknown', 'It is a lease'],
  ['manual', owned, [place(true)], 'persistent', '/etc/f:3 names 192.0.2.1'],
  ['manual', owned, [], 'unknown', /names 192\.0\.2\.1/],
  ['hook', owned, [], 'not_applicable', /hook/],
] as const)(
  'with owner %s, %o and the places %o is %s',
  async (configured, verdict, places, outcome, evidence) => {
    expect(await read(configured, verdict, [...places])).toEqual({
      outcome,
      evidence: typeof evidence === 'string' ? evidence : expect.stringMatching(evidence),
    });
  },
);
