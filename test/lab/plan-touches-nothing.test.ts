import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { stateScript } from '../../src/host/take-back-script.ts';
import type { PlanReport } from '../../src/protocol/renumbering/request.ts';
import { installAgents } from '../support/lab/agent.ts';
import { downLab, type Host, type Lab, upLab } from '../support/lab/lab.ts';
import { run } from '../support/lab/run.ts';
import { type Call, judgedCalls, pathsChanged, programOf, traced, traceUnit } from '../support/lab/trace.ts';
import { watchFrom } from '../support/lab/watch.ts';
import { full } from '../support/sampling.ts';
import { bootstrapStandin } from '../support/standin/bootstrap.ts';
import { installStandin } from '../support/standin/install.ts';

/** `rlnet renumber plan` on real hosts of every owner, held against the kernel, the files, RS and what strace sees. */

const labName = 'test-plan-touches-nothing';
const patienceMs = 180_000;

let lab: Lab;
let scratch: string;

beforeAll(async () => {
  await downLab(labName);
  scratch = await mkdtemp(join(tmpdir(), 'rlnet-trace-'));
  lab = await upLab({
    name: labName,
    hosts: [
      {},
      { owner: 'netplan' },
      { owner: 'ifupdown' },
      ...(full ? [{ owner: 'NetworkManager' } as const] : []),
    ],
  });
  await Promise.all(lab.hosts.map((host) => installStandin(host)));
  const nodes = lab.hosts.map((host) => ({
    host,
    addr: host.address('internal', 'ipv4'),
    externalAddr: host.addresses('external'),
  }));
  await bootstrapStandin(nodes, {
    clusterName: 'untouched.example',
    family: 'ipv4',
    databases: [{ name: 'orders', masters: 2, replication: true }],
  });
  await installAgents(lab.hosts, { cluster: 'untouched', family: 'ipv4', now: Date.now() });
  await using watch = await watchFrom(lab.host('n1'));
  await watch.until('everything well', ({ rs, hosts }) => {
    const nodes = 'nodes' in rs ? rs.nodes.filter(({ status }) => status === 'ok') : [];
    const linked = hosts.filter(({ link, state }) => link.status !== 'disconnected' && state !== undefined);
    return nodes.length === lab.hosts.length && linked.length === lab.hosts.length;
  });
}, 240_000);
afterAll(async () => {
  await downLab(labName);
  await rm(scratch, { recursive: true, force: true });
});

/** Every file of the configuration with its content, mode, owner and times; links, those of units among them, with what they point to. */
const filesScript = `
for folder in /etc /run/systemd/system /run/systemd/network /run/NetworkManager/system-connections /run/netplan /usr/lib/systemd; do
  [ -e $folder ] || continue
  find $folder -xdev -printf '%p %y %m %U:%G %T@ %l\\n'
  find $folder -xdev -type f -exec sha256sum {} +
done | sort`;

/** What a plan may not change, by name. */
async function snapshot(host: Host): Promise<Record<string, string>> {
  return {
    kernel: await host.execOk(['sh', '-c', stateScript]),
    files: await host.execOk(['sh', '-c', filesScript]),
    rs: await host.execOk(['cat', '/var/opt/redislabs/persist/standin-cluster.json']),
    shards: await host.execOk(['/opt/redislabs/bin/rladmin', 'status', 'extra', 'all']),
    units: await host.execOk([
      'systemctl',
      'show',
      '--property=Id,ActiveState,UnitFileState,NRestarts,NeedDaemonReload',
      'rlec_supervisor',
      'rlnet',
      'rlnet-dead-man.timer',
    ]),
  };
}

