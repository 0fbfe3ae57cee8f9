import { parseArgs } from 'node:util';
import type { Family } from '../../../src/protocol/address.ts';
import { asRlnetError, RlnetError } from '../../../src/protocol/errors.ts';
import type { ClusterView } from '../../../src/protocol/state.ts';
import { bootstrapStandin } from '../standin/bootstrap.ts';
import { installStandin } from '../standin/install.ts';
import { installAgents } from './agent.ts';
import { downLab, type Host, type Lab, upLab } from './lab.ts';
import { allWell } from './watch.ts';

/** Three hosts with an agent each, seen from one command. Prints what a person would type, and what it says. */

const labName = 'demo';
const patienceMs = 60_000;
const startedAt = performance.now();

function say(text: string): void {
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1).padStart(5);
  process.stdout.write(`[${seconds} s] ${text}\n`);
}

/** Runs a command on a host and shows both, as a terminal would. */
async function show(host: Host, command: string): Promise<void> {
  const { stdout, stderr } = await host.exec(['sh', '-c', command]);
  process.stdout.write(`\n${host.name}# ${command}\n${stdout}${stderr}\n`);
}

/** Waits on the lines of a running `rlnet status --watch --json` for a view of the cluster that is as wanted. */
async function waitForView(
  lines: AsyncIterator<string>,
  what: string,
  wanted: (view: ClusterView) => boolean,
): Promise<void> {
  const found = (async () => {
    for (let line = await lines.next(); line.done !== true; line = await lines.next()) {
      if (wanted(JSON.parse(line.value) as ClusterView)) return true;
    }
    return false;
  })();
  const late = new Promise<false>((resolve) => setTimeout(resolve, patienceMs, false).unref());
  if (await Promise.race([found, late])) return;
  throw new RlnetError(
    'COMMAND_TIMEOUT',
    `Waited for ${what}, and it did not come.`,
    `Look around with scripts/lab shell n1 --name ${labName}.`,
  );
}

async function bringUp(family: Family): Promise<Lab> {
  await downLab(labName);
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () =>
      controller.abort(new RlnetError('USAGE', `Ended by ${signal}.`, 'Start it again.')),
    );
  }
  const spec = {
    name: labName,
    hosts: [{ owner: 'networkd' }, { owner: 'NetworkManager' }, { owner: 'netplan' }],
  } as const;
  const lab = await upLab(spec, { progress: say, signal: controller.signal, detach: true });
  try {
    await populate(lab, family);
  } catch (thrown) {
    await lab.down();
    throw thrown;
  }
  return lab;
}

async function populate(lab: Lab, family: Family): Promise<void> {
  say('Installing the stand-in for Redis Enterprise Software (a test double, not the product).');
  await Promise.all(lab.hosts.map((host) => installStandin(host)));
  say(`Making it a cluster over ${family === 'ipv6' ? 'IPv6 (use_internal_ipv6)' : 'IPv4'}.`);
  const nodes = lab.hosts.map((host) => ({
    host,
    addr: host.address('internal', family),
    externalAddr: host.addresses('external'),
  }));
  const databases = [{ name: 'orders', masters: 2, replication: true }];
  await bootstrapStandin(nodes, { clusterName: 'demo.example', family, databases });
  say('Starting an rlnet agent on each host.');
  await installAgents(lab.hosts, { cluster: 'demo', family, now: Date.now() });
}

async function demo(family: Family): Promise<void> {
  const lab = await bringUp(family);
  const [n1, , n3] = lab.hosts;
  if (n1 === undefined || n3 === undefined) throw new Error('the lab has three hosts');
  await using watch = await n1.spawn(['rlnet', 'status', '--watch', '--json']);
  const lines = watch.lines[Symbol.asyncIterator]();
  await waitForView(lines, 'all nodes and agents to be well', allWell);
  say('All three agents have found each other.');
  await show(n1, 'rlnet status');
  await show(n1, 'rlnet interfaces 2');

  say('Now somebody removes "::1 localhost" from /etc/hosts on n3.');
  const removedAt = performance.now();
  await n3.execOk(['sed', '-i', '/^::1[[:space:]]/d', '/etc/hosts']);
  await waitForView(lines, 'the finding', ({ hosts }) =>
    hosts.some(({ host, state }) => host === 'n3' && state?.hostsFile.localhostIpv6 === 'missing'),
  );
  say(`n1 knew it after ${Math.round(performance.now() - removedAt)} ms.`);
  await show(n1, 'rlnet status');
  await show(n1, 'rlnet check n3');

  say('The three hosts stay up. To look around, and to take them down:');
  process.stdout.write(`
  scripts/lab shell n1 --name ${labName}      # a shell on a host: rlnet status --watch, journalctl -u rlnet, ip addr ...
  scripts/lab reboot n2 --name ${labName}     # a real reboot; watch it from n1
  scripts/lab down --name ${labName}          # leaves nothing behind
`);
}

try {
  const { values } = parseArgs({ options: { ipv4: { type: 'boolean', default: false } } });
  await demo(values.ipv4 ? 'ipv4' : 'ipv6');
  process.exit(0);
} catch (thrown) {
  const error = asRlnetError(thrown);
  process.stderr.write(`demo: ${error.code}: ${error.message}\n  ${error.remedy}\n`);
  if (error.code === 'INTERNAL') process.stderr.write(`${(error.cause as Error | undefined)?.stack ?? ''}\n`);
  process.exit(1);
}
