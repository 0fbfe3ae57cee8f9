import type { Wire } from '../../../src/host/ports/wire.ts';
import { holdersOf, isActive } from '../../../src/protocol/interfaces.ts';
import type { SimHost } from './host.ts';
import type { SimNetwork } from './network.ts';
import type { SimProcess } from './process.ts';

/** An answer comes at once; silence is certain only after so long and so many questions. */
const answerMs = { low: 1, high: 20 };
const silenceMs = 2_500;
const probes = 7;
const reachMs = 3_000;

/** The twin of the wire, over one segment that all machines are on. There are no neighbour tables: packets find who answers. */
export function createSimWire(
  process: SimProcess,
  host: SimHost,
  network: SimNetwork,
): Omit<Wire, 'announce'> {
  const { latency } = process;
  return {
    async ask({ interface: name, address }, signal) {
      const link = host.interfaces.links.find((each) => each.name === name);
      if (link === undefined || !isActive(link)) return { outcome: 'unknown', why: `${name} is not up.` };
      const owners = await process.call(
        latency.between(answerMs.low, answerMs.high),
        `ask for ${address}`,
        () => {
          signal?.throwIfAborted();
          return network.answering(host, address).flatMap((machine) => machine.macOf(address) ?? []);
        },
      );
      if (owners.length > 0) return { outcome: 'answered', owners };
      return process.call(silenceMs, `nobody has ${address}`, () => {
        signal?.throwIfAborted();
        return { outcome: 'silent', probes };
      });
    },
    reach: ({ source, target, port }, signal) =>
      new Promise((resolve, reject) => {
        const timer = process.clock.after(reachMs, () => {
          abandon();
          resolve({ outcome: 'unreachable', why: `Nobody answered in ${reachMs} ms.` });
        });
        const abandon = network.connect(process, host, source, { address: target, port }, (outcome) => {
          timer.cancel();
          if (signal?.aborted) reject(signal.reason as Error);
          else if (!('errno' in outcome)) resolve({ outcome: 'connected' });
          else if (outcome.errno === 'ECONNREFUSED') resolve({ outcome: 'refused' });
          else resolve({ outcome: 'unreachable', why: outcome.errno });
          if (!('errno' in outcome)) outcome.destroy();
        });
      }),
    passes: ({ source, target, bytes }, signal) =>
      process.call(latency.between(answerMs.low, answerMs.high), `ping ${target}`, () => {
        signal?.throwIfAborted();
        const mtu = holdersOf(host.interfaces.links, source)[0]?.link.mtu;
        if (mtu === undefined) return { outcome: 'unknown', why: `${source} is not bound.` };
        if (bytes > mtu) return { outcome: 'too-big', mtu };
        const answers = network.answering(host, target).length > 0;
        return answers ? { outcome: 'passes' } : { outcome: 'unknown', why: `${target} does not answer.` };
      }),
    neighbours: () => process.call(answerMs.high, 'ip neigh', () => []),
  };
}
