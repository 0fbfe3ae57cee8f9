import fc from 'fast-check';
import { expect, it } from 'vitest';
import { parseAddress } from '../../../src/protocol/address.ts';
import type { NetworkInterface } from '../../../src/protocol/interfaces.ts';
import { maxMessageBytes } from '../../../src/protocol/messages.ts';
import { joinPages, pageOf } from '../../../src/protocol/paging.ts';

function link(index: number, addresses: number): NetworkInterface {
  return {
    index,
    name: `eth${index}`,
    mtu: 1500,
    operState: 'up',
    flags: ['BROADCAST', 'MULTICAST', 'UP', 'LOWER_UP'],
    mac: '02:00:00:00:00:01',
    addresses: Array.from({ length: addresses }, (_, each) => ({
      address: parseAddress(`2001:db8:0:${index}::${(each + 16).toString(16)}`),
      prefixLength: 64,
      scope: 'global',
      flags: ['permanent', 'noprefixroute'],
    })),
  };
}

it('gives every link and address once, in order, on pages that fit a message', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 700 }), { maxLength: 100 }), (sizes) => {
      fc.pre(sizes.reduce((sum, size) => sum + size, 0) < 4000);
      const links = sizes.map((size, index) => link(index, size));
      const pages = [];
      let after: number | undefined = 0;
      while (after !== undefined) {
        const page: ReturnType<typeof pageOf> = pageOf(links, after);
        expect(JSON.stringify(page).length).toBeLessThan(maxMessageBytes - 8 * 1024);
        pages.push(page);
        if (page.next !== undefined) expect(page.next).toBeGreaterThan(after);
        after = page.next;
      }
      expect(joinPages(pages)).toEqual(links);
    }),
    { numRuns: 50 },
  );
});

it('needs one page for an ordinary host', () => {
  expect(pageOf([link(1, 1), link(2, 5)], 0).next).toBeUndefined();
});
