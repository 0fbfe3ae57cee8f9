#!/usr/bin/env node
import { constants, userInfo } from 'node:os';
import { Argument, Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import packageJson from '../../package.json' with { type: 'json' };
import { createClock } from '../host/clock.ts';
import { createFiles } from '../host/files.ts';
import { createLocalSockets } from '../host/local-sockets.ts';
import { createRandom } from '../host/random.ts';
import { type Address, tryParseAddress } from '../protocol/address.ts';
import { asRlnetError, RlnetError } from '../protocol/errors.ts';
import type { BootstrapCommandOptions } from './commands/bootstrap.ts';
import type { ExternalCommandOptions } from './commands/external.ts';
import type { PlanCommandOptions } from './commands/renumber.ts';
import type { FileCommandOptions } from './commands/rollout.ts';
import { type Context, json, type Outcome } from './context.ts';
import { renderError } from './render/error.ts';

/** The composition root: the one place that builds adapters, reads the environment and ends the process. */

const settingsFile = '/etc/rlnet/agent.yaml';
const runtimeDirectory = '/run/rlnet';

const ending = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  // Not `once`: signal-exit, which execa brings along, lets a process die of a signal that nobody listens to any more.
  process.on(signal, () => {
    if (ending.signal.aborted) process.exit(128 + constants.signals[signal]);
    ending.abort(signal);
  });
}

const files = createFiles();
const { NOTIFY_SOCKET, WATCHDOG_USEC, JOURNAL_STREAM, SUDO_USER } = process.env;
const context: Context = {
  clock: createClock(),
  random: createRandom(),
  files,
  sockets: createLocalSockets(files),
  version: packageJson.version,
  env: {
    ...(NOTIFY_SOCKET === undefined ? {} : { NOTIFY_SOCKET }),
    ...(WATCHDOG_USEC === undefined ? {} : { WATCHDOG_USEC }),
    ...(JOURNAL_STREAM === undefined ? {} : { JOURNAL_STREAM }),
  },
  user: SUDO_USER ?? userName(),
  print: (text) => {
    process.stdout.write(text);
  },
  terminal: process.stdout.isTTY === true,
  ask:
    process.stdin.isTTY === true
      ? async (question, hidden) => {
          const { askOnTerminal } = await import('./prompt.ts');
          // Not where the answer of the command goes.
          return await askOnTerminal({ input: process.stdin, output: process.stderr }, question, hidden);
        }
      : undefined,
  ended: ending.signal,
};

// A reader that went away (rlnet status | head) is no error of ours.
process.stdout.on('error', () => process.exit(0));

