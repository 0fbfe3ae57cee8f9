import { parseAddress } from '../../../../src/protocol/address.ts';
import type { PlanOptions } from '../../../../src/protocol/renumbering/plan.ts';
import { forwardSteps, type Step } from '../../../../src/protocol/renumbering/steps.ts';
import { rsUnit } from '../host.ts';
import type { Stream } from '../random.ts';
import type { RenumberingCluster } from './cluster.ts';
import { asks, bindForGood, journalOf, note, planOf, type Stage, type Story } from './story.ts';

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
    ends: ['rolled_back UNIT_FAILED'],
    prepare: ({ cluster, plans }) => {
      for (const { host, change } of plans) {
        const agent = cluster.agent(host);
        agent.faults.unitStarts = () => !agent.host.holds(change.to.address);
      }
    },
  };
}

/** The owner takes the new address away as it takes up its files: neither of the two is left. It does so until the way back has begun. */
export function ownerLoses(uid: number): Story {
  return {
    name: `owner-loses-${uid}`,
    nodes: 3,
    uids: [uid],
    ends: ['rolled_back KERNEL_NOT_AS_PLANNED'],
    meanwhile: async ({ kernel, cluster, plans }) => {
      for (const { host } of plans) {
        const agent = cluster.agent(host);
        agent.faults.losing = true;
        await kernel.runUntil(() => agent.running?.open?.direction === 'back', 600_000);
        agent.faults.losing = false;
      }
    },
  };
}

/** systemd takes the reboot and the host runs on, until somebody restarts it half an hour later. */
export function rebootHangs(uid: number): Story {
  const hosts = ({ cluster, plans }: Stage) => plans.map(({ host }) => cluster.agent(host));
  return {
    name: `reboot-hangs-${uid}`,
    nodes: 3,
    uids: [uid],
    prepare: (stage) => {
      for (const { faults } of hosts(stage)) faults.lying = /systemctl reboot/;
    },
    meanwhile: async (stage) => {
      await stage.kernel.run(30 * 60_000);
      for (const { host } of hosts(stage)) host.restart();
    },
  };
}

