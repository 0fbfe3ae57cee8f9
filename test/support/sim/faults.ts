import { agentService } from './agent.ts';
import type { Stage } from './scenario.ts';

/** What can go wrong with a machine, its network or its agent. */
export type FaultKind =
  | 'cut pair'
  | 'cut one way'
  | 'isolate'
  | 'loss'
  | 'duplication'
  | 'kill'
  | 'freeze'
  | 'stall'
  | 'clock'
  | 'power'
  | 'reboot';

export const allFaults: readonly FaultKind[] = [
  'cut pair',
  'cut one way',
  'isolate',
  'loss',
  'duplication',
  'kill',
  'freeze',
  'stall',
  'clock',
  'power',
  'reboot',
];

/**
 * Lets faults happen at random times for `forMs` from now, drawn from the seed, about one in `everyMs`. When the time is over
 * everything is as it should be again: paths up and without loss, hosts on or booting, agents running.
 */
export async function randomFaults(
  stage: Stage,
  { kinds, forMs, everyMs }: { kinds: readonly FaultKind[]; forMs: number; everyMs: number },
): Promise<void> {
  const { kernel } = stage;
  const until = kernel.now + forMs;
  for (;;) {
    const gap = stage.chance.between(0, 2 * everyMs);
    if (kernel.now + gap >= until) break;
    await kernel.run(gap);
    inflict(stage, stage.chance.pick(kinds), until - kernel.now);
  }
  await kernel.run(until - kernel.now);
}

/** One fault, at a random place; it ends by itself, within `forMs`. */
function inflict({ kernel, world, chance }: Stage, kind: FaultKind, forMs: number): void {
  const host = chance.pick(world.hosts);
  const other = chance.pick(world.hosts.filter((each) => each !== host));
  const lasts = Math.min(forMs, chance.between(200, 20_000));
  const process = host.process(agentService);
  const end = (what: string, action: () => void): void => {
    kernel.world(lasts, what, action);
  };
  switch (kind) {
    case 'cut pair':
    case 'cut one way': {
      const paths = world.network.paths(host.name, other.name).slice(kind === 'cut pair' ? 0 : 1);
      kernel.note('fault', `${kind} ${host.name} ${other.name} for ${lasts.toFixed(0)} ms`);
      for (const path of paths) path.isUp = false;
      end('the cut is mended', () => {
        for (const path of paths) path.isUp = true;
      });
      return;
    }
    case 'isolate':
      world.network.isolate(host.name);
      end(`${host.name} is mended`, () => world.network.rejoin(host.name));
      return;
    case 'loss': {
      const share = chance.between(0, 0.3);
      kernel.note('fault', `${host.name} loses ${share.toFixed(2)} of its packets`);
      const paths = world.hosts
        .filter((each) => each !== host)
        .flatMap((each) => world.network.paths(host.name, each.name));
      for (const path of paths) path.loss = share;
      end('the loss is over', () => {
        for (const path of paths) path.loss = 0;
      });
      return;
    }
    case 'duplication': {
      const share = chance.between(0, 0.5);
      kernel.note('fault', `${share.toFixed(2)} of what ${host.name} sends or gets arrives twice`);
      const paths = world.hosts
        .filter((each) => each !== host)
        .flatMap((each) => world.network.paths(host.name, each.name));
      for (const path of paths) path.duplication = share;
      end('packets arrive once again', () => {
        for (const path of paths) path.duplication = 0;
      });
      return;
    }
    case 'kill':
      host.kill(agentService);
      return;
    case 'freeze':
      process?.freeze();
      end('the freeze is over', () => process?.thaw());
      return;
    case 'stall':
      process?.stall(Math.min(lasts, 6_000));
      return;
    case 'clock':
      host.jumpWall(chance.between(-3_600_000, 3_600_000));
      return;
    case 'power':
      host.powerOff();
      end('power is back', () => host.powerOn(chance.between(1_000, 5_000)));
      return;
    case 'reboot':
      host.reboot(lasts);
  }
}
