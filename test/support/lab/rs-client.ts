import { parseNodeTable, parseShardTable } from '../../../src/host/rladmin.ts';
import { call } from '../standin/lines.ts';
import type { RladminResult } from '../standin/rladmin.ts';
import type { Host } from './lab.ts';

/** What a client of RS would make of a cluster, all the time: the stand-ins of all its hosts are asked, ten times a second. */

const intervalMs = 100;
const timeoutMs = 1_000;
const socket = '/var/opt/redislabs/run/standin.sock';

/** What one node says; undefined where its service does not run, or does not answer. */
export interface NodeView {
  nodes: ReturnType<typeof parseNodeTable>['nodes'];
  shards: ReturnType<typeof parseShardTable>['shards'];
}

/** One look at all nodes. */
export interface Sample {
  /** Nodes whose service answers. */
  up: number;
  /** Nodes that every answer calls OK. */
  ok: number;
  /** More than half of the nodes answer. */
  quorum: boolean;
  /** Databases of which some range of hash slots has no master on a node that answers. */
  offline: string[];
}

/** Pure. `views` by the node's uid. */
export function judgeViews(views: ReadonlyMap<number, NodeView | undefined>): Sample {
  const answers = [...views.values()].filter((view) => view !== undefined);
  const isUp = (uid: number): boolean => views.get(uid) !== undefined;
  const ok = [...views.keys()].filter((uid) =>
    answers.every(({ nodes }) => nodes.some((node) => node.uid === uid && node.status === 'ok')),
  );
  const [shards = []] = answers.map((view) => view.shards);
  const ranges = Map.groupBy(shards, ({ databaseName, columns }) => `${databaseName} ${columns['SLOTS']}`);
  const offline = [...ranges.values()].flatMap((range) => {
    const served = range.some(
      ({ role, status, nodeUid }) => role === 'master' && status === 'ok' && isUp(nodeUid),
    );
    return served ? [] : range.slice(0, 1).map(({ databaseName }) => databaseName);
  });
  return {
    up: answers.length,
    ok: answers.length === 0 ? 0 : ok.length,
    quorum: answers.length > views.size / 2,
    offline: [...new Set(offline)],
  };
}

export interface RsRecord extends AsyncDisposable {
  /** Of all looks so far: how many, the worst of each, and for how long in all, milliseconds. */
  summary(): {
    looks: number;
    leastUp: number;
    leastOk: number;
    noQuorumMs: number;
    offlineMs: Record<string, number>;
  };
}

/** Begins to look, until its scope is left. Each node is the one of the host of that number: node 2 is n2. */
export function recordRs(hosts: readonly Host[]): RsRecord {
  const samples: { sample: Sample; ms: number }[] = [];
  let stopped = false;
  const looking = (async () => {
    let before = performance.now();
    while (!stopped) {
      const views = await Promise.all(
        hosts.map(async (host, index) => [index + 1, await viewOf(host)] as const),
      );
      const now = performance.now();
      samples.push({ sample: judgeViews(new Map(views)), ms: now - before });
      before = now;
      await new Promise((resolve) => setTimeout(resolve, intervalMs));
    }
  })();
  const total = (wanted: (sample: Sample) => boolean): number =>
    Math.round(samples.filter(({ sample }) => wanted(sample)).reduce((sum, { ms }) => sum + ms, 0));
  return {
    summary: () => {
      const databases = new Set(samples.flatMap(({ sample }) => sample.offline));
      return {
        looks: samples.length,
        leastUp: Math.min(...samples.map(({ sample }) => sample.up)),
        leastOk: Math.min(...samples.map(({ sample }) => sample.ok)),
        noQuorumMs: total(({ quorum }) => !quorum),
        offlineMs: Object.fromEntries(
          [...databases].map((name) => [name, total(({ offline }) => offline.includes(name))]),
        ),
      };
    },
    async [Symbol.asyncDispose]() {
      stopped = true;
      await looking;
    },
  };
}

async function viewOf(host: Host): Promise<NodeView | undefined> {
  const rladmin = async (...argv: string[]): Promise<string> => {
    const { stdout } = (await call({ path: host.pathHere(socket) }, { argv }, timeoutMs)) as RladminResult;
    return stdout;
  };
  try {
    const [nodes, shards] = await Promise.all([rladmin('status', 'nodes'), rladmin('status', 'shards')]);
    return { nodes: parseNodeTable(nodes).nodes, shards: parseShardTable(shards).shards };
  } catch {
    return undefined;
  }
}
