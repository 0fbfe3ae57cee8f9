import { setTimeout as sleep } from 'node:timers/promises';
import type { Address, Family } from '../../../src/protocol/address.ts';
import { RlnetError } from '../../../src/protocol/errors.ts';
import { execOk, type LabHost } from './install.ts';

/** One host of a cluster to be, with the stand-in installed. */
export interface StandinNode {
  host: LabHost;
  /** Its internal address, of the cluster's family. */
  addr: Address;
  externalAddr: Address[];
}

export interface StandinDatabase {
  name: string;
  masters: number;
  replication: boolean;
  /** Uids of the nodes to lay it on; all unless told. */
  onNodes?: number[];
}

export interface StandinCluster {
  clusterName: string;
  family: Family;
  databases?: StandinDatabase[];
}

const patienceMs = 60_000;

/** The sign-in of every stand-in cluster: no secret. */
export const standinCredentials = { username: 'admin@example.com', password: 'stand-in' };

async function curl(host: LabHost, path: string, body?: object): Promise<string> {
  const { username, password } = standinCredentials;
  const sent =
    body === undefined ? [] : ['--header', 'Content-Type: application/json', '--data', JSON.stringify(body)];
  return execOk(host, [
    'curl',
    '--silent',
    '--show-error',
    '--insecure',
    '--fail-with-body',
    '--max-time',
    '10',
    '--user',
    `${username}:${password}`,
    ...sent,
    `https://127.0.0.1:9443${path}`,
  ]);
}

/** Polls until it gives something; a probe that throws has nothing yet. */
async function waitFor<T>(what: string, probe: () => Promise<T | undefined>): Promise<T> {
  let last = 'it never held';
  for (const deadline = Date.now() + patienceMs; Date.now() < deadline; await sleep(200)) {
    try {
      const found = await probe();
      if (found !== undefined) return found;
    } catch (thrown) {
      last = thrown instanceof Error ? thrown.message : String(thrown);
    }
  }
  throw new RlnetError(
    'COMMAND_TIMEOUT',
    `Waited ${patienceMs / 1000} s for ${what}: ${last}.`,
    'Look at the journal of the stand-in on that host.',
  );
}

interface BootstrapAnswer {
  bootstrap_status: { state: string; error_code?: string; error_details?: object };
}

async function bootstrapNode(
  { host, addr, externalAddr }: StandinNode,
  action: 'create_cluster' | 'join_cluster',
  cluster: object,
  useInternalIpv6: boolean,
): Promise<void> {
  const identity = {
    addr,
    external_addr: externalAddr,
    ...(useInternalIpv6 ? { use_internal_ipv6: true } : {}),
  };
  await waitFor(`REST on ${host.name}`, () => curl(host, '/v1/bootstrap'));
  await curl(host, `/v1/bootstrap/${action}`, {
    action,
    cluster,
    credentials: standinCredentials,
    node: { identity },
  });
  const ended = await waitFor(`the bootstrap of ${host.name}`, async () => {
    const { bootstrap_status } = JSON.parse(await curl(host, '/v1/bootstrap')) as BootstrapAnswer;
    return ['completed', 'error'].includes(bootstrap_status.state) ? bootstrap_status : undefined;
  });
  if (ended.state === 'error')
    throw new RlnetError(
      'COMMAND_FAILED',
      `The bootstrap of ${host.name} failed: ${JSON.stringify(ended)}.`,
      'Read error_details.',
    );
}

/**
 * Makes a cluster of hosts that have the stand-in installed: creates it on the first, joins the others one after
 * another, seeds the databases, and returns when every node sees every node OK.
 *
 * @throws RlnetError COMMAND_FAILED where RS would report `error`, COMMAND_TIMEOUT when it does not come about in time
 */
export async function bootstrapStandin(
  nodes: readonly StandinNode[],
  { clusterName, family, databases = [] }: StandinCluster,
): Promise<void> {
  const [first, ...others] = nodes;
  if (first === undefined) return;
  await bootstrapNode(first, 'create_cluster', { name: clusterName }, family === 'ipv6');
  for (const node of others) await bootstrapNode(node, 'join_cluster', { nodes: [first.addr] }, false);
  for (const { name, masters, replication, onNodes = [] } of databases)
    await execOk(first.host, [
      '/opt/redislabs/bin/rladmin',
      'standin',
      'seed-database',
      name,
      `${masters}`,
      replication ? 'replication' : 'single',
      ...onNodes.map(String),
    ]);
  for (const { host } of nodes)
    await waitFor(`every node to be OK on ${host.name}`, async () => {
      const table = await execOk(host, ['/opt/redislabs/bin/rladmin', 'status', 'nodes']);
      return table.match(/ OK *$/gm)?.length === nodes.length ? true : undefined;
    });
}
