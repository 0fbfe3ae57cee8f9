import { describe, expect, it } from 'vitest';
import { restartStep, type ServiceStepDependencies } from '../../../src/agent/renumbering/steps/service.ts';
import type { NetworkInterface } from '../../../src/protocol/interfaces.ts';
import { progressOf } from '../../../src/protocol/renumbering/progress.ts';
import { examplePlan } from '../../support/renumbering/plan.ts';

const plan = examplePlan();
const before = { bootId: 'aaaaaaaaaaaa', seconds: 100 };
const disable = {
  type: 'intent',
  wall: 0,
  at: before,
  direction: 'forward',
  step: 'disable',
  attempt: 1,
  detail: {},
} as const;
const progress = {
  ...progressOf([{ type: 'open', wall: 0, at: before, plan }]),
  intended: new Map([['disable' as const, disable]]),
};

/** What the step sees after the boot, with the unit stopped. @param flags of the old address */
function afterBoot(flags: string[], link: Partial<NetworkInterface> = {}) {
  const eth0: NetworkInterface = {
    index: 2,
    name: 'eth0',
    mtu: 1_500,
    operState: 'up',
    flags: ['UP', 'LOWER_UP'],
    addresses: [{ ...plan.change.from, scope: 'global', flags }],
    ...link,
  };
  const deps = {
    bootClock: { now: async () => ({ bootId: 'bbbbbbbbbbbb', seconds: 5 }) },
    units: { state: async () => ({ activeState: 'inactive' }) },
    interfaces: { read: async () => [eth0] },
    signal: new AbortController().signal,
  } as unknown as ServiceStepDependencies;
  return restartStep(deps).probe(progress);
}

describe('the restart', () => {
  it('is over when the unit does not run after it', async () => {
    await expect(afterBoot([])).resolves.toEqual({ is: 'done', evidence: 'the unit is inactive' });
  });

  it('is not over while the kernel still looks for duplicates of the address', async () => {
    await expect(afterBoot(['tentative'])).resolves.toEqual({
      is: 'unknown',
      why: '192.0.2.2 is tentative after the boot',
    });
  });

  it.each([
    ['that has no carrier, on which nobody looks', ['tentative'], { operState: 'down', flags: ['UP'] }],
    ['on which the address failed', ['tentative', 'dadfailed'], {}],
    ['that has lost the address', [], { addresses: [] }],
  ] as const)('does not wait for a link %s', async (_, flags, link) => {
    const changed = Object.fromEntries(
      Object.entries(link).map(([key, value]) => [key, structuredClone(value)]),
    );
    await expect(afterBoot([...flags], changed)).resolves.toMatchObject({ is: 'done' });
  });
});
