import { afterAll, beforeAll, expect, test } from 'vitest';
import { meshPort } from '../../src/protocol/messages.ts';
import type { ClusterView } from '../../src/protocol/state.ts';
import { installAgents } from '../support/lab/agent.ts';
import { downLab, type Host, type Lab, upLab } from '../support/lab/lab.ts';
import { waitFor } from '../support/lab/run.ts';
import { watchFrom } from '../support/lab/watch.ts';
import { bootstrapStandin } from '../support/standin/bootstrap.ts';
import { installStandin } from '../support/standin/install.ts';

/**
 * One internal family: three nodes of an IPv6 cluster, and a fourth host that is no node yet, whose configuration puts its IPv4 address
 * first. All have addresses of both families.
 */

const labName = 'test-mesh-family';

let lab: Lab;
let nodes: Host[];
let stranger: Host;

beforeAll(async () => {
  await downLab(labName);
  lab = await upLab({
    name: labName,
    hosts: Array.from({ length: 4 }, () => ({ owner: 'networkd' as const })),
  });
  nodes = lab.hosts.slice(0, 3);
  stranger = lab.host('n4');
  await Promise.all(lab.hosts.map((host) => installStandin(host)));
  await bootstrapStandin(
    nodes.map((host) => ({ host, addr: host.address('internal', 'ipv6'), externalAddr: [] })),
    { clusterName: 'test.example', family: 'ipv6' },
  );
  await installAgents(lab.hosts, {
    cluster: 'test',
    family: 'ipv6',
    now: Date.now(),
    // What it is to be known by, and whom to ask: one of each family.
    seedsOf: (host) =>
      host === stranger
        ? [host.address('internal', 'ipv4'), ...nodes.map((node) => node.address('internal', 'ipv6'))]
        : undefined,
  });
});

afterAll(async () => {
  await downLab(labName);
});

/** The remote ends of the agent's sockets with other hosts, from `ss -tnp`. */
async function remoteEnds(host: Host): Promise<string[]> {
  const sockets = await host.execOk(['ss', '-tnpH', 'state', 'established']);
  return sockets
    .split('\n')
    .filter((line) => line.includes(`:${meshPort}`) && line.includes('users:('))
    .map((line) => line.trim().split(/\s+/)[3]?.replace(/:\d+$/, '') ?? line);
}

function isWhole({ hosts }: ClusterView): boolean {
  return nodes.every((node) =>
    hosts.some(
      ({ host, link }) =>
        host === node.name && (link.status === 'self' || link.reachability.status === 'reachable'),
    ),
  );
}

function refusedAt(host: Host, evidence: RegExp): (view: ClusterView) => boolean {
  return ({ hosts }) =>
    hosts
      .find(({ host: name }) => name === host.name)
      ?.state?.findings.some(
        (finding) => finding.code === 'MESH_PEER_REFUSED' && evidence.test(finding.evidence),
      ) ?? false;
}

test('the sockets of a full mesh on dual-stack hosts are all of the internal family', async () => {
  for (const node of nodes) {
    await using watch = await watchFrom(node);
    await watch.until('a whole mesh', isWhole);
    const others = nodes.filter((other) => other !== node);
    // Where both ends dialled, the second connection of the pair may still be on its way out.
    const ends = await waitFor('one connection to each other node', { timeoutMs: 10_000 }, async () => {
      // A connection that is on its way to being refused is of this family too; only the nodes' own are links.
      const all = (await remoteEnds(node)).filter(
        (end) => end !== `[${stranger.address('internal', 'ipv6')}]`,
      );
      return all.length === others.length ? all : undefined;
    });
    expect(ends.sort()).toEqual(others.map((other) => `[${other.address('internal', 'ipv6')}]`).sort());
  }
});

