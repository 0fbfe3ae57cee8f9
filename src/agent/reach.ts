import type { Wire } from '../host/ports/wire.ts';
import type { Address } from '../protocol/address.ts';
import { holdersOf, type NetworkInterface } from '../protocol/interfaces.ts';
import { meshPort } from '../protocol/messages.ts';
import type { Result } from '../protocol/methods.ts';
import { maxNeighbours } from '../protocol/wire.ts';

/**
 * Whether another host's address can be reached from here: a TCP connection, a packet of full size, and whose card answered.
 * @param source this host's internal address
 * @param bytes  the other host's MTU; the smaller of both is tried
 */
export async function reachAddress(
  wire: Pick<Wire, 'reach' | 'passes' | 'neighbours'>,
  links: readonly NetworkInterface[],
  source: Address,
  target: { address: Address; bytes: number },
): Promise<Result<'reach'>> {
  const { address } = target;
  const reach = await wire.reach({ source, target: address, port: meshPort });
  if (reach.outcome === 'unreachable' || reach.outcome === 'unknown') return { ...reach, macs: [] };
  const macs = (await wire.neighbours())
    .flatMap(({ address: of, mac }) => (of === address && mac !== undefined ? mac : []))
    .slice(0, maxNeighbours);
  const [holder] = holdersOf(links, source);
  const bytes = Math.min(target.bytes, holder?.link.mtu ?? target.bytes);
  const passage = await wire.passes({ source, target: address, bytes });
  switch (passage.outcome) {
    case 'passes':
      return { outcome: reach.outcome, macs };
    case 'too-big':
      return { outcome: 'too_big', why: `packets of ${bytes} bytes do not pass, ${passage.mtu} do`, macs };
    case 'lost':
      return { outcome: 'too_big', why: `packets of ${bytes} bytes are lost, small ones pass`, macs };
    case 'unknown':
      return { outcome: 'unknown', why: passage.why, macs };
  }
}
