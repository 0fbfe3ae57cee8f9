import { tryParseAddress } from '../../../src/protocol/address.ts';
import {
  applyCommand,
  type ClusterConfig,
  type Command,
  isRefusal,
  madeUp,
  nodeOf,
  type View,
} from './model.ts';
import * as render from './render.ts';

/** What a run of `rladmin` leaves behind; `config` is there when it changed something. */
export interface RladminResult {
  exitCode: number;
  stdout: string;
  stderr: string;
  config?: ClusterConfig;
  /** The command returns, with this output, when this task is no longer running. */
  pendingTask?: string;
}

/** An argument list as the stand-in understands it. A query may be answered by any node, a command by the master alone. */
export type Request =
  | { kind: 'query'; answer: (view: View) => string | undefined }
  | { kind: 'command'; command: Command }
  | { kind: 'help' }
  | { kind: 'error'; stderr: string };

/** Exit codes are not public beyond zero and non-zero. */
const failed = 1;

const help = `${madeUp('rladmin of the stand-in for Redis Enterprise Software: a test double, not the product')}

status [nodes|databases|endpoints|shards] [node <id>] [extra all]
info node [<id>] | info cluster
cluster master [set <id>] | cluster running_actions
node <id> addr set <IP>
node <id> external_addr add|set|remove <IP>...
node <id> enslave [demote_node | endpoints_only | shards_only] [retry_timeout_seconds <s>]
node <id> maintenance_mode on [keep_slave_shards] [demote_node] [overwrite_snapshot]
node <id> maintenance_mode off [skip_shards_restore]
tune cluster slave_ha_grace_period <s>
standin seed-database <name> <masters> replication|single [<node id>...]
`;

/** The one parse error that is public. */
function invalidToken(token: string | undefined): Request {
  return {
    kind: 'error',
    stderr:
      token === undefined ? `${madeUp('ERROR: incomplete command')}\n` : `ERROR: invalid token '${token}'\n`,
  };
}

function query(answer: (view: View) => string | undefined): Request {
  return { kind: 'query', answer };
}

/** A positive whole number, or undefined. */
function number(token: string | undefined): number | undefined {
  return token !== undefined && /^[1-9]\d{0,8}$/.test(token) ? Number(token) : undefined;
}

/** Reads the arguments after `rladmin`. Passwords never are among them: clusters are made through REST here. */
export function parseRladmin(argv: readonly string[]): Request {
  const [first, ...rest] = argv[0] === '-y' ? argv.slice(1) : argv;
  switch (first ?? '') {
    case 'help':
    case '--help':
    case '-h':
      return { kind: 'help' };
    case 'status':
      return parseStatus(rest);
    case 'info':
      return parseInfo(rest);
    case 'cluster':
      return parseCluster(rest);
    case 'node':
      return parseNode(rest);
    case 'tune': {
      const [scope, setting, value, excess] = rest;
      const seconds = number(value);
      if (scope !== 'cluster') return invalidToken(scope);
      if (setting !== 'slave_ha_grace_period') return invalidToken(setting);
      if (seconds === undefined || excess !== undefined) return invalidToken(excess ?? value);
      return { kind: 'command', command: { kind: 'tune_slave_ha_grace_period', seconds } };
    }
    case 'standin':
      return parseSeed(rest);
    default:
      return invalidToken(first);
  }
}

function parseStatus(tokens: string[]): Request {
  const what = (['nodes', 'databases', 'endpoints', 'shards'] as const).find((word) => word === tokens[0]);
  const rest = [...(what === undefined ? tokens : tokens.slice(1))];
  let extra = false;
  let nodeUid: number | undefined;
  for (let token = rest.shift(); token !== undefined; token = rest.shift()) {
    const value = rest.shift();
    if (token === 'extra' && value === 'all') extra = true;
    else if (token === 'node' && what === 'shards' && number(value) !== undefined) nodeUid = number(value);
    else return invalidToken(token === 'extra' || token === 'node' ? (value ?? token) : token);
  }
  switch (what) {
    case 'nodes':
      return query((view) => render.nodesTable(view, { extra }));
    case 'databases':
      return query((view) => render.databasesTable(view, { extra }));
    case 'endpoints':
      return query((view) => render.endpointsTable(view, { extra }));
    case 'shards':
      return query((view) =>
        render.shardsTable(view, { extra, ...(nodeUid === undefined ? {} : { nodeUid }) }),
      );
    case undefined:
      return query((view) => render.statusAll(view, { extra }));
  }
}

function parseInfo([what, id, excess]: string[]): Request {
  if (what === 'cluster' && id === undefined) return query(({ config }) => render.clusterInfo(config));
  if (what !== 'node') return invalidToken(what === 'cluster' ? id : what);
  if (id === undefined || id === 'all')
    return query(({ config }) => config.nodes.map(render.nodeInfo).join('\n'));
  const uid = number(id);
  if (uid === undefined || excess !== undefined) return invalidToken(excess ?? id);
  return query(({ config }) => {
    const node = nodeOf(config, uid);
    return node === undefined ? undefined : render.nodeInfo(node);
  });
}

function parseCluster([what, verb, id, excess]: string[]): Request {
  if (what === 'running_actions' && verb === undefined)
    return query(({ config }) => render.runningActions(config));
  if (what !== 'master') return invalidToken(what === 'running_actions' ? verb : what);
  if (verb === undefined)
    return query(({ config }) => `Node ${config.masterUid} is the cluster master node\n`);
  const nodeUid = number(id);
  if (verb !== 'set') return invalidToken(verb);
  if (nodeUid === undefined || excess !== undefined) return invalidToken(excess ?? id);
  return { kind: 'command', command: { kind: 'set_master', nodeUid } };
}

