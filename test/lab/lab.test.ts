import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Address, Family } from '../../src/protocol/address.ts';
import { attachLab, downLab, type Host, type Lab, upLab } from '../support/lab/lab.ts';
import { type Network, networks, owners } from '../support/lab/plan.ts';
import { isAlive, type ProcessId, processById, run, runOk, waitFor } from '../support/lab/run.ts';

const families: readonly Family[] = ['ipv4', 'ipv6'];

/** Global addresses that the kernel has on a host, by interface, in order. */
async function kernelAddresses(host: Host): Promise<Record<string, string[]>> {
  const links = JSON.parse(await host.execOk(['ip', '-json', 'address', 'show', 'scope', 'global'])) as {
    ifname?: string;
    addr_info?: { local?: string; prefixlen?: number }[];
  }[];
  // A filter makes ip(8) print empty objects where it left something out.
  const shown = links.flatMap(({ ifname, addr_info = [] }) => {
    const addresses = addr_info.filter(({ local }) => local !== undefined);
    return addresses.length === 0
      ? []
      : [[ifname ?? '', addresses.map(({ local, prefixlen }) => `${local}/${prefixlen}`).sort()] as const];
  });
  return Object.fromEntries(shown);
}

async function answers(from: Host, to: Address): Promise<boolean> {
  return (await from.exec(['ping', '-c', '1', '-W', '1', to])).exitCode === 0;
}