/** Where a write is none of a host's own state, and why. */
const allowed: readonly { path: RegExp; why: string }[] = [
  { path: /^\/var\/lib\/rlnet\//, why: "rlnet's own state" },
  { path: /^\/run\/rlnet\//, why: "rlnet's own state, for this boot" },
  { path: /^\/dev\/(null|tty)$/, why: 'no file' },
];

/** Programs that may be started, by what they are asked: to show, and nothing else. */
const reading: readonly RegExp[] = [
  /^ip( -[a-z0-9]+)* (addr|address|route|rule|link|neigh|monitor)( show| list)?( (table|dev|all|link|address|eth\d))*$/,
  // A shell for a snapshot of the kernel: each program that it starts is judged by itself.
  /^sh -c ip -j -d addr && printf /,
  /^systemctl (show|is-active|is-enabled|list-[a-z-]+|cat) /,
  /^systemd-run .* -- \S*rladmin (status|info|cluster running_actions|cluster master)\b/,
  /^\S*rladmin (status|info|cluster running_actions|cluster master)\b/,
  // The stand-in's rladmin is a program of Node.js, which asks the daemon of the stand-in.
  /^\S+\/node \S+\/rladmin-cli\.ts (status|info|cluster running_actions|cluster master)\b/,
  // Started by systemd for timedatectl.
  /^\S*systemd-timedated$/,
  // The lab's own timedatectl shows a file, as no host of it has a time source.
  /^cat \/run\/lab-clock$/,
  /^(systemd-notify|arping|ping|ss|df|stat|ifquery|timedatectl show|networkctl status|nft list) /,
  /^(ifup|ifdown) (.* )?--no-act /,
  /^nmcli (-\S+ )*(\S+ )*(show|status)/,
];
const changing =
  / (add|del|delete|replace|change|append|flush|set|up|down|enable|disable|start|stop|restart|reload|apply) /;

async function tracedPlan(target: Host, from: Host, uid: number, address: string) {
  const agent = await traceUnit(target, 'rlnet', join(scratch, `agent-${target.name}`));
  const file = join(scratch, `cli-${target.name}`);
  const argv = traced(await from.enter(['rlnet', 'renumber', 'plan', `${uid}`, address, '--json']), file);
  const asked = await run(argv, { timeoutMs: patienceMs });
  const ofAgent = await agent.end();
  const all = judgedCalls(await readFile(file, 'utf8'));
  // Before the program itself it is nsenter and setpriv that go to the host.
  const ofCli = all.slice(all.findIndex((call) => programOf(call)?.[0] === 'rlnet'));
  return { asked, ofAgent, ofCli };
}

function foreign(calls: readonly Call[]): string[] {
  return calls
    .filter((call) => pathsChanged(call).some((path) => !allowed.some((rule) => rule.path.test(path))))
    .map(({ text }) => text);
}

test.for(full ? [2, 1, 3, 4] : [2])(
  'a plan for node %i changes neither kernel nor files nor RS, and strace sees no write outside of the own state of rlnet',
  { timeout: patienceMs },
  async (uid) => {
    const target = lab.host(`n${uid}`);
    const from = lab.host(uid === 1 ? 'n2' : 'n1');
    const before = await snapshot(target);
    const { asked, ofAgent, ofCli } = await tracedPlan(target, from, uid, `10.77.0.${50 + uid}/24`);
    expect(asked.exitCode, asked.stdout + asked.stderr).toBe(0);
    const { plan } = JSON.parse(asked.stdout) as PlanReport;
    const after = await snapshot(target);
    for (const [name, text] of Object.entries(before)) expect(after[name], name).toBe(text);

    // That it is seen at all: the plan is kept for an hour, by a thread of the agent.
    const written = ofAgent.flatMap(pathsChanged);
    expect(written).toContain(`/var/lib/rlnet/plans/${plan?.id}.json`);
    expect(foreign(ofAgent)).toEqual([]);
    expect(foreign(ofCli)).toEqual([]);
    const programs = new Set(ofAgent.flatMap((call) => programOf(call)?.join(' ') ?? []));
    expect([...programs].filter((each) => each.startsWith('ip '))).not.toEqual([]);
    expect([...programs].filter((each) => !reading.some((shape) => shape.test(each)))).toEqual([]);
    expect([...programs].filter((each) => changing.test(`${each} `))).toEqual([]);
  },
);