/** A user without an entry in the user database has a number only. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.() ?? 'unknown'}`;
  }
}

function run(outcome: Outcome): Promise<void> {
  return outcome.then((status) => {
    process.exitCode = status;
  });
}

function days(text: string): number {
  const value = /^[1-9]\d{0,4}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value <= 36_500)) throw new InvalidArgumentError('A whole number of days from 1 to 36500 is wanted.');
  return value;
}

function rsAddress(text: string): Address {
  const address = tryParseAddress(text);
  if (address === undefined) throw new InvalidArgumentError('One address without a prefix length is wanted.');
  return address;
}

const asJson = (): Option => new Option('--json', 'print JSON');
const runtime = (): Option =>
  new Option('--runtime-directory <dir>', "where the agent's sockets are").default(runtimeDirectory);

const program = new Command('rlnet')
  .description('Looks after the addresses of a Redis Enterprise Software cluster.')
  .version(context.version)
  // What is wrong with the words is told as every other error is, below.
  .configureOutput({ outputError: () => {} })
  .exitOverride();

program
  .command('agent')
  .description('run the agent of this host (systemd does)')
  .option('--config <file>', 'configuration file', settingsFile)
  .action(async (options: { config: string }) => {
    const { agent } = await import('./commands/agent.ts');
    await run(agent(context, options));
  });

program
  .command('collector')
  .description('take the reports of agents and show them (systemd runs it)')
  .option('--config <file>', 'configuration file', '/etc/rlnet/collector.yaml')
  .action(async (options: { config: string }) => {
    const { collector } = await import('./commands/collector.ts');
    await run(collector(context, options));
  });

program
  .command('status')
  .description('show the cluster as the agent of this host sees it')
  .option('--watch', 'show it again whenever it changes')
  .addOption(asJson())
  .addOption(runtime())
  .action(async (options: { json?: boolean; watch?: boolean; runtimeDirectory: string }) => {
    const { status } = await import('./commands/status.ts');
    await run(status(context, options));
  });

program
  .command('interfaces')
  .description('show every interface and address of a host')
  .argument('[node]', 'node uid or host name; this host unless given')
  .addOption(asJson())
  .addOption(runtime())
  .action(async (node: string | undefined, options: { json?: boolean; runtimeDirectory: string }) => {
    const { interfaces } = await import('./commands/interfaces.ts');
    await run(interfaces(context, node, options));
  });

program
  .command('check')
  .description('check a host afresh; the exit status says what was found')
  .argument('[node]', 'node uid or host name; this host unless given')
  .option('--fix', 'mend what the agent can mend; on this host alone')
  .option('--all', 'every host of the cluster')
  .addOption(asJson())
  .addOption(runtime())
  .action(
    async (
      node: string | undefined,
      options: { json?: boolean; fix?: boolean; all?: boolean; runtimeDirectory: string },
    ) => {
      const { check } = await import('./commands/check.ts');
      await run(check(context, node, options));
    },
  );

const mesh = program
  .command('mesh')
  .description('show the links between the agents: both sides of every pair')
  .addOption(asJson())
  .addOption(runtime())
  .action(async (options: { json?: boolean; runtimeDirectory: string }) => {
    const commands = await import('./commands/mesh.ts');
    await run(commands.mesh(context, options));
  });

mesh
  .command('forget')
  .description('do not wait any more for a host that has left the cluster for good')
  .argument('<host>', "the host's name")
  .addOption(asJson())
  .addOption(runtime())
  .action(async (host: string, options: { json?: boolean; runtimeDirectory: string }) => {
    const { forget } = await import('./commands/mesh.ts');
    await run(forget(context, host, options));
  });

const renumber = program.command('renumber').description("change the internal address of a cluster's node");

/** What a person decides about a renumbering, for each command that plans one. */
const planning = (command: Command): Command =>
  command
    .option('--gateway <address>', 'the gateway of the new network, in place of the old one')
    .option('--interface <name>', 'the interface that the address is on')
    .option('--no-reboot', "stop the unit in place of a restart of the host, which leaves the vendor's order")
    .option('--cut-over', 'the new network is there only once somebody has moved a port; it is not rehearsed')
    .option('--prove-by-reboot', 'one more restart at the end')
    .option('--accept-outage', 'the cluster may lose its quorum meanwhile')
    .option('--accept-shards <ids>', 'shards without a replica that may be offline: 3,7', shardIds, []);

function shardIds(text: string): number[] {
  const ids = text.split(',').map((id) => id.trim().replace(/^redis:/, ''));
  if (ids.some((id) => !/^[1-9]\d{0,8}$/.test(id)))
    throw new InvalidArgumentError('Numbers with commas between them are wanted.');
  return ids.map(Number);
}

planning(
  renumber
    .command('plan')
    .description('show what a renumbering would do and what stands in its way; changes nothing')
    .argument('<node>', 'node uid or host name')
    .argument('<address>', 'the new address with the prefix length of its network: 192.0.2.7/24'),
)
  .addOption(asJson())
  .addOption(runtime())
  .action(async (node: string, address: string, options: PlanCommandOptions) => {
    const { plan } = await import('./commands/renumber.ts');
    await run(plan(context, node, address, options));
  });

planning(
  renumber
    .command('start')
    .description('carry out a plan, or with a node and an address plan and carry out')
    .argument('<plan>', 'the id of a plan; or a node uid or host name')
    .argument('[address]', 'the new address, where a node is given')
    .option('--yes', 'carry out without having shown the plan'),
)
  .addOption(asJson())
  .addOption(runtime())
  .action(async (first: string, address: string | undefined, options: PlanCommandOptions) => {
    const { start } = await import('./commands/renumber.ts');
    await run(start(context, first, address, options));
  });

renumber
  .command('follow')
  .description('show a renumbering as it goes on; the exit status says how it ended')
  .argument('[plan]', 'the id of its plan; the newest unless given')
  .addOption(asJson())
  .addOption(runtime())
  .action(async (planId: string | undefined, options: { json?: boolean; runtimeDirectory: string }) => {
    const { follow } = await import('./commands/renumber-follow.ts');
    await run(follow(context, planId, options));
  });

renumber
  .command('list')
  .description('list plans and renumberings of all hosts')
  .addOption(asJson())
  .addOption(runtime())
  .action(async (options: { json?: boolean; runtimeDirectory: string }) => {
    const { list } = await import('./commands/renumber.ts');
    await run(list(context, options));
  });

