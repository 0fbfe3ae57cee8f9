import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as v from 'valibot';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { glibcFloor } from '../../scripts/release.d/archives.ts';
import { releaseInputs } from '../../scripts/release.d/inputs.ts';
import { issueCa, issueHost } from '../../src/cli/tls-issue.ts';
import { createRandom } from '../../src/host/random.ts';
import { meshPort } from '../../src/protocol/messages.ts';
import { clusterViewSchema } from '../../src/protocol/state.ts';
import { downLab, type Host, type Lab, upLab } from '../support/lab/lab.ts';
import { runOk, waitFor } from '../support/lab/run.ts';
import { buildPackage, repository } from '../support/lab/software.ts';
import { full } from '../support/sampling.ts';
import { bootstrapStandin } from '../support/standin/bootstrap.ts';
import { installStandin } from '../support/standin/install.ts';

/** The package: what an operator does with it on a host that has nothing of rlnet, and the sandbox of its unit. */

const labName = 'test-package';
const random = createRandom();

let lab: Lab;
let n1: Host;
let folder: string;
let authority: Awaited<ReturnType<typeof issueCa>>;

beforeAll(async () => {
  await downLab(labName);
  folder = await mkdtemp(join(tmpdir(), 'rlnet-package-'));
  lab = await upLab({ name: labName, hosts: [{ rlnet: false }, {}] });
  n1 = lab.host('n1');
  await Promise.all([
    buildPackage(join(folder, 'old.deb'), { version: '0.0.1' }),
    buildPackage(join(folder, 'new.deb'), { version: '0.0.2', tarball: join(folder, 'rlnet.tar') }),
  ]);
  await n1.copyFile(join(folder, 'old.deb'), '/old.deb');
  await n1.copyFile(join(folder, 'new.deb'), '/new.deb');
  await n1.copyFile(join(folder, 'rlnet.tar'), '/rlnet.tar');
  await installStandin(n1);
  const node = { host: n1, addr: n1.address('internal', 'ipv6'), externalAddr: [] };
  await bootstrapStandin([node], { clusterName: 'package.example', family: 'ipv6' });
  const now = Date.now();
  authority = await issueCa('package', { now, days: 30, random: random.id() });
  const { certificate, key } = await issueHost(authority, 'n1', { now, days: 7, random: random.id() });
  await n1.writeFile('/root/n1/ca.crt', authority.certificate, 0o644);
  await n1.writeFile('/root/n1/host.crt', certificate, 0o644);
  await n1.writeFile('/root/n1/host.key', key, 0o600);
});

afterAll(async () => {
  await downLab(labName);
  await rm(folder, { recursive: true, force: true });
});

async function property(host: Host, name: string, unit = 'rlnet'): Promise<string> {
  return (await host.execOk(['systemctl', 'show', '--property', name, '--value', unit])).trim();
}

/** What is not rlnet's, and is to stay as it is whatever happens to the package. */
async function ofOthers(): Promise<unknown> {
  const unit = ['UnitFileState', 'ActiveState', 'MainPID', 'ExecMainStartTimestampMonotonic'];
  // A host that has just booted is still asking for duplicates of its addresses.
  const links = await waitFor('the addresses to be in use', { timeoutMs: 10_000 }, async () => {
    const text = await n1.execOk(['ip', '-j', 'addr']);
    return text.includes('"tentative"') ? undefined : (JSON.parse(text) as { addr_info: object[] }[]);
  });
  return {
    unit: await Promise.all(unit.map((name) => property(n1, name, 'rlec_supervisor'))),
    addresses: links.map((link) => link.addr_info),
    routes: await n1.execOk(['sh', '-c', 'ip route; ip -6 route']),
    hosts: await n1.readFile('/etc/hosts'),
  };
}

const install = readFileSync(join(repository, 'docs/install.md'), 'utf8');

/** The commands that a page of the documentation shows next after some words of it. */
function commandsAfter(page: string, words: string): string {
  const from = page.indexOf(words);
  if (from === -1) throw new Error(`the page does not say: ${words}`);
  const [, block = ''] = /```sh\n(.*?)```/s.exec(page.slice(from)) ?? [];
  return block;
}

