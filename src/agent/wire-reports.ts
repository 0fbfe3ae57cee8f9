import type { Interfaces } from '../host/ports/interfaces.ts';
import type { Wire } from '../host/ports/wire.ts';
import type { Address } from '../protocol/address.ts';
import { RlnetError } from '../protocol/errors.ts';
import { holdersOf } from '../protocol/interfaces.ts';
import { onLinkInterfaces, type WireReport } from '../protocol/wire.ts';

/**
 * What this host says of an address: whether it has it itself, and what the wire answers wherever it is on-link. Whoever asks for the
 * same address meanwhile gets the same report; one address at a time, so that nobody makes this host shout.
 *
 * @throws RlnetError WIRE_BUSY while another address is being asked for; what `Interfaces` throws.
 */
export function createWireReports(
  host: string,
  interfaces: Pick<Interfaces, 'read'>,
  wire: Pick<Wire, 'ask'>,
): (address: Address) => Promise<WireReport> {
  let running: { address: Address; report: Promise<WireReport> } | undefined;

  const reportOn = async (address: Address): Promise<WireReport> => {
    const links = await interfaces.read();
    const asked = onLinkInterfaces(links, address).map(async ({ name }) => ({
      interface: name,
      answer: await wire.ask({ interface: name, address }),
    }));
    const bound = holdersOf(links, address).map(({ link }) => link.name);
    return { host, bound, asked: await Promise.all(asked) };
  };

  return async (address) => {
    if (running?.address === address) return await running.report;
    if (running !== undefined) {
      throw new RlnetError(
        'WIRE_BUSY',
        `${host} is asking the wire for ${running.address} and asks for one address at a time.`,
        'Try again in five seconds.',
      );
    }
    const report = reportOn(address).finally(() => {
      running = undefined;
    });
    running = { address, report };
    return await report;
  };
}