renumber
  .command('show')
  .description('show the whole journal of a renumbering')
  .argument('<plan>', 'the id of its plan')
  .option('--timing', 'how long each step took, and whose time that was')
  .addOption(asJson())
  .addOption(runtime())
  .action(async (planId: string, options: { json?: boolean; timing?: boolean; runtimeDirectory: string }) => {
    const { show } = await import('./commands/renumber.ts');
    await run(show(context, planId, options));
  });

renumber
  .command('abort')
  .description('turn back as soon as what is under way has ended')
  .argument('<plan>', 'the id of its plan')
  .requiredOption('--reason <text>', 'why, for the record')
  .addOption(asJson())
  .addOption(runtime())
  .action(async (planId: string, options: { json?: boolean; reason: string; runtimeDirectory: string }) => {
    const { abort } = await import('./commands/renumber.ts');
    await run(abort(context, planId, options));
  });

renumber
  .command('resume')
  .description('go on with a renumbering that stopped, once its cause is mended')
  .argument('<plan>', 'the id of its plan')
  .addOption(asJson())
  .addOption(runtime())
  .action(async (planId: string, options: { json?: boolean; runtimeDirectory: string }) => {
    const { resume } = await import('./commands/renumber.ts');
    await run(resume(context, planId, options));
  });

program
  .command('rescue')
  .description("what a person has to type to bring this host's node back after a renumbering; needs no agent")
  .option(
    '--rs-address <address>',
    'the address that RS has for the node, as another node shows it',
    rsAddress,
  )
  .option(
    '--config <file>',
    'configuration file; its defaults are taken where it cannot be read',
    settingsFile,
  )
  .addOption(asJson())
  .action(async (options: { config: string; rsAddress?: Address; json?: boolean }) => {
    const { rescue } = await import('./commands/rescue.ts');
    await run(rescue(context, options));
  });

const lock = program.command('lock').description("the cluster's lock: one renumbering at a time");

lock
  .command('show')
  .description('who has the lock, at which step, since when, and what would free it')
  .addOption(asJson())
  .addOption(runtime())
  .action(async (options: { json?: boolean; runtimeDirectory: string }) => {
    const { lockShow } = await import('./commands/lock.ts');
    await run(lockShow(context, options));
  });

lock
  .command('release')
  .description('free the lock of a host that is off for good, or whose renumbering has stopped')
  .requiredOption('--reason <text>', 'why, for the record')
  .option('--host-is-off', 'you have made sure that the host which has the lock is off')
  .addOption(asJson())
  .addOption(runtime())
  .action(
    async (options: { json?: boolean; reason: string; hostIsOff?: boolean; runtimeDirectory: string }) => {
      const { lockRelease } = await import('./commands/lock.ts');
      await run(lockRelease(context, options));
    },
  );

const external = program
  .command('external')
  .description('the external addresses of nodes: those that clients are sent to');

external
  .command('list')
  .description('show the external addresses of a node, or of all, and which interface has each')
  .argument('[node]', 'node uid or host name; all nodes unless given')
  .addOption(asJson())
  .addOption(runtime())
  .action(async (node: string | undefined, options: { json?: boolean; runtimeDirectory: string }) => {
    const { externalList } = await import('./commands/external.ts');
    await run(externalList(context, node, options));
  });

for (const [action, description] of [
  ['add', 'add external addresses to those of a node'],
  ['set', 'replace all external addresses of a node'],
  ['remove', 'take external addresses from a node'],
] as const) {
  external
    .command(action)
    .description(description)
    .argument('<node>', 'node uid or host name')
    .argument('<addresses...>', 'IPv4 and IPv6 addresses, which need not be on any interface')
    .option('--allow-none', 'the node may be left without external addresses')
    .addOption(asJson())
    .addOption(runtime())
    .action(async (node: string, addresses: string[], options: ExternalCommandOptions) => {
      const { externalChange } = await import('./commands/external.ts');
      await run(externalChange(context, action, node, addresses, options));
    });
}

const fromFile = (command: Command): Command =>
  command
    .requiredOption('-f, --file <file>', "the file of the cluster's addresses")
    .addOption(asJson())
    .addOption(runtime());

fromFile(
  program
    .command('plan')
    .description("show what a file of the cluster's addresses would change; changes nothing"),
).action(async (options: FileCommandOptions) => {
  const { planFile } = await import('./commands/rollout.ts');
  await run(planFile(context, options));
});

fromFile(
  program
    .command('apply')
    .description("bring the cluster's addresses to what a file says, one node after another, and follow it")
    .option('--plan <mark>', 'only what rlnet plan -f showed under this mark')
    .option('--yes', 'without having shown the plan'),
).action(async (options: FileCommandOptions) => {
  const { applyFile } = await import('./commands/rollout.ts');
  await run(applyFile(context, options));
});