/** Those of docs/install.md, for a tarball that is not compressed. */
function documented(words: string): string {
  // Packed with xz it is known to no host of the lab, and would take a minute to make.
  return commandsAfter(install, words).replaceAll(/(-x|-t)Jf \S+\.tar\.xz/g, '$1f /rlnet.tar');
}

/** What systemd makes of a unit's sandbox: 0 is safe, 10 is none. */
async function exposureOf(host: Host, unit: string): Promise<number> {
  const analysed = await host.execOk(['systemd-analyze', 'security', '--no-pager', unit]);
  const [, exposure = ''] = /Overall exposure level for \S+: ([\d.]+)/.exec(analysed) ?? [];
  process.stdout.write(`  measured: systemd-analyze security ${unit}: ${exposure}\n`);
  expect(Number(exposure)).toBeGreaterThan(0);
  return Number(exposure);
}

const exists = async (path: string): Promise<boolean> => (await n1.exec(['test', '-e', path])).exitCode === 0;

describe('on a host without Node.js', () => {
  test('dpkg -i starts nothing, and two commands later the agent runs and knows its node', async () => {
    expect((await n1.exec(['sh', '-c', 'command -v node nodejs'])).exitCode).not.toBe(0);
    const before = await ofOthers();
    await n1.execOk(['dpkg', '--install', '/old.deb']);
    expect([await property(n1, 'ActiveState'), await property(n1, 'UnitFileState')]).toEqual([
      'inactive',
      'disabled',
    ]);

    await n1.execOk(['sh', '-c', 'cp /root/n1/* /etc/rlnet/tls/']);
    await n1.execOk(['systemctl', '--quiet', 'enable', '--now', 'rlnet']);

    expect(await n1.execOk(['stat', '-c', '%a %U', '/etc/rlnet/tls', '/etc/rlnet/tls/host.key'])).toBe(
      '710 root\n600 root\n',
    );
    const view = await waitFor('the agent to know its node', { timeoutMs: 30_000 }, async () => {
      const seen = v.parse(clusterViewSchema, JSON.parse(await n1.execOk(['rlnet', 'status', '--json'])));
      return seen.hosts[0]?.state?.nodeUid === 1 && seen.internalFamily !== undefined ? seen : undefined;
    });
    expect(view).toMatchObject({ cluster: 'package', seenFrom: 'n1', internalFamily: 'ipv6' });
    expect(await ofOthers()).toEqual(before);
  });

  test('the agent is what the kernel ends last when memory is short, and is ended itself when it hangs', async () => {
    expect(await property(n1, 'OOMScoreAdjust')).toBe('-900');
    // A container may not let anybody lower it; then systemd leaves it as it was.
    const may = (await n1.exec(['sh', '-c', 'echo -900 >/proc/self/oom_score_adj'])).exitCode === 0;
    const adjusted = await n1.readFile(`/proc/${await property(n1, 'MainPID')}/oom_score_adj`);
    expect(Number(adjusted)).toBe(may ? -900 : 0);
    expect(await property(n1, 'WatchdogUSec')).toBe('1min');
  });

  test('the agent starts at boot also where the network never comes up as a whole', async () => {
    const waiting = 'systemd-networkd-wait-online.service';
    const dropIn = `/etc/systemd/system/${waiting}.d/test.conf`;
    await n1.writeFile(dropIn, '[Service]\nExecStart=\nExecStart=/bin/false\n');
    await n1.reboot();
    await waitFor('the agent to run', { timeoutMs: 30_000 }, async () =>
      (await property(n1, 'ActiveState')) === 'active' ? true : undefined,
    );
    expect(await property(n1, 'Result', waiting)).toBe('exit-code');
    await n1.execOk(['rm', dropIn]);
    await n1.execOk(['systemctl', 'daemon-reload']);
  });

  test('an upgrade restarts the agent, and asks nothing about a configuration that was edited', async () => {
    const edited = `${await n1.readFile('/etc/rlnet/agent.yaml')}mode: observe\n`;
    await n1.writeFile('/etc/rlnet/agent.yaml', edited);
    const identity = await n1.readFile('/var/lib/rlnet/identity.json');
    const pid = await property(n1, 'MainPID');
    const before = await ofOthers();
    await n1.execOk(['dpkg', '--install', '/new.deb']);
    expect(await property(n1, 'MainPID')).not.toBe(pid);
    expect(await property(n1, 'ActiveState')).toBe('active');
    expect(await n1.execOk(['dpkg-query', '--show', 'rlnet'])).toBe('rlnet\t0.0.2\n');
    expect(await n1.readFile('/etc/rlnet/agent.yaml')).toBe(edited);
    expect(await n1.readFile('/var/lib/rlnet/identity.json')).toBe(identity);
    expect(await ofOthers()).toEqual(before);
  });

  test('a collector that the package brings runs as its own user, and keeps what the agent reports', async () => {
    const n2 = lab.host('n2');
    const { certificate, key } = authority;
    await n2.writeFile('/root/ca/ca.crt', certificate, 0o644);
    await n2.writeFile('/root/ca/ca.key', key, 0o600);
    await n2.writeFile('/etc/rlnet/tls/package-ca.crt', certificate, 0o644);
    await n2.writeFile('/etc/rlnet/tls/host.key', 'not for the collector', 0o600);
    const settings = 'clusters:\n  package:\n    ca: /etc/rlnet/tls/package-ca.crt\n';
    await n2.writeFile('/etc/rlnet/collector.yaml', settings, 0o644);
    const guide = readFileSync(join(repository, 'docs/collector.md'), 'utf8');
    await n2.execOk(['sh', '-ec', `cd /root\n${commandsAfter(guide, 'It runs on a host of its own')}`]);
    await n1.writeFile(
      '/etc/rlnet/agent.yaml',
      `${await n1.readFile('/etc/rlnet/agent.yaml')}collector:\n  url: wss://[${n2.address('internal', 'ipv6')}]:9471\n`,
    );
    await n1.execOk(['systemctl', 'restart', 'rlnet']);

    const reported = () =>
      waitFor('the report of n1', { timeoutMs: 30_000 }, async () => {
        const { stdout } = await n2.exec(['curl', '--silent', 'http://127.0.0.1:9472/api/v1/hosts']);
        return stdout.includes('"n1"') && stdout.includes('"connected":true') ? stdout : undefined;
      });
    await reported();
    const pid = await property(n2, 'MainPID', 'rlnet-collector');
    expect(await n2.execOk(['stat', '--format=%U', `/proc/${pid}`])).toBe('rlnet-collector\n');
    expect(await n2.readFile(`/proc/${pid}/status`)).toMatch(/^CapBnd:\t0+$/m);
    expect(await n2.execOk(['stat', '--format=%a %U', '/var/lib/rlnet-collector'])).toBe(
      '700 rlnet-collector\n',
    );
    const asCollector = ['runuser', '-u', 'rlnet-collector', '--', 'cat', '/etc/rlnet/tls/host.key'];
    expect((await n2.exec(asCollector)).stderr).toContain('Permission denied');

    await n2.execOk(['kill', '-9', pid]);
    await waitFor('the collector to run again', { timeoutMs: 30_000 }, async () => {
      const now = await property(n2, 'MainPID', 'rlnet-collector');
      return now !== pid && (await property(n2, 'ActiveState', 'rlnet-collector')) === 'active'
        ? true
        : undefined;
    });
    await reported();
    const exposure = await exposureOf(n2, 'rlnet-collector.service');
    expect(exposure).toBeLessThanOrEqual(1.5);
  });

  test('it is not removed while a renumbering has the node out of service', async () => {
    await n1.execOk(['install', '-D', '/dev/null', '/var/lib/rlnet/dead-man/script']);
    const { exitCode, stderr } = await n1.exec(['dpkg', '--remove', 'rlnet']);
    expect(exitCode).not.toBe(0);
    expect(stderr).toContain('rlnet: a renumbering of this node is under way');
    expect(await property(n1, 'ActiveState')).toBe('active');
    expect(await property(n1, 'UnitFileState')).toBe('enabled');
    await n1.execOk(['rm', '-r', '/var/lib/rlnet/dead-man']);
  });

  test('its removal stops the agent and leaves what it knows, and all that is not its own', async () => {
    const before = await ofOthers();
    await n1.execOk(['dpkg', '--remove', 'rlnet']);
    expect(await property(n1, 'LoadState')).toBe('not-found');
    expect((await n1.exec(['pgrep', '-f', '/opt/rlnet'])).exitCode).toBe(1);
    const left = ['/etc/rlnet/agent.yaml', '/etc/rlnet/tls/host.key', '/var/lib/rlnet/identity.json'];
    for (const path of left) expect(await exists(path)).toBe(true);
    for (const path of [
      '/opt/rlnet',
      '/usr/bin/rlnet',
      '/etc/systemd/system/multi-user.target.wants/rlnet.service',
    ])
      expect(await exists(path)).toBe(false);
    expect(await ofOthers()).toEqual(before);
  });

  test('a purge takes its own state too, and nothing else', async () => {
    const before = await ofOthers();
    await n1.execOk(['dpkg', '--purge', 'rlnet']);
    for (const path of ['/etc/rlnet', '/var/lib/rlnet']) expect(await exists(path)).toBe(false);
    expect(await n1.execOk(['dpkg', '--verify'])).not.toContain('rlnet');
    expect(await ofOthers()).toEqual(before);
  });

  test('the tarball is installed and taken away by the commands of the documentation', async () => {
    const before = await ofOthers();
    await n1.execOk(['sh', '-ec', documented('Elsewhere, which is also')]);
    await n1.execOk(['sh', '-c', 'cp /root/n1/* /etc/rlnet/tls/']);
    await n1.execOk(['systemctl', '--quiet', 'enable', '--now', 'rlnet']);
    const pid = await property(n1, 'MainPID');
    await n1.execOk(['sh', '-ec', documented('Elsewhere, which is also')]);
    expect(await property(n1, 'MainPID')).not.toBe(pid);
    expect((await n1.exec(['rlnet', 'status'])).exitCode).toBe(0);
    await n1.execOk(['sh', '-ec', documented('After an installation from the tarball')]);
    expect(await property(n1, 'LoadState')).toBe('not-found');
    expect(await exists('/opt/rlnet')).toBe(false);
    expect(await n1.execOk(['find', '/usr', '-name', '*rlnet*', '-not', '-type', 'd'])).toBe('');
    expect(await ofOthers()).toEqual(before);
  });

  test('it is installed into an image in which no systemd runs', async () => {
    // As a build of an image sees it: another root, and no /run/systemd/system.
    await n1.execOk(['sh', '-c', 'mkdir /image /image-work /image-root']);
    await n1.execOk([
      'sh',
      '-c',
      'mount -t tmpfs none /image-work && mkdir /image-work/upper /image-work/work',
    ]);
    const layers = 'lowerdir=/,upperdir=/image-work/upper,workdir=/image-work/work';
    await n1.execOk(['mount', '-t', 'overlay', '-o', layers, 'none', '/image']);
    await n1.execOk(['chroot', '/image', 'dpkg', '--install', '/new.deb']);
    await n1.execOk(['chroot', '/image', 'systemctl', '--quiet', 'enable', 'rlnet']);
    await n1.execOk(['chroot', '/image', 'dpkg', '--purge', 'rlnet']);
    expect(await exists('/image/etc/systemd/system/multi-user.target.wants/rlnet.service')).toBe(false);
    await n1.execOk(['umount', '/image', '/image-work']);
  });
});

