import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { changesBetween, kernelAddressesOf, openHost } from '../support/kernel-addresses.ts';
import { isRoot, type NetworkNamespace } from '../support/netns.ts';
import { full } from '../support/sampling.ts';
import { changeOf } from '../support/swap-cases.ts';

/** Hosts of two NICs that share few addresses, networks, gateways and tables, so that they get into each other's way. */

const runs = full ? 150 : 6;

interface Notation {
  option: '-4' | '-6';
  address: (network: number, host: number) => string;
  length: number;
  whole: number;
}

const notations: Notation[] = [
  { option: '-4', address: (network, host) => `10.${network}.0.${host}`, length: 24, whole: 32 },
  { option: '-6', address: (network, host) => `fd0${network}::${host}`, length: 64, whole: 128 },
];

const network = fc.integer({ min: 1, max: 3 });
const nic = fc.constantFrom('eth0', 'eth1');
const table = fc.constantFrom('main', '100', '101');
const metric = fc.constantFrom('', 'metric 10', 'metric 20');
const host = fc.integer({ min: 2, max: 6 });

function commandsOf({ option, address, length }: Notation): fc.Arbitrary<string> {
  const bound = fc
    .tuple(network, host, nic, fc.constantFrom('', 'noprefixroute', 'metric 50', 'nodad', 'preferred_lft 0'))
    .map(([net, own, dev, extra]) => `addr add ${address(net, own)}/${length} dev ${dev} ${extra}`);
  const source = fc.option(fc.tuple(network, host), { nil: undefined });
  const route = fc
    .tuple(
      fc.constantFrom('add', 'append'),
      network,
      nic,
      source,
      table,
      metric,
      fc.boolean(),
      fc.integer({ min: 1, max: 3 }),
    )
    .map(([verb, net, dev, src, tab, pri, onlink, target]) => {
      const dst = target === 1 ? 'default' : `${address(target + 4, 0)}/${length}`;
      const from = src === undefined ? '' : `src ${address(...src)}`;
      return `route ${verb} ${dst} via ${address(net, 1)} dev ${dev} ${onlink ? 'onlink' : ''} table ${tab} ${pri} ${from}`;
    });
  const multipath = fc
    .tuple(network, network, table)
    .map(
      ([a, b, tab]) =>
        `route add ${address(9, 0)}/${length} table ${tab} nexthop via ${address(a, 1)} dev eth0 weight 2 nexthop via ${address(b, 9)} dev eth1`,
    );
  const rule = fc
    .tuple(network, host, table, fc.integer({ min: 1000, max: 1002 }))
    .map(
      ([net, own, tab, priority]) => `rule add from ${address(net, own)} lookup ${tab} priority ${priority}`,
    );
  return fc
    .oneof(
      { arbitrary: bound, weight: 5 },
      { arbitrary: route, weight: 4 },
      { arbitrary: multipath, weight: 1 },
      { arbitrary: rule, weight: 2 },
    )
    .map((command) => `${option} ${command}`.trim());
}

/** Carries out what the kernel takes; the rest of a random host is as random. */
async function tryAll(namespace: NetworkNamespace, commands: readonly string[]): Promise<void> {
  const script = commands.map((command) => `ip ${command}`).join('\n');
  await namespace.exec.run('sh', ['-c', script], { timeoutMs: 60_000 });
}

describe.skipIf(!isRoot)('a swap on a random host (needs root)', { concurrent: true }, () => {
  it.for(notations)(
    `is what was planned, and taking it back is the identity, ${runs} times: ip $option`,
    { timeout: 480_000 },
    async (notation) => {
      const { address, length } = notation;
      let swapped = 0;
      await fc.assert(
        fc.asyncProperty(
          fc.array(commandsOf(notation), { minLength: 2, maxLength: 14 }),
          fc.tuple(network, network, fc.boolean(), fc.constantFrom<0 | 1>(0, 1)),
          async (commands, [from, to, renamed, promote]) => {
            await using namespace = await openHost(
              `${notation.option} addr add ${address(from, 2)}/${length} dev eth0`,
              { promote },
            );
            await tryAll(namespace, commands);
            await using kernel = await kernelAddressesOf(namespace.exec);
            const before = await kernel.snapshot();
            const gateways = renamed ? ` ${address(from, 1)} ${address(to, 1)}` : '';
            const change = changeOf(
              `eth0 ${address(from, 2)}/${length} ${address(to, 8)}/${length}${gateways}`,
            );
            try {
              // Throws where the kernel is not as planned.
              const { elsewhere } = await kernel.swap(change, 60);
              expect(elsewhere).toEqual([]);
              swapped++;
            } catch (thrown) {
              // A gateway out of reach, or the address on both NICs; nothing may have been done then.
              expect(thrown).toMatchObject({ code: 'ADDRESS_CHANGE_REFUSED' });
            }
            await kernel.takeBack();
            expect(changesBetween(before, await kernel.snapshot())).toEqual([]);
          },
        ),
        { numRuns: runs },
      );
      // Or the property would hold of hosts that are all refused.
      expect(swapped).toBeGreaterThan(runs / 5);
    },
  );
});