program
  .command('export')
  .description("print the file of the cluster's addresses as they are")
  .addOption(asJson())
  .addOption(runtime())
  .action(async (options: { json?: boolean; runtimeDirectory: string }) => {
    const { exportFile } = await import('./commands/rollout.ts');
    await run(exportFile(context, options));
  });

const rollout = program
  .command('rollout')
  .description('show the newest rollout of a file')
  .option('--follow', 'as it goes on; the exit status says how it ended')
  .addOption(asJson())
  .addOption(runtime())
  .action(async (options: { json?: boolean; follow?: boolean; runtimeDirectory: string }) => {
    const commands = await import('./commands/rollout.ts');
    await run(commands.rollout(context, options));
  });

rollout
  .command('end')
  .description('end the rollout; what is under way on a node goes on by itself')
  .requiredOption('--reason <text>', 'why, for the record')
  .addOption(asJson())
  .addOption(runtime())
  .action(async (options: { json?: boolean; reason: string; runtimeDirectory: string }) => {
    const { endRollout } = await import('./commands/rollout.ts');
    await run(endRollout(context, options));
  });

program
  .command('pause')
  .description('hold the rollout before its next node')
  .requiredOption('--reason <text>', 'why, for the record')
  .addOption(asJson())
  .addOption(runtime())
  .action(async (options: { json?: boolean; reason: string; runtimeDirectory: string }) => {
    const { pause } = await import('./commands/rollout.ts');
    await run(pause(context, { ...options, paused: true }));
  });

program
  .command('unpause')
  .description('let the rollout go on')
  .addOption(asJson())
  .addOption(runtime())
  .action(async (options: { json?: boolean; runtimeDirectory: string }) => {
    const { pause } = await import('./commands/rollout.ts');
    await run(pause(context, { ...options, paused: false }));
  });

const bootstrap = program
  .command('bootstrap')
  .description('make a cluster of this host, or have it join one; checks what can fail before RS is asked');

const bootstrapping = (command: Command): Command =>
  command
    .option('--addr <address>', 'the internal address; chosen by the rules unless given')
    .option('--external <address>', 'an external address; again for each', collected, [])
    .option(
      '--credentials <file>',
      'YAML with username and password, mode 600; asked for on the terminal unless given',
    )
    .option('--fingerprint <sha256>', 'of a certificate that a node may show; again for each', collected, [])
    .option(
      '--certificate <file>',
      'a certificate that a node may show, in PEM; again for each',
      collected,
      [],
    )
    .option(
      '--check',
      'show what would be done and what stands in the way; RS is not asked to change anything',
    )
    .option('--rest-port <port>', "the port of RS's REST API", tcpPort, 9443)
    .option('--config <file>', 'configuration file of the agent', settingsFile)
    .addOption(asJson())
    .addOption(runtime());

function collected(text: string, before: readonly string[]): string[] {
  return [...before, text];
}

function tcpPort(text: string): number {
  const value = /^[1-9]\d{0,4}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value <= 65_535)) throw new InvalidArgumentError('A port from 1 to 65535 is wanted.');
  return value;
}

bootstrapping(
  bootstrap
    .command('create')
    .description('make a new cluster, of which this host is the first node')
    .argument('<name>', "the cluster's name, for life: cluster.example.com")
    .option('--use-internal-ipv6', 'IPv6 inside, also on a host that has both families; for life'),
).action(async (name: string, options: BootstrapCommandOptions) => {
  const { bootstrapCreate } = await import('./commands/bootstrap.ts');
  await run(bootstrapCreate(context, name, options));
});

bootstrapping(
  bootstrap
    .command('join')
    .description('have this host join a cluster, over the family that the cluster uses inside')
    .argument('<members...>', 'internal addresses of nodes of the cluster')
    .option(
      '--without-mesh',
      'the cluster has no rlnet agents that could be asked for renumberings and clocks',
    ),
).action(async (members: string[], options: BootstrapCommandOptions) => {
  const { bootstrapJoin } = await import('./commands/bootstrap.ts');
  await run(bootstrapJoin(context, members, options));
});

bootstrap
  .command('status')
  .description('how the bootstrap of this host stands')
  .option('--rest-port <port>', "the port of RS's REST API", tcpPort, 9443)
  .option('--config <file>', 'configuration file of the agent', settingsFile)
  .addOption(asJson())
  .action(async (options: { restPort: number; config: string; json?: boolean }) => {
    const { bootstrapStatus } = await import('./commands/bootstrap.ts');
    await run(bootstrapStatus(context, options));
  });

const tls = program.command('tls').description('certificates of the mesh');

