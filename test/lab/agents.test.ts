import * as v from 'valibot';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Address, type Family, familyOf, parseAddress } from '../../src/protocol/address.ts';
import { meshPort } from '../../src/protocol/messages.ts';
import {
  type CheckReport,
  type ClusterView,
  clusterViewSchema,
  type HostState,
} from '../../src/protocol/state.ts';
import { installAgents } from '../support/lab/agent.ts';
import { downLab, type Host, type Lab, upLab } from '../support/lab/lab.ts';
import { waitFor } from '../support/lab/run.ts';
import { allWell, type Watch, watchFrom } from '../support/lab/watch.ts';
import { sampleOf } from '../support/sampling.ts';
import { bootstrapStandin } from '../support/standin/bootstrap.ts';
import { installStandin } from '../support/standin/install.ts';

/** Real hosts, real systemd, the agent as a package would install it; Redis Enterprise Software is the stand-in. */

const labName = 'test-agents';
/** How long things may take that nobody measures here. */
const patienceMs = 60_000;

function report(what: string, ms: number): void {
  process.stdout.write(`  measured: ${what}: ${Math.round(ms)} ms\n`);
}

function stateOf({ hosts }: ClusterView, name: string): HostState | undefined {
  return hosts.find(({ host }) => host === name)?.state;
}

function linkOf({ hosts }: ClusterView, name: string): string | undefined {
  return hosts.find(({ host }) => host === name)?.link.status;
}

function findingsOf(view: ClusterView, name: string): string[] | undefined {
  return stateOf(view, name)?.findings.map(({ code }) => code);
}

/** Properties of a unit, as `systemctl show` prints them. */
async function unitOf(host: Host, unit = 'rlnet'): Promise<Record<string, string>> {
  const properties = 'MainPID,NRestarts,ActiveState,Result,CPUUsageNSec,ActiveEnterTimestampMonotonic';
  const shown = await host.execOk(['systemctl', 'show', unit, '--property', properties]);
  return Object.fromEntries(
    shown
      .trim()
      .split('\n')
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
}

/** Every address of a host as the kernel has it: `eth0 10.77.0.21/24 global`. */
async function kernelAddresses(host: Host): Promise<string[]> {
  const links = JSON.parse(await host.execOk(['ip', '-j', 'addr'])) as {
    ifname: string;
    addr_info: { local: string; prefixlen: number; scope: string }[];
  }[];
  return links
    .flatMap(({ ifname, addr_info }) =>
      addr_info.map(
        ({ local, prefixlen, scope }) => `${ifname} ${parseAddress(local)}/${prefixlen} ${scope}`,
      ),
    )
    .sort();
}

/** Established connections of the mesh, as the host's kernel has them. */
async function meshSockets(host: Host): Promise<{ local: Address; peer: Address }[]> {
  const filter = `( sport = :${meshPort} or dport = :${meshPort} )`;
  const { MainPID } = await unitOf(host);
  const listed = await host.execOk(['ss', '-tnpH', 'state', 'established', filter]);
  const addressOf = (end = ''): Address =>
    parseAddress(end.slice(0, end.lastIndexOf(':')).replaceAll(/[[\]]/g, ''));
  return listed
    .trim()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      expect(line).toContain(`,pid=${MainPID},`);
      const [, , local, peer] = line.trim().split(/\s+/);
      return { local: addressOf(local), peer: addressOf(peer) };
    });
}

