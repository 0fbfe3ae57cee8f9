import { describe, expect, it } from 'vitest';
import { type Family, familyOf } from '../../src/protocol/address.ts';
import type { NetworkSnapshot } from '../../src/protocol/network-snapshot.ts';
import { changeOf, changesBetween, kernelAddressesOf, openHost } from '../support/kernel-addresses.ts';
import { isRoot } from '../support/netns.ts';
import { ipv4Cases, ipv6Cases, type SwapCase } from '../support/swap-cases.ts';

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

describe.skipIf(!isRoot)('a swap in the kernel (needs root)', () => {
  it.for(cases)(
    '$family, promote_secondaries=$promote: $title',
    async ({ host, change, changes, promote }) => {
      await using namespace = await openHost(host, { promote });
      const kernel = await kernelAddressesOf(namespace.exec);
      const before = await kernel.snapshot();

      const { elsewhere } = await kernel.swap(changeOf(change), boundSeconds);
      expect(elsewhere).toEqual([]);
      expect(seenChanges(before, await kernel.snapshot()).toSorted()).toEqual(lines(changes).toSorted());

      await kernel.takeBack();
      expect(changesBetween(before, await kernel.snapshot())).toEqual([]);
      expect(await kernel.standing()).toBeUndefined();
    },
  );

  it.for(cases.filter(({ promote }) => promote === 0))(
    'can be rehearsed without a change to what is there, $family: $title',
    async ({ host, change }) => {
      await using namespace = await openHost(host, { promote: 0 });
      const kernel = await kernelAddressesOf(namespace.exec);
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
    },
  );
});