describe('what the package brings', () => {
  let host: Host;
  let files: string[];
  beforeAll(async () => {
    host = lab.host('n2');
    const script = 'dpkg --listfiles rlnet | while read -r path; do [ -d "$path" ] || echo "$path"; done';
    files = (await host.execOk(['sh', '-c', script])).trim().split('\n').sort();
  });

  test('is Node itself, the bundle and what is named here, and nothing else', () => {
    const generated = /^(\/opt\/rlnet\/(lib|licences)\/)[^/]+(\.js|\.txt)$/;
    expect([...new Set(files.map((path) => path.replace(generated, '$1*$3')))]).toEqual([
      '/opt/rlnet/bin/node',
      '/opt/rlnet/lib/*.js',
      '/opt/rlnet/licences/*.txt',
      '/opt/rlnet/package.json',
      '/opt/rlnet/sbom.cdx.json',
      '/usr/bin/rlnet',
      '/usr/lib/firewalld/services/rlnet.xml',
      '/usr/lib/systemd/system/rlnet-collector.service',
      '/usr/lib/systemd/system/rlnet-dead-man.service',
      '/usr/lib/systemd/system/rlnet-dead-man.timer',
      '/usr/lib/systemd/system/rlnet.service',
      '/usr/lib/sysusers.d/rlnet.conf',
      '/usr/lib/tmpfiles.d/rlnet.conf',
      '/usr/share/bash-completion/completions/rlnet',
      '/usr/share/doc/rlnet/cluster.schema.json',
      '/usr/share/doc/rlnet/copyright',
      '/usr/share/doc/rlnet/examples/network-hook',
      '/usr/share/man/man1/rlnet.1.gz',
      '/usr/share/rlnet/agent.yaml',
      '/usr/share/rlnet/prometheus.rules.yaml',
      '/usr/share/zsh/vendor-completions/_rlnet',
    ]);
  });

  test('has the licence of each package that its bill of materials lists, and lists each that it has', async () => {
    const bill = JSON.parse(await host.readFile('/opt/rlnet/sbom.cdx.json')) as {
      components: { type: string; name: string; version: string; components?: { name: string }[] }[];
    };
    const libraries = bill.components.filter(({ type }) => type === 'library');
    const licences = files.filter((path) => path.startsWith('/opt/rlnet/licences/'));
    expect(licences).toEqual(
      [
        '/opt/rlnet/licences/node.txt',
        '/opt/rlnet/licences/rlnet.txt',
        ...libraries.map(
          ({ name, version }) => `/opt/rlnet/licences/${name.replace('/', '+')}-${version}.txt`,
        ),
      ].sort(),
    );
    expect(libraries.map(({ name }) => name)).toEqual(expect.arrayContaining(['ws', 'pino', 'ipaddr.js']));
    const sizes = (await host.execOk(['stat', '--format=%s', ...licences])).trim().split('\n').map(Number);
    expect(Math.min(...sizes)).toBeGreaterThan(400);
    const node = bill.components.find(({ name }) => name === 'node');
    expect(`v${node?.version}\n`).toBe(await host.execOk(['/opt/rlnet/bin/node', '--version']));
    expect(node?.components?.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['openssl', 'v8', 'uv']),
    );
  });

  test('completes commands in a shell, and has a manual page', async () => {
    const script = `. /usr/share/bash-completion/completions/rlnet
      COMP_WORDS=(rlnet stat); COMP_CWORD=1; _rlnet; echo "\${COMPREPLY[@]}"`;
    expect(await host.execOk(['bash', '-euc', script])).toBe('status\n');
    expect(await host.execOk(['zcat', '/usr/share/man/man1/rlnet.1.gz'])).toMatch(/^\.TH RLNET 1 /);
  });

  test('needs no newer glibc than the documentation says', async () => {
    const floor = glibcFloor(join(repository, 'node_modules/.bin/node'));
    process.stdout.write(`  measured: the Node that is shipped needs glibc ${floor}\n`);
    expect(install).toContain(`glibc ${floor} or newer`);
    expect(await host.execOk(['dpkg', '--status', 'rlnet'])).toContain(`\nDepends: libc6 (>= ${floor}),`);
  });

  test('are units that systemd takes, and that neither wait for that of RS nor have it wait', async () => {
    const units = files.filter((path) => path.startsWith('/usr/lib/systemd/system/'));
    const { exitCode, stderr } = await host.exec(['systemd-analyze', 'verify', '--man=no', ...units]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    for (const name of ['Before', 'After', 'Wants', 'Requires', 'BindsTo', 'PartOf', 'Conflicts'])
      expect(await property(host, name)).not.toContain('rlec');
    expect(await property(host, 'After')).toContain('network-online.target');
    expect(await property(host, 'Type')).toBe('notify');
    expect(await property(host, 'Restart')).toBe('always');
  });

  test('opens its port in firewalld and nftables by what the documentation says', async () => {
    expect(await host.readFile('/usr/lib/firewalld/services/rlnet.xml')).toContain(
      `<port protocol="tcp" port="${meshPort}"/>`,
    );
    const chain = 'type filter hook input priority 0; policy accept;';
    await host.execOk(['nft', `add table inet filter; add chain inet filter input { ${chain} }`]);
    await host.execOk(['sh', '-ec', documented('nftables, with')]);
    const rules = await host.execOk(['nft', 'list', 'chain', 'inet', 'filter', 'input']);
    expect(rules.match(new RegExp(`tcp dport ${meshPort} accept`, 'g'))).toHaveLength(2);
    await host.execOk(['nft', 'delete', 'table', 'inet', 'filter']);
  });
});