test('a host that speaks the other family is refused, and both sides say why', async () => {
  for (const node of nodes) {
    await using watch = await watchFrom(node);
    await watch.until(
      'the finding on the node',
      refusedAt(node, /^n4: family: its internal family is ipv4, ours is ipv6$/),
    );
    const journal = await node.execOk(['journalctl', '-u', 'rlnet', '--no-pager', '--output', 'cat']);
    expect(journal).toMatch(/"refusal":"family".*its internal family is ipv4, ours is ipv6/);
  }
  await using watch = await watchFrom(stranger);
  await watch.until(
    'the finding on the host',
    refusedAt(stranger, /n1: family: its internal family is ipv6, ours is ipv4/),
  );
  const journal = await stranger.execOk(['journalctl', '-u', 'rlnet', '--no-pager', '--output', 'cat']);
  expect(journal).toMatch(/"refusal":"family".*its internal family is ipv6, ours is ipv4/);
  const { hosts, unreached } = JSON.parse(
    await stranger.execOk(['rlnet', 'status', '--json']),
  ) as ClusterView;
  expect(hosts.filter(({ link }) => link.status === 'connected')).toEqual([]);
  expect(unreached.map(({ address }) => address).sort()).toEqual(
    nodes.map((node) => node.address('internal', 'ipv6')).sort(),
  );
});

/** Starts the stranger's agent anew, as one that knows nothing but these seeds. */
async function restartStranger(seeds: readonly string[]): Promise<void> {
  await stranger.execOk(['systemctl', 'stop', 'rlnet']);
  await stranger.execOk(['rm', '-f', '/var/lib/rlnet/identity.json']);
  const lines = ['mesh:', '  seeds:', ...seeds.map((seed) => `    - "${seed}"`), ''];
  await stranger.writeFile('/etc/rlnet/agent.yaml', lines.join('\n'), 0o644);
  await stranger.execOk(['systemctl', 'start', 'rlnet']);
}

test('a host that dials the other family alone meets nobody there, and is told what that can mean', async () => {
  const addresses = nodes.map((node) => node.address('internal', 'ipv4'));
  await restartStranger([stranger.address('internal', 'ipv4'), ...addresses]);
  await using watch = await watchFrom(stranger);
  const { view } = await watch.until('what became of every dial', ({ unreached }) => {
    const refused = unreached.filter(({ reason }) => /ECONNREFUSED.*internal address alone/.test(reason));
    return refused.length === nodes.length;
  });
  expect(view.unreached.map(({ address }) => address).sort()).toEqual(addresses.toSorted());
  for (const node of nodes) {
    const listening = await node.execOk(['ss', '-tlnH', 'sport', '=', `:${meshPort}`]);
    expect(listening.trim().split(/\s+/)[3]).toBe(`[${node.address('internal', 'ipv6')}]:${meshPort}`);
    const own = nodes
      .filter((other) => other !== node)
      .map((other) => `[${other.address('internal', 'ipv6')}]`);
    expect((await remoteEnds(node)).sort()).toEqual(own.sort());
  }
});

test("a host that has no address of the cluster's family gets a finding, and its log says so", async () => {
  for (const link of ['eth0', 'eth1']) {
    await stranger.execOk(['ip', '-6', 'addr', 'flush', 'dev', link, 'scope', 'global']);
  }
  await restartStranger(nodes.map((node) => node.address('internal', 'ipv6')));
  const evidence = 'the cluster uses ipv6 inside, and this host has no such address';
  await using watch = await watchFrom(stranger);
  await watch.until('the finding', ({ hosts }) =>
    hosts.some(({ state }) =>
      state?.findings.some(
        (finding) => finding.code === 'INTERNAL_FAMILY_MISSING' && finding.evidence === evidence,
      ),
    ),
  );
  await waitFor('the line in the journal', { timeoutMs: 60_000 }, async () => {
    const journal = await stranger.execOk(['journalctl', '-u', 'rlnet', '--no-pager', '--output', 'cat']);
    return new RegExp(`"finding":"INTERNAL_FAMILY_MISSING".*${evidence}`).test(journal) ? true : undefined;
  });
});
