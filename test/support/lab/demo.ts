import { parseArgs } from 'node:util';
import type { Family } from '../../../src/protocol/address.ts';
import { asRlnetError, RlnetError } from '../../../src/protocol/errors.ts';
import { downLab, type Host, type Lab, upLab } from './lab.ts';
import { makeCluster, rsUnit, shortened } from './renumbering.ts';
import { recordRs } from './rs-client.ts';
import { allWell, watchFrom } from './watch.ts';

/**
 * Three hosts with an agent each, seen from one command; then one of them changes its address. Prints what a person would type, and
 * what it says.
 */

const labName = 'demo';
const startedAt = performance.now();

function say(text: string): void {
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1).padStart(5);
  process.stdout.write(`[${seconds} s] ${text}\n`);
}

/** Runs a command on a host and shows both, as a terminal would: what it prints as it prints it. @returns what it printed */
async function show(host: Host, command: string): Promise<string> {
  process.stdout.write(`\n${host.name}# ${command}\n`);
  await using running = await host.spawn(['sh', '-c', `${command} 2>&1`]);
  const printed: string[] = [];
  for await (const line of running.lines) {
    process.stdout.write(`${line}\n`);
    printed.push(line);
  }
  process.stdout.write('\n');
  return printed.join('\n');
}

/** Where the demo moves nodes to, and the address that a machine which is no node has. */
const addresses = {
  ipv4: { moved: '10.77.0.52', wanted: '10.77.0.53', foreign: '10.77.0.99', length: 24 },
  ipv6: { moved: 'fd77:0:0:1::52', wanted: 'fd77:0:0:1::53', foreign: 'fd77:0:0:1::99', length: 64 },
} as const;

async function bringUp(family: Family): Promise<Lab> {
  await downLab(labName);
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () =>
      controller.abort(new RlnetError('USAGE', `Ended by ${signal}.`, 'Start it again.')),
    );
  }
  const { foreign, length } = addresses[family];
  const spec = {
    name: labName,
    hosts: [
      { owner: 'networkd' },
      { owner: 'NetworkManager' },
      { owner: 'netplan' },
      { rlnet: false, extraInternal: [`${foreign}/${length}`] },
    ],
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
  say('Installing the stand-in for Redis Enterprise Software (a test double, not the product), and rlnet.');
  say(
    `For the demo's sake the stand-in calls a silent node DOWN after ${shortened.downAfterMs / 1000} s instead of 30 s, and a node soaks for ${shortened.soakSeconds} s instead of 30 s.`,
  );
  say(
    `Making n1, n2 and n3 a cluster over ${family === 'ipv6' ? 'IPv6 (use_internal_ipv6)' : 'IPv4'}; n4 is some other machine.`,
  );
  await makeCluster(lab, { family, nodes: lab.hosts.slice(0, 3) });
}

/** Starts a renumbering and shows its steps as they happen. @returns the id of its plan */
async function renumberShown(from: Host, node: number, address: string): Promise<string> {
  const started = await show(from, `rlnet renumber start ${node} ${address} --yes`);
  await show(from, 'rlnet renumber follow');
  return /\b[0-9a-f]{12}\b/.exec(started)?.[0] ?? '';
}

async function demo(family: Family): Promise<void> {
  const lab = await bringUp(family);
  const [n1, n2, n3] = [lab.host('n1'), lab.host('n2'), lab.host('n3')];
  await using watch = await watchFrom(n1);
  await watch.until('all nodes and agents to be well', allWell);
  say('All three agents have found each other.');
  await show(n1, 'rlnet status');
  await show(n1, 'rlnet interfaces 2');

  say('Now somebody removes "::1 localhost" from /etc/hosts on n3.');
  const removedAt = performance.now();
  await n3.execOk(['sed', '-i', '/^::1[[:space:]]/d', '/etc/hosts']);
  await watch.until('the finding', ({ hosts }) =>
    hosts.some(({ host, state }) => host === 'n3' && state?.hostsFile.localhostIpv6 === 'missing'),
  );
  say(`n1 knew it after ${Math.round(performance.now() - removedAt)} ms.`);
  await show(n1, 'rlnet status');
  await show(n1, 'rlnet check n3');

  await show(n3, 'rlnet check --fix >/dev/null; getent ahosts localhost | head -1');

  const { moved, wanted, foreign, length } = addresses[family];
  say(
    'Now node 2 changes its internal address, with a real restart of its host. The plan first: it changes nothing.',
  );
  await show(n1, `rlnet renumber plan 2 ${moved}/${length}`);
  await using record = recordRs([n1, n2, n3]);
  const plan = await renumberShown(n1, 2, `${moved}/${length}`);
  const { looks, leastUp, noQuorumMs, offlineMs } = record.summary();
  say(
    `A client of RS looked ${looks} times meanwhile: ${leastUp} of 3 nodes served at least, without quorum for ${noQuorumMs} ms, databases offline: ${Object.keys(offlineMs).join(', ') || 'none'}.`,
  );
  await watch.until('all nodes to be well', allWell);
  await show(n1, `rlnet renumber show ${plan} --timing`);
  await show(n1, 'rlnet status');

  say(
    'Now a mistake: node 3 is to have an address that n4 has. It is refused in the rehearsal, and nothing was taken down.',
  );
  await renumberShown(n1, 3, `${foreign}/${length}`);

  say(`Now something that nobody can foresee: the RS unit of n3 will not start at the new address.`);
  const dropIn = `/etc/systemd/system/${rsUnit}.d`;
  await n3.execOk(['mkdir', '-p', dropIn]);
  const refuses = `! ip -o addr | grep -qF "${wanted}/"`;
  await n3.writeFile(`${dropIn}/demo.conf`, `[Service]\nExecStartPre=/bin/sh -c '${refuses}'\n`);
  await n3.execOk(['systemctl', 'daemon-reload']);
  await renumberShown(n1, 3, `${wanted}/${length}`);
  await n3.execOk(['rm', '-r', dropIn]);
  await n3.execOk(['systemctl', 'daemon-reload']);
  await watch.until('all nodes to be well', allWell);
  await show(n1, 'rlnet status');

  say('The hosts stay up. To look around, and to take them down:');
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