describe('the sandbox of rlnet.service', () => {
  let host: Host;
  beforeAll(async () => {
    host = lab.host('n2');
    // The very unit, but for what it runs.
    const unit = (await host.readFile('/usr/lib/systemd/system/rlnet.service'))
      .replaceAll(/^(Type|NotifyAccess|Restart|WatchdogSec|ExecStopPost)=.*\n/gm, '')
      .replace(/^ExecStart=.*$/m, 'Type=oneshot\nExecStart=/bin/sh /probe.sh');
    await host.writeFile('/run/systemd/system/rlnet-probe.service', unit);
    await host.execOk(['systemctl', 'daemon-reload']);
  });

  /** Runs lines of sh in the sandbox. */
  async function inside(script: string): Promise<{ done: boolean; said: string }> {
    await host.writeFile('/probe.sh', `exec >/var/lib/rlnet/said 2>&1\nset -e\n${script}\n`);
    const { exitCode } = await host.exec(['systemctl', 'start', 'rlnet-probe'], { timeoutMs: 60_000 });
    return { done: exitCode === 0, said: await host.readFile('/var/lib/rlnet/said') };
  }

  test.each([
    [
      'sees and changes addresses',
      'ip -j -d addr; ip address add 10.77.0.199/32 dev eth0; ip address delete 10.77.0.199/32 dev eth0',
    ],
    [
      'sees and changes routes and rules',
      'ip -j route; ip rule add from 10.77.0.199 lookup 99; ip route add 10.99.0.0/24 dev eth0 table 99; ip rule delete from 10.77.0.199 lookup 99; ip route flush table 99',
    ],
    ['asks the wire', 'arping -c 1 -w 5 -I eth0 10.77.0.21; ping -c 1 -W 5 -M do fd77:0:0:1::21; ip neigh'],
    ['sees the path MTU of sockets', 'ss -tinH'],
    [
      'replaces files in /etc, with their owner and mode',
      'cp -a /etc/hosts /etc/hosts.new; chown 1:1 /etc/hosts.new; chmod 640 /etc/hosts.new; mv /etc/hosts.new /etc/systemd/network/rlnet-probe; rm /etc/systemd/network/rlnet-probe',
    ],
    [
      'asks systemd for units and for its journal',
      'systemctl show --property=ActiveState dbus; systemctl disable --quiet --no-block nftables; journalctl -n 1; loginctl list-sessions',
    ],
    [
      'has other programs run outside',
      'systemd-run --quiet --collect --wait --pipe touch /usr/outside; test -e /usr/outside; systemd-run --quiet --collect --wait rm /usr/outside',
    ],
    [
      'leaves timers behind that outlive it',
      'systemd-run --quiet --on-active=600 --unit=rlnet-probe-timer true; systemctl stop rlnet-probe-timer.timer',
    ],
    ['knows this boot and its time', 'cat /proc/sys/kernel/random/boot_id /proc/uptime /etc/machine-id'],
    [
      'runs the inventory probe',
      '/opt/rlnet/bin/node --lite-mode /opt/rlnet/lib/inventory-probe.js | grep -q fileSystems',
    ],
  ])('%s', async (_what, script) => {
    expect(await inside(script)).toMatchObject({ done: true });
  });

  test.each([
    ['write outside of its own places', 'touch /usr/probe', 'Read-only file system'],
    ['see home directories', 'cat /root/secret', 'No such file or directory'],
    ['set the clock', 'date --set 2001-01-01', 'Operation not permitted'],
    ['change kernel parameters', 'echo 1 >/proc/sys/net/ipv4/ip_forward', 'Read-only file system'],
    ['make namespaces', 'unshare --mount true', 'Operation not permitted'],
    [
      'have memory that is writable and executable, as the compiler of Node wants it',
      '/opt/rlnet/bin/node -p 1',
      'Fatal',
    ],
  ])('cannot %s', async (_what, script, why) => {
    await host.writeFile('/root/secret', 'x');
    expect(await inside(script)).toEqual({ done: false, said: expect.stringContaining(why) });
  });

  test('is judged by systemd as an exposure of 4.0 at most', async () => {
    expect(await exposureOf(host, 'rlnet.service')).toBeLessThanOrEqual(4);
  });

  test('stops what runs outside of it when the agent ends, however that is', async () => {
    await host.execOk(['systemctl', 'reset-failed']);
    const outside = ['systemd-run', '--quiet', '--collect', '--unit=rlnet-run-test.service', 'sleep', '600'];
    const dropIn = '/run/systemd/system/rlnet.service.d/test.conf';
    // Without certificates there is no agent to start: something that stays stands for it.
    await host.writeFile(
      dropIn,
      '[Service]\nType=exec\nWatchdogSec=0\nRestart=no\nExecStart=\nExecStart=sleep 600\n',
    );
    await host.execOk(['systemctl', 'daemon-reload']);
    for (const end of [['stop'], ['kill', '--signal=KILL'], ['restart']]) {
      await host.execOk(['systemctl', 'start', 'rlnet']);
      await host.execOk(outside);
      await host.execOk(['systemctl', ...end, 'rlnet']);
      await waitFor('the unit outside to end', { timeoutMs: 20_000 }, async () =>
        (await property(host, 'ActiveState', 'rlnet-run-test')) === 'inactive' ? true : undefined,
      );
    }
    await host.execOk(['systemctl', 'stop', 'rlnet']);
    await host.execOk(['rm', dropIn]);
    await host.execOk(['systemctl', 'daemon-reload']);
  });
});

