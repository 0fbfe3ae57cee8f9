import { describe, expect, it } from 'vitest';
import { parseIpAddr } from '../../src/host/interfaces.ts';
import { buildHost, choiceHosts, expectedOf, foundOn } from '../support/choice-hosts.ts';
import { isRoot } from '../support/netns.ts';

/** The same table as in the unit tier, on the kernel of this machine instead of captured answers. */
describe.skipIf(!isRoot)(
  'the addresses for a node, on a real host (needs root)',
  { concurrent: true },
  () => {
    const buildable = choiceHosts.flatMap((host) =>
      host.build === undefined ? [] : [{ ...host, build: host.build }],
    );

    it.each(buildable)('with $what: $choices.0.is', async (host) => {
      expect(foundOn(host, parseIpAddr(await buildHost(host.build)))).toEqual(expectedOf(host));
    });
  },
);