describe('a lab with a host of each owner', () => {
  let lab: Lab;
  let n1: Host;
  let n2: Host;

  beforeAll(async () => {
    lab = await upLab({ name: 'test-lab-owners', hosts: owners.map((owner) => ({ owner })) });
    n1 = lab.host('n1');
    n2 = lab.host('n2');
  });
  afterAll(() => downLab('test-lab-owners'));

  test.for(owners.map((owner, index) => ({ owner, name: `n${index + 1}` })))(
    'the $owner host has booted without a failed unit and has exactly its planned addresses',
    async ({ owner, name }) => {
      const host = lab.host(name);
      expect(host.plan.owner).toBe(owner);
      expect(await host.failedUnits()).toEqual([]);
      const last = 21 + Number(name.slice(1)) - 1;
      expect(await kernelAddresses(host)).toEqual({
        eth0: [`10.77.0.${last}/24`, `fd77:0:0:1::${last}/64`],
        eth1: [`10.88.0.${last}/24`, `fd88:0:0:1::${last}/64`],
      });
    },
  );

  test.for(owners.map((owner, index) => ({ owner, name: `n${index + 1}` })))(
    'nobody but $owner looks after the network of its host',
    async ({ owner, name }) => {
      const units = {
        networkd: 'systemd-networkd',
        NetworkManager: 'NetworkManager',
        ifupdown: 'networking',
      };
      const { stdout } = await lab.host(name).exec(['systemctl', 'is-active', ...Object.values(units)]);
      const active = stdout.trim().split('\n');
      // Netplan renders for networkd.
      const expected = owner === 'netplan' ? 'networkd' : owner;
      expect(Object.keys(units).filter((_, index) => active[index] === 'active')).toEqual([expected]);
    },
  );

  test('every host reaches every other over both networks and both families', async () => {
    const unanswered = await Promise.all(
      lab.hosts.map(async (from) => {
        const missing: string[] = [];
        for (const to of lab.hosts.filter((host) => host !== from)) {
          for (const network of networks) {
            for (const family of families) {
              if (!(await answers(from, to.address(network, family)))) {
                missing.push(`${from.name} to ${to.name}, ${network} ${family}`);
              }
            }
          }
        }
        return missing;
      }),
    );
    expect(unanswered.flat()).toEqual([]);
  });

  test('the hosts know each other by name and differ in host name, machine id and boot id', async () => {
    const { stdout } = await n1.exec(['getent', 'ahosts', 'n3']);
    expect(stdout).toContain('10.77.0.23');
    expect(stdout).toContain('fd77:0:0:1::23');
    expect(await n1.readFile('/etc/hosts')).toContain('::1 localhost\n');
    for (const own of ['/etc/hostname', '/etc/machine-id', '/proc/sys/kernel/random/boot_id']) {
      const seen = await Promise.all(lab.hosts.map((host) => host.readFile(own)));
      expect(new Set(seen).size).toBe(lab.hosts.length);
    }
  });

  test('the package is installed, and the checkout is there for the stand-in, read-only', async () => {
    expect(await n1.execOk(['/opt/rlnet/bin/node', '--version'])).toMatch(/^v24\./);
    expect(await n1.execOk(['dpkg', '--verify', 'rlnet'])).toBe('');
    expect(await n1.execOk(['getent', 'group', 'rlnet'])).toMatch(/^rlnet:/);
    expect(
      await n1.execOk([
        'stat',
        '-c',
        '%a %n',
        '/usr/bin/rlnet',
        '/etc/rlnet',
        '/etc/rlnet/tls',
        '/var/lib/rlnet',
      ]),
    ).toBe('755 /usr/bin/rlnet\n755 /etc/rlnet\n710 /etc/rlnet/tls\n700 /var/lib/rlnet\n');
    expect((await n1.exec(['touch', '/opt/redislabs/standin/new'])).stderr).toContain(
      'Read-only file system',
    );
  });

  test('a command gives its exit code, both outputs and takes input, and is killed when its time is over', async () => {
    const script = 'cat; echo no >&2; exit 7';
    expect(await n1.exec(['sh', '-c', script], { input: 'yes' })).toEqual({
      exitCode: 7,
      stdout: 'yes',
      stderr: 'no\n',
    });
    await expect(n1.exec(['sleep', '4711'], { timeoutMs: 300 })).rejects.toMatchObject({
      code: 'COMMAND_TIMEOUT',
    });
    expect((await n1.exec(['pgrep', '-f', 'sleep 4711'])).exitCode).toBe(1);
  });

  test('output can be followed while the command runs, and leaving the scope ends the command', async () => {
    {
      await using counting = await n1.spawn(['sh', '-c', 'echo one; echo two; exec sleep 4712']);
      const seen: string[] = [];
      for await (const line of counting.lines) {
        seen.push(line);
        if (seen.length === 2) break;
      }
      expect(seen).toEqual(['one', 'two']);
    }
    expect((await n1.exec(['pgrep', '-f', 'sleep 4712'])).exitCode).toBe(1);
  });

  test('commands have the capabilities of the host and no others, so that none can set the clock of the machine', async () => {
    const bounding = async (pid: string) =>
      /^CapBnd:\s*(\w+)$/m.exec(await n1.readFile(`/proc/${pid}/status`))?.[1];
    expect(await bounding('self')).toBe(await bounding('1'));
    expect((await n1.exec(['date', '--set', '2001-01-01'])).exitCode).not.toBe(0);
  });

  test('a host may change addresses, filters and network settings, and probe by ARP', async () => {
    await n2.execOk(['ip', 'address', 'add', '10.77.0.122/24', 'dev', 'eth0']);
    await n2.execOk(['sysctl', '-w', 'net.ipv4.conf.eth0.arp_ignore=1']);
    await n2.execOk(['nft', 'add', 'table', 'inet', 'probe']);
    await n1.execOk(['arping', '-c', '1', '-w', '3', '-I', 'eth0', '10.77.0.122']);
    await n2.execOk(['ip', 'address', 'delete', '10.77.0.122/24', 'dev', 'eth0']);
  });

  test('a reboot gives a new boot id and the addresses again, keeps the disk and forgets /run', async () => {
    await Promise.all(
      lab.hosts.map(async (host) => {
        const before = { bootId: await host.bootId(), addresses: await kernelAddresses(host) };
        await host.writeFile('/var/lib/kept', 'kept', 0o600);
        await host.writeFile('/run/forgotten', 'x');
        await host.reboot();
        expect(await host.bootId()).not.toBe(before.bootId);
        expect(await kernelAddresses(host)).toEqual(before.addresses);
        expect(await host.execOk(['stat', '-c', '%a', '/var/lib/kept'])).toBe('600\n');
        expect((await host.exec(['test', '-e', '/run/forgotten'])).exitCode).toBe(1);
      }),
    );
  });

  test('a killed host loses its processes at once, answers nobody, and starts again with its disk', async () => {
    await n2.writeFile('/var/lib/kept', 'kept');
    await using running = await n2.spawn(['sleep', '4713']);
    const address = n2.address('internal', 'ipv4');
    await n2.kill();
    expect(await running.exited).not.toBe(0);
    expect(n2.isOn).toBe(false);
    expect(await answers(n1, address)).toBe(false);
    await expect(n2.exec(['true'])).rejects.toMatchObject({ code: 'USAGE', message: 'n2 is off.' });
    await n2.start();
    expect(await n2.readFile('/var/lib/kept')).toBe('kept');
    expect((await n2.exec(['pgrep', '-f', 'sleep 4713'])).exitCode).toBe(1);
    expect(await answers(n1, address)).toBe(true);
  });

  test('a cut is silent, reaches the named network alone, survives a reboot, and heals', async () => {
    const over = (network: Network) => answers(n1, n2.address(network, 'ipv6'));
    await n2.cut('internal');
    expect([await over('internal'), await over('external')]).toEqual([false, true]);
    expect(await n2.readFile('/sys/class/net/eth0/carrier')).toBe('1\n');
    expect(await n1.execOk(['ip', 'route', 'get', n2.address('internal', 'ipv4')])).toContain('dev eth0');
    await n2.reboot();
    expect([await over('internal'), await over('external')]).toEqual([false, true]);
    expect(await n2.cutNetworks()).toEqual(['internal']);
    await n2.heal();
    await waitFor('the neighbour to be found again', { timeoutMs: 10_000 }, async () =>
      (await over('internal')) ? true : undefined,
    );
    expect(await n2.cutNetworks()).toEqual([]);
  });

  test('a second lab of the same name is refused and the first one is left alone', async () => {
    await expect(upLab({ name: 'test-lab-owners', hosts: [{}] })).rejects.toMatchObject({
      code: 'USAGE',
      message: 'A lab named test-lab-owners is up already.',
    });
    expect((await n1.exec(['true'])).exitCode).toBe(0);
  });
});

