import { describe, expect, it } from 'vitest';
import { type AddressStepDependencies, readdressStep } from '../../../src/agent/renumbering/steps/address.ts';
import { sleep } from '../../../src/host/ports/clock.ts';
import type { NetworkInterface } from '../../../src/protocol/interfaces.ts';
import { progressOf } from '../../../src/protocol/renumbering/progress.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { examplePlan } from '../../support/renumbering/plan.ts';

const plan = examplePlan({
  members: [1, 2, 3, 4, 5].map((uid) => ({ uid, host: `n${uid}`, address: `192.0.2.${uid}` })),
});
const progress = progressOf([{ type: 'open', wall: 0, at: { bootId: 'aaaaaaaaaaaa', seconds: 0 }, plan }]);

const link: NetworkInterface = {
  index: 2,
  name: 'eth0',
  mac: '02:00:00:00:00:02',
  mtu: 1_500,
  operState: 'up',
  flags: ['UP', 'LOWER_UP'],
  addresses: [{ ...plan.change.to, scope: 'global', flags: [] }],
};

/** The step once all is done but to be seen. @param answers what each peer says of the new address, after how long */
function readdressed(
  answers: Record<
    string,
    { afterMs: number; outcome: 'connected' | 'unreachable'; before?: 'unreachable' | undefined }
  >,
) {
  const clock = createManualClock();
  const asked = new Set<string>();
  const { signal } = new AbortController();
  const deps = {
    clock,
    signal,
    interfaces: { read: async () => [link] },
    kernel: { standing: async () => undefined },
    owner: {
      kind: 'systemd-networkd',
      readBack: async () => ({ files: 'to', owner: 'to', evidence: [] }),
    },
    peers: {
      hostOf: () => undefined,
      call: async (host: string) => {
        const {
          afterMs,
          outcome,
          before = outcome,
        } = answers[host] ?? { afterMs: 0, outcome: 'unreachable' };
        await sleep(clock, afterMs, signal);
        const first = !asked.has(host);
        asked.add(host);
        return { outcome: first ? before : outcome, macs: [] };
      },
    },
  } as unknown as AddressStepDependencies;
  return { clock, seen: readdressStep(deps).probe(progress) };
}

describe('that the new address is reached', () => {
  it('is known when a majority of the nodes has said so, and nobody else is waited for', async () => {
    const { clock, seen } = readdressed({
      n1: { afterMs: 100, outcome: 'connected' },
      n3: { afterMs: 200, outcome: 'connected' },
      n4: { afterMs: 12_000, outcome: 'connected' },
      n5: { afterMs: 50, outcome: 'unreachable' },
    });
    await clock.pass(200);
    await expect(seen).resolves.toEqual({ is: 'done', evidence: 'reached by n1, n3' });
  });

  it('is known of a peer whose link was being made anew when it was asked first', async () => {
    const { clock, seen } = readdressed({
      n1: { afterMs: 10, outcome: 'connected', before: 'unreachable' },
      n3: { afterMs: 10, outcome: 'connected', before: 'unreachable' },
    });
    await clock.pass(200);
    await expect(seen).resolves.toEqual({ is: 'done', evidence: 'reached by n1, n3' });
  });

  it('is not so before all have answered, where they are too few', async () => {
    const { clock, seen } = readdressed({
      n1: { afterMs: 100, outcome: 'connected' },
      n3: { afterMs: 12_000, outcome: 'unreachable' },
      n4: { afterMs: 50, outcome: 'unreachable' },
      n5: { afterMs: 50, outcome: 'unreachable' },
    });
    let answered = false;
    void seen.then(() => {
      answered = true;
    });
    await clock.pass(11_000);
    expect(answered).toBe(false);
    await clock.pass(1_000);
    await expect(seen).resolves.toMatchObject({
      is: 'not_done',
      evidence: expect.stringContaining('n1: yes'),
    });
  });
});
