import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Family, parseInterfaceAddress } from '../../src/protocol/address.ts';
import { downLab, type Lab } from '../support/lab/lab.ts';
import { owners } from '../support/lab/plan.ts';
import {
  begin,
  type Ended,
  ended,
  patienceMs,
  recorded,
  upCluster,
  waitUntilWell,
  whereabouts,
} from '../support/lab/renumbering.ts';
import { recordRs } from '../support/lab/rs-client.ts';
import { full, sampleOf } from '../support/sampling.ts';

/**
 * Nodes that are renumbered for real: systemd, real reboots, the agent as a package installs it. A cluster of four hosts, one of each
 * owner of the network configuration, whose one network is routed. RS is the stand-in.
 */

const families = ['ipv4', 'ipv6'] as const;
const kinds = ['same_subnet', 'dual_homed', 'already_bound', 'cut_over'] as const;
type Kind = (typeof kinds)[number];

/** Internal networks: the one that the nodes are in, one with a router from the start, and one that comes only with a cut-over. */
const networks = {
  ipv4: { length: 24, own: '10.77.0.', other: '10.78.0.', late: '10.79.0.', gateway: '1' },
  ipv6: {
    length: 64,
    own: 'fd77:0:0:1::',
    other: 'fd78:0:0:1::',
    late: 'fd79:0:0:1::',
    gateway: 'fe01',
  },
} as const;

interface Move {
  address: string;
  options: string[];
}

/** Where the node of that number goes, and how it is asked for. */
function moveOf(kind: Kind, family: Family, node: number): Move {
  const { own, other, late, gateway } = networks[family];
  switch (kind) {
    case 'same_subnet':
      return { address: `${own}${50 + node}`, options: [] };
    case 'dual_homed':
      return { address: `${other}${50 + node}`, options: ['--gateway', `${other}${gateway}`] };
    case 'already_bound':
      return { address: `${other}${20 + node}`, options: [] };
    case 'cut_over':
      return { address: `${late}${50 + node}`, options: ['--cut-over', '--gateway', `${late}${gateway}`] };
  }
}

describe.each(sampleOf(families, 1))('a cluster over %s', (family) => {
  const labName = `test-renumbering-${family}`;
  const { length, other, late, gateway } = networks[family];
  let lab: Lab;

  beforeAll(async () => {
    await downLab(labName);
    const hosts = owners.map((owner, index) => ({
      owner,
      external: [],
      extraInternal: families.map((each) => `${networks[each].other}${21 + index}/${networks[each].length}`),
    }));
    lab = await upCluster(labName, hosts, family);
    await lab.addInternalNetwork(parseInterfaceAddress(`${other}${gateway}/${length}`));
  });
  afterAll(() => downLab(labName));

  /** Moves a node, from the host before it, and reads what became of it. */
  async function move(
    node: number,
    { address, options }: Move,
    meanwhile?: (planId: string) => Promise<void>,
  ) {
    const target = lab.host(`n${node}`);
    const from = lab.host(`n${node === 1 ? owners.length : node - 1}`);
    const [bootId, before] = [await target.bootId(), await whereabouts(target, node, from)];
    await using record = recordRs(lab.hosts);
    const planId = await begin(from, node, `${address}/${length}`, options);
    await meanwhile?.(planId);
    const end: Ended = await ended(from, planId);
    await waitUntilWell(lab.hosts);
    expect(end, JSON.stringify(end.records, null, 1)).toMatchObject({ outcome: 'done' });
    expect(await target.bootId()).not.toBe(bootId);
    const now = await whereabouts(target, node, from);
    expect(now).toMatchObject({ rs: address, status: 'OK', enabled: 'enabled', active: 'active' });
    expect(now.kernel).toContain(address);
    expect(await from.execOk(['rlnet', 'lock', 'show'])).toContain('nobody has the lock');
    expect(await target.execOk(['ls', '-A', '/var/lib/rlnet/dead-man'])).toBe('');
    const seen = record.summary();
    expect(seen).toMatchObject({ leastUp: owners.length - 1, noQuorumMs: 0, offlineMs: {} });
    process.stdout.write(
      `  measured: ${family}, ${owners[node - 1]}: RS was looked at ${seen.looks} times\n`,
    );
    process.stdout.write(await from.execOk(['rlnet', 'renumber', 'show', planId, '--timing']));
    return { before, now, from, target };
  }

  const moves = kinds.flatMap((kind) => owners.map((owner, index) => ({ kind, owner, node: index + 1 })));

  test.for(sampleOf(moves, 1))(
    'node $node, whose network is $owner, moves: $kind',
    { timeout: patienceMs },
    async ({ kind, node }) => {
      const wanted = moveOf(kind, family, node);
      const moved = await move(node, wanted, async (planId) => {
        if (kind !== 'cut_over') return;
        const from = lab.host(`n${node === 1 ? owners.length : node - 1}`);
        await recorded(from, planId, 'the node to be about to move', (record) => {
          return record.type === 'intent' && record.step === 'readdress';
        });
        await lab.addInternalNetwork(parseInterfaceAddress(`${late}${gateway}/${length}`));
      });
      if (kind !== 'already_bound') expect(moved.now.kernel).not.toContain(moved.before.rs);
      // What the files say is what a boot makes.
      await moved.target.reboot({ addresses: false });
      await waitUntilWell(lab.hosts);
      const booted = await whereabouts(moved.target, node, moved.from);
      expect(booted).toMatchObject({ rs: wanted.address, status: 'OK', active: 'active' });
      expect(booted.kernel.toSorted()).toEqual(moved.now.kernel.toSorted());
    },
  );

  test.runIf(full)(
    'all nodes move one after another, the cluster master last, and the cluster is never without quorum or a database',
    { timeout: owners.length * patienceMs },
    async () => {
      const n1 = lab.host('n1');
      const master = Number(
        /node (\d+)/i.exec(await n1.execOk(['/opt/redislabs/bin/rladmin', 'cluster', 'master']))?.[1],
      );
      const order = [...owners.keys()]
        .map((index) => index + 1)
        .toSorted((a, b) => Number(a === master) - Number(b === master));
      for (const node of order) {
        await move(node, { address: `${networks[family].own}${70 + node}`, options: sameNetwork(family) });
      }
    },
  );
});

/** Back into the first network, whose gateway is another one than where the nodes are now. */
function sameNetwork(family: Family): string[] {
  const { own, gateway } = networks[family];
  return ['--gateway', `${own}${gateway}`];
}