test('families, extra addresses and the missing ::1 localhost are chosen per host, and labs do not meet', async () => {
  await using first = await upLab({
    name: 'test-lab-choices',
    hosts: [
      { internal: ['ipv6'], external: ['ipv4'], extraInternal: ['10.99.0.7/16'], localhost6: false },
      { owner: 'ifupdown', internal: ['ipv4'], external: [], extraInternal: ['10.77.0.222/24'] },
    ],
  });
  await using second = await upLab({ name: 'test-lab-beside', hosts: [{}] });
  expect(await kernelAddresses(first.host('n1'))).toEqual({
    eth0: ['10.99.0.7/16', 'fd77:0:0:1::21/64'],
    eth1: ['10.88.0.21/24'],
  });
  expect(await first.host('n1').readFile('/etc/hosts')).not.toContain('::1 localhost');
  expect(await kernelAddresses(first.host('n2'))).toEqual({ eth0: ['10.77.0.22/24', '10.77.0.222/24'] });
  expect(await answers(second.host('n1'), first.host('n2').address('internal', 'ipv4'))).toBe(false);
});

test('a host whose configuration no longer has its planned addresses is up when it has booted', async () => {
  await using lab = await upLab({ name: 'test-lab-moved', hosts: [{}] });
  const n1 = lab.host('n1');
  await n1.writeFile(
    '/etc/systemd/network/10-eth0.network',
    '[Match]\nName=eth0\n[Network]\nAddress=10.77.0.99/24\n',
  );
  await n1.reboot({ addresses: false });
  await waitFor('the other address', { timeoutMs: 20_000 }, async () => {
    const { eth0 = [] } = await kernelAddresses(n1);
    return eth0.length === 1 && eth0[0] === '10.77.0.99/24' ? true : undefined;
  });
});