describe.for(sampleOf<Family>(['ipv6', 'ipv4'], 1))('three hosts with agents over %s', (family) => {
  let lab: Lab;
  let n1: Host;
  let n2: Host;
  let n3: Host;
  let watch: Watch;

  const well = () => watch.until('everything well', allWell);
  const internal = (host: Host): Address => host.address('internal', family);

  beforeAll(async () => {
    await downLab(labName);
    lab = await upLab({
      name: labName,
      hosts: [{ owner: 'networkd' }, { owner: 'NetworkManager' }, { owner: 'ifupdown' }],
    });
    n1 = lab.host('n1');
    n2 = lab.host('n2');
    n3 = lab.host('n3');
    await Promise.all(lab.hosts.map((host) => installStandin(host)));
    const nodes = lab.hosts.map((host) => ({
      host,
      addr: internal(host),
      externalAddr: host.addresses('external'),
    }));
    await bootstrapStandin(nodes, { clusterName: 'agents.example', family });
    const started = performance.now();
    await installAgents(lab.hosts, { cluster: 'agents', family, now: Date.now() });
    watch = await watchFrom(n1);
    const { at } = await well();
    report('from no agent to three that know each other', at - started);
  });
  afterAll(async () => {
    try {
      await watch?.[Symbol.asyncDispose]();
    } finally {
      await downLab(labName);
    }
  });

  test('one command on n1 shows three nodes that are OK, where they are and that their agents are linked', async () => {
    const view = v.parse(clusterViewSchema, JSON.parse(await n1.execOk(['rlnet', 'status', '--json'])));
    expect(view).toMatchObject({ cluster: 'agents', seenFrom: 'n1', internalFamily: family });
    const nodes = 'nodes' in view.rs ? view.rs.nodes : [];
    expect(nodes.map(({ uid, status, address }) => ({ uid, status, address }))).toEqual(
      lab.hosts.map((host, index) => ({ uid: index + 1, status: 'ok', address: internal(host) })),
    );
    expect(nodes.map(({ role }) => `${role}`).sort()).toEqual(['master', 'slave', 'slave']);
    expect(nodes.map(({ externalAddresses }) => externalAddresses.toSorted())).toEqual(
      lab.hosts.map((host) => host.addresses('external').toSorted()),
    );
    expect(view.hosts.map(({ host }) => host)).toEqual(['n1', 'n2', 'n3']);
    expect(view.hosts.map(({ link }) => link.status)).toEqual(['self', 'connected', 'connected']);
    for (const [index, host] of lab.hosts.entries()) {
      expect(stateOf(view, host.name)).toMatchObject({
        nodeUid: index + 1,
        internalAddress: internal(host),
        internalFamily: family,
        unit: { unit: 'rlec_supervisor.service', activeState: 'active' },
        hostsFile: { localhostIpv6: 'present' },
        findings: [],
      });
    }
    const text = await n1.execOk(['rlnet', 'status']);
    for (const host of lab.hosts) {
      const row = text.split('\n').find((line) => line.includes(`${host.name} `)) ?? '';
      expect(row).toContain(internal(host));
      expect(row).toContain('rlec_supervisor active');
      expect(row).toMatch(host === n1 ? /this host$/ : /linked \d+s$/);
    }
  });

  test('each host has one mesh connection to each other host, all between internal addresses of the family', async () => {
    for (const host of lab.hosts) {
      const others = lab.hosts.filter((other) => other !== host);
      const sockets = await meshSockets(host);
      expect(sockets.map(({ local }) => local)).toEqual([internal(host), internal(host)]);
      expect(sockets.map(({ peer }) => peer).sort()).toEqual(others.map(internal).sort());
      expect(sockets.every(({ local }) => familyOf(local) === family)).toBe(true);
      const listening = await host.execOk(['ss', '-tlnH', 'sport', '=', `:${meshPort}`]);
      const [, , , local] = listening.trim().split(/\s+/);
      expect(local).toBe(
        family === 'ipv6' ? `[${internal(host)}]:${meshPort}` : `${internal(host)}:${meshPort}`,
      );
    }
  });

  test('rlnet interfaces 2 on n1 lists every address that the kernel of n2 has, and no other', async () => {
    const { interfaces } = JSON.parse(await n1.execOk(['rlnet', 'interfaces', '2', '--json'])) as {
      interfaces: { name: string; addresses: { address: string; prefixLength: number; scope: string }[] }[];
    };
    const shown = interfaces
      .flatMap(({ name, addresses }) =>
        addresses.map(({ address, prefixLength, scope }) => `${name} ${address}/${prefixLength} ${scope}`),
      )
      .sort();
    const kernel = await kernelAddresses(n2);
    expect(shown).toEqual(kernel);
    expect(kernel.length).toBeGreaterThan(7);
    const text = await n1.execOk(['rlnet', 'interfaces', 'n2']);
    for (const entry of kernel) expect(text).toContain(` ${entry.split(' ')[1]} `);
  });

  test('an agent costs little while nothing happens', async () => {
    const seconds = 10;
    const before = await Promise.all(lab.hosts.map((host) => unitOf(host)));
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    for (const [index, host] of lab.hosts.entries()) {
      const after = await unitOf(host);
      const cpu = (Number(after['CPUUsageNSec']) - Number(before[index]?.['CPUUsageNSec'])) / 1e9 / seconds;
      const status = await host.readFile(`/proc/${after['MainPID']}/status`);
      const rssMiB = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
      process.stdout.write(
        `  measured: agent on ${host.name}: ${(cpu * 100).toFixed(1)} % of a core with its children, ${rssMiB.toFixed(0)} MiB RSS\n`,
      );
      // Generous: a leak or a busy loop is beyond it, a slow machine is not.
      expect(cpu).toBeLessThan(0.6);
      expect(rssMiB).toBeLessThan(400);
    }
  });

  test('n1 learns within 2 s that ::1 localhost went from /etc/hosts of n3, and that it came back', async () => {
    const hosts = await n3.readFile('/etc/hosts');
    try {
      const removed = performance.now();
      await n3.execOk(['sed', '-i', '/^::1[[:space:]]/d', '/etc/hosts']);
      const { at } = await watch.until('the finding', (view) =>
        (findingsOf(view, 'n3') ?? []).includes('HOSTS_LOCALHOST_IPV6_MISSING'),
      );
      report('::1 localhost removed on n3, seen on n1', at - removed);
      expect(at - removed).toBeLessThan(2_000);
      const { exitCode, stdout } = await n1.exec(['rlnet', 'check', 'n3', '--json']);
      expect(exitCode).toBe(20);
      expect((JSON.parse(stdout) as CheckReport).results).toContainEqual(
        expect.objectContaining({ code: 'HOSTS_LOCALHOST_IPV6_MISSING', outcome: 'fail' }),
      );
    } finally {
      await n3.writeFile('/etc/hosts', hosts);
    }
    const mended = performance.now();
    const { at } = await well();
    report('mended on n3, seen on n1', at - mended);
    expect((await n1.exec(['rlnet', 'check', 'n3'])).exitCode).toBe(0);
  });

  test('n1 learns within 1 s of an address that n2 gets, and of one that goes', async () => {
    const address = parseAddress(family === 'ipv6' ? 'fd77:0:0:1::99' : '10.77.0.199');
    const length = family === 'ipv6' ? 64 : 24;
    const lists = (view: ClusterView): boolean =>
      stateOf(view, 'n2')?.addresses.listed.some((listed) => listed.address === address) ?? false;
    const added = performance.now();
    await n2.execOk(['ip', 'addr', 'add', `${address}/${length}`, 'dev', 'eth0']);
    const there = await watch.until('the new address of n2', lists);
    report('ip addr add on n2, seen on n1', there.at - added);
    expect(there.at - added).toBeLessThan(1_000);
    const removed = performance.now();
    await n2.execOk(['ip', 'addr', 'del', `${address}/${length}`, 'dev', 'eth0']);
    const gone = await watch.until('the address of n2 gone', (view) => !lists(view));
    report('ip addr del on n2, seen on n1', gone.at - removed);
    expect(gone.at - removed).toBeLessThan(1_000);
  });

  test('n1 learns within 1 s that an interface of n2 went down', async () => {
    const before = await kernelAddresses(n2);
    const usable = (view: ClusterView) =>
      stateOf(view, 'n2')?.addresses.listed.filter((listed) => listed.interface === 'eth1' && listed.usable);
    try {
      const down = performance.now();
      await n2.execOk(['ip', 'link', 'set', 'eth1', 'down']);
      const { at } = await watch.until(
        'no usable address on eth1 of n2',
        (view) => usable(view)?.length === 0,
      );
      report('ip link set eth1 down on n2, seen on n1', at - down);
      expect(at - down).toBeLessThan(1_000);
    } finally {
      await n2.execOk(['ip', 'link', 'set', 'eth1', 'up']);
      await n2.execOk(['nmcli', 'device', 'connect', 'eth1']);
    }
    await waitFor('the addresses of eth1 on n2', { timeoutMs: patienceMs }, async () =>
      JSON.stringify(await kernelAddresses(n2)) === JSON.stringify(before) ? true : undefined,
    );
    await watch.until('usable addresses on eth1 of n2', (view) => usable(view)?.length === 2);
  });

  test('a host that lost its internal address says so itself, and the others that its link is lost', async () => {
    const bound = `${internal(n3)}/${family === 'ipv6' ? 64 : 24}`;
    const removed = performance.now();
    await n3.execOk(['ip', 'addr', 'del', bound, 'dev', 'eth0']);
    try {
      const { exitCode, stdout } = await n3.exec(['rlnet', 'check', '--json']);
      expect(exitCode).toBe(20);
      expect((JSON.parse(stdout) as CheckReport).results).toContainEqual(
        expect.objectContaining({
          code: 'INTERNAL_ADDRESS_NOT_BOUND',
          outcome: 'fail',
          evidence: `${internal(n3)} is on no interface`,
        }),
      );
      const { at } = await watch.until('no link to n3', (view) => linkOf(view, 'n3') === 'disconnected');
      report('internal address of n3 removed, link lost on n1', at - removed);
      expect(await n1.execOk(['rlnet', 'status'])).toMatch(/^3 .*no link for \d+s: \S/m);
      expect(await n2.execOk(['rlnet', 'status'])).toMatch(/^3 .*no link for \d+s: \S/m);
    } finally {
      await n3.execOk(['ip', 'addr', 'add', bound, 'dev', 'eth0']);
    }
    const back = performance.now();
    const { at } = await watch.until('n3 linked', (view) => linkOf(view, 'n3') === 'connected');
    report('internal address of n3 back, link back on n1', at - back);
    await well();
  });

  test('systemctl status says who and what is wrong, and journalctl -p warning only what is wrong', async () => {
    const hosts = await n3.readFile('/etc/hosts');
    // n1 can be told before n3's service manager is.
    const says = (findings: string) =>
      waitFor(`${findings} in systemctl status`, { timeoutMs: patienceMs }, async () => {
        const status = `managing node 3 of agents at ${internal(n3)}; 2 of 2 peers linked; ${findings}`;
        return (await n3.execOk(['systemctl', 'status', 'rlnet'])).includes(`Status: "${status}"`)
          ? true
          : undefined;
      });
    await says('no findings');
    try {
      await n3.execOk(['sed', '-i', '/^::1[[:space:]]/d', '/etc/hosts']);
      await says('findings: HOSTS_LOCALHOST_IPV6_MISSING');
    } finally {
      await n3.writeFile('/etc/hosts', hosts);
    }
    await well();
    await says('no findings');
    const levels = async (...options: string[]): Promise<Set<string>> => {
      const lines = await n3.execOk(['journalctl', '-u', 'rlnet', '-o', 'cat', ...options]);
      return new Set([...lines.matchAll(/^\{"level":"(\w+)"/gm)].map(([, level = '']) => level));
    };
    expect(await levels()).toContain('info');
    const filtered = await levels('-p', 'warning');
    expect(filtered).toContain('warn');
    expect(filtered).not.toContain('info');
    expect(await n3.execOk(['journalctl', '-u', 'rlnet', '-o', 'cat', '-p', 'warning'])).toContain(
      '"finding":"HOSTS_LOCALHOST_IPV6_MISSING"',
    );
  });

  test('an RS unit that is stopped, has its other name, or is not there at all', async () => {
    const agent = await unitOf(n2);
    const remove = async (unit: string): Promise<void> => {
      await n2.execOk(['systemctl', '--quiet', 'disable', '--now', unit]);
      await n2.execOk(['rm', `/usr/lib/systemd/system/${unit}.service`]);
      await n2.execOk(['systemctl', 'daemon-reload']);
    };
    const missing = (evidence: RegExp) => (view: ClusterView) =>
      stateOf(view, 'n2')?.findings.some(
        (finding) => finding.code === 'RS_UNIT_NOT_RUNNING' && evidence.test(finding.evidence),
      ) ?? false;

    const stopped = performance.now();
    await n2.execOk(['systemctl', 'stop', 'rlec_supervisor']);
    const { at } = await watch.until('the stopped unit', missing(/^rlec_supervisor\.service is inactive/));
    report('RS unit stopped on n2, finding on n1', at - stopped);

    await remove('rlec_supervisor');
    await watch.until('no unit', missing(/^systemd knows no unit/));
    expect((await n2.exec(['rlnet', 'check'])).exitCode).toBe(20);

    await installStandin(n2, { unit: 'rlec_supervisord' });
    const { view } = await watch.until(
      'the unit under its other name',
      (seen) => findingsOf(seen, 'n2')?.length === 0,
    );
    expect(stateOf(view, 'n2')?.unit).toMatchObject({
      unit: 'rlec_supervisord.service',
      activeState: 'active',
    });

    await remove('rlec_supervisord');
    await installStandin(n2);
    await well();
    expect((await unitOf(n2))['MainPID']).toBe(agent['MainPID']);
  });

  test('an agent that is killed is started again by systemd, and its peers see it go and come', async () => {
    const before = await unitOf(n2);
    const killed = performance.now();
    const gone = watch.until('no link to n2', (view) => linkOf(view, 'n2') === 'disconnected');
    await n2.execOk(['kill', '-9', before['MainPID'] ?? '']);
    report('agent of n2 killed, link lost on n1', (await gone).at - killed);
    const { at } = await watch.until('n2 linked', (view) => linkOf(view, 'n2') === 'connected');
    report('agent of n2 killed, linked again on n1', at - killed);
    const after = await unitOf(n2);
    expect(Number(after['NRestarts'])).toBe(Number(before['NRestarts']) + 1);
    expect(after['MainPID']).not.toBe(before['MainPID']);
    expect(after['ActiveState']).toBe('active');
    await well();
    // Both sides have dialled, and the link that is one too many goes a moment later.
    await waitFor('one connection to each other host', { timeoutMs: 10_000 }, async () =>
      (await meshSockets(n2)).length === 2 ? true : undefined,
    );
  });

  test('an agent whose event loop is blocked is ended by the watchdog and runs again', async () => {
    const dropIn = '/etc/systemd/system/rlnet.service.d/watchdog.conf';
    await n3.writeFile(dropIn, '[Service]\nWatchdogSec=4\n');
    await n3.execOk(['systemctl', 'daemon-reload']);
    await n3.execOk(['systemctl', 'restart', 'rlnet']);
    try {
      const before = await unitOf(n3);
      // Through the inspector that every Node opens on this signal; the product knows nothing of it.
      await n3.execOk(['kill', '-USR1', before['MainPID'] ?? '']);
      await n3.writeFile('/run/block.mjs', blockEventLoop);
      const blocked = performance.now();
      await n3.execOk(['/opt/rlnet/bin/node', '/run/block.mjs']);
      await waitFor('the agent of n3 to run again', { timeoutMs: 20_000 }, async () => {
        const now = await unitOf(n3);
        return now['MainPID'] !== before['MainPID'] && now['ActiveState'] === 'active' ? true : undefined;
      });
      report('event loop of n3 blocked with WatchdogSec=4, running again', performance.now() - blocked);
      expect(Number((await unitOf(n3))['NRestarts'])).toBe(Number(before['NRestarts']) + 1);
      const journal = await n3.execOk(['journalctl', '-u', 'rlnet', '-o', 'cat']);
      expect(journal).toContain("Failed with result 'watchdog'");
    } finally {
      await n3.execOk(['rm', '-f', dropIn, '/run/block.mjs']);
      await n3.execOk(['systemctl', 'daemon-reload']);
      // One that is blocked still would not hear a polite request.
      await n3.exec(['systemctl', 'kill', '--signal', 'KILL', 'rlnet']);
      await n3.execOk(['systemctl', 'restart', 'rlnet']);
    }
    await well();
  });

  // systemd loads it to answer, and tells everybody that it did.
  test('an agent does not ask again and again about an RS unit that is disabled and stopped', async () => {
    await n2.execOk(['systemctl', '--quiet', 'disable', '--now', 'rlec_supervisor']);
    /** Counts every process of the host: the newest process id is the last field (proc(5)). */
    const begun = async (): Promise<number> => Number((await n2.readFile('/proc/loadavg')).split(' ').at(-1));
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    const before = await begun();
    await new Promise((resolve) => setTimeout(resolve, 8_000));
    expect((await begun()) - before).toBeLessThan(60);
    await n2.execOk(['systemctl', '--quiet', 'enable', '--now', 'rlec_supervisor']);
  });

  test('a host that was rebooted is back in the mesh by itself, before RS is', async () => {
    await n2.execOk(['systemctl', '--quiet', 'disable', 'rlec_supervisor']);
    await using watch3 = await watchFrom(n3);
    await watch3.until('n2 linked', (view) => linkOf(view, 'n2') === 'connected');
    const bootId = await n2.bootId();
    const lost = watch.until('n2 lost', (view) => linkOf(view, 'n2') === 'disconnected');
    const started = performance.now();
    await n2.reboot();
    report('reboot of n2 ordered, link lost on n1', (await lost).at - started);
    // In this order: RS knows nothing of this host yet, and its agent is there.
    const backWithoutRs = (view: ClusterView): boolean =>
      linkOf(view, 'n2') === 'connected' && (findingsOf(view, 'n2') ?? []).includes('RS_UNIT_NOT_RUNNING');
    const [first, third] = await Promise.all([
      watch.until('n2 back without RS', backWithoutRs),
      watch3.until('n2 back without RS', backWithoutRs),
    ]);
    report('reboot of n2 ordered, linked again on n1', first.at - started);
    report('reboot of n2 ordered, linked again on n3', third.at - started);
    expect(await n2.bootId()).not.toBe(bootId);
    expect(stateOf(first.view, 'n2')).toMatchObject({ nodeUid: 2, internalAddress: internal(n2) });
    await n2.execOk(['systemctl', '--quiet', 'enable', '--now', 'rlec_supervisor']);
    await well();
    expect((await unitOf(n2))['NRestarts']).toBe('0');
  });

  test('members of the group rlnet may look, and others are told that they may not', async () => {
    await n1.execOk(['useradd', '--groups', 'rlnet', 'reader']);
    await n1.execOk(['useradd', 'outsider']);
    const seen = await n1.execOk(['runuser', '-u', 'reader', '--', 'rlnet', 'status', '--json']);
    expect(v.parse(clusterViewSchema, JSON.parse(seen)).hosts).toHaveLength(3);
    const refused = await n1.exec(['runuser', '-u', 'outsider', '--', 'rlnet', 'status']);
    expect(refused.exitCode).toBe(4);
    expect(refused.stdout).toBe('');
    expect(refused.stderr).toMatch(
      /^rlnet: NOT_PERMITTED: You may not use \/run\/rlnet\/read\.sock\.\n {2}\S/,
    );
  });
});

/** Makes the process whose inspector listens here do nothing but turn in a circle. */
const blockEventLoop = `
import { setTimeout as sleep } from 'node:timers/promises';

async function target() {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    try {
      const [first] = await (await fetch('http://127.0.0.1:9229/json/list')).json();
      return first.webSocketDebuggerUrl;
    } catch {
      await sleep(100);
    }
  }
  throw new Error('no inspector');
}

const socket = new WebSocket(await target());
await new Promise((resolve, reject) => {
  socket.onopen = resolve;
  socket.onerror = reject;
});
socket.send(JSON.stringify({ id: 1, method: 'Runtime.evaluate', params: { expression: 'while (true) {}' } }));
await sleep(500);
process.exit(0);
`;