/** Somebody asks to abort as soon as a step begins. */
export function abortedAt(step: Step): Story {
  return {
    name: `aborted-at-${step}`,
    nodes: 3,
    uids: [2],
    ends: [step === 'release' ? 'done' : 'rolled_back ABORTED'],
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

/** What is decided about a plan where a story does not say otherwise. */
export const usual: PlanOptions = {
  reboot: true,
  cutOver: false,
  proveByReboot: false,
  acceptOutage: false,
  acceptShards: [],
};

/** Waits until node 2 is at a step, or beyond. @throws Error where it never gets there */
export async function untilAt({ kernel, cluster }: Stage, step: Step): Promise<void> {
  const met = await kernel.runUntil(() => cluster.agent('n2').running?.open?.step === step, 600_000);
  if (met === undefined) throw new Error(`never at ${step}`);
}

/** Nobody but a fault of the story may keep things as they are for longer than this. Milliseconds. */
const faultsForMs = 15 * 60_000;
const hourMs = 3_600_000;

/** @returns how long it lasts, milliseconds; 0 where it is over at once */
type Fault = (stage: Stage, chance: Stream) => number;

/** It is over, and `mend` is called, after `ms`. @returns that time */
function lasts({ kernel }: Stage, ms: number, what: string, mend: () => void): number {
  kernel.world(ms, what, mend);
  return ms;
}

/** What can go wrong at any time; each ends by itself. */
const faults: Record<string, Fault> = {
  kill: ({ cluster }, chance) => {
    chance.pick(cluster.agents).kill();
    return 0;
  },
  'kill often': ({ kernel, cluster }, chance) => {
    const agent = chance.pick(cluster.agents);
    for (let at = 0; at < 60_000; at += chance.between(500, 8_000))
      kernel.world(at, 'kills again', () => agent.kill());
    return 60_000;
  },
  power: (stage, chance) => {
    const host = chance.pick(stage.cluster.hosts);
    host.powerOff();
    return lasts(stage, chance.between(1_000, 120_000), `${host.name} has power`, () =>
      host.powerOn(chance.between(1_000, 20_000)),
    );
  },
  isolate: (stage, chance) => {
    const { network, hosts } = stage.cluster;
    const { name } = chance.pick(hosts);
    network.isolate(name);
    return lasts(stage, chance.between(1_000, 240_000), `${name} is mended`, () => network.rejoin(name));
  },
  'cut one way': (stage, chance) => {
    const { network, hosts } = stage.cluster;
    const host = chance.pick(hosts);
    const other = chance.pick(hosts.filter((each) => each !== host));
    return cut(stage, [network.path(host.name, other.name)], chance.between(1_000, 240_000));
  },
  halves: (stage, chance) => {
    const { network, hosts } = stage.cluster;
    const side = new Set(hosts.filter(() => chance.chance(0.5)).map(({ name }) => name));
    const crossing = hosts.flatMap((a) =>
      hosts.flatMap((b) => (side.has(a.name) && !side.has(b.name) ? network.paths(a.name, b.name) : [])),
    );
    return cut(stage, crossing, chance.between(1_000, 240_000));
  },
  loss: (stage, chance) => {
    const paths = stage.cluster.network.allPaths();
    for (const path of paths) path.loss = 0.3;
    return lasts(stage, chance.between(5_000, 120_000), 'the loss is over', () => {
      for (const path of paths) path.loss = 0;
    });
  },
  freeze: (stage, chance) => {
    const { process } = chance.pick(stage.cluster.agents);
    process?.freeze();
    return lasts(stage, chance.between(1_000, 400_000), 'the freeze is over', () => process?.thaw());
  },
  suspend: ({ cluster }, chance) => {
    const host = chance.pick(cluster.hosts);
    const ms = chance.between(10_000, 400_000);
    host.suspend(ms);
    return ms;
  },
  clock: ({ cluster }, chance) => {
    chance.pick(cluster.hosts).jumpWall(chance.between(-hourMs, hourMs));
    return 0;
  },
  'disk full': (stage, chance) => {
    const { disk } = chance.pick(stage.cluster.hosts);
    disk.capacity = disk.used() + chance.below(300);
    return lasts(stage, chance.between(1_000, 120_000), 'there is room again', () => {
      disk.capacity = 1024 ** 3;
    });
  },
  'failing fsync': ({ cluster }, chance) => {
    chance.pick(cluster.hosts).disk.failingSyncs += 1;
    return 0;
  },
  'failing command': (stage, chance) => {
    const { faults: own } = stage.cluster.agent(chance.pick(stage.plans).host);
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
    return lasts(stage, chance.between(1_000, 120_000), 'commands work again', () => {
      own.failing = undefined;
    });
  },
  'lying command': (stage, chance) => {
    const { faults: own } = stage.cluster.agent(chance.pick(stage.plans).host);
    own.lying = new RegExp(
      chance.pick(['systemctl disable', 'systemctl enable', 'systemctl reboot', 'swap', 'activate']),
    );
    return lasts(stage, chance.between(1_000, 120_000), 'commands are honest again', () => {
      own.lying = undefined;
    });
  },
  rladmin: (stage, chance) => {
    const { rs } = stage.cluster;
    const kind = chance.pick(['failing', 'lying'] as const);
    rs.faults[kind] = new RegExp(chance.pick(['addr set', 'enslave']));
    return lasts(stage, chance.between(1_000, 180_000), 'rladmin works again', () => {
      rs.faults[kind] = undefined;
    });
  },
  'unit fails': (stage, chance) => {
    const { faults: own } = stage.cluster.agent(chance.pick(stage.plans).host);
    own.unitStarts = () => false;
    return lasts(stage, chance.between(1_000, 300_000), 'the unit starts again', () => {
      own.unitStarts = undefined;
    });
  },
  'rs stops': (stage, chance) => {
    const host = chance.pick(stage.cluster.hosts);
    host.stopUnit(rsUnit);
    return lasts(stage, chance.between(5_000, 120_000), `somebody starts RS on ${host.name}`, () => {
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
    return 0;
  },
  duplicate: ({ kernel, cluster, plans }, chance) => {
    const { change, host } = chance.pick(plans);
    const other = chance.pick(cluster.hosts.filter(({ name }) => name !== host));
    const { to } = change;
    if (cluster.network.holderOf(to.address) !== undefined || !other.isOn) return 0;
    cluster.foreign.set(`${other.name} ${to.address}`, kernel.now);
    other.interfaces.add('eth0', to);
    return 0;
  },
  abort: (stage, chance) => {
    const { host, id } = chance.pick(stage.plans);
    asks(stage, 'abort', stage.cluster.agent(host).running?.abort(id, 'root', 'changed my mind'));
    return 0;
  },
  scattered: (stage, chance) => {
    const paths = stage.cluster.network.allPaths().filter(() => chance.chance(0.4));
    return cut(stage, paths, chance.between(1_000, 240_000));
  },
  'slow network': (stage, chance) => {
    const paths = stage.cluster.network.allPaths();
    const before = paths.map(({ delay }) => delay);
    for (const path of paths) path.delay = (each) => each.between(100, 3_000);
    return lasts(stage, chance.between(5_000, 120_000), 'the network is fast again', () => {
      for (const [index, path] of paths.entries()) path.delay = before[index] ?? path.delay;
    });
  },
  'slow command': (stage, chance) => {
    const { faults: own } = stage.cluster.agent(chance.pick(stage.plans).host);
    own.slow = { commands: /^(systemctl|ip|activate)/, ms: chance.between(2_000, 70_000) };
    return lasts(stage, chance.between(10_000, 180_000), 'commands are quick again', () => {
      own.slow = undefined;
    });
  },
  'late addr set': (stage, chance) => {
    const { rs } = stage.cluster;
    rs.faults.slow = { commands: /addr set/, ms: chance.between(1_000, 60_000) };
    return lasts(stage, chance.between(30_000, 300_000), 'rladmin is quick again', () => {
      rs.faults.slow = undefined;
    });
  },
  'drops out after the guards': (stage, chance) => {
    stage.cluster.onRecord = dropsOut(stage, chance);
    return dropsOutMs;
  },
  'dead man and stalled agent': (stage, chance) => {
    const { process } = stage.cluster.agent(chance.pick(stage.plans).host);
    process?.freeze();
    return lasts(stage, chance.between(295_000, 330_000), 'the stall is over', () => process?.thaw());
  },
  'sleeps an hour': (stage, chance) => {
    const agent = stage.cluster.agent(chance.pick(stage.plans).host);
    if (chance.chance(0.5)) {
      agent.host.suspend(hourMs);
      return hourMs;
    }
    const { process } = agent;
    process?.freeze();
    return lasts(stage, hourMs, 'the agent wakes up after an hour', () => process?.thaw());
  },
  'lock freed': (stage, chance) => {
    const { cluster } = stage;
    const { host, running } = chance.pick(cluster.agents);
    for (const claim of running?.keeper.openClaims() ?? []) {
      const holder = cluster.agent(claim.host);
      // What `rlnet lock release --host-is-off` is for: nobody has answered for the holder for a minute.
      const silentFor = stage.kernel.now - (stage.answeredAt.get(claim.host) ?? 0);
      if (holder.host === host || silentFor < 60_000) continue;
      asks(stage, 'lock release', running?.keeper.close(claim));
    }
    return 0;
  },
  'joined by rladmin': (stage) => {
    const { cluster } = stage;
    const uid = cluster.agents.length + 1;
    if (cluster.rs.config.nodes.length >= uid) return 0;
    note(stage, 'a node joined');
    cluster.rs.join(uid, parseAddress(cluster.family === 'ipv6' ? '2001:db8::99' : '192.0.2.99'));
    return 0;
  },
  'second operator': (stage, chance) => {
    const { cluster, plans } = stage;
    const plan = chance.pick(plans);
    const { running } = cluster.agent(plan.host);
    if (running === undefined) return 0;
    if (chance.chance(0.3)) {
      asks(stage, 'resume', running.resume(plan.id, 'one'));
      asks(stage, 'resume', running.resume(plan.id, 'another'));
      return 0;
    }
    const others = ['a', 'b'].map((letter) => ({
      ...plan,
      id: letter + `${plans.length}`.padStart(11, '0'),
    }));
    for (const other of others) {
      const started = running.start(other).then(() => {
        plans.push(other);
      });
      asks(stage, 'start', started);
    }
    return 0;
  },
};

export const faultNames: readonly string[] = Object.keys(faults);
/** What there was when `seedsThatFoundBugs` got their names: their stories draw from these alone. */
export const firstFaultNames: readonly string[] = faultNames.slice(0, faultNames.indexOf('scattered'));
/** An hour of virtual time takes its time. */
const rare = new Set(['sleeps an hour']);

function cut(stage: Stage, paths: readonly { isUp: boolean }[], ms: number): number {
  for (const path of paths) path.isUp = false;
  return lasts(stage, ms, 'the cut is mended', () => {
    for (const path of paths) path.isUp = true;
    // Who was cut off could not be heard: a foreign address counts as taken from here on.
    for (const taken of stage.cluster.foreign.keys()) stage.cluster.foreign.set(taken, stage.kernel.now);
  });
}

const dropsOutMs = 300_000;

/** Once a step is intended, for which the guards have passed, another node loses its power. @returns what is told of each record */
function dropsOut(stage: Stage, chance: Stream): RenumberingCluster['onRecord'] {
  const { kernel, cluster } = stage;
  const at = chance.pick(['demote', 'disable', 'restart', 'readdress', 'register'] as const);
  const ms = chance.between(0, 400);
  const offMs = chance.between(10_000, 240_000);
  const which = chance.fraction();
  let struck = false;
  return (plan, record) => {
    if (struck || record.type !== 'intent' || record.direction !== 'forward' || record.step !== at) return;
    struck = true;
    const others = cluster.hosts.filter(({ name }) => name !== plan.host);
    const host = others[Math.floor(which * others.length)];
    if (host === undefined) return;
    kernel.world(ms, `${host.name} drops out`, () => {
      note(stage, `dropped out at ${at}`);
      host.powerOff();
      kernel.world(offMs, `${host.name} has power`, () => host.powerOn(5_000));
    });
  };
}

/** What kind of move in what kind of cluster. */
function settingOf(chance: Stream): Partial<Story> {
  const kind = chance.pick([
    'same_subnet',
    'same_subnet',
    'same_subnet',
    'dual_homed',
    'cut_over',
    'already_bound',
  ] as const);
  const options = {
    reboot: chance.chance(0.8),
    cutOver: kind === 'cut_over',
    proveByReboot: chance.chance(0.15),
    acceptShards: [],
  };
  const family = chance.chance(0.25) ? 'ipv6' : 'ipv4';
  const external = chance.chance(0.3);
  if (chance.chance(0.08)) {
    const change = { kind, options: { ...options, acceptOutage: true } };
    return { nodes: 2, uids: [1 + chance.below(2)], family, external, change };
  }
  const change = { kind, options: { ...options, acceptOutage: false } };
  if (chance.chance(0.08)) {
    // All at once, in a cluster of an even number: the vote is likely to be split.
    return { nodes: 4, uids: chance.chance(0.5) ? [1, 2, 3, 4] : [2, 3], family, external, change };
  }
  return { family, external, change };
}

/**
 * Whatever the seed says: which cluster, which move or moves, and faults at random times for a quarter of an hour.
 * @param only the faults that may happen, in a plain cluster; all of them, and any setting, where it is absent
 */
export function randomStory(chance: Stream, only?: readonly string[]): Story {
  const setting = only === undefined ? settingOf(chance.split('setting')) : {};
  const names = only ?? faultNames;
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
    change: { options: { ...usual, reboot } },
    ...setting,
    prepare: ({ cluster }) => {
      for (const host of cluster.hosts) host.restartOdds = odds;
    },
    meanwhile: async (stage) => {
      const { kernel, cluster } = stage;
      const until = kernel.now + faultsForMs;
      let lastUntil = kernel.now;
      for (;;) {
        const gap = chance.between(0, 2 * often);
        if (kernel.now + gap > until) break;
        await kernel.run(gap);
        let name = chance.pick(names);
        if (rare.has(name) && only === undefined && chance.chance(0.85)) name = 'kill';
        note(stage, name);
        lastUntil = Math.max(lastUntil, kernel.now + (faults[name]?.(stage, chance) ?? 0));
        if (hasEnded(stage)) break;
      }
      await kernel.run(Math.max(0, lastUntil - kernel.now) + 1_000);
      calm(cluster);
    },
  };
}

/** Whoever has to press a button does so in the end. */
function calm(cluster: RenumberingCluster): void {
  cluster.onRecord = () => {};
  for (const host of cluster.hosts) {
    host.restartOdds = { never: 0, slow: 0 };
    host.powerOn(5_000);
    host.disk.capacity = 1024 ** 3;
    host.disk.failingSyncs = 0;
  }
}

/** A journal has about so many records on its way forward; back it is fewer. */
const recordsOfAWay = 42;
/** It waits for the same record as the others do, and takes their place. */
const notAimed = new Set(['drops out after the guards']);

/**
 * One to three faults, each aimed at a record of the first journal, so that every step meets every fault: of the renumberings in a
 * storm few get beyond the restart. A second node may move afterwards.
 */
export function aimedStory(chance: Stream): Story {
  const setting = settingOf(chance.split('setting'));
  const nodes = setting.nodes ?? chance.pick([3, 3, 3, 5]);
  const uids = setting.uids ?? [1 + chance.below(nodes)];
  const [first = 1] = uids;
  const next = uids.length === 1 && chance.chance(0.25) ? (first % nodes) + 1 : undefined;
  const names = faultNames.filter((name) => !notAimed.has(name));
  const strikes = Array.from({ length: 1 + chance.below(3) }, () => ({
    after: 1 + chance.below(recordsOfAWay),
    delayMs: chance.pick([0, chance.between(0, 300), chance.between(0, 40_000)]),
    name: chance.pick(names),
  }));
  const other = chance.split('drops out');
  const story = { ...setting, name: 'aimed', nodes, uids };
  return {
    ...story,
    meanwhile: async (stage) => {
      const { kernel, cluster, plans } = stage;
      const aim = plans.find(({ nodeUid }) => nodeUid === first);
      let written = 0;
      let lastUntil = kernel.now;
      let over = false;
      const dropOut = other.chance(0.25) ? dropsOut(stage, other) : undefined;
      if (dropOut !== undefined) lastUntil += dropsOutMs;
      cluster.onRecord = (plan, record) => {
        if (plan.id !== aim?.id) return;
        dropOut?.(plan, record);
        written += 1;
        for (const { after, delayMs, name } of strikes) {
          if (after !== written) continue;
          kernel.world(delayMs, `strikes after record ${after}`, () => {
            if (over) return;
            const { direction, step } = journalOf(cluster.host(aim.host), aim) ?? {};
            note(stage, name);
            note(stage, `struck at ${direction ?? 'the beginning'} ${step ?? ''}`);
            lastUntil = Math.max(lastUntil, kernel.now + (faults[name]?.(stage, chance) ?? 0));
          });
        }
      };
      await untilOver(stage);
      if (next !== undefined) {
        const plan = planOf(cluster, next, story);
        if (plan.kind === 'already_bound') bindForGood(cluster, plan);
        const started = cluster.agent(plan.host).running?.start(plan);
        asks(
          stage,
          'next start',
          started?.then(() => void plans.push(plan)),
        );
        await kernel.run(1_000);
        await untilOver(stage);
      }
      over = true;
      await kernel.run(Math.max(0, lastUntil - kernel.now) + 1_000);
      calm(cluster);
    },
  };
}

/** Until all have ended, or faults have lasted long enough. */
async function untilOver(stage: Stage): Promise<void> {
  let lookedAt = Number.NEGATIVE_INFINITY;
  await stage.kernel.runUntil(() => {
    if (stage.kernel.now - lookedAt < 1_000) return false;
    lookedAt = stage.kernel.now;
    return hasEnded(stage);
  }, faultsForMs);
}

function hasEnded({ cluster, plans }: Stage): boolean {
  return plans.every((plan) => journalOf(cluster.host(plan.host), plan)?.closed !== undefined);
}