/** Everything by which a lab that is up can be found on the machine. */
interface Traces {
  processes: ProcessId[];
  namespaces: Set<string>;
}

const namespaceKinds = ['mnt', 'pid', 'net', 'uts', 'ipc', 'cgroup'];

async function namespacesOf(pid: string): Promise<string[]> {
  return Promise.all(namespaceKinds.map((kind) => readlink(`/proc/${pid}/ns/${kind}`).catch(() => '')));
}

async function allPids(): Promise<string[]> {
  return (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry));
}

/** Every process in a namespace that the lab made, and those namespaces. */
async function tracesOf(lab: Lab): Promise<Traces> {
  const own = new Set(await namespacesOf('self'));
  const namespaces = new Set<string>();
  const processes = [lab.state.keeper, lab.state.init];
  const root = new Set(await namespacesOf(String(lab.state.init.pid)));
  for (const pid of await allPids()) {
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
    const inside = (await readFile(`/proc/${pid}/mountinfo`, 'utf8').catch(() => '')).includes(
      `rlnet-lab.${lab.name}`,
    );
    const these = await namespacesOf(pid);
    if (!inside && !these.some((one) => root.has(one) && !own.has(one))) continue;
    for (const one of these) if (one !== '' && !own.has(one)) namespaces.add(one);
    const found = status === '' ? undefined : await processById(Number(pid));
    if (found !== undefined) processes.push(found);
  }
  return { processes, namespaces };
}

async function machineLinks(): Promise<string[]> {
  const links = JSON.parse(await runOk(['ip', '-json', 'link', 'show'])) as { ifname: string }[];
  return links.map((link) => link.ifname).sort();
}

/** The mounts of this process's own namespace that a lab could have made: nspawn's, network namespaces, overlays. */
async function machineMounts(): Promise<string[]> {
  const mounts = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n');
  return mounts.filter((line) => /rlnet|netns|nspawn|overlay|cgroup/.test(line)).sort();
}

/** Waits for the end of every process of a lab; gives the time of it, in clock ticks since boot. */
async function endOf(processes: readonly ProcessId[]): Promise<number> {
  await waitFor('every process of the lab to end', { timeoutMs: 20_000 }, async () => {
    const alive = await Promise.all(processes.map(isAlive));
    return alive.includes(true) ? undefined : true;
  });
  return Number((await readFile('/proc/uptime', 'utf8')).split(' ')[0]) * ticksPerSecond;
}

/** USER_HZ, the unit of a process's start time; 100 on every architecture that Node runs on. */
const ticksPerSecond = 100;

/**
 * What of a lab is still there after its end, in words; nothing when all is as before it. The kernel gives a
 * namespace's number to the next one at once: one that holds only younger processes is not the lab's.
 */
async function leftOf(name: string, { processes, namespaces }: Traces): Promise<string[]> {
  const end = await endOf(processes);
  const left: string[] = [];
  for (const pid of await allPids()) {
    const mounts = await readFile(`/proc/${pid}/mountinfo`, 'utf8').catch(() => '');
    if (mounts.includes(`rlnet-lab.${name}`)) left.push(`a mount that process ${pid} sees`);
    const startTime = (await processById(Number(pid)))?.startTime ?? Number.POSITIVE_INFINITY;
    const these = startTime > end ? [] : await namespacesOf(pid);
    left.push(...these.filter((one) => namespaces.has(one)).map((one) => `${one} of process ${pid}`));
  }
  if (existsSync(`/run/rlnet-lab/${name}`)) left.push('its folder under /run');
  const { stdout } = await run(['find', '/sys/fs/cgroup', '-type', 'd', '-name', `rlnet-lab.${name}`]);
  if (stdout !== '') left.push(`cgroup ${stdout.trim()}`);
  return left;
}

/** What was killed is gone a moment later: the kernel ends a namespace after its last process. */
async function untilNothingIsLeft(name: string, traces: Traces): Promise<void> {
  await waitFor('nothing to be left', { timeoutMs: 20_000 }, async () =>
    (await leftOf(name, traces)).length === 0 ? true : undefined,
  );
}

