import type { NetworkInterface } from './interfaces.ts';

/** A page's interfaces are at most this many bytes of JSON: room enough for the envelope under the message cap. */
const maxPageBytes = 48 * 1024;

/**
 * The part of a list of interfaces that comes after `after` addresses and links and fits one message. A link whose addresses do not all fit is
 * given again on the next page with the rest of them; `joinPages` puts them together.
 */
export function pageOf(
  links: readonly NetworkInterface[],
  after: number,
): { interfaces: NetworkInterface[]; next?: number } {
  const page: NetworkInterface[] = [];
  let bytes = 0;
  let position = 0;
  for (const link of links) {
    let current: NetworkInterface | undefined;
    // The link itself is one item, each of its addresses another.
    for (const bound of [undefined, ...link.addresses]) {
      position += 1;
      if (position <= after) continue;
      if (current === undefined) {
        current = { ...link, addresses: [] };
        bytes += JSON.stringify(current).length;
        page.push(current);
      }
      if (bound === undefined) continue;
      bytes += JSON.stringify(bound).length + 1;
      if (bytes > maxPageBytes) return { interfaces: page, next: position - 1 };
      current.addresses.push(bound);
    }
    if (bytes > maxPageBytes) return { interfaces: page, next: position };
  }
  return { interfaces: page };
}

export function joinPages(pages: readonly { interfaces: readonly NetworkInterface[] }[]): NetworkInterface[] {
  const joined: NetworkInterface[] = [];
  for (const link of pages.flatMap(({ interfaces }) => interfaces)) {
    const last = joined.at(-1);
    if (last?.index === link.index) last.addresses.push(...link.addresses);
    else joined.push({ ...link, addresses: [...link.addresses] });
  }
  return joined;
}
