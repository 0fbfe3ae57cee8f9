import type { AddressPersistence } from '../../protocol/address-persistence.ts';
import type { AddressPersistences } from '../ports/address-persistence.ts';
import type { Files } from '../ports/files.ts';
import type { NetworkOwner, NetworkOwners } from '../ports/network-owner.ts';
import { knownPlaces } from './known-files.ts';

/**
 * @param configured `network.owner` of agent.yaml
 * @param ownerOf    the owner of a kind
 */
export function createAddressPersistences(
  configured: 'auto' | 'hook' | 'manual',
  owners: NetworkOwners,
  ownerOf: (kind: NetworkOwner['kind']) => NetworkOwner,
  files: Pick<Files, 'watch'>,
): AddressPersistences {
  return {
    async read(link, address): Promise<AddressPersistence> {
      if (configured === 'hook') {
        return { outcome: 'not_applicable', evidence: 'a hook makes changes of addresses (network.owner)' };
      }
      if (configured === 'manual') {
        const [place] = await ownerOf('manual').locate(link, address);
        return place === undefined
          ? { outcome: 'unknown', evidence: `no file that rlnet knows of names ${address}` }
          : { outcome: 'persistent', evidence: `${place.path}:${place.line} names ${address}` };
      }
      const verdict = await owners.detect(link, address);
      if (verdict.kind === 'refused')
        return { outcome: 'unknown', evidence: withoutStop(verdict.error.message) };
      const places = await ownerOf(verdict.owner).locate(link, address);
      const place = places.find(({ sets }) => sets);
      return place === undefined
        ? {
            outcome: 'missing',
            evidence: `${address} is on ${link.name} and in no file of its owner that puts it there at boot: ${verdict.evidence.join('; ')}`,
          }
        : { outcome: 'persistent', evidence: `${place.path}:${place.line} puts ${address} on ${link.name}` };
    },
    watch(onHint) {
      const watches = knownPlaces.map((place) => files.watch(place, onHint));
      return {
        close: () => {
          for (const watch of watches) watch.close();
        },
      };
    },
  };
}

function withoutStop(sentence: string): string {
  return sentence.replace(/\.$/, '');
}