describe('what a lab leaves behind is nothing', () => {
  test('after down', async () => {
    const links = await machineLinks();
    const mounts = await machineMounts();
    const lab = await upLab({ name: 'test-lab-down', hosts: [{}, {}] });
    const traces = await tracesOf(lab);
    // The traces are worth something only if a lab that is up has some.
    expect(traces.processes.length).toBeGreaterThan(10);
    expect(traces.namespaces.size).toBeGreaterThan(10);
    expect(existsSync('/run/rlnet-lab/test-lab-down')).toBe(true);
    expect(await machineLinks()).toEqual(links);
    await lab.down();
    await untilNothingIsLeft('test-lab-down', traces);
    expect(await machineLinks()).toEqual(links);
    expect(await machineMounts()).toEqual(mounts);
  });

  test('after the namespaces lost their PID 1: the keeper clears away by itself', async () => {
    const lab = await upLab({ name: 'test-lab-init', hosts: [{}] });
    const traces = await tracesOf(lab);
    process.kill(lab.state.init.pid, 'SIGKILL');
    await untilNothingIsLeft('test-lab-init', traces);
  });

  test('after SIGKILL of the keeper: all ends at once, and down removes the cgroup and the folder', async () => {
    const lab = await upLab({ name: 'test-lab-keeper', hosts: [{}] });
    const traces = await tracesOf(lab);
    process.kill(lab.state.keeper.pid, 'SIGKILL');
    await endOf(traces.processes);
    await expect(attachLab('test-lab-keeper')).rejects.toMatchObject({ code: 'USAGE' });
    await downLab('test-lab-keeper');
    await untilNothingIsLeft('test-lab-keeper', traces);
  });

  test('after SIGKILL of the keeper the name can be used again at once', async () => {
    const lab = await upLab({ name: 'test-lab-again', hosts: [{}] });
    process.kill(lab.state.keeper.pid, 'SIGKILL');
    await waitFor('its init to end', { timeoutMs: 20_000 }, async () =>
      (await isAlive(lab.state.init)) ? undefined : true,
    );
    await using again = await upLab({ name: 'test-lab-again', hosts: [{}] });
    expect(await again.host('n1').failedUnits()).toEqual([]);
  });

  test('after a host that goes off while it boots: up says so and takes the rest down', async () => {
    const name = 'test-lab-failing';
    const booting = upLab({ name, hosts: [{}, {}] });
    booting.catch(() => {});
    const lab = await comingUp(name);
    const traces = await tracesOf(lab);
    await lab.host('n2').kill();
    await expect(booting).rejects.toMatchObject({
      code: 'COMMAND_FAILED',
      message: expect.stringContaining('n2 went off') as string,
    });
    await untilNothingIsLeft(name, traces);
  });

  test.for(['SIGINT', 'SIGKILL'] as const)('after %s of `lab up` while the hosts boot', async (signal) => {
    const name = `test-lab-${signal.toLowerCase()}`;
    const main = new URL('../support/lab/main.ts', import.meta.url).pathname;
    const up = spawn(process.execPath, [main, 'up', '--name', name, '--hosts', '1'], { stdio: 'ignore' });
    const ended = new Promise<number | null>((resolve) => up.once('exit', resolve));
    const traces = await tracesOf(await comingUp(name));
    up.kill(signal);
    expect(await ended).toBe(signal === 'SIGKILL' ? null : 6);
    await untilNothingIsLeft(name, traces);
  });
});

/** A lab whose hosts are on but have not all booted. */
async function comingUp(name: string): Promise<Lab> {
  const lab = await waitFor('the lab to come up', { timeoutMs: 30_000 }, () =>
    attachLab(name).catch(() => undefined),
  );
  await waitFor('the hosts to be on', { timeoutMs: 30_000 }, async () =>
    lab.hosts.every((host) => host.isOn) ? true : undefined,
  );
  await sleep(300);
  return lab;
}