test('two builds of one checkout are the same, byte for byte, wherever it lies and whatever the umask is', async () => {
  const copy = join(folder, 'elsewhere');
  mkdirSync(copy);
  for (const part of [...releaseInputs, 'node_modules'])
    cpSync(join(repository, part), join(copy, part), { recursive: true, verbatimSymlinks: true });
  const umask = process.umask(0o077);
  try {
    const tarball = join(folder, 'again.tar');
    await buildPackage(join(folder, 'again.deb'), { version: '0.0.2', checkout: copy, tarball });
  } finally {
    process.umask(umask);
  }
  const hashOf = async (name: string) =>
    createHash('sha256')
      .update(await readFile(join(folder, name)))
      .digest('hex');
  expect(await hashOf('again.deb')).toBe(await hashOf('new.deb'));
  expect(await hashOf('again.tar')).toBe(await hashOf('rlnet.tar'));
});

test.runIf(full)(
  'scripts/release makes the same .deb and the same tarball twice, says what they are made of, and proves the glibc that it needs',
  { timeout: 1_200_000 },
  async () => {
    const release = async () => {
      // With no network at all.
      const release = ['unshare', '--net', join(repository, 'scripts/release')];
      const printed = await runOk(release, { timeoutMs: 600_000 });
      return printed.split('\n').filter((line) => line !== '');
    };
    const first = await release();
    expect(first.filter((line) => /^ +\d.* MB {2}[0-9a-f]{64} {2}dist\/rlnet/.test(line))).toHaveLength(2);
    expect(first.join('\n')).toMatch(/node +\d+\.\d\d MB {2}glibc 2\.28 or newer/);
    expect(await release()).toEqual(first);
  },
);
