import { chooseAddresses, judgeAddresses } from '../../protocol/address-choice.ts';
import { RlnetError } from '../../protocol/errors.ts';
import { joinPages } from '../../protocol/paging.ts';
import type { InterfacesPage } from '../../protocol/state.ts';
import { type Context, json, type Outcome } from '../context.ts';
import { type ControlClient, withAgent } from '../control-client.ts';
import { renderInterfaces } from '../render/interfaces.ts';

/** A list that changes while its pages are fetched is fetched again, so often. */
const attempts = 5;

/** `rlnet interfaces [NODE]`: every interface and address of a host, and which addresses a node there would use. */
export async function interfaces(
  context: Context,
  node: string | undefined,
  options: { runtimeDirectory: string; json?: boolean },
): Outcome {
  return await withAgent(context, options.runtimeDirectory, async (client) => {
    const fetched = await fetchAll(client, node);
    const { interfaces: links, internalFamily, internalAddress } = fetched;
    // What RS or the seeds have settled is not chosen again.
    const wanted = {
      ...(internalFamily === undefined ? {} : { useInternalIpv6: internalFamily === 'ipv6' }),
      ...(internalAddress === undefined ? {} : { internal: internalAddress }),
    };
    const report = {
      ...fetched,
      addresses: judgeAddresses(links, wanted),
      choice: chooseAddresses(links, wanted),
    };
    context.print(options.json === true ? json(report) : renderInterfaces(report));
    return 0;
  });
}

async function fetchAll(client: ControlClient, node: string | undefined) {
  const about = node === undefined ? {} : { node };
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    const pages: InterfacesPage[] = [];
    let after: number | undefined = 0;
    while (after !== undefined) {
      const page: InterfacesPage = await client.call('interfaces', { ...about, after });
      pages.push(page);
      after = page.next;
    }
    const [first] = pages;
    if (first !== undefined && pages.every(({ at }) => at === first.at)) {
      const { host, at, internalFamily, internalAddress, inventory } = first;
      return { host, at, internalFamily, internalAddress, interfaces: joinPages(pages), inventory };
    }
  }
  throw new RlnetError(
    'REQUEST_TIMEOUT',
    `The list of interfaces changed ${attempts} times while it was fetched.`,
    'Find out what changes them (ip monitor), or try again.',
  );
}
