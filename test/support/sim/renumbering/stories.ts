import { parseAddress } from '../../../../src/protocol/address.ts';
import { forwardSteps, type Step } from '../../../../src/protocol/renumbering/steps.ts';
import { rsUnit } from '../host.ts';
import type { Stream } from '../random.ts';
import { journalOf, type Stage, type Story } from './story.ts';

/** One node moves, and nothing else happens. */
export function plain(uid: number, nodes = 3): Story {
  return { name: `plain-${uid}-of-${nodes}`, nodes, uids: [uid] };
}

/** The unit does not come up at the new address, so that the way leads back from the last step that can turn. */
export function unitFails(uid: number): Story {
  return {
    name: `unit-fails-${uid}`,
    nodes: 3,
    uids: [uid],
    prepare: ({ cluster, plans }) => {
      for (const { host, change } of plans) {
        const agent = cluster.agent(host);
        agent.faults.unitStarts = () => !agent.host.holds(change.to.address);
      }
    },
  };
}

/** Somebody asks to abort as soon as a step begins. */
export function abortedAt(step: Step): Story {
  return {
    name: `aborted-at-${step}`,
    nodes: 3,
    uids: [2],
    meanwhile: async ({ kernel, cluster, plans }) => {
      for (const plan of plans) {
        const agent = cluster.agent(plan.host);
        const met = await kernel.runUntil(() => agent.running?.open?.step === step, 600_000);
        if (met !== undefined) void agent.running?.abort(plan.id, 'root', 'changed my mind').catch(() => {});
      }
    },
  };
}

export const aborts: readonly Story[] = forwardSteps.map(abortedAt);

/** Nobody but a fault of the story may keep things as they are for longer than this. Milliseconds. */
const faultsForMs = 15 * 60_000;
/** No fault lasts longer than this. */
const longestFaultMs = 410_000;

type Fault = (stage: Stage, chance: Stream) => void;

/** What can go wrong at any time; each ends by itself before `faultsForMs` is over. */
const faults: Record<string, Fault> = {
  kill: ({ cluster }, chance) => chance.pick(cluster.agents).kill(),
  'kill often': ({ kernel, cluster }, chance) => {
    const agent = chance.pick(cluster.agents);
    for (let at = 0; at < 60_000; at += chance.between(500, 8_000))
      kernel.world(at, 'kills again', () => agent.kill());
  },
  power: ({ kernel, cluster }, chance) => {
    const host = chance.pick(cluster.hosts);
    host.powerOff();
    kernel.world(chance.between(1_000, 120_000), `${host.name} has power`, () =>
      host.powerOn(chance.between(1_000, 20_000)),
    );
  },
  isolate: ({ kernel, cluster: { network, hosts } }, chance) => {
    const { name } = chance.pick(hosts);
    network.isolate(name);
    kernel.world(chance.between(1_000, 240_000), `${name} is mended`, () => network.rejoin(name));
  },
  'cut one way': ({ kernel, cluster: { network, hosts } }, chance) => {
    const host = chance.pick(hosts);
    const other = chance.pick(hosts.filter((each) => each !== host));
    const path = network.path(host.name, other.name);
    path.isUp = false;
    kernel.world(chance.between(1_000, 240_000), 'the cut is mended', () => {
      path.isUp = true;
    });
  },
  halves: ({ kernel, cluster: { network, hosts } }, chance) => {
    const side = new Set(hosts.filter(() => chance.chance(0.5)).map(({ name }) => name));
    const crossing = hosts.flatMap((a) =>
      hosts.flatMap((b) => (side.has(a.name) && !side.has(b.name) ? network.paths(a.name, b.name) : [])),
    );
    for (const path of crossing) path.isUp = false;
    kernel.world(chance.between(1_000, 240_000), 'the halves are one again', () => {
      for (const path of crossing) path.isUp = true;
    });
  },
  loss: ({ kernel, cluster: { network } }, chance) => {
    const paths = network.allPaths();
    for (const path of paths) path.loss = 0.3;
    kernel.world(chance.between(5_000, 120_000), 'the loss is over', () => {
      for (const path of paths) path.loss = 0;
    });
  },
  freeze: ({ kernel, cluster }, chance) => {
    const process = chance.pick(cluster.agents).process;
    process?.freeze();
    kernel.world(chance.between(1_000, 400_000), 'the freeze is over', () => process?.thaw());
  },
  suspend: ({ cluster }, chance) => chance.pick(cluster.hosts).suspend(chance.between(10_000, 400_000)),
  clock: ({ cluster }, chance) => chance.pick(cluster.hosts).jumpWall(chance.between(-3_600_000, 3_600_000)),
  'disk full': ({ kernel, cluster }, chance) => {
    const { disk } = chance.pick(cluster.hosts);
    disk.capacity = disk.used() + chance.below(300);
    kernel.world(chance.between(1_000, 120_000), 'there is room again', () => {
      disk.capacity = 1024 ** 3;
    });
  },
  'failing fsync': ({ cluster }, chance) => {
    chance.pick(cluster.hosts).disk.failingSyncs += 1;
  },
  'failing command': ({ kernel, cluster, plans }, chance) => {
    const { faults: own } = cluster.agent(chance.pick(plans).host);
    const commands = [
      'systemctl disable',
      'systemctl enable',
      'systemctl start',
      'systemctl stop',
      'systemctl reboot',
    ];
    own.failing = new RegExp(
      chance.pick([...commands, 'swap', 'take back', 'ip addr', 'activate', 'persist']),
    );
    kernel.world(chance.between(1_000, 120_000), 'commands work again', () => {
      own.failing = undefined;
    });
  },
  'lying command': ({ kernel, cluster, plans }, chance) => {
    const { faults: own } = cluster.agent(chance.pick(plans).host);
    own.lying = new RegExp(
      chance.pick(['systemctl disable', 'systemctl enable', 'systemctl reboot', 'swap', 'activate']),
    );
    kernel.world(chance.between(1_000, 120_000), 'commands are honest again', () => {
      own.lying = undefined;
    });
  },
  rladmin: ({ kernel, cluster: { rs } }, chance) => {
    const kind = chance.pick(['failing', 'lying'] as const);
    rs.faults[kind] = new RegExp(chance.pick(['addr set', 'enslave']));
    kernel.world(chance.between(1_000, 180_000), 'rladmin works again', () => {
      rs.faults[kind] = undefined;
    });
  },
  'unit fails': ({ kernel, cluster, plans }, chance) => {
    const { faults: own } = cluster.agent(chance.pick(plans).host);
    own.unitStarts = () => false;
    kernel.world(chance.between(1_000, 300_000), 'the unit starts again', () => {
      own.unitStarts = undefined;
    });
  },
  'rs stops': ({ kernel, cluster }, chance) => {
    const host = chance.pick(cluster.hosts);
    host.stopUnit(rsUnit);
    kernel.world(chance.between(5_000, 120_000), `somebody starts RS on ${host.name}`, () => {
      if (host.unit(rsUnit)?.unitFileState === 'enabled') host.startUnit(rsUnit);
    });
  },
  'agent reinstalled': ({ cluster }, chance) => {
    const agent = chance.pick(cluster.agents);
    const { disk } = agent.host;
    // One that has a renumbering of its own open keeps its journal: who takes that away takes the dead man's word.
    agent.kill();
    if (disk.exists('/var/lib/rlnet/lock.json')) disk.unlink('/var/lib/rlnet/lock.json');
    disk.syncAll();
  },
  duplicate: ({ kernel, cluster, plans }, chance) => {
    const { change, host } = chance.pick(plans);
    const other = chance.pick(cluster.hosts.filter(({ name }) => name !== host));
    if (cluster.network.holderOf(change.to.address) !== undefined || !other.isOn) return;
    cluster.foreign.set(`${other.name} ${change.to.address}`, kernel.now);
    other.interfaces.add('eth0', { address: parseAddress(change.to.address), prefixLength: 24 });
  },
  abort: ({ cluster, plans }, chance) => {
    const { host, id } = chance.pick(plans);
    void cluster
      .agent(host)
      .running?.abort(id, 'root', 'changed my mind')
      .catch(() => {});
  },
};

