import { expect, test } from 'vitest';
import { createHandlers, type HandlerDependencies } from '../../../src/agent/handlers.ts';
import { parseAddress } from '../../../src/protocol/address.ts';

const own = parseAddress('192.0.2.1');
const theirs = parseAddress('192.0.2.2');

/** The agent of n1, linked to n2, and what it connected to. */
function handlers(internalAddress = own) {
  const tried: string[] = [];
  const listed = [{ address: theirs, prefixLength: 24, usable: true }];
  const deps = {
    view: () => ({
      hosts: [{ host: 'n2', link: { status: 'connected' }, state: { addresses: { listed, more: 0 } } }],
    }),
    state: () => ({ host: 'n1', internalAddress }),
    wire: {
      reach: async ({ source, target, port }: { source: string; target: string; port: number }) => {
        tried.push(`${source} > ${target}:${port}`);
        return port === 3333 ? { outcome: 'unreachable', why: 'no answer' } : { outcome: 'refused' };
      },
    },
  } as unknown as HandlerDependencies;
  return { tried, ...createHandlers(deps) };
}

const asker = { caller: 'candidate', host: 'n2' } as const;

test('a host that is to be a node is told which of its ports answer, from the internal address of a node', async () => {
  const { tried, reach_ports: ask } = handlers();
  expect(await ask({ address: theirs, ports: [3333, 9443] }, asker)).toEqual({
    ports: [
      { port: 3333, outcome: 'unreachable', why: 'no answer' },
      { port: 9443, outcome: 'refused' },
    ],
  });
  expect(tried).toEqual(['192.0.2.1 > 192.0.2.2:3333', '192.0.2.1 > 192.0.2.2:9443']);
});

test.for([
  ['192.0.2.3', asker],
  ['192.0.2.2', { ...asker, host: 'n3' }],
] as const)('%s of somebody else is not tried for %j', async ([address, from]) => {
  const { tried, reach_ports: ask } = handlers();
  await expect(ask({ address: parseAddress(address), ports: [22] }, from)).rejects.toMatchObject({
    code: 'NOT_PERMITTED',
  });
  expect(tried).toEqual([]);
});