tls
  .command('create-ca')
  .description('make the certification authority of a cluster; keep its key off the hosts')
  .requiredOption('--cluster <name>', "the cluster's name, as it will stand in every certificate")
  .option('--out <dir>', 'directory to write ca.crt and ca.key to', '.')
  .option('--days <n>', 'how long it is valid', days, 3650)
  .addOption(asJson())
  .action(async (options: { cluster: string; out: string; days: number; json?: boolean }) => {
    const { createCa } = await import('./commands/tls.ts');
    await run(createCa(context, options));
  });

tls
  .command('create-host')
  .description('make the certificate of one host')
  .argument('<host>', "the host's name within the cluster")
  .requiredOption('--ca-dir <dir>', 'directory that holds ca.crt and ca.key')
  .option('--out <dir>', 'directory to write host.crt and host.key to', '.')
  .option('--days <n>', 'how long it is valid', days, 825)
  .addOption(asJson())
  .action(async (host: string, options: { caDir: string; out: string; days: number; json?: boolean }) => {
    const { createHost } = await import('./commands/tls.ts');
    await run(createHost(context, host, options));
  });

tls
  .command('create-collector')
  .description('make the certificate of a collector')
  .argument('<name>', "the collector's name")
  .requiredOption('--ca-dir <dir>', 'directory that holds ca.crt and ca.key')
  .option('--out <dir>', 'directory to write collector.crt and collector.key to', '.')
  .option('--days <n>', 'how long it is valid', days, 825)
  .addOption(asJson())
  .action(async (name: string, options: { caDir: string; out: string; days: number; json?: boolean }) => {
    const { createCollector } = await import('./commands/tls.ts');
    await run(createCollector(context, name, options));
  });

tls
  .command('show')
  .description('show certificates: whose, by whom, for how long')
  .argument('[files...]', 'certificates in PEM; those of this host unless given')
  .addOption(asJson())
  .action(async (paths: string[], options: { json?: boolean }) => {
    const { showTls } = await import('./commands/tls.ts');
    const shown = paths.length > 0 ? paths : ['/etc/rlnet/tls/ca.crt', '/etc/rlnet/tls/host.crt'];
    await run(showTls(context, shown, options));
  });

tls
  .command('unpin')
  .description('let a host that was reinstalled come from its new machine')
  .argument('<host>', "the host's name")
  .addOption(asJson())
  .addOption(runtime())
  .action(async (host: string, options: { json?: boolean; runtimeDirectory: string }) => {
    const { unpin } = await import('./commands/mesh.ts');
    await run(unpin(context, host, options));
  });

program
  .command('config')
  .description('the configuration of the agent')
  .command('check')
  .description('say what would keep the agent from starting, without starting it')
  .argument('[file]', 'configuration file', settingsFile)
  .addOption(asJson())
  .action(async (file: string, options: { json?: boolean }) => {
    const { configCheck } = await import('./commands/config.ts');
    await run(configCheck(context, file, options));
  });

program
  .command('completion')
  .description('print what makes a shell complete the commands of rlnet; packages bring it along')
  .addArgument(new Argument('<shell>', 'the shell').choices(['bash', 'zsh']))
  .action(async (shell: 'bash' | 'zsh') => {
    const { completion } = await import('./commands/manual.ts');
    await run(completion(context, program, shell));
  });

program
  .command('man-page', { hidden: true })
  .description('print the manual page; packages bring it along')
  .action(async () => {
    const { manPage } = await import('./commands/manual.ts');
    await run(manPage(context, program));
  });

/** @returns undefined where commander has printed its help or its version, and all is said */
function errorOf(thrown: unknown): RlnetError | undefined {
  if (!(thrown instanceof CommanderError)) return asRlnetError(thrown);
  if (thrown.exitCode === 0) return undefined;
  if (thrown.code === 'commander.help')
    return new RlnetError('USAGE', 'No command is given.', 'Name one of those above.');
  const sentence = thrown.message
    .replace(/^error: /, '')
    .replaceAll(/\s+/g, ' ')
    .replace(/\.$/, '');
  return new RlnetError('USAGE', `${sentence}.`, 'Run it with --help to see how it is used.');
}

try {
  await program.parseAsync();
} catch (thrown) {
  const error = errorOf(thrown);
  if (error !== undefined) {
    if (process.argv.includes('--json')) process.stderr.write(json({ error: error.report() }));
    else process.stderr.write(renderError(error));
    if (error.code === 'INTERNAL' && error.cause instanceof Error)
      process.stderr.write(`${error.cause.stack}\n`);
    process.exitCode = error.exitStatus;
  }
}