export const faultNames: readonly string[] = Object.keys(faults);

/**
 * Whatever the seed says: 3 or 5 nodes, one or two of them moving, and faults at random times for a quarter of an hour.
 * @param only the faults that may happen; all where it is absent
 */
export function randomStory(chance: Stream, only: readonly string[] = faultNames): Story {
  const nodes = chance.pick([3, 3, 3, 5]);
  const first = 1 + chance.below(nodes);
  const second = 1 + chance.below(nodes);
  const uids = chance.chance(0.2) && second !== first ? [first, second] : [first];
  const reboot = chance.chance(0.8);
  const odds = { never: chance.chance(0.05) ? 1 : 0, slow: chance.chance(0.1) ? 1 : 0 };
  const often = chance.pick([10_000, 30_000, 60_000, 200_000]);
  return {
    name: 'random',
    nodes,
    uids,
    change: {
      options: { reboot, cutOver: false, proveByReboot: false, acceptOutage: false, acceptShards: [] },
    },
    prepare: ({ cluster }) => {
      for (const host of cluster.hosts) host.restartOdds = odds;
    },
    meanwhile: async (stage) => {
      const { kernel, cluster } = stage;
      const until = kernel.now + faultsForMs;
      for (;;) {
        const gap = chance.between(0, 2 * often);
        if (kernel.now + gap > until) break;
        await kernel.run(gap);
        const name = chance.pick(only);
        kernel.note('fault', name);
        faults[name]?.(stage, chance);
        if (hasEnded(stage)) break;
      }
      await kernel.run(longestFaultMs);
      // Whoever has to press a button does so in the end.
      for (const host of cluster.hosts) {
        host.restartOdds = { never: 0, slow: 0 };
        host.powerOn(5_000);
        host.disk.capacity = 1024 ** 3;
        host.disk.failingSyncs = 0;
      }
    },
  };
}

function hasEnded({ cluster, plans }: Stage): boolean {
  return plans.every((plan) => journalOf(cluster.host(plan.host), plan)?.closed !== undefined);
}
