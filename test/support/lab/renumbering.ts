import type { Family } from '../../../src/protocol/address.ts';
import { tryParseAddress } from '../../../src/protocol/address.ts';
import type { JournalRecord, Reason, RenumberingOutcome } from '../../../src/protocol/renumbering/records.ts';
import { bootstrapStandin } from '../standin/bootstrap.ts';
import { installStandin } from '../standin/install.ts';
import { installAgents } from './agent.ts';
import { type Host, type Lab, type UpOptions, upLab } from './lab.ts';
import type { HostSpec } from './plan.ts';
import { waitFor } from './run.ts';

/** Clusters on real hosts whose nodes are renumbered, and what there is to see of it. RS is the stand-in. */

export const rsUnit = 'rlec_supervisor.service';
/** A renumbering with its restart, and the way back of one, on a busy machine. Milliseconds. */
export const patienceMs = 420_000;

/**
 * What RS and the soak take on purpose, made short: RS calls a silent node DOWN after 30 s by default, and a node soaks for 30 s.
 * Neither is what these tests are about.
 */
export const shortened = { downAfterMs: 5_000, soakSeconds: 5 } as const;

/** Installs the stand-in and rlnet on all hosts of a lab, makes the first ones a cluster, and starts an agent on each of those. */
export async function makeCluster(
  lab: Lab,
  { family, nodes = lab.hosts }: { family: Family; nodes?: readonly Host[] },
): Promise<void> {
  const { downAfterMs, soakSeconds } = shortened;
  await Promise.all(nodes.map((host) => installStandin(host, { settings: { downAfterMs } })));
  await bootstrapStandin(
    nodes.map((host) => ({
      host,
      addr: host.address('internal', family),
      externalAddr: host.addresses('external'),
    })),
    {
      clusterName: `${lab.name}.example`,
      family,
      databases: [{ name: 'orders', masters: 2, replication: true }],
    },
  );
  const more = ['renumbering:', '  bounds:', `    soak: ${soakSeconds}`];
  await installAgents(nodes, { cluster: 'lab', family, now: Date.now(), more });
}

/**
 * Brings up a lab with a cluster, and returns when every node can be renumbered.
 * @param others hosts after those of the nodes, that are none
 */
export async function upCluster(
  name: string,
  hosts: readonly HostSpec[],
  family: Family,
  options: UpOptions = {},
  others: readonly HostSpec[] = [],
): Promise<Lab> {
  const lab = await upLab({ name, hosts: [...hosts, ...others] }, options);
  const nodes = lab.hosts.slice(0, hosts.length);
  try {
    await makeCluster(lab, { family, nodes });
    await waitUntilWell(nodes);
    return lab;
  } catch (thrown) {
    await lab.down();
    throw thrown;
  }
}

/** Every node and every shard is OK for RS, which answers on each host, and the agent of each has a link to each. */
export async function waitUntilWell(hosts: readonly Host[], timeoutMs = 120_000): Promise<void> {
  const [first] = hosts;
  if (first === undefined) return;
  await waitFor('all nodes to be OK and all agents to be linked', { timeoutMs }, async () => {
    const { stdout } = await first.exec(['rlnet', 'status', '--json']);
    try {
      const { rs, hosts: seen } = JSON.parse(stdout) as {
        rs: { nodes?: { status: string }[] };
        hosts: { link: { status: string } }[];
      };
      const ok = rs.nodes?.filter(({ status }) => status === 'ok').length === hosts.length;
      const linked = seen.filter(({ link }) => link.status !== 'disconnected').length === hosts.length;
      if (!ok || !linked) return undefined;
      // What the others say of a node that has just booted can be from before.
      const tables = await Promise.all(
        hosts.map((host) => host.execOk(['/opt/redislabs/bin/rladmin', 'status', 'shards'])),
      );
      const rows = tables.flatMap((table) => table.split('\n')).filter((row) => row.startsWith('db:'));
      return rows.every((row) => /\bOK\s*$/.test(row)) ? true : undefined;
    } catch {
      return undefined;
    }
  });
}

export interface Ended {
  planId: string;
  outcome: RenumberingOutcome;
  reason: Reason | undefined;
  records: JournalRecord[];
}

/** `rlnet renumber start NODE ADDRESS/PREFIX --yes`; gives the plan's id. */
export async function begin(
  from: Host,
  node: number,
  address: string,
  options: string[] = [],
): Promise<string> {
  const argv = ['rlnet', 'renumber', 'start', `${node}`, address, '--yes', '--json', ...options];
  return (JSON.parse(await from.execOk(argv, { timeoutMs: 90_000 })) as { planId: string }).planId;
}

/** Waits for its end, and reads the journal. A `follow` that is refused by agents that are not there is asked again. */
export async function ended(from: Host, planId: string): Promise<Ended> {
  return await waitFor(`the end of ${planId}`, { timeoutMs: patienceMs }, async () => {
    const { stdout } = await from.exec(['rlnet', 'renumber', 'show', planId, '--json']);
    try {
      const { records } = JSON.parse(stdout) as { records: JournalRecord[] };
      const last = records.at(-1);
      return last?.type === 'closed'
        ? { planId, outcome: last.outcome, reason: last.reason, records }
        : undefined;
    } catch {
      return undefined;
    }
  });
}

/** Renumbers a node from another host, to the end. */
export async function renumber(
  from: Host,
  node: number,
  address: string,
  options: string[] = [],
): Promise<Ended> {
  return await ended(from, await begin(from, node, address, options));
}

/** Waits until a record of the journal is as wanted, by asking a host whose agent is not to go away. */
export async function recorded(
  from: Host,
  planId: string,
  what: string,
  wanted: (record: JournalRecord) => boolean,
): Promise<JournalRecord> {
  return await waitFor(what, { timeoutMs: patienceMs }, async () => {
    const { stdout } = await from.exec(['rlnet', 'renumber', 'show', planId, '--json']);
    try {
      const { records } = JSON.parse(stdout) as { records: JournalRecord[] };
      return records.find(wanted);
    } catch {
      return undefined;
    }
  });
}

/** Where a node is: what RS, the kernel, the boot and systemd say, each read for itself. */
export interface Whereabouts {
  /** The address that RS has for the node, and its status there, as another node shows it. */
  rs: string | undefined;
  status: string | undefined;
  /** Addresses of the kernel on the internal card. */
  kernel: string[];
  /** Of the unit of RS. */
  enabled: string;
  active: string;
}

export async function whereabouts(target: Host, node: number, from: Host): Promise<Whereabouts> {
  const table = await from.execOk(['/opt/redislabs/bin/rladmin', 'status', 'nodes']);
  const row = table.split('\n').find((line) => new RegExp(`^\\*?node:${node} `).test(line)) ?? '';
  const state = async (word: string): Promise<string> =>
    (await target.exec(['systemctl', word, rsUnit])).stdout.trim();
  const kernel = await target.execOk(['ip', '-o', 'addr', 'show', 'dev', 'eth0', 'scope', 'global']);
  return {
    rs: row.split(/\s+/).find((word) => tryParseAddress(word) !== undefined),
    status: /(OK|DOWN.*?)\s*$/.exec(row)?.[1],
    kernel: [...kernel.matchAll(/ inet6? (\S+?)\//g)].map(([, address = '']) => address),
    enabled: await state('is-enabled'),
    active: await state('is-active'),
  };
}