function parseNode([id, what, ...rest]: string[]): Request {
  const nodeUid = number(id);
  if (nodeUid === undefined) return invalidToken(id);
  const [verb, ...values] = rest;
  switch (what ?? '') {
    case 'addr': {
      const [addr] = values.map(tryParseAddress);
      if (verb !== 'set') return invalidToken(verb);
      if (addr === undefined || values.length !== 1) return invalidToken(values[addr === undefined ? 0 : 1]);
      return { kind: 'command', command: { kind: 'addr_set', nodeUid, addr } };
    }
    case 'external_addr': {
      const addrs = values.map(tryParseAddress).filter((addr) => addr !== undefined);
      const [addr] = addrs;
      const unread = values.find((value) => tryParseAddress(value) === undefined);
      if (unread !== undefined || addr === undefined) return invalidToken(unread);
      if (verb === 'set') return { kind: 'command', command: { kind: 'external_set', nodeUid, addrs } };
      if (addrs.length > 1) return invalidToken(values[1]);
      if (verb === 'add') return { kind: 'command', command: { kind: 'external_add', nodeUid, addr } };
      if (verb === 'remove') return { kind: 'command', command: { kind: 'external_remove', nodeUid, addr } };
      return invalidToken(verb);
    }
    case 'enslave': {
      const options = parseOptions(
        rest,
        ['demote_node', 'endpoints_only', 'shards_only'],
        ['retry_timeout_seconds'],
      );
      if (typeof options === 'string') return invalidToken(options);
      const demoteNode = options.has('demote_node');
      const shards = !options.has('endpoints_only');
      return { kind: 'command', command: { kind: 'enslave', nodeUid, demoteNode, shards } };
    }
    case 'maintenance_mode':
      return parseMaintenance(nodeUid, verb, values);
    default:
      return invalidToken(what);
  }
}

function parseMaintenance(nodeUid: number, verb: string | undefined, tokens: string[]): Request {
  if (verb === 'on') {
    const flags = ['keep_slave_shards', 'demote_node', 'overwrite_snapshot'];
    const options = parseOptions(tokens, flags, ['max_concurrent_actions']);
    if (typeof options === 'string') return invalidToken(options);
    const demoteNode = options.has('demote_node');
    const keepSlaves = options.has('keep_slave_shards');
    const overwriteSnapshot = options.has('overwrite_snapshot');
    return {
      kind: 'command',
      command: { kind: 'maintenance_on', nodeUid, demoteNode, keepSlaves, overwriteSnapshot },
    };
  }
  if (verb !== 'off') return invalidToken(verb);
  const options = parseOptions(tokens, ['skip_shards_restore'], ['max_concurrent_actions']);
  if (typeof options === 'string') return invalidToken(options);
  const restore = !options.has('skip_shards_restore');
  return { kind: 'command', command: { kind: 'maintenance_off', nodeUid, restore } };
}

/** Words that stand alone and words with a number after them; the first token that is neither comes back as it is. */
function parseOptions(tokens: string[], flags: string[], numbers: string[]): Set<string> | string {
  const found = new Set<string>();
  const rest = [...tokens];
  for (let token = rest.shift(); token !== undefined; token = rest.shift()) {
    if (numbers.includes(token) && number(rest[0]) !== undefined) rest.shift();
    else if (!flags.includes(token)) return token;
    found.add(token);
  }
  return found;
}

function parseSeed([what, name, masters, kind, ...nodes]: string[]): Request {
  const count = number(masters);
  const onNodes = nodes.map(number).filter((uid) => uid !== undefined);
  if (what !== 'seed-database' || name === undefined) return invalidToken(what);
  if (count === undefined) return invalidToken(masters);
  if (kind !== 'replication' && kind !== 'single') return invalidToken(kind);
  if (onNodes.length !== nodes.length) return invalidToken(nodes.find((uid) => number(uid) === undefined));
  const replication = kind === 'replication';
  return { kind: 'command', command: { kind: 'seed_database', name, masters: count, replication, onNodes } };
}

/**
 * Runs one rladmin. Without a view the host is in no cluster, and everything but the help fails.
 *
 * @param argv the arguments after `rladmin`
 */
export function runRladmin(argv: readonly string[], view: View | undefined): RladminResult {
  const request = parseRladmin(argv);
  if (request.kind === 'help') return { exitCode: 0, stdout: help, stderr: '' };
  if (request.kind === 'error') return failure(request.stderr);
  if (view === undefined) return failure(`${madeUp('ERROR: this node is not part of a cluster')}\n`);
  if (request.kind === 'query') {
    const stdout = request.answer(view);
    return stdout === undefined
      ? failure(`${madeUp('ERROR: no such node')}\n`)
      : { exitCode: 0, stdout, stderr: '' };
  }
  const outcome = applyCommand(view, request.command);
  if (isRefusal(outcome)) return failure(`ERROR: ${outcome.message}\n`);
  const { config, output, pendingTask } = outcome;
  return {
    exitCode: 0,
    stdout: output,
    stderr: '',
    config,
    ...(pendingTask === undefined ? {} : { pendingTask }),
  };
}

/** A failure as rladmin reports it: on stderr, with an exit status that is not zero. */
export function failure(stderr: string): RladminResult {
  return { exitCode: failed, stdout: '', stderr };
}
